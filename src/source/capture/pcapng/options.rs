//! Options at the end of a block.

use super::super::fields::Fields;
use super::layout::code;

/// The options of a block, in their order, as code and value.
///
/// What cannot be read ends the list, since a block is of use without its options: a value that runs past the block, or less than a
/// whole option. The padding behind the last value may be missing.
pub(super) struct Options<'a> {
    fields: Fields<'a>,
}

impl<'a> Options<'a> {
    /// Of what is left of a block.
    pub(super) fn new(fields: Fields<'a>) -> Self {
        Self { fields }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let code = self.fields.u16().filter(|code| *code != code::END)?;
        let length = usize::from(self.fields.u16()?);
        let value = self.fields.take(length)?;
        let padding = length.wrapping_neg() % 4;
        self.fields.skip(padding.min(self.fields.remaining()))?;
        Some((code, value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fields::ByteOrder;
    use super::*;

    fn list(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let options = Options::new(Fields::new(bytes, ByteOrder::Big));
        options.map(|(code, value)| (code, value.to_vec())).collect()
    }

    #[test]
    fn values_are_padded_to_four_bytes() {
        let bytes = [0, 2, 0, 3, b'e', b'n', b'0', 0, 0, 9, 0, 1, 6, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(list(&bytes), [(2, b"en0".to_vec()), (9, vec![6])]);
    }

    #[test]
    fn the_end_mark_ends_the_list() {
        let bytes = [0, 0, 0, 0, 0, 9, 0, 1, 6, 0, 0, 0];
        assert_eq!(list(&bytes), []);
    }

    #[test]
    fn the_last_padding_may_be_missing() {
        assert_eq!(list(&[0, 9, 0, 1, 6]), [(9, vec![6])]);
        assert_eq!(list(&[0, 9, 0, 1, 6, 0]), [(9, vec![6])]);
    }

    #[test]
    fn a_value_that_runs_past_the_block_ends_the_list() {
        let bytes = [0, 9, 0, 1, 6, 0, 0, 0, 0, 2, 0xff, 0xff, b'e', b'n', b'0', 0];
        assert_eq!(list(&bytes), [(9, vec![6])]);
        assert_eq!(list(&[0, 9, 0]), []);
    }
}
