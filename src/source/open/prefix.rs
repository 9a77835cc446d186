//! An input whose beginning has been looked at.

use std::io::{self, Read};

/// Reads ahead for whoever wants to see what is coming, and gives it out again to whoever reads.
pub(super) struct Prefix {
    seen: Vec<u8>,
    /// How much of `seen` was given out.
    given: usize,
    /// The input failed after `seen`.
    failure: Option<io::Error>,
    input: Box<dyn Read + Send>,
}

impl Prefix {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { seen: Vec::new(), given: 0, failure: None, input }
    }

    /// Reads until `length` bytes have been seen, and no more than is at hand then. `false` where the input ends or fails before.
    pub(super) fn see(&mut self, length: usize) -> bool {
        while self.seen.len() < length && self.failure.is_none() {
            let seen = self.seen.len();
            self.seen.resize(seen + CHUNK, 0);
            let read = self.input.read(self.seen.get_mut(seen..).unwrap_or_default());
            self.seen.truncate(seen + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return false,
                Err(error) if error.kind() != io::ErrorKind::Interrupted => self.failure = Some(error),
                Ok(_) | Err(_) => {}
            }
        }
        self.seen.len() >= length
    }

    /// What has been seen.
    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// What the input failed of right after what has been seen.
    pub(super) fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }
}

impl Read for Prefix {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut left = self.seen.get(self.given..).unwrap_or_default();
        if !left.is_empty() {
            let read = left.read(buffer)?;
            self.given += read;
            return Ok(read);
        }
        self.seen = Vec::new();
        self.given = 0;
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => self.input.read(buffer),
        }
    }
}

/// Bytes asked for at once while looking.
const CHUNK: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_read_again_and_then_the_rest() {
        let text: Vec<u8> = (0..=u8::MAX).cycle().take(3 * CHUNK).collect();
        let mut prefix = Prefix::new(Box::new(io::Cursor::new(text.clone())));
        assert!(prefix.see(4));
        assert_eq!(prefix.seen().len(), CHUNK);
        assert!(!prefix.see(text.len() + 1));
        let mut read = Vec::new();
        prefix.read_to_end(&mut read).unwrap();
        assert_eq!(read, text);
    }

    #[test]
    fn a_failure_is_met_again_where_it_was() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::InvalidData.into())
            }
        }
        let mut prefix = Prefix::new(Box::new((&b"abc"[..]).chain(Broken)));
        assert!(!prefix.see(4));
        assert!(prefix.failure().is_some());
        let mut read = Vec::new();
        assert_eq!(prefix.read_to_end(&mut read).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(read, b"abc");
    }
}
