//! One image of one process, with everything that was true when it began.

use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

use super::facts::{ProcessFacts, Script, Subject, Who};
use super::initiator::{Cause, Step};
use super::role::{self, Traits};
use super::{identity, path, redact};
use crate::observation::{Exec, ProcessInfo, ProcessKey, Running, Timestamp};

/// A program at work: what an alert tells of it, and what attribution knows of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Actor {
    pub(super) facts: Arc<ProcessFacts>,
    pub(super) traits: Traits,
    pub(super) volatile: bool,
}

/// How an image came to be known; a better word replaces a lesser one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Seen {
    /// Another process's event named it.
    Mentioned,
    /// It stood in the list of running processes.
    Listed,
    /// Its own fork or exec was seen.
    Event,
}

/// An image of a process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Image {
    /// The generation that it was given.
    pub(super) pidversion: Option<i32>,
    /// When it began.
    pub(super) since: Timestamp,
    pub(super) seen: Seen,
    /// Whether it was seen how this image came to run.
    certain: bool,
    /// Whether the chain leads up to launchd, or further than is kept.
    pub(super) rooted: bool,
    /// The program. In a forked process that has not yet executed another image, the parent.
    pub(super) actor: Actor,
    /// What made it run.
    pub(super) cause: Cause,
    /// `XPC_SERVICE_NAME`, where it says anything.
    pub(super) label: Option<Arc<str>>,
    /// The process that macOS holds responsible, where it is another one, and was seen.
    pub(super) responsible: Option<Actor>,
    /// Earlier images and ancestors, nearest first.
    pub(super) ancestors: Arc<[Arc<ProcessFacts>]>,
    #[serde(skip)]
    who: OnceLock<Arc<Who>>,
}

/// What is said about an image besides what it is.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) since: Timestamp,
    pub(super) seen: Seen,
    pub(super) label: Option<Arc<str>>,
    pub(super) responsible: Option<Actor>,
}

/// What a source tells of an image besides the process itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Details<'a> {
    arguments: &'a [Arc<str>],
    environment: &'a [(Arc<str>, Arc<str>)],
    script: Option<&'a Arc<str>>,
    cwd: Option<&'a Arc<str>>,
    shown_path: Option<&'a Arc<str>>,
}

impl<'a> From<&'a Exec> for Details<'a> {
    fn from(exec: &'a Exec) -> Self {
        Self {
            arguments: &exec.arguments,
            environment: &exec.environment,
            script: exec.script.as_ref(),
            cwd: exec.cwd.as_ref(),
            shown_path: exec.dyld_exec_path.as_ref(),
        }
    }
}

impl<'a> From<&'a Running> for Details<'a> {
    fn from(running: &'a Running) -> Self {
        Self { arguments: &running.arguments, environment: &running.environment, ..Self::default() }
    }
}

impl Details<'_> {
    /// The name of launchd's job, or of the app, in the environment.
    pub(super) fn label(&self) -> Option<&Arc<str>> {
        self.environment
            .iter()
            .find(|(name, value)| &**name == "XPC_SERVICE_NAME" && !value.is_empty() && &**value != "0")
            .map(|(_, value)| value)
    }
}

/// Most arguments, and most bytes of one argument, that are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct ArgumentLimits {
    pub(super) number: usize,
    pub(super) bytes: usize,
}

impl Actor {
    /// From what a source says.
    pub(super) fn new(
        info: &ProcessInfo,
        details: Details<'_>,
        start: Option<Timestamp>,
        limits: ArgumentLimits,
    ) -> Self {
        let executable = &info.executable.path;
        let argv0 = details.arguments.first().map(|argument| &**argument);
        let traits = Traits::of(&info.signing, executable, argv0);
        let script: Option<Script> = traits.language.and_then(|language| {
            if details.arguments.is_empty() && details.script.is_none() {
                return None;
            }
            let text = |value: Option<&'_ Arc<str>>| value.map(ToString::to_string);
            language.script(details.arguments, text(details.cwd).as_deref(), text(details.script).as_deref())
        });
        let facts = ProcessFacts {
            identity: identity::identify(&info.signing, executable, details.shown_path.map(|path| &**path)),
            path: Arc::clone(executable),
            key: info.key,
            arguments: redact::arguments(details.arguments)
                .take(limits.number)
                .map(|text| cut(&text, limits.bytes))
                .collect(),
            signing: info.signing.clone(),
            script,
            cwd: details.cwd.cloned(),
            credentials: info.credentials,
            session_id: info.session_id,
            tty: info.tty.clone(),
            start,
        };
        Self { facts: Arc::new(facts), traits, volatile: identity::is_volatile(&info.signing, executable) }
    }
}

