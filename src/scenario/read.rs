//! A text becomes a scenario, or a sentence about what is wrong with it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;

use super::chain::Chain;
use super::language::{Document, Event, Flow, Habit, Program, What};
use super::{Scenario, Wrong, check};
use crate::exceptions::{Exceptions, Policy};

/// Reads a scenario.
pub(super) fn scenario(text: &str) -> Result<Scenario, Wrong> {
    let document = read(text)?;
    let ordinary = read(ORDINARY)?;
    let mut programs = BTreeMap::new();
    for program in ordinary.programs.iter().chain(&document.programs) {
        programs.insert(program.name.clone(), program.clone());
    }
    let reader = Reader { text, programs: &programs };
    let document = reader.complete(document, &ordinary)?;
    let (zone, starts) = reader.calendar(&document)?;
    let exceptions = reader.exceptions(&document)?;
    Ok(Scenario {
        title: document.title.clone(),
        expected_failure: document.expected_failure.clone(),
        atomic: document.atomic.clone(),
        document,
        programs,
        exceptions: Arc::new(exceptions),
        zone,
        starts,
    })
}

/// Reads a text, and says where it is wrong.
fn read(text: &str) -> Result<Document, Wrong> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| line_of(text, span.start));
        let message = error.message();
        let meant = likely(message).map_or_else(String::new, |meant| format!(" (did you mean `{meant}`?)"));
        Wrong { line, message: format!("{message}{meant}") }
    })
}

/// Of the names that serde's message lists as known, the one that is most like the unknown one.
fn likely(message: &str) -> Option<&str> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next().filter(|_| message.starts_with("unknown"))?;
    nearest(unknown, quoted)
}

/// The word that is most like this one, where any is.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .map(|candidate| {
            (strsim::normalized_damerau_levenshtein(&word, &candidate.to_lowercase()), candidate)
        })
        .filter(|(likeness, _)| *likeness >= LIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Checks what the types of the tables cannot.
struct Reader<'a> {
    text: &'a str,
    programs: &'a BTreeMap<String, Program>,
}

