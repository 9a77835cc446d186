//! Where a verb that observes takes its observations from.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::inputs;
use super::{Code, Failure};
use crate::observation::Observation;
use crate::source::live::Live;
use crate::source::{OpenOptions, Origins, WithUsers, ladder, login_name, open};

/// `--source`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SourceName {
    /// The sources of this Mac.
    Live,
    /// A recording or a capture.
    Recording(PathBuf),
    /// Output of `eslogger`.
    Eslogger(PathBuf),
}

/// What a source gives, for a thread of its own.
pub(super) type Stream = Box<dyn Iterator<Item = Observation> + Send>;

impl FromStr for SourceName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "live" => Ok(Self::Live),
            Some(("recording", file)) if !file.is_empty() => Ok(Self::Recording(file.into())),
            Some(("eslogger", file)) if !file.is_empty() => Ok(Self::Eslogger(file.into())),
            _ => Err("expected live, recording:FILE or eslogger:FILE, with - for standard input".to_owned()),
        }
    }
}

impl SourceName {
    /// The observations as they stand in the source: a recording gives the same wherever and whenever it is read. Only what is live gets this
    /// machine's names of users.
    pub(super) fn open(&self) -> Result<Stream, Failure> {
        match self {
            Self::Live => Ok(Box::new(WithUsers::new(live()?, login_name))),
            Self::Eslogger(path) if path == Path::new("-") => {
                let paths = std::slice::from_ref(path);
                let piped = inputs::open_paths(paths, Origins::Joined, false)?.into_merged();
                Ok(Box::new(WithUsers::new(piped, login_name)))
            }
            Self::Recording(path) | Self::Eslogger(path) => {
                let paths = std::slice::from_ref(path);
                Ok(Box::new(inputs::open_paths(paths, Origins::Joined, false)?.into_merged()))
            }
        }
    }

    /// The observations as something that happens now: under this machine's name, and with word of the time where nothing comes.
    pub(super) fn follow(&self) -> Result<Live, Failure> {
        match self {
            Self::Live => live(),
            Self::Recording(path) | Self::Eslogger(path) => {
                let source = open(path, &OpenOptions::default()).map_err(|error| {
                    let code = if error.is_bad_data() { Code::BadData } else { Code::NoInput };
                    Failure::new(code, error)
                })?;
                let mut live = Live::new();
                live.feed_input(source).map_err(|error| Failure::new(Code::NoInput, error))?;
                Ok(live)
            }
        }
    }
}

fn live() -> Result<Live, Failure> {
    ladder::open().map(|(live, _)| live).map_err(|error| Failure::new(Code::NoInput, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_live_or_names_a_file() {
        assert_eq!("live".parse(), Ok(SourceName::Live));
        assert_eq!("eslogger:-".parse(), Ok(SourceName::Eslogger("-".into())));
        assert_eq!("recording:a:b".parse(), Ok(SourceName::Recording("a:b".into())));
        for wrong in ["", "eslogger:", "live:", "pcap:x"] {
            assert!(wrong.parse::<SourceName>().is_err(), "{wrong}");
        }
    }
}
