//! Process events as Objective-See's `ProcessMonitor` prints them, one JSON object a line.
//!
//! It tells less than `eslogger`: no generations, no audit tokens, only the one process of the event (the new image of an exec, the
//! child of a fork). What it does not tell about the other process stays unknown: its executable has an empty path. Up to version 1.4
//! it gives no times either, and the events are then taken to happen at the time of whatever the recording held before them.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::eslogger::{Arguments, EventType, Text, cdhash};
use super::text::Interner;
use crate::observation::{
    CodeSigning, Credentials, Exec, Executable, Exit, Fork, Message, Observation, ProcessInfo, ProcessKey,
    Timestamp,
};

/// One line.
#[derive(Debug, Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    event: Text<'a>,
    #[serde(borrow, default)]
    timestamp: Option<Text<'a>>,
    #[serde(borrow)]
    process: Process<'a>,
}

/// The `process` member.
#[derive(Debug, Deserialize)]
struct Process<'a> {
    pid: i32,
    #[serde(borrow, default)]
    path: Text<'a>,
    #[serde(default)]
    uid: Option<i64>,
    #[serde(default)]
    arguments: Arguments,
    #[serde(default)]
    ppid: i32,
    /// The responsible process, 0 where it is unknown.
    #[serde(default)]
    rpid: Option<i32>,
    #[serde(rename = "exit code", default)]
    exit_code: Option<i32>,
    #[serde(borrow, rename = "signing info (reported)", alias = "signing info", default)]
    signing: Signing<'a>,
}

/// The signing information, by the names of either generation of the tool. Flags are printed with a sign.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Signing<'a> {
    #[serde(rename = "csFlags")]
    flags: Option<i64>,
    #[serde(rename = "platformBinary", alias = "isPlatformBinary")]
    is_platform_binary: Option<i64>,
    #[serde(borrow, rename = "signingID", alias = "signatureIdentifier")]
    identifier: Option<Text<'a>>,
    #[serde(borrow, rename = "teamID", alias = "teamIdentifier")]
    team: Option<Text<'a>>,
    /// Older versions leave out leading zeros of each byte, which cannot be put right.
    #[serde(borrow, rename = "cdHash")]
    cdhash: Option<Text<'a>>,
}

impl Line<'_> {
    /// What the line says; `None` for an event of another type. `earlier` is the time of an event that has none.
    pub(super) fn observe(
        self,
        earlier: Timestamp,
        interner: &mut Interner,
    ) -> Result<Option<Observation>, NegativePid> {
        let event_type = match &*self.event.0 {
            "ES_EVENT_TYPE_NOTIFY_EXEC" => EventType::Exec,
            "ES_EVENT_TYPE_NOTIFY_FORK" => EventType::Fork,
            "ES_EVENT_TYPE_NOTIFY_EXIT" => EventType::Exit,
            _ => return Ok(None),
        };
        let time = self.timestamp.as_ref().and_then(|time| timestamp(&time.0)).unwrap_or(earlier);
        let message = Message { time, mach_time: None, version: 0, seq_num: None, global_seq_num: None };
        let arguments = self.process.arguments.kept.clone();
        let arguments_total = self.process.arguments.total;
        let wait_status = self.process.exit_code.unwrap_or_default();
        let process = self.process.observe(interner).ok_or(NegativePid)?;
        Ok(Some(match event_type {
            EventType::Exec => Observation::Exec(Box::new(Exec {
                message,
                actor: unknown_image(process.key, process.ppid),
                target: process,
                arguments,
                arguments_total,
                environment: Vec::new(),
                script: None,
                cwd: None,
                dyld_exec_path: None,
                cpu_type: None,
                denied: false,
            })),
            EventType::Fork => {
                let parent = ProcessKey { pid: process.ppid, pidversion: None };
                Observation::Fork(Box::new(Fork {
                    message,
                    parent: unknown_image(parent, 0),
                    child: process,
                }))
            }
            EventType::Exit => Observation::Exit(Box::new(Exit { message, process, wait_status })),
        }))
    }
}

/// A process number below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NegativePid;

impl fmt::Display for NegativePid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pid is below zero")
    }
}

impl Process<'_> {
    fn observe(&self, interner: &mut Interner) -> Option<ProcessInfo> {
        if self.pid < 0 {
            return None;
        }
        let mut text = |text: Option<&Text<'_>>| -> Option<Arc<str>> {
            text.filter(|text| !text.0.is_empty()).map(|text| interner.text(&text.0))
        };
        let signing = &self.signing;
        Some(ProcessInfo {
            responsible: self.rpid.filter(|pid| *pid > 0).map(|pid| ProcessKey { pid, pidversion: None }),
            executable: Executable {
                path: text(Some(&self.path)).unwrap_or_default(),
                path_truncated: false,
            },
            credentials: Credentials {
                euid: self.uid.and_then(|uid| u32::try_from(uid).ok()),
                ..Credentials::default()
            },
            signing: CodeSigning {
                // `%d` of an unsigned number: the bits are what counts.
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "the low 32 bits are the flags"
                )]
                flags: signing.flags.unwrap_or_default() as u32,
                is_platform_binary: signing.is_platform_binary == Some(1),
                signing_id: text(signing.identifier.as_ref()),
                team_id: text(signing.team.as_ref()),
                cdhash: signing.cdhash.as_ref().and_then(|hash| cdhash(&hash.0)),
            },
            ..unknown_image(ProcessKey { pid: self.pid, pidversion: None }, self.ppid)
        })
    }
}

