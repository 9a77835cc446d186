//! SSDP (UPnP Device Architecture 2.0, section 1): HTTP start lines in datagrams.

use super::{Datagram, FirstBytes, OfDatagrams, Recogniser, Verdict, text};
use crate::network::protocol::Protocol;

pub(super) const DATAGRAMS: OfDatagrams = Recogniser { opens: FirstBytes::of(b"MNH"), recognise: datagrams };

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    let bytes = datagram.bytes;
    let request =
        [&b"M-SEARCH * HTTP/1."[..], b"NOTIFY * HTTP/1."].iter().any(|line| bytes.starts_with(line));
    let answer = bytes.starts_with(b"HTTP/1.")
        && [&b"\nST:"[..], b"\nUSN:", b"\nNT:"].iter().any(|header| text::contains(bytes, header));
    Verdict::when(request || answer, Protocol::Ssdp)
}

#[cfg(test)]
mod tests {
    use super::super::testing::datagram;
    use crate::network::protocol::Protocol;

    #[test]
    fn searches_and_answers_are_known() {
        assert_eq!(datagram(b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n"), Some(Protocol::Ssdp));
        assert_eq!(datagram(b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n"), Some(Protocol::Ssdp));
        assert_eq!(datagram(b"HTTP/1.1 200 OK\r\nServer: x\r\n"), None);
    }
}
