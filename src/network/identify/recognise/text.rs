//! Reading the first line of a text protocol.

/// The first line without its end; `None` until the line feed has come.
pub(in super::super) fn line(bytes: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(b'\n', bytes.get(..bytes.len().min(LONGEST_LINE))?)?;
    let line = bytes.get(..end)?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// The lines that have come whole, without their ends.
pub(in super::super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let end = memchr::memchr(b'\n', rest)?;
        let (line, tail) = rest.split_at_checked(end)?;
        rest = tail.get(1..)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// Splits at the first space: the word before it, and what follows.
pub(in super::super) fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().take(LONGEST_WORD).position(|byte| *byte == b' ')?;
    let (word, rest) = bytes.split_at_checked(end)?;
    Some((word, rest.get(1..)?))
}

/// The command that a line begins with: letters up to a space, a line end or the end.
pub(in super::super) fn command(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .take(LONGEST_WORD)
        .position(|byte| !byte.is_ascii_alphabetic())
        .unwrap_or(line.len().min(LONGEST_WORD));
    line.get(..end).unwrap_or_default()
}

/// Whether `bytes` begins with `prefix` in either case.
pub(in super::super) fn begins(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

/// Whether `word` stands in `bytes` in either case.
pub(in super::super) fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

/// Whether `command` is one of `list`, in either case.
pub(in super::super) fn is_one_of(command: &[u8], list: &[&[u8]]) -> bool {
    list.iter().any(|known| command.eq_ignore_ascii_case(known))
}

/// Whether these are characters of a text line: printable ASCII, tab, line ends, or bytes of UTF-8 beyond ASCII.
pub(in super::super) fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\t' | b'\r' | b'\n' | 0x1b | b' '..=b'~' | 0x80..))
}

/// The three digits of a reply code and the byte after them (`220 `, `220-`), as SMTP, FTP and NNTP begin every reply.
pub(in super::super) fn reply_code(bytes: &[u8]) -> Option<(u16, u8)> {
    let [a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', separator @ (b' ' | b'-' | b'\r' | b'\n'), ..] =
        bytes
    else {
        return None;
    };
    let digit = |byte: &u8| u16::from(byte - b'0');
    Some((digit(a) * 100 + digit(b) * 10 + digit(c), *separator))
}

/// How far the end of a first line is sought, in bytes.
const LONGEST_LINE: usize = 2_048;

/// How far the end of a word is sought, in bytes: the longest method, command or tag is far shorter.
const LONGEST_WORD: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_needs_its_end() {
        assert_eq!(line(b"EHLO x"), None);
        assert_eq!(line(b"EHLO x\r\nMAIL"), Some(&b"EHLO x"[..]));
        assert_eq!(lines(b"a\r\nb\nc").collect::<Vec<_>>(), [&b"a"[..], b"b"]);
    }

    #[test]
    fn reply_codes_have_three_digits_and_a_separator() {
        assert_eq!(reply_code(b"220-hello"), Some((220, b'-')));
        assert_eq!(reply_code(b"2200 hello"), None);
        assert_eq!(reply_code(b"920 hello"), None);
    }

    #[test]
    fn commands_end_where_their_letters_end() {
        assert_eq!(command(b"QUIT"), b"QUIT");
        assert_eq!(command(b"MAIL FROM:<a>"), b"MAIL");
    }
}
