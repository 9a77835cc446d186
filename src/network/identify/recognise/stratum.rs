//! Stratum, which miners speak with pools: JSON-RPC lines with `mining.` methods (Stratum V1), a `login` with an agent (`CryptoNote`
//! pools), or `eth_submitLogin` (`EthereumStratum`).

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict, text};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(b"{"), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let head = stream.bytes.get(..stream.bytes.len().min(LOOKED_AT)).unwrap_or_default();
    let says = |word: &[u8]| text::contains(head, word);
    let proof = says(b"\"mining.")
        || says(b"\"eth_submitLogin\"")
        || says(b"\"eth_getWork\"")
        || (says(b"\"login\"") && says(b"\"pass\"") && (says(b"\"agent\"") || says(b"\"jsonrpc\"")));
    Verdict::when(proof, Protocol::Stratum)
}

/// How much of the first line is looked at, in bytes.
const LOOKED_AT: usize = 512;

#[cfg(test)]
mod tests {
    use super::super::testing::opening;
    use crate::network::protocol::Protocol;

    #[test]
    fn subscriptions_and_logins_are_known() {
        assert_eq!(
            opening(b"{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": []}\n"),
            Some(Protocol::Stratum)
        );
        assert_eq!(
            opening(b"{\"method\":\"login\",\"params\":{\"login\":\"4\",\"pass\":\"x\",\"agent\":\"XMRig\"},\"id\":1}\n"),
            Some(Protocol::Stratum)
        );
        assert_eq!(opening(b"{\"method\":\"ping\"}\n"), None);
    }
}
