//! Whose a flow is.

use std::sync::Arc;

use super::facts::{Attribution, Method};
use super::image::{Image, Seen};
use super::lifetimes::Process;
use super::role::Kind;
use super::tree::Processes;
use crate::observation::{ProcessKey, Timestamp};

impl Processes {
    /// Whose a flow is that began at `start`: that of its owner, or, where that is a broker, of the process that it serves.
    ///
    /// `owner` and `effective_pid` are what the flow's source said. Where the owner is not a broker, the process on whose behalf it is said
    /// to act is not believed: on macOS 15 that is a terminal for all that runs in it.
    pub fn attribute(
        &mut self,
        owner: Option<ProcessKey>,
        effective_pid: Option<i32>,
        start: Timestamp,
    ) -> Attribution {
        let served_pid = effective_pid.filter(|pid| *pid > 0 && owner.is_none_or(|owner| owner.pid != *pid));
        let served = served_pid.and_then(|pid| self.who_was(ProcessKey { pid, pidversion: None }, start));
        let owned = owner.and_then(|owner| self.who_was(owner, start));
        let (found, via) = match (owned, served) {
            (Some(owned), served) if owned.image.actor.traits.kind == Kind::Broker => {
                let served = served.or_else(|| self.responsible_for(owned.image, start));
                match served {
                    Some(served) => (Found { method: Method::Effective, ..served }, Some(owned)),
                    None => (owned, None),
                }
            }
            (Some(owned), _) => (owned, None),
            (None, Some(served)) => (Found { method: Method::Effective, ..served }, None),
            (None, None) => return Attribution::default(),
        };
        let attribution = Attribution {
            method: found.method,
            who: Some(found.process.who(found.image)),
            via: via.map(|broker| Arc::clone(&broker.process.who(broker.image).process)),
        };
        let alive = [Some(found.process.handle()), via.map(|broker| broker.process.handle())];
        for handle in alive.into_iter().flatten() {
            self.lifetimes.touch(handle);
        }
        attribution
    }

    /// The process that had this key, or only this number, at a time. A generation that was never seen is not guessed at: it may be
    /// another program altogether.
    fn who_was(&self, key: ProcessKey, time: Timestamp) -> Option<Found<'_>> {
        let (process, image, method) = if key.pidversion.is_some() {
            let process = self.lifetimes.find(key)?;
            (process, process.image(key.pidversion)?, Method::Exact)
        } else {
            let process = self.lifetimes.at(key.pid, time, self.settings.grace)?;
            (process, process.image_at(time)?, Method::Pid)
        };
        let method = if image.seen == Seen::Event { method } else { Method::Snapshot };
        Some(Found { process, image, method })
    }

    fn responsible_for(&self, broker: &Image, time: Timestamp) -> Option<Found<'_>> {
        let app = broker.responsible.as_ref()?;
        self.who_was(app.facts.key, time)
    }
}

/// A process that was found, the image that it had, and how it was found.
#[derive(Clone, Copy)]
struct Found<'a> {
    process: &'a Process,
    image: &'a Image,
    method: Method,
}

#[cfg(test)]
#[path = "attribution_tests.rs"]
mod tests;
