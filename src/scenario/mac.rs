//! The processes of a Mac, told as Endpoint Security tells them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::chain::{Chain, Step};
use super::language::Program;
use super::schedule::Act;
use super::words::{self, arguments, credentials, message, signing};
use crate::observation::{
    Exec, Executable, Exit, Fork, Observation, ProcessInfo, ProcessKey, Running, Timestamp,
};

/// The Mac's processes, and what was told of them so far.
#[derive(Debug)]
pub(super) struct Mac {
    programs: BTreeMap<String, Program>,
    /// Observations with the time at which they really happened.
    pub(super) told: Vec<(Timestamp, Observation)>,
    launchd: Task,
    /// What runs until the next restart, by user, label and chain.
    resident: BTreeMap<String, Task>,
    next_pid: i32,
    next_version: i32,
}

/// A running process.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) info: ProcessInfo,
    pub(super) name: Arc<str>,
}

/// The processes of one act.
#[derive(Debug)]
pub(super) struct Cast {
    /// The last of the chain, whose traffic it is.
    pub(super) actor: Task,
    /// Those that end with it.
    passing: Vec<Task>,
    /// The actor goes on to the next restart.
    pub(super) stays: bool,
}

/// What is said about one act's processes.
#[derive(Clone, Copy)]
struct Telling<'a> {
    act: &'a Act<'a>,
    /// When its events happen.
    time: Timestamp,
    /// Time since boot, awake.
    awake: Duration,
    responsible: Option<ProcessKey>,
}

impl Mac {
    pub(super) fn new(programs: BTreeMap<String, Program>) -> Self {
        let launchd = Task { info: words::launchd(), name: "launchd".into() };
        Self {
            programs,
            told: Vec::new(),
            launchd,
            resident: BTreeMap::new(),
            next_pid: FIRST_PID,
            next_version: FIRST_VERSION,
        }
    }

    /// The Mac starts again: nothing runs, and numbers begin anew.
    pub(super) fn restart(&mut self) {
        self.resident.clear();
        (self.next_pid, self.next_version) = (FIRST_PID, FIRST_VERSION);
    }

    /// A program's file is another one from now on; what ran of it is started anew when it next runs.
    pub(super) fn replace(&mut self, name: &str, by: &str) {
        if let Some(new) = self.programs.get(by).cloned() {
            self.programs.insert(name.to_owned(), Program { name: name.to_owned(), ..new });
        }
        self.resident.retain(|_, task| *task.name != *name);
    }

    /// The processes of an act, started as far as they do not run yet.
    pub(super) fn play(&mut self, act: &Act<'_>, chain: &Chain, awake: Duration) -> Cast {
        let time = act.at.after(act.late);
        let responsible = act.responsible.map(|name| {
            let step = Step { program: name.to_owned(), arguments: Vec::new(), replaces: false };
            let told = Telling { act, time, awake, responsible: None };
            self.resident_of(&step, &format!("{}|{name}", act.user), told).info.key
        });
        let told = Telling { act, time, awake, responsible };
        let mut place = act.user.to_string();
        let mut passing: Vec<Task> = Vec::new();
        let mut actor = self.launchd.clone();
        let mut stays = true;
        for (at, step) in chain.steps.iter().enumerate() {
            place = format!("{place}|{}", step.program);
            // Each number of a program with a place for it is a program of its own.
            if self.programs.get(&step.program).is_some_and(|program| program.path.contains("{n}")) {
                place = format!("{place}|{}", act.number);
            }
            let lives_on = self.programs.get(&step.program).is_some_and(|program| program.stays);
            let first_app = at == 0 && act.job.is_none();
            stays = !act.listed && !step.replaces && stays && (first_app || lives_on);
            actor = match (stays, at) {
                (true, 0) => self.resident_of(step, &place, told),
                (true, _) => self.kept(&place).unwrap_or_else(|| {
                    let child = self.spawn(&actor, step, told);
                    self.keep(&place, &child);
                    child
                }),
                (false, _) => {
                    let next = if step.replaces && at > 0 {
                        passing.pop();
                        self.exec(&actor, step, told, false)
                    } else if at == 0 {
                        self.launch(step, told, act.job)
                    } else {
                        self.spawn(&actor, step, told)
                    };
                    passing.push(next.clone());
                    next
                }
            };
        }
        Cast { actor, passing, stays }
    }

    /// The processes of an act end.
    pub(super) fn leave(&mut self, cast: Cast, time: Timestamp, awake: Duration) {
        for task in cast.passing.into_iter().rev() {
            let event = Exit { message: message(time, awake), process: task.info, wait_status: 0 };
            self.told.push((time, Observation::Exit(Box::new(event))));
        }
    }

    /// A program that runs anyway, by its name.
    pub(super) fn service(&mut self, name: &str, act: &Act<'_>, awake: Duration) -> Task {
        let step = Step { program: name.to_owned(), arguments: Vec::new(), replaces: false };
        self.resident_of(
            &step,
            &format!("{}|{name}", act.user),
            Telling { act, time: act.at, awake, responsible: None },
        )
    }

    fn kept(&self, place: &str) -> Option<Task> {
        self.resident.get(place).cloned()
    }

