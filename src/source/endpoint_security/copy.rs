//! Owned copies of what a message lends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::observation::{
    CodeSigning, Credentials, Exec, Executable, Exit, Fork, Message, Observation, ProcessInfo, ProcessKey,
    Timestamp,
};
use crate::source::eslogger::{Arguments, Environment, EventType};
use crate::source::live::Outbox;
use crate::source::text::{TEXT_LIMIT, clip};

/// `es_process_t`, borrowed from a message.
#[doc(alias = "es_process_t")]
#[derive(Debug, Clone, Copy)]
pub struct ProcessView<'a> {
    /// Number and generation, of its audit token.
    pub key: ProcessKey,
    /// Of its parent's audit token.
    pub parent: Option<ProcessKey>,
    /// Of the responsible process's audit token.
    pub responsible: Option<ProcessKey>,
    /// Number of the parent now.
    pub ppid: i32,
    /// Number of the parent at the fork.
    pub original_ppid: i32,
    /// Process group.
    pub group_id: i32,
    /// Session.
    pub session_id: i32,
    /// Users, of its audit token.
    pub credentials: Credentials,
    /// Path of the executable.
    pub path: &'a [u8],
    /// Whether it was cut.
    pub path_truncated: bool,
    /// `CS_*`.
    pub signing_flags: u32,
    /// Whether it is part of macOS.
    pub is_platform_binary: bool,
    /// Whether it is an Endpoint Security client.
    pub is_es_client: bool,
    /// All zero where there is none.
    pub cdhash: [u8; 20],
    /// Empty where there is none.
    pub signing_id: &'a [u8],
    /// Empty where there is none.
    pub team_id: &'a [u8],
    /// Path of the controlling terminal.
    pub tty: Option<&'a [u8]>,
    /// When it was forked.
    pub start_time: Option<Timestamp>,
}

impl ProcessView<'_> {
    /// The process, as a value of its own.
    pub fn to_owned(&self) -> ProcessInfo {
        ProcessInfo {
            key: self.key,
            parent: self.parent,
            responsible: self.responsible,
            ppid: self.ppid,
            original_ppid: Some(self.original_ppid),
            group_id: Some(self.group_id),
            session_id: Some(self.session_id),
            credentials: self.credentials,
            executable: Executable {
                path: text(self.path),
                path_truncated: self.path_truncated || self.path.len() > TEXT_LIMIT,
            },
            signing: CodeSigning {
                flags: self.signing_flags,
                is_platform_binary: self.is_platform_binary,
                signing_id: some_text(self.signing_id),
                team_id: some_text(self.team_id),
                cdhash: (self.cdhash != [0; 20]).then_some(self.cdhash),
            },
            is_es_client: self.is_es_client,
            tty: self.tty.and_then(some_text),
            start_time: self.start_time,
        }
    }
}

/// `es_event_exec_t`, borrowed from a message. Arguments and environment come one by one: both are bounded here.
#[doc(alias = "es_event_exec_t")]
#[derive(Debug, Clone)]
pub struct ExecView<'a, A, E> {
    /// Time and sequence.
    pub message: Message,
    /// The image before.
    pub actor: ProcessView<'a>,
    /// The image after.
    pub target: ProcessView<'a>,
    /// `argv`.
    pub arguments: A,
    /// How many arguments there are.
    pub arguments_total: u32,
    /// `envp`.
    pub environment: E,
    /// The script, where it was executed by its `#!` line.
    pub script: Option<&'a [u8]>,
    /// Working directory.
    pub cwd: Option<&'a [u8]>,
    /// The path before symlinks were resolved.
    pub dyld_exec_path: Option<&'a [u8]>,
    /// `cpu_type_t`.
    pub cpu_type: Option<i32>,
    /// Whether another client denied it.
    pub denied: bool,
}

