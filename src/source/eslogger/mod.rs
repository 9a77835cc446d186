//! Process events as Apple's `eslogger exec fork exit` prints them, one JSON object a line.
//!
//! The members of a line are named in [`schema`], borrowed from the line; this module turns them into observations and observations
//! into them. [`Sequence`] finds what is missing between lines. Message versions 7 to 11 (macOS 13.3 to 27) were seen; a newer one is
//! read as far as it is understood. Jamf Protect's telemetry is the same with a few members left out.

#[cfg(target_os = "macos")]
mod live;
mod schema;
mod sequence;
mod values;

#[cfg(target_os = "macos")]
pub(super) use live::live;
pub(super) use schema::{Action, Events, Process};
pub(super) use sequence::EventType;
pub use sequence::Sequence;
pub(super) use values::{Arguments, Environment, Text};

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use self::schema::{ExecEvent, ExitEvent, ForkEvent};
use self::values::{File, Token};
use super::text::{Interner, TEXT_LIMIT};
use crate::observation::{
    CodeSigning, Credentials, Exec, Executable, Exit, Fork, Message, Observation, ProcessInfo, ProcessKey,
    Timestamp,
};

/// The `auid` of processes that no user logged in for (`AU_DEFAUDITID` of `bsm/audit.h`).
const NO_AUDIT_USER: u32 = u32::MAX;

/// A member without which the line says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("the process has no pid")]
    NoPid,
    #[error("the event has no process")]
    NoProcess,
}

impl Events<'_> {
    /// What the event says; `None` for an event of another type. `message`, `actor` and `denied` come from the line around it.
    pub(super) fn observe(
        self,
        message: Message,
        actor: Option<&Process<'_>>,
        denied: bool,
        interner: &mut Interner,
    ) -> Result<Option<(EventType, Observation)>, Flaw> {
        if self.exec.is_none() && self.fork.is_none() && self.exit.is_none() {
            return Ok(None);
        }
        let actor = actor.ok_or(Flaw::NoProcess)?.observe(interner)?;
        if let Some(exec) = self.exec {
            let exec = exec.observe(message, actor, denied, interner)?;
            return Ok(Some((EventType::Exec, Observation::Exec(Box::new(exec)))));
        }
        if let Some(fork) = self.fork {
            let child = fork.child.observe(interner)?;
            let fork = Fork { message, parent: actor, child };
            return Ok(Some((EventType::Fork, Observation::Fork(Box::new(fork)))));
        }
        let wait_status = self.exit.and_then(|exit| exit.stat).and_then(signed).unwrap_or_default();
        let exit = Exit { message, process: actor, wait_status };
        Ok(Some((EventType::Exit, Observation::Exit(Box::new(exit)))))
    }
}

impl ExecEvent<'_> {
    fn observe(
        self,
        message: Message,
        actor: ProcessInfo,
        denied: bool,
        interner: &mut Interner,
    ) -> Result<Exec, Flaw> {
        Ok(Exec {
            message,
            actor,
            target: self.target.observe(interner)?,
            arguments_total: self.args.total.max(self.args_total.unwrap_or_default()),
            arguments: self.args.kept,
            environment: self.env.0,
            script: self.script.and_then(|file| text(Some(&file.path), interner)),
            cwd: self.cwd.and_then(|file| text(Some(&file.path), interner)),
            dyld_exec_path: text(self.dyld_exec_path.as_ref(), interner),
            cpu_type: self.image_cputype.and_then(signed),
            denied,
        })
    }
}

impl Process<'_> {
    /// The process as tidemark knows it.
    pub(super) fn observe(&self, interner: &mut Interner) -> Result<ProcessInfo, Flaw> {
        let token = self.audit_token.unwrap_or_default();
        let key = token.key().ok_or(Flaw::NoPid)?;
        let parent = self.parent_audit_token.as_ref().and_then(Token::key);
        Ok(ProcessInfo {
            key,
            parent,
            responsible: self.responsible_audit_token.as_ref().and_then(Token::key),
            ppid: self.ppid.and_then(signed).or(parent.map(|parent| parent.pid)).unwrap_or_default(),
            original_ppid: self.original_ppid.and_then(signed),
            group_id: self.group_id.and_then(signed),
            session_id: self.session_id.and_then(signed),
            credentials: token.credentials(),
            executable: self.executable.as_ref().map(|file| file.observe(interner)).unwrap_or_default(),
            signing: CodeSigning {
                flags: self.codesigning_flags.and_then(unsigned).unwrap_or_default(),
                is_platform_binary: self.is_platform_binary.unwrap_or_default(),
                signing_id: text(self.signing_id.as_ref(), interner),
                team_id: text(self.team_id.as_ref(), interner),
                cdhash: self.cdhash.as_ref().and_then(|hash| cdhash(&hash.0)),
            },
            is_es_client: self.is_es_client.unwrap_or_default(),
            tty: self.tty.as_ref().and_then(|file| text(Some(&file.path), interner)),
            start_time: self.start_time.as_ref().and_then(|time| Timestamp::parse(&time.0).ok()),
        })
    }
}

