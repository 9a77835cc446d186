//! What a receiver made of some events.

use std::time::Duration;

/// The answer to one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has all of them.
    Delivered,
    /// It told of each, in order.
    Each(Vec<Fate>),
    /// It refuses them together; where there is one alone, it is that one.
    Unfit(String),
    /// It could not take them now.
    Later {
        /// Why.
        why: String,
        /// The time that it asked for.
        after: Option<Duration>,
    },
    /// It cannot be reached, or it went away: what it took last it may have lost.
    Gone(String),
    /// It does not let this sensor in: a person must change something.
    Refused(String),
}

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The receiver has it, or had it already.
    Delivered,
    /// To be tried again.
    Later(String),
    /// It will never be taken.
    Rejected(String),
}

impl Outcome {
    /// Not now, and no time was named.
    pub(super) fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after: None }
    }
}

/// An error with what caused it, outermost first: a TLS alert hides three layers down.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        if !text.contains(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        cause = error.source();
    }
    text
}