impl<'a, A, E> ExecView<'a, A, E>
where
    A: IntoIterator<Item = &'a [u8]>,
    E: IntoIterator<Item = &'a [u8]>,
{
    /// The exec, as a value of its own.
    pub fn into_owned(self) -> Exec {
        let kept = usize::try_from(self.arguments_total).unwrap_or(usize::MAX).min(Arguments::LIMIT);
        let mut arguments = Vec::with_capacity(kept);
        arguments.extend(self.arguments.into_iter().take(kept).map(text));
        let mut environment = Environment::default();
        for entry in self.environment.into_iter().take(ENVIRONMENT_LIMIT) {
            environment.keep_bytes(entry);
        }
        Exec {
            message: self.message,
            actor: self.actor.to_owned(),
            target: self.target.to_owned(),
            arguments,
            arguments_total: self.arguments_total,
            environment: environment.0,
            script: self.script.and_then(some_text),
            cwd: self.cwd.and_then(some_text),
            dyld_exec_path: self.dyld_exec_path.and_then(some_text),
            cpu_type: self.cpu_type,
            denied: self.denied,
        }
    }
}

/// What the handler does with each message: notes its numbers, copies it, hands the copy over. It never waits.
#[derive(Debug)]
pub struct Handler {
    outbox: Outbox,
    numbers: Numbers,
}

impl Handler {
    /// A handler of a client that has had no message yet.
    pub fn new(outbox: Outbox) -> Self {
        Self { outbox, numbers: Numbers::default() }
    }

    /// A process image was replaced.
    pub fn exec<'a, A, E>(&self, exec: ExecView<'a, A, E>)
    where
        A: IntoIterator<Item = &'a [u8]>,
        E: IntoIterator<Item = &'a [u8]>,
    {
        self.note(EventType::Exec, &exec.message);
        self.outbox.send(Observation::Exec(Box::new(exec.into_owned())));
    }

    /// A process was forked.
    pub fn fork(&self, message: Message, parent: &ProcessView<'_>, child: &ProcessView<'_>) {
        self.note(EventType::Fork, &message);
        let fork = Fork { message, parent: parent.to_owned(), child: child.to_owned() };
        self.outbox.send(Observation::Fork(Box::new(fork)));
    }

    /// A process ended.
    pub fn exit(&self, message: Message, process: &ProcessView<'_>, wait_status: i32) {
        self.note(EventType::Exit, &message);
        let exit = Exit { message, process: process.to_owned(), wait_status };
        self.outbox.send(Observation::Exit(Box::new(exit)));
    }

    /// A message was met and cannot be told.
    pub fn lose(&self) {
        self.outbox.lose(1);
    }

    /// First of all, before anything that may fail: a number that is not noted would be taken for a loss.
    fn note(&self, event_type: EventType, message: &Message) {
        let dropped = self.numbers.advance(event_type, message);
        if dropped > 0 {
            self.outbox.lose(dropped);
        }
    }
}

/// The numbers that the next messages have if the kernel drops none. Each client's begin at zero, and each grows by one with each message,
/// so what is left out between two was dropped. Messages come one after the other, so that plain loads and stores do.
#[derive(Debug, Default)]
struct Numbers {
    global: AtomicU64,
    exec: AtomicU64,
    fork: AtomicU64,
    exit: AtomicU64,
}

impl Numbers {
    /// Notes a message; how many were dropped before it.
    ///
    /// The number of all messages is looked at where the system gives it, which is since macOS 11; a number by type counts what is missing of this
    /// type alone.
    fn advance(&self, event_type: EventType, message: &Message) -> u64 {
        let by_type = match event_type {
            EventType::Exec => &self.exec,
            EventType::Fork => &self.fork,
            EventType::Exit => &self.exit,
        };
        let missing = |expected: &AtomicU64, number: Option<u64>| {
            let number = number?;
            let expected = expected.swap(number.saturating_add(1), Ordering::Relaxed);
            Some(number.saturating_sub(expected))
        };
        let of_type = missing(by_type, message.seq_num);
        missing(&self.global, message.global_seq_num).or(of_type).unwrap_or_default()
    }
}