impl Token {
    fn key(&self) -> Option<ProcessKey> {
        let pid = self.pid.and_then(signed).filter(|pid| *pid >= 0)?;
        Some(ProcessKey { pid, pidversion: self.pidversion.and_then(signed) })
    }

    fn credentials(self) -> Credentials {
        Credentials {
            auid: self.auid.and_then(unsigned).filter(|auid| *auid != NO_AUDIT_USER),
            euid: self.euid.and_then(unsigned),
            ruid: self.ruid.and_then(unsigned),
            asid: self.asid.and_then(signed),
        }
    }
}

impl File<'_> {
    fn observe(&self, interner: &mut Interner) -> Executable {
        Executable {
            path: interner.text(&self.path.0),
            path_truncated: self.path_truncated || self.path.0.len() > TEXT_LIMIT,
        }
    }
}

/// A text that says something; the empty one stands for none.
fn text(text: Option<&Text<'_>>, interner: &mut Interner) -> Option<Arc<str>> {
    text.filter(|text| !text.0.is_empty()).map(|text| interner.text(&text.0))
}

/// The 32 bits of a number that was written with or without its sign.
fn signed(number: i64) -> Option<i32> {
    i32::try_from(number).ok().or_else(|| u32::try_from(number).ok().map(u32::cast_signed))
}

/// As [`signed`], for what has no sign.
fn unsigned(number: i64) -> Option<u32> {
    signed(number).map(i32::cast_unsigned)
}

/// Reads 40 hexadecimal digits of either case. All zero is what Endpoint Security gives where there is no hash.
pub(super) fn cdhash(text: &str) -> Option<[u8; 20]> {
    let mut hash = [0_u8; 20];
    if text.len() != 2 * hash.len() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = digits else { return None };
        *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
    }
    (hash != [0; 20]).then_some(hash)
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

impl<'a> From<&'a ProcessInfo> for Process<'a> {
    fn from(process: &'a ProcessInfo) -> Self {
        let Credentials { auid, euid, ruid, asid } = process.credentials;
        Self {
            audit_token: Some(Token {
                auid: Some(auid.unwrap_or(NO_AUDIT_USER).into()),
                euid: euid.map(i64::from),
                ruid: ruid.map(i64::from),
                asid: asid.map(i64::from),
                ..Token::from(process.key)
            }),
            parent_audit_token: process.parent.map(Token::from),
            responsible_audit_token: process.responsible.map(Token::from),
            ppid: Some(process.ppid.into()),
            original_ppid: process.original_ppid.map(i64::from),
            group_id: process.group_id.map(i64::from),
            session_id: process.session_id.map(i64::from),
            codesigning_flags: Some(process.signing.flags.into()),
            is_platform_binary: Some(process.signing.is_platform_binary),
            is_es_client: Some(process.is_es_client),
            cdhash: process.signing.cdhash.map(|hash| Text(Cow::Owned(hex(hash)))),
            signing_id: process.signing.signing_id.as_deref().map(Text::from),
            team_id: process.signing.team_id.as_deref().map(Text::from),
            executable: Some(File {
                path: Text::from(&*process.executable.path),
                path_truncated: process.executable.path_truncated,
            }),
            tty: process.tty.as_deref().map(File::from),
            start_time: process.start_time.map(|time| Text(Cow::Owned(time.to_string()))),
        }
    }
}

impl From<ProcessKey> for Token {
    fn from(key: ProcessKey) -> Self {
        Self { pid: Some(key.pid.into()), pidversion: key.pidversion.map(i64::from), ..Self::default() }
    }
}

impl<'a> From<&'a str> for File<'a> {
    fn from(path: &'a str) -> Self {
        Self { path: Text::from(path), path_truncated: false }
    }
}

impl<'a> From<&'a Exec> for Events<'a> {
    fn from(exec: &'a Exec) -> Self {
        let kept = u32::try_from(exec.arguments.len()).unwrap_or(u32::MAX);
        let event = ExecEvent {
            target: Process::from(&exec.target),
            args: Arguments { kept: exec.arguments.clone(), total: kept },
            args_total: (exec.arguments_total > kept).then_some(exec.arguments_total),
            env: Environment(exec.environment.clone()),
            cwd: exec.cwd.as_deref().map(File::from),
            script: exec.script.as_deref().map(File::from),
            dyld_exec_path: exec.dyld_exec_path.as_deref().map(Text::from),
            image_cputype: exec.cpu_type.map(i64::from),
        };
        Self { exec: Some(Box::new(event)), ..Self::default() }
    }
}

