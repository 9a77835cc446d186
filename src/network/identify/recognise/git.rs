//! Git's own transport (git, `gitprotocol-pack`): a packet line of four hex digits and a service name before a path.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(b"0"), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let service = stream.bytes.get(4..).unwrap_or_default();
    let known = [&b"git-upload-pack "[..], b"git-receive-pack ", b"git-upload-archive "];
    Verdict::when(known.iter().any(|name| service.starts_with(name)), Protocol::Git)
}

#[cfg(test)]
mod tests {
    use super::super::testing::opening;
    use crate::network::protocol::Protocol;

    #[test]
    fn a_service_request_is_known() {
        assert_eq!(opening(b"0032git-upload-pack /project.git\0host=x\0"), Some(Protocol::Git));
    }
}
