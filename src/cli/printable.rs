//! Foreign text on a terminal.

/// Foreign text fit for a terminal: what would move the cursor, change colours or turn the writing's direction is shown as a mark.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_bidirectional(c) { '\u{FFFD}' } else { c }).collect()
}

/// Marks that turn the direction of writing (Unicode Standard Annex 9, table 1), with which a name can be made to look like another.
pub(super) fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
