//! Which sources went and which came back, as a receiver should hear of it: each once, and one that comes and goes all the time not each time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::source::live::{Condition, SourceState};

/// What there is to say of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// It ended.
    Lost { source: Arc<str>, why: String, restarts: u64 },
    /// It observes again, after so many losses.
    Back { source: Arc<str>, restarts: u64 },
}

/// What was said of each source.
#[derive(Debug, Default)]
pub(super) struct SourceLog(BTreeMap<Arc<str>, Said>);

#[derive(Debug, Default)]
struct Said {
    restarts: u64,
    lost: bool,
    /// When it was said that it was lost.
    at: Option<Instant>,
}

impl SourceLog {
    /// What is to be said now. Losses of one source between two looks are one; those within [`AGAIN`] of one that was said wait.
    pub(super) fn news(&mut self, states: &BTreeMap<Arc<str>, SourceState>, now: Instant) -> Vec<News> {
        let mut news = Vec::new();
        for (name, state) in states {
            let said = self.0.entry(Arc::clone(name)).or_default();
            let may_say = said.at.is_none_or(|at| now.saturating_duration_since(at) >= AGAIN);
            if state.restarts > said.restarts && !said.lost && may_say {
                news.push(News::Lost {
                    source: Arc::clone(name),
                    why: state.why.clone().unwrap_or_default(),
                    restarts: state.restarts,
                });
                *said = Said { restarts: state.restarts, lost: true, at: Some(now) };
            }
            if said.lost && state.condition == Condition::Running {
                news.push(News::Back { source: Arc::clone(name), restarts: state.restarts });
                said.restarts = state.restarts;
                said.lost = false;
            }
        }
        news
    }
}

/// A source that cannot hold itself up is told a few times an hour, with the number of its losses.
const AGAIN: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Timestamp;

    fn states(condition: Condition, restarts: u64) -> BTreeMap<Arc<str>, SourceState> {
        let why = (restarts > 0).then(|| "it ended".to_owned());
        [(Arc::from("tap"), SourceState { condition, since: Timestamp::EPOCH, restarts, why })].into()
    }

    fn words(news: &[News]) -> Vec<(&str, u64)> {
        let word = |news: &News| match news {
            News::Lost { restarts, .. } => ("lost", *restarts),
            News::Back { restarts, .. } => ("back", *restarts),
        };
        news.iter().map(word).collect()
    }

    #[test]
    fn a_loss_and_a_return_are_said_once_each() {
        let (mut log, now) = (SourceLog::default(), Instant::now());
        assert!(log.news(&states(Condition::Waiting, 0), now).is_empty());
        assert!(log.news(&states(Condition::Running, 0), now).is_empty());
        assert_eq!(words(&log.news(&states(Condition::Away, 1), now)), [("lost", 1)]);
        assert!(log.news(&states(Condition::Away, 3), now).is_empty(), "it is still away");
        assert_eq!(words(&log.news(&states(Condition::Running, 3), now)), [("back", 3)]);
        assert!(log.news(&states(Condition::Running, 3), now).is_empty());
    }

    #[test]
    fn what_went_and_came_back_between_two_looks_is_said_as_well() {
        let mut log = SourceLog::default();
        let news = log.news(&states(Condition::Running, 2), Instant::now());
        assert_eq!(words(&news), [("lost", 2), ("back", 2)]);
    }

    #[test]
    fn one_that_comes_and_goes_all_the_time_is_said_now_and_then() {
        let (mut log, now) = (SourceLog::default(), Instant::now());
        let mut said = 0;
        for second in 0..3_600_u64 {
            let states = states(Condition::Running, second);
            said += log.news(&states, now + Duration::from_secs(second)).len();
        }
        assert!((10..=14).contains(&said), "{said}");
    }
}