impl Image {
    /// An image before which nothing is known, or nothing is.
    pub(super) fn first(actor: Actor, word: Word) -> Self {
        Self {
            pidversion: actor.facts.key.pidversion,
            since: word.since,
            seen: word.seen,
            certain: word.seen == Seen::Event,
            rooted: false,
            actor,
            cause: Cause::Unknown,
            label: word.label,
            responsible: word.responsible,
            ancestors: Arc::new([]),
            who: OnceLock::new(),
        }
    }

    /// This image as what follows another.
    pub(super) fn following(self, before: &Self, step: Step) -> Self {
        // The image of a forked process is its parent's, who is meant by it.
        let ancestors: Arc<[_]> = std::iter::once(&before.actor.facts)
            .chain(before.ancestors.iter())
            .take(MOST_ANCESTORS)
            .cloned()
            .collect();
        let label = self.label.clone().or_else(|| before.label.clone());
        let cause = Cause::of(&self.actor, before, step, label.as_ref(), self.responsible.as_ref());
        let rooted = before.rooted || ancestors.len() == MOST_ANCESTORS;
        Self { cause, label, ancestors, rooted, who: OnceLock::new(), ..self }
    }

    /// This image as what launchd started.
    pub(super) fn started_by_launchd(self) -> Self {
        Self { cause: Cause::Launchd(self.label.clone()), rooted: true, ..self }
    }

    /// What a forked process is until it executes something: its parent's image under its own key.
    pub(super) fn forked(&self, key: ProcessKey, since: Timestamp) -> Self {
        Self {
            pidversion: key.pidversion,
            since,
            seen: Seen::Event,
            certain: self.certain,
            rooted: self.rooted,
            actor: self.actor.clone(),
            cause: self.cause.clone(),
            label: self.label.clone(),
            responsible: self.responsible.clone(),
            ancestors: Arc::clone(&self.ancestors),
            who: OnceLock::new(),
        }
    }

    /// This image, described anew as what follows another of which more is known now.
    pub(super) fn anew(&self, before: &Self, step: Step) -> Self {
        let word = Word {
            since: self.since,
            seen: self.seen,
            label: self.label.clone(),
            responsible: self.responsible.clone(),
        };
        Self::first(self.actor.clone(), word).following(before, step)
    }

    /// How the next image of the same process follows this one: the image of a forked process is its parent's.
    pub(super) fn step_to(&self, pid: i32) -> Step {
        if self.is_copy(pid) { Step::Forked } else { Step::Replaced }
    }

    /// Whether this is a fork's copy of the parent's image, given the process's number.
    pub(super) fn is_copy(&self, pid: i32) -> bool {
        self.actor.facts.key.pid != pid || self.actor.facts.key.pidversion != self.pidversion
    }

    /// Who this is; made once. `pid` and `start` are the process's own.
    pub(super) fn who(&self, pid: i32, start: Option<Timestamp>) -> Arc<Who> {
        Arc::clone(self.who.get_or_init(|| Arc::new(self.describe(pid, start))))
    }

    fn describe(&self, pid: i32, start: Option<Timestamp>) -> Who {
        let copy = self.is_copy(pid);
        let process = if copy {
            let key = ProcessKey { pid, pidversion: self.pidversion };
            Arc::new(ProcessFacts { key, start, ..(*self.actor.facts).clone() })
        } else {
            Arc::clone(&self.actor.facts)
        };
        let (initiator, initiator_process) = self.cause.initiator(&self.actor);
        let initiator_traits = match &self.cause {
            Cause::Program(actor) => Some(actor.traits),
            _ => None,
        };
        let ancestors: Vec<Arc<ProcessFacts>> = copy
            .then(|| Arc::clone(&self.actor.facts))
            .into_iter()
            .chain(self.ancestors.iter().cloned())
            .take(MOST_ANCESTORS)
            .collect();
        let application = match &self.responsible {
            Some(app) => Some(Arc::clone(&app.facts)),
            None => ancestors.iter().find(|ancestor| path::is_in_app(&ancestor.path)).cloned(),
        };
        Who {
            subject: Subject { image: process.identity.clone(), initiator },
            role: role::role(self.actor.traits, initiator_traits),
            initiator_known: self.certain && !matches!(self.cause, Cause::Unknown),
            initiator: initiator_process,
            application,
            ancestors,
            volatile: self.actor.volatile,
            process,
        }
    }
}

/// The text, or its front where it is too long.
fn cut(text: &Arc<str>, bytes: usize) -> Arc<str> {
    if text.len() <= bytes {
        return Arc::clone(text);
    }
    let end = (0..=bytes).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    Arc::from(text.get(..end).unwrap_or_default())
}

/// Enough for app, helper, terminal, login, shell, `make`, shell, tool and as much again.
const MOST_ANCESTORS: usize = 16;