fn some_text(bytes: &[u8]) -> Option<Arc<str>> {
    (!bytes.is_empty()).then(|| text(bytes))
}

/// Bytes as text, bounded; one allocation where they are UTF-8.
fn text(bytes: &[u8]) -> Arc<str> {
    // The cut may fall within a character: three bytes more let `clip` see that.
    let bytes = bytes.get(..TEXT_LIMIT + 3).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => clip(text, TEXT_LIMIT).into(),
        Err(_) => clip(&String::from_utf8_lossy(bytes), TEXT_LIMIT).into(),
    }
}

/// Entries of an environment that are looked at: the few that are kept stand among the first dozens, and a caller can pass many thousands.
const ENVIRONMENT_LIMIT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn process(pid: i32) -> ProcessView<'static> {
        ProcessView {
            key: ProcessKey { pid, pidversion: Some(pid * 10) },
            parent: None,
            responsible: None,
            ppid: 1,
            original_ppid: 1,
            group_id: pid,
            session_id: 1,
            credentials: Credentials::default(),
            path: b"/usr/bin/curl",
            path_truncated: false,
            signing_flags: CodeSigning::VALID,
            is_platform_binary: true,
            is_es_client: false,
            cdhash: [0; 20],
            signing_id: b"com.apple.curl",
            team_id: b"",
            tty: Some(b"/dev/ttys000"),
            start_time: None,
        }
    }

    fn message(seq_num: u64, global_seq_num: Option<u64>) -> Message {
        Message {
            time: Timestamp::EPOCH,
            mach_time: None,
            version: 9,
            seq_num: Some(seq_num),
            global_seq_num,
        }
    }

    #[test]
    fn an_exec_is_bounded_and_what_is_absent_is_none() {
        let long = vec![b'x'; 2 * TEXT_LIMIT];
        let many = vec![&long[..]; 300];
        let environment: [&[u8]; 4] =
            [b"TOKEN=secret", b"XPC_SERVICE_NAME=com.example", b"\xff\xfe", b"__CFBundleIdentifier=\xff"];
        let exec = ExecView {
            message: message(0, None),
            actor: process(1),
            target: process(1),
            arguments: many.iter().copied(),
            arguments_total: 300,
            environment,
            script: Some(&b""[..]),
            cwd: Some(b"/tmp/\xff"),
            dyld_exec_path: None,
            cpu_type: None,
            denied: false,
        }
        .into_owned();
        assert_eq!((exec.arguments.len(), exec.arguments_total), (Arguments::LIMIT, 300));
        assert_eq!(exec.arguments[0].len(), TEXT_LIMIT);
        let kept: Vec<(&str, &str)> =
            exec.environment.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(kept, [("XPC_SERVICE_NAME", "com.example"), ("__CFBundleIdentifier", "\u{fffd}")]);
        assert_eq!((exec.script, exec.cwd.as_deref()), (None, Some("/tmp/\u{fffd}")));
        let signing = exec.target.signing;
        assert_eq!(
            (signing.signing_id.as_deref(), signing.team_id, signing.cdhash),
            (Some("com.apple.curl"), None, None)
        );
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut bytes = vec![b'x'; TEXT_LIMIT - 1];
        bytes.extend_from_slice("ö".as_bytes());
        bytes.extend_from_slice(b"more");
        assert_eq!(text(&bytes).len(), TEXT_LIMIT - 1);
    }

    #[test]
    fn the_first_message_of_a_client_has_number_zero_and_what_is_left_out_was_dropped() {
        let numbers = Numbers::default();
        assert_eq!(numbers.advance(EventType::Exec, &message(0, Some(0))), 0);
        assert_eq!(numbers.advance(EventType::Fork, &message(0, Some(1))), 0);
        assert_eq!(numbers.advance(EventType::Exec, &message(3, Some(6))), 4);
        assert_eq!(numbers.advance(EventType::Exit, &message(2, None)), 2);
        assert_eq!(Numbers::default().advance(EventType::Exit, &message(9, Some(30))), 30);
    }
}
