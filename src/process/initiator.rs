//! What made an image run.
//!
//! The answer is built one step at a time, while the events come: an image knows what made it run from the image before it in the
//! same process, or from the image that forked it, and from what made *that* one run. So it costs one look back instead of a walk, and it
//! stays true when parents exit and their numbers are used again.
//!
//! ```text
//! launchd ► xpcproxy ► Automator      started by launchd: no initiator
//!                      └ fork ► sh    initiator: Automator
//!                               ► curl, the same process: sh is glue, so still Automator
//! ```

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::facts::{Identity, ProcessFacts};
use super::image::{Actor, Image};
use super::role::{self, Kind};
use super::{job, path};

/// What made an image run, as far as it is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Cause {
    /// A program that is not glue.
    Program(Actor),
    /// launchd, with at most wrappers between. The label of the job as launchd gave it.
    Launchd(Option<Arc<str>>),
    /// Shells that launchd started.
    Job(Identity),
    /// The chain has a hole.
    Unknown,
}

/// How an image follows another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It replaced it in the same process.
    Replaced,
    /// It runs in a process that the other forked.
    Forked,
}

impl Cause {
    /// What made `image` run, which follows `before` by `step`. `label` is the name of launchd's job in its environment and
    /// `responsible` the process that macOS holds responsible for it.
    pub(super) fn of(
        image: &Actor,
        before: &Image,
        step: Step,
        label: Option<&Arc<str>>,
        responsible: Option<&Actor>,
    ) -> Self {
        let label = label.cloned();
        match (before.actor.traits.kind, &before.cause) {
            (Kind::Launchd, _) | (Kind::Wrapper, Self::Launchd(None)) => Self::Launchd(label),
            (Kind::Shell, Self::Launchd(job)) => {
                Self::Job(job_identity(job.as_ref().or(label.as_ref()), &before.actor.facts))
            }
            (Kind::Wrapper | Kind::Shell, cause) => cause.clone(),
            (Kind::Runner, _) => {
                let app = [before.responsible.as_ref(), responsible].into_iter().flatten().find(|app| {
                    app.facts.key != before.actor.facts.key
                        && !app.traits.kind.is_glue()
                        && app.facts.key != image.facts.key
                });
                let mut initiator = app.unwrap_or(&before.actor).clone();
                // What any app has a runner do is done by a script: a Quick Action in the Finder.
                initiator.traits.scripting_host = true;
                Self::Program(initiator)
            }
            (Kind::Program | Kind::Broker, cause) => {
                let same = step == Step::Replaced && becomes_itself(&before.actor, image);
                let part =
                    !before.actor.volatile && role::is_part_of(&image.facts.path, &before.actor.facts.path);
                if same || part { cause.clone() } else { Self::Program(before.actor.clone()) }
            }
        }
    }

    /// The initiator as an identity, and the process where it is one. What launchd starts has none, except where it could be anybody's
    /// doing: then the job is the initiator.
    pub(super) fn initiator(&self, image: &Actor) -> (Option<Identity>, Option<Arc<ProcessFacts>>) {
        match self {
            Self::Program(actor) => (Some(actor.facts.identity.clone()), Some(Arc::clone(&actor.facts))),
            Self::Job(identity) => (Some(identity.clone()), None),
            Self::Launchd(label) if image.traits.tool => {
                (Some(job_identity(label.as_ref(), &image.facts)), None)
            }
            Self::Launchd(_) | Self::Unknown => (None, None),
        }
    }
}

/// The stub of framework Python that becomes Python.app, `/usr/bin/java` that becomes a JVM's, `perl` that becomes `perl5.34`, a version
/// manager's stand-in: the same program under another path. A file that a user can replace is not believed.
fn becomes_itself(before: &Actor, after: &Actor) -> bool {
    let same_language = before.traits.language.is_some() && before.traits.language == after.traits.language;
    let same_identity = before.facts.identity == after.facts.identity;
    let same_name = path::file_name(&before.facts.path) == path::file_name(&after.facts.path);
    same_identity || !before.volatile && (same_language || same_name)
}

/// `launchd:<label>`; where there is no job's label, the app's, or else the script that was started, or else `launchd:unknown`.
fn job_identity(label: Option<&Arc<str>>, started: &ProcessFacts) -> Identity {
    let app =
        || label.and_then(|label| job::application(label)).map(|bundle| format!("application.{bundle}"));
    let script = || match &started.script {
        Some(script) if script.sha256.is_none() && &*script.name != STDIN => Some(script.name.to_string()),
        _ => None,
    };
    let name = label.and_then(|label| job::label(label)).or_else(app).or_else(script);
    job::identity(name.as_deref().unwrap_or(UNKNOWN_JOB))
}

const UNKNOWN_JOB: &str = "unknown";
const STDIN: &str = "stdin";

#[cfg(test)]
#[path = "initiator_tests.rs"]
mod tests;