impl<'a> From<&'a Fork> for Events<'a> {
    fn from(fork: &'a Fork) -> Self {
        Self { fork: Some(Box::new(ForkEvent { child: Process::from(&fork.child) })), ..Self::default() }
    }
}

impl From<&Exit> for Events<'_> {
    fn from(exit: &Exit) -> Self {
        Self { exit: Some(ExitEvent { stat: Some(exit.wait_status.into()) }), ..Self::default() }
    }
}

/// 40 upper-case hexadecimal digits, as `eslogger` prints them.
fn hex(hash: [u8; 20]) -> String {
    hash.iter().fold(String::with_capacity(2 * hash.len()), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(json: &str) -> Result<ProcessInfo, Flaw> {
        serde_json::from_str::<Process<'_>>(json).unwrap().observe(&mut Interner::default())
    }

    #[test]
    fn a_token_reads_the_same_as_an_object_and_as_eight_words() {
        let object = process(
            r#"{"audit_token":{"auid":501,"euid":502,"egid":20,"ruid":503,"rgid":21,"pid":21497,"asid":100013,"pidversion":38282}}"#,
        );
        let words = process(r#"{"audit_token":[501,502,20,503,21,21497,100013,38282]}"#);
        assert_eq!(object, words);
        let process = object.unwrap();
        assert_eq!(process.key, ProcessKey { pid: 21_497, pidversion: Some(38_282) });
        assert_eq!(
            process.credentials,
            Credentials { auid: Some(501), euid: Some(502), ruid: Some(503), asid: Some(100_013) }
        );
    }

    #[test]
    fn an_audit_user_of_all_ones_is_none() {
        for auid in ["4294967295", "-1"] {
            let process =
                process(&format!(r#"{{"audit_token":{{"pid":1,"auid":{auid},"euid":0}}}}"#)).unwrap();
            assert_eq!(process.credentials.auid, None);
            assert_eq!(process.credentials.euid, Some(0));
        }
    }

    #[test]
    fn a_generation_may_have_wrapped_below_zero() {
        for pidversion in ["-2147483648", "2147483648"] {
            let process =
                process(&format!(r#"{{"audit_token":{{"pid":7,"pidversion":{pidversion}}}}}"#)).unwrap();
            assert_eq!(process.key.pidversion, Some(i32::MIN));
        }
    }

    #[test]
    fn a_process_without_a_credible_pid_is_refused() {
        for token in ["null", "{}", r#"{"pid":-1}"#, r#"{"pid":99999999999}"#] {
            assert_eq!(process(&format!(r#"{{"audit_token":{token}}}"#)), Err(Flaw::NoPid), "{token}");
        }
    }

    #[test]
    fn a_hash_reads_in_either_case_and_zeros_are_none() {
        let lower = "23c70bd9b41017f9878af49bc2c46f7c8a70680b";
        assert_eq!(cdhash(lower).unwrap()[..3], [0x23, 0xc7, 0x0b]);
        assert_eq!(cdhash(lower), cdhash(&lower.to_uppercase()));
        assert_eq!(cdhash(&"0".repeat(40)), None);
        assert_eq!(cdhash("4547651A716192E0A34744DFECC015C8373B663"), None);
        assert_eq!(cdhash(&"é".repeat(20)), None);
        assert_eq!(hex(cdhash(lower).unwrap()), lower.to_uppercase());
    }

    #[test]
    fn of_the_environment_only_what_says_who_started_it_is_kept() {
        let Environment(entries) = serde_json::from_str(
            r#"["TOKEN=secret","XPC_SERVICE_NAME=com.example.job","XPC_SERVICE_NAME=other","PYTHONEXECUTABLE=a=b","odd"]"#,
        )
        .unwrap();
        let entries: Vec<(&str, &str)> = entries.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(entries, [("XPC_SERVICE_NAME", "com.example.job"), ("PYTHONEXECUTABLE", "a=b")]);
    }

    #[test]
    fn arguments_are_bounded_and_counted() {
        let long = "x".repeat(2 * TEXT_LIMIT);
        let arguments: Vec<&str> = vec![&long; 300];
        let read: Arguments = serde_json::from_value(arguments.into()).unwrap();
        assert_eq!(read.total, 300);
        assert_eq!(read.kept.len(), Arguments::LIMIT);
        assert_eq!(read.kept[0].len(), TEXT_LIMIT);
    }

    #[test]
    fn a_file_may_be_a_plain_path() {
        let read = process(r#"{"audit_token":{"pid":1},"tty":"/dev/ttys003","executable":{"path":"/sbin/launchd","stat":{"st_ino":1152921500312525701}}}"#).unwrap();
        assert_eq!(read.tty.as_deref(), Some("/dev/ttys003"));
        assert_eq!(&*read.executable.path, "/sbin/launchd");
    }
}
