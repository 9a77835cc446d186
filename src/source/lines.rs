//! Lines of a text input, bounded.

use std::io::{self, BufRead, BufReader, Read};

use super::{Position, SourceReport};

/// The longest line that is read, in bytes without its end. A real `eslogger` line has 2 to 8 KiB; `ARG_MAX` lets an exec carry 1 MiB
/// of arguments and environment, which nobody needs whole.
pub(crate) const LINE_LIMIT: usize = 1 << 20;

/// How much is asked of the input at once.
const BUFFER: usize = 256 << 10;

/// What stands on one line.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// Its bytes, without white space at either end.
    Text(&'a [u8]),
    /// It was longer than [`LINE_LIMIT`] and was skipped without being held in memory.
    TooLong {
        /// Its length in bytes.
        length: u64,
    },
}

/// Reads line by line, holding one line in memory. `\r\n` and a last line without an end are lines too.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
    failure: Option<io::Error>,
}

impl<R: Read> Lines<R> {
    /// Lines of this input.
    pub(crate) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(BUFFER, input),
            line: Vec::new(),
            number: 0,
            bytes: 0,
            failure: None,
        }
    }

    /// Bytes of all lines read, ends included.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line with its number; `None` at the end.
    ///
    /// # Errors
    /// Where the input fails. What was read of a line by then is given out first: of a truncated archive every whole line is used.
    fn next_line(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.line.clear();
        // One byte more than the limit tells a line that is too long from one that just fits.
        let most = LINE_LIMIT as u64 + 1;
        let mut length = match (&mut self.input).take(most).read_until(b'\n', &mut self.line) {
            Ok(0) => return Ok(None),
            Ok(length) => length as u64,
            Err(failure) if self.line.is_empty() => return Err(failure),
            Err(failure) => {
                self.failure = Some(failure);
                self.line.len() as u64
            }
        };
        self.number = self.number.saturating_add(1);
        let cut = length == most && self.line.last() != Some(&b'\n');
        if cut {
            length = length.saturating_add(self.skip_rest());
        }
        self.bytes = self.bytes.saturating_add(length);
        let line = if cut { Line::TooLong { length } } else { Line::Text(self.line.trim_ascii()) };
        Ok(Some((self.number, line)))
    }

    /// The next line that can be read, and where it stands. One that is too long is skipped in the source's account, and a failure of the
    /// input ends it there.
    pub(crate) fn next_text(&mut self, report: &mut SourceReport) -> Option<(Position, &[u8])> {
        let position = loop {
            match self.next_line() {
                Ok(Some((number, Line::Text(_)))) => break Position::Line(number),
                Ok(Some((number, Line::TooLong { length }))) => report.skip(
                    Position::Line(number),
                    format!("a line of {length} bytes is over the limit of {LINE_LIMIT}"),
                ),
                Ok(None) => return None,
                Err(error) => {
                    let position = Position::Line(self.number);
                    report.end_early(position, format!("the input cannot be read further: {error}"));
                    return None;
                }
            }
        };
        Some((position, self.line.trim_ascii()))
    }

    /// Reads past the end of the line without keeping it; how many bytes that were. A failure is kept for the next call.
    fn skip_rest(&mut self) -> u64 {
        match self.input.skip_until(b'\n') {
            Ok(skipped) => skipped as u64,
            Err(failure) => {
                self.failure = Some(failure);
                0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that `input` holds, each line as text or as its length.
    fn all(input: impl Read) -> (Vec<Result<String, u64>>, u64, Option<io::ErrorKind>) {
        let mut lines = Lines::new(input);
        let mut read = Vec::new();
        loop {
            match lines.next_line() {
                Ok(Some((_, Line::Text(text)))) => read.push(Ok(String::from_utf8_lossy(text).into_owned())),
                Ok(Some((_, Line::TooLong { length }))) => read.push(Err(length)),
                Ok(None) => return (read, lines.bytes(), None),
                Err(error) => return (read, lines.bytes(), Some(error.kind())),
            }
        }
    }

    fn text(lines: &[&str]) -> Vec<Result<String, u64>> {
        lines.iter().map(|line| Ok((*line).to_owned())).collect()
    }

    #[test]
    fn windows_line_ends_and_a_missing_last_newline_are_tolerated() {
        assert_eq!(all(&b"a\r\nb\n\nc"[..]), (text(&["a", "b", "", "c"]), 7, None));
        assert_eq!(all(&b""[..]), (Vec::new(), 0, None));
    }

    #[test]
    fn a_line_of_100_megabytes_is_skipped_without_being_held() {
        let length = 100_000_000;
        let input = io::repeat(b'x').take(length).chain(&b"\nafter\n"[..]);
        let mut lines = Lines::new(input);
        assert_eq!(lines.next_line().unwrap(), Some((1, Line::TooLong { length: length + 1 })));
        assert_eq!(lines.next_line().unwrap(), Some((2, Line::Text(b"after"))));
        assert_eq!(lines.bytes(), length + 7);
        assert!(lines.line.capacity() <= 2 * LINE_LIMIT, "holds {} bytes", lines.line.capacity());
    }

    #[test]
    fn a_line_of_just_the_limit_is_read() {
        for (excess, fits) in [(0, true), (1, false)] {
            let length = LINE_LIMIT as u64 + excess;
            let (lines, ..) = all(io::repeat(b'x').take(length).chain(&b"\nnext"[..]));
            assert_eq!(lines.len(), 2);
            assert_eq!(lines[0].is_ok(), fits, "{length} bytes");
            assert_eq!(lines[1], Ok("next".to_owned()));
        }
    }

    #[test]
    fn what_was_read_before_a_failure_is_given_out_before_it() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
        let (lines, _, failure) = all((&b"whole\nhalf"[..]).chain(Broken));
        assert_eq!(lines, text(&["whole", "half"]));
        assert_eq!(failure, Some(io::ErrorKind::UnexpectedEof));
    }
}
