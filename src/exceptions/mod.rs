//! Which findings the organisation has accepted, who said so, and until when.
//!
//! TOML files hold `[[exception]]` tables; managed preferences may hold the same as a property list. Each table becomes an [`Exception`]: a
//! list of [`Condition`]s that must all hold of a [`Behaviour`], with an owner, a reason and an end. A finding that one covers is never
//! dropped: it is made, counted and named with the exception's id, but it is no alert (`suppress`), or one of the lowest severity
//! (`lower`).
//!
//! The order of files and of tables never matters: of several that cover a finding, one that suppresses goes before one that lowers, one
//! that learns before one that does not, and then the least id.
//!
//! A limit counts what matches an exception in an hour, whether it was unusual or not; beyond it findings stand. That needs a
//! [`Ledger`], which the engine keeps.

mod behaviour;
mod condition;
mod expiry;
mod fields;
mod files;
mod ledger;
mod node;
mod pattern;
mod read;
mod stored;
mod suggest;
#[cfg(test)]
mod tests;

pub use behaviour::{Behaviour, Code, Program};
pub use condition::{Condition, Trait, User, Whose};
pub use expiry::{Due, EXPIRES_SOON_DAYS, Expiry};
pub use files::{ExceptionError, Rejected, Settings, files, parse, parse_managed, starter_pack};
pub use ledger::Ledger;
pub use pattern::{Domain, Glob, Network, Window};
pub use stored::{NoAlert, Stored};
pub use suggest::{Governance, suggest};

use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::{Detection, ExceptionSection};
use crate::detect::Channel;
use crate::observation::Timestamp;

/// One accepted behaviour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Names it: letters, digits, `-`, `_` and `.`.
    pub id: String,
    /// Who answers for it.
    pub owner: String,
    /// Why it is accepted.
    pub reason: String,
    /// Where it was agreed.
    pub ticket: Option<String>,
    /// In force from here on.
    pub created: Day,
    /// In force until the end of this day, UTC; `None` where the policy allows that it never ends.
    pub expires: Option<Day>,
    /// The channels that it covers; a finding in which any other channel counts stands.
    pub channels: Vec<Channel>,
    /// What it saw is normal and is learnt in full.
    pub learn: bool,
    /// What becomes of a finding.
    pub action: Action,
    /// Bytes that may go out in a calendar hour (UTC) over all that matches; beyond it findings stand.
    pub hourly_limit: Option<u64>,
    /// What must hold.
    pub conditions: Vec<Condition>,
    /// Where it stands.
    pub source: Source,
}

/// Where an exception was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub path: Arc<Path>,
    /// The line, counted from 1, where the form has lines.
    pub line: Option<usize>,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// What becomes of a finding that is covered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is kept and counted, and not delivered.
    #[default]
    Suppress,
    /// It is delivered with the lowest severity.
    Lower,
}

/// A calendar day, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub jiff::civil::Date);

impl Day {
    /// The day of a moment; `None` beyond the years that the calendar counts.
    pub fn of(time: Timestamp) -> Option<Self> {
        let point = jiff::Timestamp::from_nanosecond(i128::from(time.as_nanos())).ok()?;
        Some(Self(jiff::tz::Offset::UTC.to_datetime(point).date()))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What the organisation demands of exceptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Whether each must say when it ends.
    pub require_expiry: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { require_expiry: true }
    }
}

/// All exceptions, in force or not.
#[derive(Debug, Clone, Default)]
pub struct Exceptions {
    /// By action, learning and id: the first that covers is the one that counts.
    ranked: Vec<Exception>,
    /// Those that name the image's identity; positions in `ranked`, ascending.
    by_image: BTreeMap<String, Vec<usize>>,
    /// The others.
    unbound: Vec<usize>,
    /// Those with a limit.
    limited: Vec<usize>,
}

impl Exceptions {
    /// From any order.
    ///
    /// # Errors
    /// Where two have one id.
    pub fn new(mut exceptions: Vec<Exception>) -> Result<Self, Rejected> {
        exceptions.sort_by(|a, b| (a.action, !a.learn, &a.id).cmp(&(b.action, !b.learn, &b.id)));
        let mut ids = BTreeMap::new();
        for exception in &exceptions {
            match ids.entry(&exception.id) {
                btree_map::Entry::Vacant(free) => {
                    free.insert(&exception.source);
                }
                btree_map::Entry::Occupied(other) => {
                    return Err(Rejected::twice(exception, other.get()));
                }
            }
        }
        Ok(Self::index(exceptions))
    }

    /// From exceptions by rank, whose ids differ.
    fn index(exceptions: Vec<Exception>) -> Self {
        let mut all = Self::default();
        for (at, exception) in exceptions.iter().enumerate() {
            let image = exception.conditions.iter().find_map(|condition| match condition {
                Condition::Program(Whose::Image, Trait::Identity(identity)) => Some(identity.clone()),
                _ => None,
            });
            match image {
                Some(identity) => all.by_image.entry(identity).or_default().push(at),
                None => all.unbound.push(at),
            }
            if exception.hourly_limit.is_some() {
                all.limited.push(at);
            }
        }
        all.ranked = exceptions;
        all
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ranked.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ranked.is_empty()
    }

    /// Each, by rank.
    pub fn iter(&self) -> impl Iterator<Item = &Exception> {
        self.ranked.iter()
    }

    /// These and others.
    ///
    /// # Errors
    /// Where two have one id.
    pub fn and(self, others: Self) -> Result<Self, Rejected> {
        Self::new(self.ranked.into_iter().chain(others.ranked).collect())
    }

