//! A small Mac for tests: it forks, executes and exits as the kernel does, and tells it as Endpoint Security would.

use std::sync::Arc;

use super::{Attribution, Processes, Settings, Who};
use crate::observation::{
    CodeSigning, Credentials, Exec, Executable, Exit, Fork, Message, ProcessInfo, ProcessKey, Running,
    Timestamp,
};

/// A program on disk.
#[derive(Clone, Copy)]
pub(super) struct Program {
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) team: &'static str,
    pub(super) platform: bool,
}

pub(super) const fn apple(path: &'static str, id: &'static str) -> Program {
    Program { path, id, team: "", platform: true }
}

pub(super) const fn vendor(path: &'static str, team: &'static str, id: &'static str) -> Program {
    Program { path, id, team, platform: false }
}

pub(super) const fn unsigned(path: &'static str) -> Program {
    Program { path, id: "", team: "", platform: false }
}

pub(super) const LAUNCHD: Program = apple("/sbin/launchd", "com.apple.xpc.launchd");
pub(super) const XPCPROXY: Program = apple("/usr/libexec/xpcproxy", "com.apple.xpc.proxy");
pub(super) const SH: Program = apple("/bin/sh", "com.apple.sh");
pub(super) const BASH: Program = apple("/bin/bash", "com.apple.bash");
pub(super) const ZSH: Program = apple("/bin/zsh", "com.apple.zsh");
pub(super) const CURL: Program = apple("/usr/bin/curl", "com.apple.curl");
pub(super) const OSASCRIPT: Program = apple("/usr/bin/osascript", "com.apple.osascript");
pub(super) const TERMINAL: Program =
    apple("/System/Applications/Utilities/Terminal.app/Contents/MacOS/Terminal", "com.apple.Terminal");
pub(super) const AUTOMATOR: Program =
    apple("/System/Applications/Automator.app/Contents/MacOS/Automator", "com.apple.Automator");
pub(super) const PYTHON: Program = apple(
    "/Library/Developer/CommandLineTools/Library/Frameworks/Python3.framework/Versions/3.9/Resources/Python.app/Contents/MacOS/Python",
    "com.apple.python3",
);

/// A running process, as a test holds it.
#[derive(Clone)]
pub(super) struct Task {
    pub(super) info: ProcessInfo,
}

/// What an exec comes with.
#[derive(Clone, Copy, Default)]
pub(super) struct With<'a> {
    pub(super) arguments: &'a [&'a str],
    pub(super) environment: &'a [(&'a str, &'a str)],
    pub(super) script: Option<&'a str>,
    pub(super) shown_path: Option<&'a str>,
    pub(super) denied: bool,
}

/// The Mac and the tree that hears of it.
pub(super) struct Mac {
    pub(super) tree: Processes,
    pub(super) now: Timestamp,
    next_pid: i32,
    next_version: i32,
    pub(super) launchd: Task,
    /// Whether pidversions are told.
    pub(super) versions: bool,
}

impl Mac {
    pub(super) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(super) fn with(settings: Settings) -> Self {
        let key = ProcessKey { pid: 1, pidversion: Some(1) };
        let now = Timestamp::from_seconds(1_750_000_000, 0);
        Self {
            tree: Processes::new(settings),
            now,
            next_pid: 400,
            next_version: 1_000,
            launchd: Task { info: info(LAUNCHD, key, key, 0, now) },
            versions: true,
        }
    }

    /// Another recording of a Mac that has gone on: its numbers follow those of `earlier`.
    pub(super) fn after(earlier: &Self) -> Self {
        Self {
            next_pid: earlier.next_pid,
            next_version: earlier.next_version,
            now: earlier.now,
            ..Self::new()
        }
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now = self.now.after(std::time::Duration::from_secs(seconds));
    }

    fn message(&self) -> Message {
        Message { time: self.now, mach_time: None, version: 9, seq_num: None, global_seq_num: None }
    }

    fn version(&mut self) -> Option<i32> {
        self.next_version += 1;
        self.versions.then_some(self.next_version)
    }

    /// The fork that has not been told yet.
    pub(super) fn fork_event(&mut self, parent: &Task) -> (Fork, Task) {
        self.next_pid += 1;
        let key = ProcessKey { pid: self.next_pid, pidversion: self.version() };
        let mut child = parent.info.clone();
        child.key = key;
        child.parent = Some(parent.info.key);
        child.ppid = parent.info.key.pid;
        child.original_ppid = Some(parent.info.key.pid);
        child.start_time = Some(self.now);
        // Inherited; what launchd starts is its own.
        child.responsible = if parent.info.key.pid == 1 { Some(key) } else { parent.info.responsible };
        let task = Task { info: child.clone() };
        (Fork { message: self.message(), parent: parent.info.clone(), child }, task)
    }

