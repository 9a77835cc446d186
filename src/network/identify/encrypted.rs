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
    let ones: u32 = payload.iter().map(|byte| byte.count_ones()).sum();
    // Ones in tenths of a bit for each byte, without floating point.
    let density = 10 * ones as usize;
    if density <= 34 * payload.len() || density >= 46 * payload.len() {
        return false;
    }
    let is_printable = |byte: &u8| matches!(byte, b' '..=b'~');
    let begins_with_text = payload.iter().take(6).all(is_printable);
    let printable = payload.iter().filter(|byte| is_printable(byte)).count();
    let mut run = 0;
    let long_run = payload.iter().any(|byte| {
        run = if is_printable(byte) { run + 1 } else { 0 };
        run > 20
    });
    !begins_with_text && !long_run && printable * 2 <= payload.len()
}

/// Below this, chance decides, in bytes.
const SHORTEST: usize = 24;
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
}
