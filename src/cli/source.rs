//! Where a verb that observes takes its observations from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::inputs;
use super::{Code, Failure};
use crate::daemon::Sources;
use crate::observation::{Observation, Timestamp};
use crate::source::live::{EffortCell, Live, SourceWatch, follow};
use crate::source::{Merged, OpenOptions, Origins, WithUsers, ladder, login_name, open};

/// `--source`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SourceName {
    /// The sources of this Mac.
    Live,
    /// A recording or a capture.
    Recording(PathBuf),
    /// Output of `eslogger`.
    Eslogger(PathBuf),
    /// A recording, or output of `eslogger`, that another program writes to while it is read.
    Follow(PathBuf),
}

/// Sources that are open.
pub(super) struct Opened {
    /// What they tell.
    pub(super) stream: Stream,
    /// Where that is, in words.
    pub(super) sources: Sources,
    /// How each does that is begun anew when it ends.
    pub(super) watch: SourceWatch,
    /// How hard they are to try, where they can try less.
    pub(super) effort: Option<EffortCell>,
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
            Some(("follow", file)) if !file.is_empty() => Ok(Self::Follow(file.into())),
            _ => Err(
                "expected live, recording:FILE or eslogger:FILE, with - for standard input, or follow:FILE"
                    .to_owned(),
            ),
        }
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live => f.write_str("live"),
            Self::Recording(path) => write!(f, "recording {}", path.display()),
            Self::Eslogger(path) => write!(f, "eslogger {}", path.display()),
            Self::Follow(path) => write!(f, "what is written to {}", path.display()),
        }
    }
}

impl SourceName {
    /// The observations of these sources. Recordings are merged by time: they give the same wherever and whenever they are read, also where they are
    /// read at a pace. What is live or followed comes as it comes, under this machine's name; it alone gets this machine's names of users.
    pub(super) fn open(sources: &[Self], pace: Option<f64>) -> Result<Opened, Failure> {
        let alone = |why: &str| Err(Failure::new(Code::Usage, why));
        match sources {
            [Self::Live] => return opened_live(),
            _ if sources.contains(&Self::Live) => {
                return alone("`live` is this Mac, and goes with no recording of one");
            }
            _ => {}
        }
        let rung = sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let sources_told = Sources { rung, ..Sources::default() };
        let followed: Vec<&PathBuf> = sources.iter().filter_map(Self::followed).collect();
        if !followed.is_empty() {
            if followed.len() < sources.len() || pace.is_some() {
                return alone("what is followed happens now, and goes with no recording and at no pace");
            }
            return opened_followed(&followed, sources_told);
        }
        let recorded = if sources.iter().any(Self::is_pipe) {
            Recorded::Unopened(sources.to_vec())
        } else {
            Recorded::open(sources)?
        };
        let stream: Stream = match pace {
            _ if sources.iter().any(Self::is_from_eslogger) => Box::new(WithUsers::new(recorded, login_name)),
            Some(factor) => Box::new(Paced { inner: recorded, factor, began: None }),
            None => Box::new(recorded),
        };
        Ok(Opened { stream, sources: sources_told, watch: SourceWatch::default(), effort: None })
    }

    fn followed(&self) -> Option<&PathBuf> {
        match self {
            Self::Follow(path) => Some(path),
            Self::Live | Self::Recording(_) | Self::Eslogger(_) => None,
        }
    }

    /// Whether it tells what it carries only once somebody writes. A file that is not there is said at once, and not when the daemon already runs.
    fn is_pipe(&self) -> bool {
        self.path().is_some_and(|path| path == Path::new("-") || (path.exists() && !path.is_file()))
    }