impl Reader<'_> {
    /// The document with the ordinary Mac underneath, every name in it known.
    fn complete(&self, mut document: Document, ordinary: &Document) -> Result<Document, Wrong> {
        if document.days == 0 || document.days > MOST_DAYS {
            return Err(self
                .wrong(None, format!("`days` is {}: it must lie between 1 and {MOST_DAYS}", document.days)));
        }
        let expect = document.expect.as_ref().ok_or_else(|| {
            self.wrong(None, "there is no `[expect]`: an empty one says that no alert may leave")
        })?;
        for alert in &expect.alert {
            check::Pattern::parse(alert.subject.get_ref(), self.programs)
                .map_err(|message| self.wrong(Some(alert.subject.span()), message))?;
            if alert.day == 0 || alert.day > document.days {
                return Err(self.wrong(
                    Some(alert.subject.span()),
                    format!("the alert is expected on day {} of {}", alert.day, document.days),
                ));
            }
        }
        for habit in &document.habits {
            self.habit(habit)?;
        }
        for event in &document.events {
            self.event(event, document.days)?;
        }
        for name in &document.mac.without {
            self.known(name)?;
        }
        if document.mac.ordinary {
            let without: Vec<&str> =
                document.mac.without.iter().map(|name| name.get_ref().as_str()).collect();
            let kept = ordinary.habits.iter().filter(|habit| {
                let chain = Chain::parse(habit.run.get_ref(), self.programs).unwrap_or_default();
                !chain.steps.iter().any(|step| without.contains(&step.program.as_str()))
            });
            let own = std::mem::take(&mut document.habits);
            document.habits = kept.cloned().chain(own).collect();
        }
        Ok(document)
    }

    fn habit(&self, habit: &Habit) -> Result<(), Wrong> {
        self.run(&habit.run)?;
        self.responsible(habit.responsible.as_ref())?;
        if habit.every.is_some() && habit.times.is_some() {
            return Err(self.wrong(Some(habit.run.span()), "a habit has `every` or `times`, not both"));
        }
        if habit.every.is_some_and(|span| span.0.as_secs() < LEAST_EVERY) {
            return Err(
                self.wrong(Some(habit.run.span()), format!("`every` is shorter than {LEAST_EVERY} s"))
            );
        }
        if !(0.0..=1.0).contains(&habit.chance) || habit.every_days == 0 {
            return Err(self.wrong(
                Some(habit.run.span()),
                "`chance` lies between 0 and 1, and `every_days` is at least 1",
            ));
        }
        self.flows(&habit.flows)
    }

    fn event(&self, event: &Event, days: u32) -> Result<(), Wrong> {
        let span = event.run.as_ref().or(event.to.as_ref()).or(event.program.as_ref()).map(Spanned::span);
        if event.day == 0 || event.day > days {
            return Err(self.wrong(span, format!("the event is on day {} of {days}", event.day)));
        }
        let needs = |key: &str, given: bool| {
            if given {
                Ok(())
            } else {
                Err(self.wrong(span.clone(), format!("an event of this kind needs `{key}`")))
            }
        };
        match event.what {
            What::Run => needs("run", event.run.is_some())?,
            What::Sleep | What::Proxy => needs("for", !event.lasts.0.is_zero())?,
            What::Upgrade | What::Zone => needs("to", event.to.is_some())?,
            What::Clock => needs("to", event.to.is_some() && !event.lasts.0.is_zero())?,
            What::Vpn => needs("program` and `for", event.program.is_some() && !event.lasts.0.is_zero())?,
            What::Replace => needs("program` and `by", event.program.is_some() && event.by.is_some())?,
            What::Restart | What::Gap => {}
        }
        if let (What::Zone, Some(zone)) = (event.what, &event.to) {
            self.zone(zone)?;
        }
        if let (What::Clock, Some(time)) = (event.what, &event.to) {
            crate::observation::Timestamp::parse(time.get_ref())
                .map_err(|error| self.wrong(Some(time.span()), format!("`{}`: {error}", time.get_ref())))?;
        }
        if let Some(run) = &event.run {
            self.run(run)?;
        }
        for name in [&event.responsible, &event.program, &event.by].into_iter().flatten() {
            self.known(name)?;
        }
        self.flows(&event.flows)
    }

    fn flows(&self, flows: &[Flow]) -> Result<(), Wrong> {
        for flow in flows {
            let label = flow.protocol.get_ref();
            if label.parse::<crate::network::Protocol>().is_err() {
                let known = crate::network::Protocol::ALL.iter().map(|protocol| protocol.label());
                return Err(self.unknown(&flow.protocol, "protocol", nearest(label, known)));
            }
            if flow.to.get_ref().all().is_empty() {
                return Err(self.wrong(Some(flow.to.span()), "`to` names no host"));
            }
            if let Some(via) = &flow.via {
                self.known(via)?;
            }
            if let Some(proxy) = &flow.through
                && proxy.get_ref().parse::<std::net::SocketAddr>().is_err()
            {
                let message =
                    format!("`{}` is no address with a port: write `127.0.0.1:1080`", proxy.get_ref());
                return Err(self.wrong(Some(proxy.span()), message));
            }
        }
        Ok(())
    }

    fn run(&self, run: &Spanned<String>) -> Result<(), Wrong> {
        let Err(fault) = Chain::parse(run.get_ref(), self.programs) else { return Ok(()) };
        Err(self.unknown(&Spanned::new(run.span(), fault.clone()), "program", nearest(&fault, self.names())))
    }

    fn responsible(&self, name: Option<&Spanned<String>>) -> Result<(), Wrong> {
        name.map_or(Ok(()), |name| self.known(name))
    }

    fn known(&self, name: &Spanned<String>) -> Result<(), Wrong> {
        if self.programs.contains_key(name.get_ref()) {
            return Ok(());
        }
        Err(self.unknown(name, "program", nearest(name.get_ref(), self.names())))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.programs.keys().map(String::as_str)
    }

    fn calendar(&self, document: &Document) -> Result<(jiff::tz::TimeZone, jiff::civil::Date), Wrong> {
        let starts = &document.mac.starts;
        let date = starts.get_ref().parse().map_err(|_| {
            self.wrong(Some(starts.span()), format!("`{}` is no date: write `2026-03-02`", starts.get_ref()))
        })?;
        Ok((self.zone(&document.mac.zone)?, date))
    }

    fn zone(&self, zone: &Spanned<String>) -> Result<jiff::tz::TimeZone, Wrong> {
        jiff::tz::TimeZone::get(zone.get_ref()).map_err(|_| {
            self.wrong(
                Some(zone.span()),
                format!("`{}` is no time zone: write `Europe/Berlin`", zone.get_ref()),
            )
        })
    }

    fn exceptions(&self, document: &Document) -> Result<Exceptions, Wrong> {
        let Some(text) = &document.exceptions else { return Ok(Exceptions::default()) };
        crate::exceptions::parse(Path::new("exceptions"), text, Policy::default())
            .and_then(Exceptions::new)
            .map_err(|rejected| self.wrong(None, rejected))
    }

    fn unknown(&self, word: &Spanned<String>, kind: &str, meant: Option<&str>) -> Wrong {
        let meant = meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
        self.wrong(Some(word.span()), format!("there is no {kind} `{}`{meant}", word.get_ref()))
    }

    fn wrong(&self, at: Option<Range<usize>>, message: impl fmt::Display) -> Wrong {
        let at = at.filter(|span| !span.is_empty());
        Wrong { line: at.map(|span| line_of(self.text, span.start)), message: message.to_string() }
    }
}

/// The ordinary Mac.
const ORDINARY: &str = include_str!("ordinary.toml");
/// A year: longer than any baseline remembers.
const MOST_DAYS: u32 = 366;
/// The shortest rhythm of a habit, in seconds: a day of it is 8,640 occurrences.
const LEAST_EVERY: u64 = 10;
/// How alike (1 for equal) a name must be to be proposed; as for the keys of exceptions.
const LIKE: f64 = 0.5;