    pub(super) fn fork(&mut self, parent: &Task) -> Task {
        let (event, task) = self.fork_event(parent);
        self.tree.fork(&event);
        task
    }

    /// The exec that has not been told yet.
    pub(super) fn exec_event(&mut self, task: &Task, program: Program, with: With<'_>) -> (Exec, Task) {
        let key = ProcessKey { pid: task.info.key.pid, pidversion: self.version() };
        let mut target = info(program, key, key, task.info.ppid, self.now);
        target.parent = task.info.parent;
        target.original_ppid = task.info.original_ppid;
        target.start_time = task.info.start_time;
        target.responsible = match task.info.responsible {
            Some(own) if own == task.info.key => Some(key),
            other => other,
        };
        let pairs = with.environment.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value)));
        let event = Exec {
            message: self.message(),
            actor: task.info.clone(),
            target: target.clone(),
            arguments: with.arguments.iter().map(|argument| Arc::from(*argument)).collect(),
            arguments_total: u32::try_from(with.arguments.len()).unwrap(),
            environment: pairs.collect(),
            script: with.script.map(Arc::from),
            cwd: Some(Arc::from("/Users/ann")),
            dyld_exec_path: with.shown_path.map(Arc::from),
            cpu_type: Some(16_777_228),
            denied: with.denied,
        };
        (event, Task { info: target })
    }

    pub(super) fn exec_with(&mut self, task: &Task, program: Program, with: With<'_>) -> Task {
        let (event, next) = self.exec_event(task, program, with);
        self.tree.exec(&event);
        next
    }

    pub(super) fn exec(&mut self, task: &Task, program: Program, arguments: &[&str]) -> Task {
        self.exec_with(task, program, With { arguments, ..With::default() })
    }

    /// Fork and exec.
    pub(super) fn spawn(&mut self, parent: &Task, program: Program, arguments: &[&str]) -> Task {
        let child = self.fork(parent);
        self.exec(&child, program, arguments)
    }

    /// What launchd starts: fork, xpcproxy, the program.
    pub(super) fn launch(&mut self, program: Program, with: With<'_>) -> Task {
        let launchd = self.launchd.clone();
        let proxy = self.spawn(&launchd, XPCPROXY, &["xpcproxy"]);
        self.exec_with(&proxy, program, with)
    }

    pub(super) fn open(&mut self, program: Program) -> Task {
        self.launch(program, With { arguments: &[program.path], ..With::default() })
    }

    pub(super) fn exit(&mut self, task: &Task) {
        let event = Exit { message: self.message(), process: task.info.clone(), wait_status: 0 };
        self.tree.exit(&event);
    }

    pub(super) fn list(&mut self, task: &Task, arguments: &[&str]) {
        self.tree.running(&Running {
            time: self.now,
            process: task.info.clone(),
            arguments: arguments.iter().map(|argument| Arc::from(*argument)).collect(),
            environment: Vec::new(),
        });
    }

    /// A flow of this process that begins now.
    pub(super) fn flow(&mut self, task: &Task) -> Attribution {
        self.tree.attribute(Some(task.info.key), None, self.now)
    }

    pub(super) fn who(&mut self, task: &Task) -> Arc<Who> {
        self.flow(task).who.expect("the process is in the tree")
    }

    /// `image < initiator`.
    pub(super) fn subject(&mut self, task: &Task) -> String {
        self.who(task).subject.to_string()
    }
}

fn info(program: Program, key: ProcessKey, parent: ProcessKey, ppid: i32, start: Timestamp) -> ProcessInfo {
    let signed = program.platform || !program.team.is_empty();
    ProcessInfo {
        key,
        parent: Some(parent),
        responsible: Some(key),
        ppid,
        original_ppid: Some(ppid),
        group_id: None,
        session_id: Some(1),
        credentials: Credentials { euid: Some(501), ..Credentials::default() },
        executable: Executable { path: program.path.into(), path_truncated: false },
        signing: CodeSigning {
            flags: if signed { CodeSigning::SIGNED | CodeSigning::VALID } else { 0 },
            is_platform_binary: program.platform,
            signing_id: (!program.id.is_empty()).then(|| program.id.into()),
            team_id: (!program.team.is_empty()).then(|| program.team.into()),
            cdhash: None,
        },
        is_es_client: false,
        tty: None,
        start_time: Some(start),
    }
}
