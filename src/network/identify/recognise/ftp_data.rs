//! FTP's data connection. A transfer has no header; it is known by the control connection that announced it
//! ([`super::super::expected`]), or, where that was not seen, by a directory listing: a mode as `ls -l` writes it, and a link count.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(b"-dlt"), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let silent = stream.reply.is_empty();
    Verdict::when(silent && is_listing(stream.bytes), Protocol::FtpData)
}

fn is_listing(bytes: &[u8]) -> bool {
    let line = bytes
        .strip_prefix(b"total ")
        .and_then(|rest| rest.split(|byte| *byte == b'\n').nth(1))
        .unwrap_or(bytes);
    let Some((mode, rest)) = line.split_at_checked(10) else { return false };
    let is_mode = matches!(mode.first(), Some(b'-' | b'd' | b'l'))
        && mode
            .iter()
            .skip(1)
            .all(|byte| matches!(byte, b'r' | b'w' | b'x' | b'-' | b's' | b't' | b'S' | b'T'));
    is_mode
        && rest.first() == Some(&b' ')
        && rest.iter().find(|byte| **byte != b' ').is_some_and(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::super::testing::opening;
    use crate::network::protocol::Protocol;

    #[test]
    fn a_listing_is_known() {
        assert_eq!(opening(b"drwxr-xr-x    2 ftp ftp 4096 Jan 1 00:00 pub\r\n"), Some(Protocol::FtpData));
        assert_eq!(opening(b"-----BEGIN CERTIFICATE-----\n"), None);
    }
}
