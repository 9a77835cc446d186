//! Whether a payload looks fully encrypted from its first byte.

/// The test of Wu et al., "How the Great Firewall of China Detects and Blocks Fully Encrypted Traffic" (USENIX Security 2023, section 4):
/// a payload looks fully encrypted where about half its bits are set, and it neither begins with text nor holds much of it.
///
/// This is a label and not an alarm: a compressed or merely unknown format can look so too.
pub(super) fn looks_encrypted(payload: &[u8]) -> bool {
    let payload = payload.get(..payload.len().min(LOOKED_AT)).unwrap_or_default();
    if payload.len() < SHORTEST {
        return false;
    }
    let (words, rest) = payload.as_chunks();
    let ones = words.iter().map(|word| u64::from_ne_bytes(*word).count_ones()).sum::<u32>()
        + rest.iter().map(|byte| byte.count_ones()).sum::<u32>();
    // Ones in tenths of a bit for each byte, without floating point.
    let density = 10 * ones as usize;
    if density <= 34 * payload.len() || density >= 46 * payload.len() {
        return false;
    }
    let begins_with_text = payload.iter().take(6).copied().all(is_printable);
    let printable = payload.iter().filter(|byte| is_printable(**byte)).count();
    !begins_with_text && printable * 2 <= payload.len() && !has_long_run(payload)
}

/// Whether more than [`LONGEST_RUN`] bytes in a row are text. Any so many cover the last byte of one of the pieces of that length, so that the
/// others need a look only where that one is text.
fn has_long_run(payload: &[u8]) -> bool {
    (LONGEST_RUN..payload.len()).step_by(LONGEST_RUN + 1).any(|at| {
        let Some((before, behind)) = payload.split_at_checked(at) else { return false };
        if !behind.first().copied().is_some_and(is_printable) {
            return false;
        }
        let before = before.iter().rev().take_while(|byte| is_printable(**byte)).count();
        let behind = behind.iter().take_while(|byte| is_printable(**byte)).count();
        before + behind > LONGEST_RUN
    })
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Below this, chance decides, in bytes.
const SHORTEST: usize = 24;
/// Bytes of text in a row that chance may bring.
const LONGEST_RUN: usize = 20;
/// One segment, in bytes.
const LOOKED_AT: usize = 1_460;

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that a linear congruential generator gives: as good as ciphertext for this test.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        (0..length)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect()
    }

    #[test]
    fn noise_looks_encrypted_and_text_does_not() {
        assert!(looks_encrypted(&noise(400)));
        assert!(!looks_encrypted(b"The quick brown fox jumps over the lazy dog, again and again."));
        assert!(!looks_encrypted(&[0; 400]));
    }

    #[test]
    fn a_printable_beginning_or_a_long_printable_run_exempts() {
        let mut bytes = noise(400);
        bytes[..6].copy_from_slice(b"HELLO ");
        assert!(!looks_encrypted(&bytes));
        let mut bytes = noise(400);
        bytes[100..121].fill(b'a');
        assert!(!looks_encrypted(&bytes));
    }

    proptest::proptest! {
        #[test]
        fn a_long_run_is_found_wherever_it_lies(
            parts in proptest::collection::vec((0_usize..30, 0_usize..3), 0..8)
        ) {
            let payload: Vec<u8> = parts
                .iter()
                .flat_map(|(text, noise)| [vec![b'a'; *text], vec![0xff; *noise]].concat())
                .collect();
            let longest = payload.split(|byte| *byte == 0xff).map(<[u8]>::len).max();
            proptest::prop_assert_eq!(has_long_run(&payload), longest > Some(LONGEST_RUN));
        }
    }
}