    fn keep(&mut self, place: &str, task: &Task) {
        self.resident.insert(place.to_owned(), task.clone());
    }

    fn resident_of(&mut self, step: &Step, place: &str, told: Telling<'_>) -> Task {
        self.kept(place).unwrap_or_else(|| {
            let task = self.launch(step, told, None);
            self.keep(place, &task);
            task
        })
    }

    /// launchd starts a program: fork, `xpcproxy`, the program itself.
    fn launch(&mut self, step: &Step, told: Telling<'_>, job: Option<&str>) -> Task {
        let launchd = self.launchd.clone();
        let child = self.fork(&launchd, told, true);
        if told.act.listed {
            return self.list(&child, step, told);
        }
        let proxy = Step { program: "xpcproxy".into(), arguments: Vec::new(), replaces: true };
        let proxied = self.exec(&child, &proxy, told, true);
        let label = job.map(|job| (Arc::from("XPC_SERVICE_NAME"), Arc::from(job)));
        self.exec_with(&proxied, step, told, true, label.into_iter().collect())
    }

    fn spawn(&mut self, parent: &Task, step: &Step, told: Telling<'_>) -> Task {
        let child = self.fork(parent, told, false);
        if told.act.listed { self.list(&child, step, told) } else { self.exec(&child, step, told, false) }
    }

    fn fork(&mut self, parent: &Task, told: Telling<'_>, own: bool) -> Task {
        let pid = self.next_pid;
        self.next_pid = if pid >= LAST_PID { FIRST_PID } else { pid + 1 };
        let key = ProcessKey { pid, pidversion: Some(self.version()) };
        let mut info = parent.info.clone();
        info.key = key;
        info.parent = Some(parent.info.key);
        info.ppid = parent.info.key.pid;
        info.original_ppid = Some(parent.info.key.pid);
        info.group_id = Some(pid);
        info.start_time = Some(told.time);
        info.credentials = credentials(told.act.user);
        info.responsible = told.responsible.or(if own { Some(key) } else { parent.info.responsible });
        let child = Task { info, name: Arc::clone(&parent.name) };
        if !told.act.listed {
            let event = Fork {
                message: message(told.time, told.awake),
                parent: parent.info.clone(),
                child: child.info.clone(),
            };
            self.told.push((told.time, Observation::Fork(Box::new(event))));
        }
        child
    }

    fn exec(&mut self, task: &Task, step: &Step, told: Telling<'_>, own: bool) -> Task {
        self.exec_with(task, step, told, own, Vec::new())
    }

    fn exec_with(
        &mut self,
        task: &Task,
        step: &Step,
        told: Telling<'_>,
        own: bool,
        environment: Vec<(Arc<str>, Arc<str>)>,
    ) -> Task {
        let next = self.become_image(task, step, told.act, own && told.responsible.is_none());
        let arguments = arguments(&next, step);
        let event = Exec {
            message: message(told.time, told.awake),
            actor: task.info.clone(),
            target: next.info.clone(),
            arguments_total: u32::try_from(arguments.len()).unwrap_or(u32::MAX),
            arguments,
            environment,
            script: None,
            cwd: Some(format!("/Users/user{}", told.act.user).into()),
            dyld_exec_path: self
                .programs
                .get(&step.program)
                .and_then(|program| program.shown.as_deref().map(Arc::from)),
            cpu_type: Some(ARM64),
            denied: false,
        };
        self.told.push((told.time, Observation::Exec(Box::new(event))));
        next
    }

    /// A process that only the list of running ones names.
    fn list(&mut self, task: &Task, step: &Step, told: Telling<'_>) -> Task {
        let next = self.become_image(task, step, told.act, false);
        let running = Running {
            time: told.time,
            process: next.info.clone(),
            arguments: arguments(&next, step),
            environment: Vec::new(),
        };
        self.told.push((told.time, Observation::Running(Box::new(running))));
        next
    }

    fn become_image(&mut self, task: &Task, step: &Step, act: &Act<'_>, own: bool) -> Task {
        let program = self.programs.get(&step.program).cloned();
        let fill = |text: &str| {
            text.replace("{n}", &act.number.to_string()).replace("{user}", &format!("user{}", act.user))
        };
        let mut info = task.info.clone();
        let key = ProcessKey { pid: info.key.pid, pidversion: Some(self.version()) };
        if own || info.responsible == Some(info.key) {
            info.responsible = Some(key);
        }
        info.key = key;
        if let Some(program) = program {
            let path = fill(&program.path);
            let program =
                Program { id: program.id.as_deref().map(fill), build: fill(&program.build), ..program };
            info.signing = signing(&program, &path);
            info.executable = Executable { path: path.into(), path_truncated: false };
        }
        Task { info, name: step.program.as_str().into() }
    }

    fn version(&mut self) -> i32 {
        self.next_version = self.next_version.wrapping_add(1);
        self.next_version
    }
}

/// Numbers that a running system gives out next.
const FIRST_PID: i32 = 400;
const FIRST_VERSION: i32 = 1_000;
/// `PID_MAX` of XNU's `bsd/sys/proc_internal.h`.
const LAST_PID: i32 = 99_999;
/// `CPU_TYPE_ARM64` of `mach/machine.h`.
const ARM64: i32 = 0x0100_000c;