    /// All but those with these ids.
    #[must_use]
    pub fn without(self, ids: &[String]) -> Self {
        Self::index(self.ranked.into_iter().filter(|exception| !ids.contains(&exception.id)).collect())
    }

    /// As if they were in force on every day.
    #[must_use]
    pub fn dateless(self) -> Self {
        let always =
            |exception| Exception { created: Day(jiff::civil::Date::MIN), expires: None, ..exception };
        Self::index(self.ranked.into_iter().map(always).collect())
    }

    /// As if they were in force on every day and at every hour: for asking what could be hidden at all.
    #[must_use]
    pub fn whenever(self) -> Self {
        let mut all = self.dateless();
        for exception in &mut all.ranked {
            exception.conditions.retain(|condition| !matches!(condition, Condition::Window(_)));
        }
        all
    }

    /// The exception that decides on a finding: `channels` are those that count in it.
    pub fn covering(
        &self,
        behaviour: &Behaviour<'_>,
        channels: &[Channel],
        ledger: &Ledger,
    ) -> Option<&Exception> {
        self.candidates(behaviour.image.identity)
            .find(|exception| exception.covers(behaviour, channels, ledger))
    }

    /// The exception that decides on a detection.
    pub fn covering_detection(&self, detection: &Detection, ledger: &Ledger) -> Option<&Exception> {
        if self.is_empty() {
            return None;
        }
        let finding = &detection.finding;
        let destination = detection.destination.as_deref();
        let behaviour = Behaviour::new(finding.time, &detection.who, &detection.flow, destination)
            .of_users(&detection.host.users);
        let channels: Vec<Channel> =
            finding.channels.iter().filter(|channel| channel.counted).map(|channel| channel.name).collect();
        self.covering(&behaviour, &channels, ledger)
    }

    /// Whether any has a limit, so that traffic must be counted.
    pub fn counts_traffic(&self) -> bool {
        !self.limited.is_empty()
    }

    /// Counts bytes that a behaviour sent, for every exception with a limit that it matches.
    pub fn count(&self, behaviour: &Behaviour<'_>, bytes_out: u64, ledger: &mut Ledger) {
        ledger.turn(behaviour.time);
        for exception in self.limited.iter().filter_map(|at| self.ranked.get(*at)) {
            if exception.in_force(behaviour.time) && exception.matches(behaviour) {
                ledger.add(&exception.id, bytes_out);
            }
        }
    }

    /// By rank, those that may cover this image.
    fn candidates(&self, image: &str) -> impl Iterator<Item = &Exception> {
        let named = self.by_image.get(image).map(Vec::as_slice).unwrap_or_default();
        Merged { a: named, b: &self.unbound }.filter_map(|at| self.ranked.get(at))
    }
}

/// Two ascending lists as one.
struct Merged<'a> {
    a: &'a [usize],
    b: &'a [usize],
}

impl Iterator for Merged<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let (list, next) = match (self.a.first(), self.b.first()) {
            (Some(a), Some(b)) if b < a => (&mut self.b, *b),
            (Some(a), _) => (&mut self.a, *a),
            (None, Some(b)) => (&mut self.b, *b),
            (None, None) => return None,
        };
        *list = list.get(1..).unwrap_or_default();
        Some(next)
    }
}

impl Exception {
    /// Whether it holds at this time: from the beginning of `created` to the end of `expires`, UTC.
    pub fn in_force(&self, time: Timestamp) -> bool {
        Day::of(time)
            .is_some_and(|day| self.created <= day && self.expires.is_none_or(|expires| day <= expires))
    }

    /// Whether all its conditions hold, whatever the date, the channels and the limit.
    pub fn matches(&self, behaviour: &Behaviour<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(behaviour))
    }

    /// Whether it covers a finding in which these channels count.
    pub fn covers(&self, behaviour: &Behaviour<'_>, channels: &[Channel], ledger: &Ledger) -> bool {
        self.misses(behaviour, channels, ledger).next().is_none()
    }

    /// Why it does not cover a finding; nothing where it does.
    pub fn misses<'a>(
        &'a self,
        behaviour: &'a Behaviour<'_>,
        channels: &'a [Channel],
        ledger: &'a Ledger,
    ) -> impl Iterator<Item = Miss<'a>> {
        let dated = (!self.in_force(behaviour.time)).then_some(Miss::Date);
        let uncovered = channels.iter().find(|channel| !self.channels.contains(channel));
        let failed = self.conditions.iter().filter(|condition| !condition.holds(behaviour));
        let over = self
            .hourly_limit
            .map(|limit| (limit, ledger.sent(&self.id, behaviour.time)))
            .filter(|(limit, sent)| sent > limit)
            .map(|(limit, sent)| Miss::Limit { limit, sent });
        dated
            .into_iter()
            .chain(uncovered.map(|channel| Miss::Channel(*channel)))
            .chain(failed.map(Miss::Condition))
            .chain(over)
    }

    /// What it does, as a document names it.
    pub fn as_section(&self) -> ExceptionSection {
        ExceptionSection {
            id: self.id.clone(),
            owner: self.owner.clone(),
            expires: self.expires.map(|day| day.to_string()),
            action: self.action,
        }
    }
}

/// One reason why an exception does not cover a finding.
#[derive(Debug, Clone, PartialEq)]
pub enum Miss<'a> {
    /// It was not in force at the time.
    Date,
    /// A channel counts that it does not name.
    Channel(Channel),
    /// A condition does not hold.
    Condition(&'a Condition),
    /// More went out in the hour than it allows.
    Limit {
        /// Bytes allowed.
        limit: u64,
        /// Bytes sent.
        sent: u64,
    },
}
