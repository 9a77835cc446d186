//! The rsync daemon (rsync, `clientserver.c`): both ends open with `@RSYNCD: ` and a version.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(b"@"), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    Verdict::when(stream.bytes.starts_with(b"@RSYNCD: "), Protocol::Rsync)
}

#[cfg(test)]
mod tests {
    use super::super::testing::opening;
    use crate::network::protocol::Protocol;

    #[test]
    fn the_greeting_is_known() {
        assert_eq!(opening(b"@RSYNCD: 31.0\n"), Some(Protocol::Rsync));
    }
}