    fn is_from_eslogger(&self) -> bool {
        matches!(self, Self::Eslogger(path) if path == Path::new("-"))
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Live => None,
            Self::Recording(path) | Self::Eslogger(path) | Self::Follow(path) => Some(path),
        }
    }

    /// The observations as something that happens now: under this machine's name, and with word of the time where nothing comes.
    pub(super) fn follow(&self) -> Result<Live, Failure> {
        match self {
            Self::Live => live(),
            Self::Follow(path) => {
                let mut live = Live::new();
                keep(&mut live, path)?;
                Ok(live)
            }
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

/// This Mac.
fn opened_live() -> Result<Opened, Failure> {
    let (live, coverage) = ladder::open().map_err(|error| Failure::new(Code::NoInput, error))?;
    let sources = Sources {
        rung: coverage.to_string(),
        refused: coverage.refused.clone(),
        blind_spots: coverage.blind_spots().map(str::to_owned).collect(),
        ..Sources::default()
    };
    let effort = Some(live.effort());
    Ok(Opened { effort, ..opened(live, sources) })
}

fn opened_followed(paths: &[&PathBuf], sources: Sources) -> Result<Opened, Failure> {
    let mut live = Live::new();
    for path in paths {
        keep(&mut live, path)?;
    }
    Ok(opened(live, sources))
}

fn opened(live: Live, sources: Sources) -> Opened {
    let watch = live.watch();
    Opened { stream: Box::new(WithUsers::new(live, login_name)), sources, watch, effort: None }
}

fn keep(live: &mut Live, path: &Path) -> Result<(), Failure> {
    let kept = live.keep(&path.to_string_lossy(), None, follow(path.to_owned()));
    kept.map_err(|error| Failure::new(Code::NoInput, error))
}

/// A recording, or a pipe that will carry one. A pipe tells what it carries only when the other end writes, and a daemon answers before that: it is
/// opened by whoever reads.
enum Recorded {
    Unopened(Vec<SourceName>),
    Reading(Box<Merged>),
    Following(Box<Live>),
    Failed,
}

impl Recorded {
    /// What `eslogger` writes into a pipe happens now and is in order: it is given out at once, under this machine's name. Recordings are put in
    /// order over some seconds of their own time.
    fn open(sources: &[SourceName]) -> Result<Self, Failure> {
        if let [name @ SourceName::Eslogger(_)] = sources
            && name.is_pipe()
        {
            return Ok(Self::Following(Box::new(name.follow()?)));
        }
        let paths: Vec<PathBuf> = sources.iter().filter_map(SourceName::path).map(Path::to_owned).collect();
        let merged = inputs::open_paths(&paths, Origins::Joined, false)?.into_merged();
        Ok(Self::Reading(Box::new(merged)))
    }
}

impl Iterator for Recorded {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        if let Self::Unopened(sources) = self {
            *self = Self::open(sources).unwrap_or_else(|failure| {
                tracing::error!("{}", failure.message);
                Self::Failed
            });
        }
        match self {
            Self::Reading(merged) => merged.next(),
            Self::Following(live) => live.next(),
            Self::Unopened(_) | Self::Failed => None,
        }
    }
}

/// A recording that takes its time.
struct Paced<I> {
    inner: I,
    /// Seconds of the recording in a second.
    factor: f64,
    /// When the first observation was given, and its time.
    began: Option<(Instant, Timestamp)>,
}

impl<I: Iterator<Item = Observation>> Iterator for Paced<I> {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        let observation = self.inner.next()?;
        if let Some(time) = observation.time() {
            let (began, first) = *self.began.get_or_insert_with(|| (Instant::now(), time));
            // Longer waits than a year are not told apart.
            let ahead = (time.since(first).as_secs_f64() / self.factor).min(LONGEST_WAIT);
            std::thread::sleep(Duration::from_secs_f64(ahead).saturating_sub(began.elapsed()));
        }
        Some(observation)
    }
}

const LONGEST_WAIT: f64 = 366.0 * 86_400.0;

fn live() -> Result<Live, Failure> {
    ladder::open().map(|(live, _)| live).map_err(|error| Failure::new(Code::NoInput, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_at_a_pace_takes_its_time_over_the_pace() {
        let tick = |seconds| {
            let time = Timestamp::from_seconds(seconds, 0);
            Observation::Clock(crate::observation::Clock { time, awake: None })
        };
        let began = Instant::now();
        let paced = Paced { inner: [tick(0), tick(100)].into_iter(), factor: 5_000.0, began: None };
        assert_eq!(paced.count(), 2);
        // A sleep is never shorter than asked for.
        assert!(began.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn a_source_is_live_or_names_a_file() {
        assert_eq!("live".parse(), Ok(SourceName::Live));
        assert_eq!("eslogger:-".parse(), Ok(SourceName::Eslogger("-".into())));
        assert_eq!("follow:/a b".parse(), Ok(SourceName::Follow("/a b".into())));
        assert_eq!("recording:a:b".parse(), Ok(SourceName::Recording("a:b".into())));
        for wrong in ["", "eslogger:", "live:", "follow:", "pcap:x"] {
            assert!(wrong.parse::<SourceName>().is_err(), "{wrong}");
        }
    }
}
