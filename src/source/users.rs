//! Login names for the numbers of users that observations carry.
//!
//! The kernel tells of users by number; people, and exceptions, name them. [`WithUsers`] stands between live sources and the engine, which
//! asks the system nothing itself: where an observation shows a user for the first time, a header with the names goes before it. A
//! recording of it names its users in the same way, so that a replay is judged as it was live.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::observation::{Observation, RecordingHeader, Timestamp};

/// Observations with the names of their users before them.
pub struct WithUsers<I, L> {
    observations: I,
    lookup: L,
    known: BTreeMap<u32, User>,
    /// Comes after the header that it needed.
    held: Option<Observation>,
}

/// What was found of a user.
struct User {
    name: Option<Arc<str>>,
    asked: Timestamp,
}

impl<I, L> WithUsers<I, L>
where
    I: Iterator<Item = Observation>,
    L: FnMut(u32) -> Option<Arc<str>>,
{
    /// `lookup` gives the login name of a user id. It may ask a directory service and take long: it is called on the thread that reads the
    /// stream, once for each user.
    pub fn new(observations: I, lookup: L) -> Self {
        Self { observations, lookup, known: BTreeMap::new(), held: None }
    }

    /// Learns of a user; whether there is a new name to tell.
    fn meet(&mut self, uid: u32, time: Timestamp) -> bool {
        let due = match self.known.get(&uid) {
            None => self.known.len() < MOST_USERS,
            Some(User { name: Some(_), .. }) => false,
            Some(User { name: None, asked }) => time.since(*asked) >= ASK_AGAIN,
        };
        if !due {
            return false;
        }
        let name = (self.lookup)(uid);
        let is_named = name.is_some();
        self.known.insert(uid, User { name, asked: time });
        is_named
    }

    fn header(&self) -> Observation {
        let named = self.known.iter().filter_map(|(uid, user)| Some((*uid, user.name.clone()?)));
        Observation::Recording(Box::new(RecordingHeader {
            users: named.collect(),
            ..RecordingHeader::default()
        }))
    }
}

impl<I, L> Iterator for WithUsers<I, L>
where
    I: Iterator<Item = Observation>,
    L: FnMut(u32) -> Option<Arc<str>>,
{
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        let observation = self.observations.next()?;
        let process = match &observation {
            Observation::Exec(exec) => Some((&exec.target, exec.message.time)),
            Observation::Running(running) => Some((&running.process, running.time)),
            // A fork has its parent's user, and whoever becomes another one executes something.
            _ => None,
        };
        let seen = process.and_then(|(process, time)| Some((process.credentials.euid?, time)));
        if seen.is_some_and(|(uid, time)| self.meet(uid, time)) {
            self.held = Some(observation);
            return Some(self.header());
        }
        Some(observation)
    }
}

/// The login name of a user of this machine.
pub fn login_name(uid: u32) -> Option<Arc<str>> {
    uzers::get_user_by_uid(uid).map(|user| user.name().to_string_lossy().into())
}

/// As many as a recording's header holds.
const MOST_USERS: usize = 1_024;
/// How soon a user without a name is asked for again: the directory may not have been there when the Mac started.
const ASK_AGAIN: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{CodeSigning, Credentials, Executable, ProcessInfo, ProcessKey, Running};

    fn running(uid: u32, second: i64) -> Observation {
        let credentials = Credentials { euid: Some(uid), ..Credentials::default() };
        let process = ProcessInfo {
            key: ProcessKey { pid: 7, pidversion: None },
            parent: None,
            responsible: None,
            ppid: 1,
            original_ppid: None,
            group_id: None,
            session_id: None,
            credentials,
            executable: Executable::default(),
            signing: CodeSigning::default(),
            is_es_client: false,
            tty: None,
            start_time: None,
        };
        let time = Timestamp::from_seconds(1_780_000_000 + second, 0);
        Observation::Running(Box::new(Running {
            time,
            process,
            arguments: Vec::new(),
            environment: Vec::new(),
        }))
    }

    /// What is told: the names of a header, or the user of a process.
    fn told(observations: Vec<Observation>, lookup: impl FnMut(u32) -> Option<Arc<str>>) -> Vec<String> {
        WithUsers::new(observations.into_iter(), lookup)
            .map(|observation| match observation {
                Observation::Recording(header) => format!("{:?}", header.users),
                Observation::Running(running) => running.process.credentials.euid.unwrap().to_string(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_name_goes_before_the_first_process_of_its_user_and_is_asked_for_once() {
        let mut asked = Vec::new();
        let observations = vec![running(501, 0), running(501, 1), running(502, 2), running(501, 3)];
        let said = told(observations, |uid| {
            asked.push(uid);
            Some(format!("user-{uid}").into())
        });
        let both = r#"{501: "user-501", 502: "user-502"}"#;
        assert_eq!(said, [r#"{501: "user-501"}"#, "501", "501", both, "502", "501"]);
        assert_eq!(asked, [501, 502]);
    }

    #[test]
    fn a_user_without_a_name_is_asked_for_again_later() {
        let mut answers = vec![Some("late"), None].into_iter().map(|name| name.map(Arc::from));
        let said =
            told(vec![running(7, 0), running(7, 599), running(7, 600)], |_| answers.next_back().flatten());
        assert_eq!(said, ["7", "7", r#"{7: "late"}"#, "7"]);
    }

    #[test]
    fn the_superuser_has_a_name_here() {
        assert_eq!(login_name(0).as_deref(), Some("root"));
        assert_eq!(login_name(u32::MAX - 7), None);
    }
}