/// A process of which only the number and the parent's number are known.
fn unknown_image(key: ProcessKey, ppid: i32) -> ProcessInfo {
    ProcessInfo {
        key,
        parent: (ppid > 0).then_some(ProcessKey { pid: ppid, pidversion: None }),
        responsible: None,
        ppid,
        original_ppid: None,
        group_id: None,
        session_id: None,
        credentials: Credentials::default(),
        executable: Executable::default(),
        signing: CodeSigning::default(),
        is_es_client: false,
        tty: None,
        start_time: None,
    }
}

/// Reads `NSDate`'s description, `2022-08-13 08:21:42 +0000`.
fn timestamp(text: &str) -> Option<Timestamp> {
    let (point, offset) = text.rsplit_once(' ')?;
    Timestamp::parse(&format!("{point}{offset}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Observation> {
        let line: Line<'_> = serde_json::from_str(line).unwrap();
        line.observe(Timestamp::from_nanos(7), &mut Interner::default()).unwrap()
    }

    const OLD: &str = r#"{"event":"ES_EVENT_TYPE_NOTIFY_EXEC","process":{"pid":27558,"path":"/bin/zsh","uid":501,"arguments":["/bin/zsh","-c","touch /tmp/testcut","-"],"ppid":27556,"ancestors":[27556],"signing info":{"csFlags":570510081,"signatureIdentifier":"com.apple.zsh","cdHash":"467AA8464C3C76FDB13FFE1FD356CE4BD75A44","isPlatformBinary":1}}}"#;
    const NEW: &str = r#"{"event":"ES_EVENT_TYPE_NOTIFY_EXIT","timestamp":"2022-08-13 08:21:42 +0000","process":{"exit code":256,"pid":39369,"name":"postgres","path":"/opt/homebrew/Cellar/postgresql/14.4/bin/postgres","uid":501,"architecture":"unknown","arguments":[],"ppid":683,"rpid":683,"ancestors":[683,1],"signing info (reported)":{"csFlags":-1576057853,"platformBinary":0,"signingID":"postgres-5555","teamID":"","cdHash":"E863C98FD922D5C66A1A2B9A3BAF1C754F9A38AF"},"signing info (computed)":{"signatureStatus":0}}}"#;

    #[test]
    fn an_exec_has_the_new_image_and_the_time_before_it() {
        let Some(Observation::Exec(exec)) = read(OLD) else { panic!("no exec") };
        assert_eq!(exec.message.time, Timestamp::from_nanos(7));
        assert_eq!(exec.target.key, ProcessKey { pid: 27_558, pidversion: None });
        assert_eq!(exec.target.ppid, 27_556);
        assert_eq!(&*exec.target.executable.path, "/bin/zsh");
        assert_eq!(exec.target.signing.signing_id.as_deref(), Some("com.apple.zsh"));
        assert!(exec.target.signing.is_platform_binary);
        assert_eq!(exec.target.signing.cdhash, None);
        assert_eq!(exec.arguments.len(), 4);
        assert_eq!(exec.actor.key, exec.target.key);
        assert_eq!(&*exec.actor.executable.path, "");
    }

    #[test]
    fn the_newer_form_has_a_time_and_the_responsible_process() {
        let Some(Observation::Exit(exit)) = read(NEW) else { panic!("no exit") };
        assert_eq!(exit.message.time, Timestamp::parse("2022-08-13T08:21:42Z").unwrap());
        assert_eq!(exit.process.responsible, Some(ProcessKey { pid: 683, pidversion: None }));
        assert_eq!(exit.process.signing.team_id, None);
        assert_eq!(exit.process.signing.flags, (-1_576_057_853_i32).cast_unsigned());
        assert!(exit.process.signing.cdhash.is_some());
        assert_eq!(exit.wait_status, 256);
    }

    #[test]
    fn events_of_other_types_say_nothing() {
        assert!(read(&OLD.replace("_EXEC", "_OPEN")).is_none());
    }

    #[test]
    fn a_pid_below_zero_is_refused() {
        let line = OLD.replace("27558", "-1");
        let line: Line<'_> = serde_json::from_str(&line).unwrap();
        assert_eq!(line.observe(Timestamp::EPOCH, &mut Interner::default()).unwrap_err(), NegativePid);
    }
}
