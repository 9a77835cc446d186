use proptest::prelude::*;

use super::super::simulation::*;
use super::*;
use crate::observation::{CodeSigning, Executable, ProcessKey};

/// Everything that the tree says, for comparison.
fn told(mac: &Mac) -> String {
    serde_json::to_string(&mac.tree.rows()).unwrap()
}

#[test]
fn a_denied_exec_replaces_nothing() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let zsh = mac.spawn(&terminal, ZSH, &["-zsh"]);
    let (event, _) = mac.exec_event(&zsh, CURL, With { denied: true, ..With::default() });
    assert!(mac.tree.exec(&event).is_none());
    assert_eq!(mac.subject(&zsh), "apple:com.apple.zsh < apple:com.apple.Terminal");
    assert_eq!(mac.tree.attribute(Some(event.target.key), None, mac.now).who, None);
}

#[test]
fn an_exec_says_who_the_process_is_now() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let child = mac.fork(&terminal);
    let (event, _) = mac.exec_event(&child, CURL, With { arguments: &["curl", "x"], ..With::default() });
    let who = mac.tree.exec(&event).unwrap();
    assert_eq!(who.subject.to_string(), "apple:com.apple.curl < apple:com.apple.Terminal");
    assert_eq!(who.process.start, Some(mac.now));
    assert!(mac.tree.exec(&event).is_none(), "told a second time");
}

#[test]
fn everything_told_twice_is_told_once() {
    let tell = |times: usize| {
        let mut mac = Mac::new();
        let terminal = mac.open(TERMINAL);
        for _ in 0..5 {
            let (fork, child) = mac.fork_event(&terminal);
            let (exec, curl) = mac.exec_event(&child, CURL, With { arguments: &["curl"], ..With::default() });
            let exit = Exit { message: exec.message, process: curl.info.clone(), wait_status: 0 };
            for _ in 0..times {
                mac.tree.fork(&fork);
                mac.tree.exec(&exec);
            }
            for _ in 0..times {
                mac.tree.exit(&exit);
            }
            // One recording runs ahead of the other.
            if times > 1 {
                mac.tree.fork(&fork);
                mac.tree.exec(&exec);
            }
        }
        (told(&mac), mac.tree.counts())
    };
    assert_eq!(tell(1), tell(2));
}

#[test]
fn an_exec_that_comes_before_its_fork_is_in_the_tree_all_the_same() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let (fork, child) = mac.fork_event(&terminal);
    let (exec, curl) = mac.exec_event(&child, CURL, With { arguments: &["curl"], ..With::default() });
    mac.tree.exec(&exec);
    mac.tree.fork(&fork);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.Terminal");
}

#[test]
fn two_execs_out_of_order_both_keep_their_arguments() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let child = mac.fork(&terminal);
    let (first, osascript) =
        mac.exec_event(&child, OSASCRIPT, With { arguments: &["osascript", "x.scpt"], ..With::default() });
    let (second, curl) = mac.exec_event(&osascript, CURL, With { arguments: &["curl"], ..With::default() });
    mac.tree.exec(&second);
    mac.tree.exec(&first);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.osascript");
    assert_eq!(mac.who(&osascript).process.arguments.len(), 2);
}

#[test]
fn recording_that_began_late_says_that_the_initiator_is_not_known() {
    let mut shadow = Mac::new();
    let terminal = shadow.open(TERMINAL);
    let zsh = shadow.spawn(&terminal, ZSH, &["-zsh"]);
    let mut mac = Mac::after(&shadow);
    let curl = mac.spawn(&zsh, CURL, &["curl", "x"]);
    let who = mac.who(&curl);
    assert_eq!(who.subject.to_string(), "apple:com.apple.curl");
    assert!(!who.initiator_known && who.initiator.is_none());
    assert!(mac.tree.counts().joined > 0);
    // The parent's own word arrives later; what runs from then on is known.
    mac.list(&terminal, &[]);
    let curl = mac.spawn(&zsh, CURL, &["curl", "y"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.Terminal");
    assert!(mac.who(&curl).initiator_known);
}

#[test]
fn a_reparented_process_keeps_its_parent() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let nohup = mac.spawn(&terminal, apple("/usr/bin/nohup", "com.apple.nohup"), &["nohup", "x"]);
    let mut worker = mac.fork(&nohup);
    mac.exit(&nohup);
    worker.info.ppid = 1;
    worker.info.parent = Some(mac.launchd.info.key);
    let curl = mac.exec(&worker, CURL, &["curl"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.Terminal");
}

#[test]
fn a_reparented_process_whose_fork_was_missed_asks_for_the_number_of_its_first_parent() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let (_, mut worker) = mac.fork_event(&terminal);
    mac.pass(1);
    mac.exit(&terminal);
    worker.info.ppid = 1;
    worker.info.parent = Some(mac.launchd.info.key);
    let curl = mac.exec(&worker, CURL, &["curl"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.Terminal");

    let mut unseen = terminal.clone();
    unseen.info.executable.path = ZSH.path.into();
    unseen.info.signing.signing_id = Some(ZSH.id.into());
    let (_, mut orphan) = mac.fork_event(&unseen);
    orphan.info.original_ppid = Some(99_999);
    orphan.info.ppid = 1;
    orphan.info.parent = Some(mac.launchd.info.key);
    let curl = mac.exec(&orphan, CURL, &["curl"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl", "launchd adopted it, but did not start it");
    assert!(!mac.who(&curl).initiator_known);
}

#[test]
fn a_number_used_again_without_an_exit_is_another_process() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let curl = mac.spawn(&terminal, CURL, &["curl"]);
    mac.pass(10);
    let (mut fork, mut child) = mac.fork_event(&terminal);
    fork.child.key.pid = curl.info.key.pid;
    child.info.key.pid = curl.info.key.pid;
    mac.tree.fork(&fork);
    let python = mac.exec(&child, PYTHON, &["python3"]);
    assert_eq!(mac.tree.counts().reused, 1);
    assert_eq!(mac.subject(&python), "apple:com.apple.python3 < apple:com.apple.Terminal");
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.Terminal");
    mac.exit(&curl);
    assert_eq!(
        mac.subject(&python),
        "apple:com.apple.python3 < apple:com.apple.Terminal",
        "a late exit of the first ends only that"
    );
}

#[test]
fn a_list_never_overrides_an_event() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let curl = mac.spawn(&terminal, CURL, &["curl", "x"]);
    let before = told(&mac);
    mac.list(&curl, &["something", "else"]);
    assert_eq!(told(&mac), before);
    mac.exit(&curl);
    let before = told(&mac);
    mac.list(&curl, &["curl", "x"]);
    assert_eq!(told(&mac), before, "a list made before the exit does not bring a process back");
}

#[test]
fn a_list_tells_the_arguments_of_a_process_that_was_only_mentioned() {
    let mut shadow = Mac::new();
    let terminal = shadow.open(TERMINAL);
    let python = shadow.spawn(&terminal, PYTHON, &["python3", "x.py"]);
    let mut mac = Mac::after(&shadow);
    mac.fork(&python);
    assert!(mac.who(&python).process.script.is_none());
    mac.list(&python, &["python3", "/x.py"]);
    assert_eq!(&*mac.who(&python).process.script.as_ref().unwrap().name, "/x.py");
}

#[test]
fn a_recording_of_execs_alone_finds_parents_when_it_hears_of_them() {
    let mut shadow = Mac::new();
    let terminal = shadow.open(TERMINAL);
    let mut mac = Mac::after(&shadow);
    let (_, child) = mac.fork_event(&terminal);
    let pretended = Task {
        info: ProcessInfo {
            executable: Executable { path: ZSH.path.into(), path_truncated: false },
            ..child.info
        },
    };
    let zsh = mac.exec(&pretended, ZSH, &["zsh"]);
    let curl = mac.exec(&zsh, CURL, &["curl"]);
    assert!(!mac.who(&curl).initiator_known);
    mac.list(&terminal, &[]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.Terminal");
    assert!(mac.who(&curl).initiator_known);
}

#[test]
fn a_process_that_claims_to_be_its_own_parent_has_none() {
    let mut mac = Mac::new();
    let (_, mut task) = mac.fork_event(&mac.launchd.clone());
    task.info.ppid = task.info.key.pid;
    task.info.original_ppid = None;
    task.info.parent = Some(task.info.key);
    mac.list(&task, &[]);
    assert!(mac.who(&task).subject.initiator.is_none());
}

#[test]
fn waiting_for_parents_costs_nothing_while_they_do_not_come() {
    // Every process has a parent of its own that is never heard of. With a look at all of them at each event this would take minutes.
    let mut mac = Mac::with(Settings { live: 500, ended: 500, ..Settings::default() });
    for n in 0..20_000 {
        let (_, mut task) = mac.fork_event(&mac.launchd.clone());
        task.info.original_ppid = Some(200_000 + n);
        mac.exec(&task, ZSH, &["zsh"]);
    }
    assert_eq!(mac.tree.counts().live, 500);
    assert!(mac.tree.orphans.len() <= 2_000);
}

#[test]
fn a_source_without_generations_works_by_number() {
    let mut mac = Mac::new();
    mac.versions = false;
    let terminal = mac.open(TERMINAL);
    let zsh = mac.spawn(&terminal, ZSH, &["zsh", "-c", "curl x"]);
    mac.pass(1);
    let curl = mac.exec(&zsh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.Terminal");
    let row = mac.tree.rows().into_iter().find(|row| row.key == curl.info.key).unwrap();
    let paths: Vec<&str> = row.images.iter().map(|image| &*image.path).collect();
    assert_eq!(paths, [TERMINAL.path, ZSH.path, CURL.path]);
    mac.exit(&curl);
    mac.pass(1);
    assert_eq!(mac.tree.rows().iter().filter(|row| row.end.is_some()).count(), 1);
}

/// What a source says of the process that an event of `ProcessMonitor` does not describe: its number.
fn only_a_number(info: &ProcessInfo) -> ProcessInfo {
    ProcessInfo {
        parent: None,
        responsible: None,
        ppid: 0,
        original_ppid: None,
        executable: Executable::default(),
        signing: CodeSigning::default(),
        start_time: None,
        ..info.clone()
    }
}

/// What a source says of the process that it does describe.
fn without_tokens(info: &ProcessInfo) -> ProcessInfo {
    ProcessInfo { parent: None, responsible: None, original_ppid: None, start_time: None, ..info.clone() }
}

#[test]
fn a_shortcuts_trace_of_a_source_that_tells_of_one_process_at_a_time() {
    // As in the trace of macOS 12: launchd starts MacHelper, which forks; zsh and touch follow in the forked process.
    let mut mac = Mac::new();
    mac.versions = false;
    let helper = apple("/x/MacHelper.xpc/Contents/MacOS/MacHelper", "com.apple.WorkflowKit.MacHelper");
    let (_, child) = mac.fork_event(&mac.launchd.clone());
    let (mut exec, helper) = mac.exec_event(&child, helper, With::default());
    exec.actor = only_a_number(&exec.actor);
    exec.target = without_tokens(&exec.target);
    mac.tree.exec(&exec);
    assert!(mac.who(&helper).initiator_known);
    let (mut fork, child) = mac.fork_event(&helper);
    fork.parent = only_a_number(&fork.parent);
    fork.child = without_tokens(&fork.child);
    mac.tree.fork(&fork);
    let mut task = child;
    for program in [ZSH, apple("/usr/bin/touch", "com.apple.touch")] {
        let (mut exec, next) = mac.exec_event(&task, program, With::default());
        exec.actor = only_a_number(&exec.actor);
        exec.target = without_tokens(&exec.target);
        mac.tree.exec(&exec);
        task = next;
    }
    assert_eq!(mac.subject(&task), "apple:com.apple.touch < apple:com.apple.WorkflowKit.MacHelper");

    // A fork whose parent was never seen says nothing about launchd.
    let (mut fork, orphan) = mac.fork_event(&Task {
        info: ProcessInfo { key: ProcessKey { pid: 70_000, pidversion: None }, ..task.info },
    });
    fork.parent = only_a_number(&fork.parent);
    fork.child = without_tokens(&fork.child);
    mac.tree.fork(&fork);
    assert!(!mac.who(&orphan).initiator_known);
}

#[test]
fn a_restart_ends_every_process() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let at = |mac: &Mac, ticks| Message {
        time: mac.now,
        mach_time: Some(ticks),
        version: 9,
        seq_num: None,
        global_seq_num: None,
    };
    let (mut fork, _) = mac.fork_event(&terminal);
    fork.message = at(&mac, 100_000_000_000);
    mac.tree.fork(&fork);
    mac.pass(300);
    // The counters began anew: the same key is another process.
    let (mut again, _) = mac.fork_event(&mac.launchd.clone());
    again.child.key = fork.child.key;
    again.child.start_time = Some(mac.now);
    again.message = at(&mac, 700_000_000);
    mac.tree.fork(&again);
    assert_eq!(mac.tree.counts().restarts, 1);
    assert_eq!(
        mac.who(&Task { info: again.child.clone() }).subject.image.as_str(),
        "apple:com.apple.xpc.launchd"
    );
    mac.pass(60);
    assert_eq!(mac.flow(&terminal).who, None);
}

#[test]
fn a_restart_is_seen_where_the_clock_then_shows_1970() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let told = |mac: &Mac, ticks| Message {
        time: mac.now,
        mach_time: Some(ticks),
        version: 9,
        seq_num: None,
        global_seq_num: None,
    };
    let (mut fork, _) = mac.fork_event(&terminal);
    fork.message = told(&mac, 100_000_000_000);
    mac.tree.fork(&fork);
    let late = mac.now.before(Duration::from_secs(5));
    let (mut again, _) = mac.fork_event(&mac.launchd.clone());
    again.message = Message { time: late, ..told(&mac, 700_000_000) };
    mac.tree.fork(&again);
    assert_eq!(mac.tree.counts().restarts, 0, "an event that is late is none");
    fork.message.time = mac.now.after(Duration::from_secs(1));
    mac.tree.fork(&fork);
    mac.now = Timestamp::from_seconds(40, 0);
    let (mut again, _) = mac.fork_event(&mac.launchd.clone());
    again.message = told(&mac, 700_000_000);
    mac.tree.fork(&again);
    assert_eq!(mac.tree.counts().restarts, 1);
}

#[test]
fn a_clock_that_jumps_back_keeps_nothing_for_ever() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    mac.pass(400 * 86_400);
    let curl = mac.spawn(&terminal, CURL, &["curl"]);
    mac.exit(&curl);
    mac.now = mac.now.before(Duration::from_secs(400 * 86_400));
    mac.fork(&terminal);
    assert_eq!(mac.tree.counts().ended, 0);
    assert_eq!(mac.subject(&terminal), "apple:com.apple.Terminal", "what lives is not forgotten");
}

#[test]
fn live_processes_are_bounded_and_the_quietest_goes_first() {
    let mut mac = Mac::with(Settings { live: 10, ..Settings::default() });
    let terminal = mac.open(TERMINAL);
    let quiet = mac.spawn(&terminal, ZSH, &["-zsh"]);
    let busy = mac.spawn(&terminal, ZSH, &["-zsh"]);
    for _ in 0..100 {
        mac.spawn(&terminal, ZSH, &["-zsh"]);
        mac.flow(&busy);
    }
    let counts = mac.tree.counts();
    assert_eq!(counts.live, 10);
    // launchd, its proxy's process that became Terminal, and 102 shells.
    assert_eq!(counts.evicted_live + 10, 104);
    assert_eq!(mac.flow(&quiet).who, None);
    assert_eq!(mac.subject(&busy), "apple:com.apple.zsh < apple:com.apple.Terminal");
}

#[test]
fn ended_processes_are_bounded_and_counted() {
    let mut mac = Mac::with(Settings { ended: 10, ..Settings::default() });
    let terminal = mac.open(TERMINAL);
    for _ in 0..100 {
        let curl = mac.spawn(&terminal, CURL, &["curl"]);
        mac.exit(&curl);
    }
    mac.fork(&terminal);
    let counts = mac.tree.counts();
    assert_eq!((counts.ended, counts.evicted_ended), (10, 90));
}

#[test]
fn a_process_that_executes_itself_for_ever_keeps_its_first_and_latest_images() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let mut task = mac.spawn(&terminal, ZSH, &["zsh"]);
    for n in 0..1_000 {
        task = mac.exec(&task, if n % 2 == 0 { BASH } else { ZSH }, &["sh"]);
    }
    let row = mac.tree.rows().into_iter().find(|row| row.key == task.info.key).unwrap();
    assert_eq!(row.images.len(), 16);
    assert!(row.images[0].forked);
    assert_eq!(row.initiator.unwrap().as_str(), "apple:com.apple.Terminal");
}

#[test]
fn a_line_of_parents_that_each_start_the_next_and_exit_stays_bounded() {
    let mut mac = Mac::new();
    let mut task = mac.open(unsigned("/usr/sbin/a"));
    for n in 0..5_000 {
        let next = mac.spawn(&task, unsigned(if n % 2 == 0 { "/usr/sbin/b" } else { "/usr/sbin/a" }), &["x"]);
        mac.exit(&task);
        task = next;
        mac.pass(30);
    }
    assert_eq!(mac.who(&task).ancestors.len(), 16);
    assert!(mac.tree.counts().ended <= 3);
}

#[test]
fn arguments_are_bounded() {
    let mut mac = Mac::with(Settings { arguments: 2, argument_bytes: 5, ..Settings::default() });
    let terminal = mac.open(TERMINAL);
    let curl = mac.spawn(&terminal, CURL, &["curl", "äöüßabc", "x", "y"]);
    let arguments: Vec<String> = mac.who(&curl).process.arguments.iter().map(ToString::to_string).collect();
    assert_eq!(arguments, ["curl", "äö"]);
}

#[test]
fn the_list_of_processes_tells_their_whole_life() {
    let mut mac = Mac::with(Settings::keep_all());
    let automator = mac.open(AUTOMATOR);
    let sh = mac.spawn(&automator, SH, &["sh", "-c", "curl x"]);
    let start = mac.now;
    mac.pass(1);
    let curl = mac.exec(&sh, CURL, &["curl", "x"]);
    mac.pass(4_000_000);
    mac.exit(&curl);
    mac.pass(4_000_000);
    mac.fork(&automator);
    let rows = mac.tree.rows();
    let row = rows.iter().find(|row| row.key == curl.info.key).unwrap();
    assert_eq!(
        serde_json::to_value(row).unwrap(),
        serde_json::json!({
            "pid": curl.info.key.pid, "pidversion": curl.info.key.pidversion,
            "identity": "apple:com.apple.curl", "initiator": "apple:com.apple.Automator", "initiator_known": true,
            "application": "apple:com.apple.Automator",
            "parent": {"pid": automator.info.key.pid, "pidversion": automator.info.key.pidversion},
            "start": start.to_string(), "end": start.after(Duration::from_secs(4_000_001)).to_string(),
            "images": [
                {"pidversion": row.images[0].pidversion, "since": start.to_string(), "identity": "apple:com.apple.Automator",
                 "path": AUTOMATOR.path, "arguments": [AUTOMATOR.path], "forked": true},
                {"pidversion": sh.info.key.pidversion, "since": start.to_string(), "identity": "apple:com.apple.sh",
                 "path": SH.path, "arguments": ["sh", "-c", "curl x"], "forked": false},
                {"pidversion": curl.info.key.pidversion, "since": start.after(Duration::from_secs(1)).to_string(),
                 "identity": "apple:com.apple.curl", "path": CURL.path, "arguments": ["curl", "x"], "forked": false},
            ],
        })
    );
}

/// A random life of a Mac: each step forks from, executes in, ends or lists one of the processes, and may be told twice, late or never.
fn live(steps: &[(u8, u8, u8)], told_twice: bool, settings: Settings) -> Mac {
    const PROGRAMS: [Program; 8] =
        [SH, ZSH, CURL, OSASCRIPT, PYTHON, TERMINAL, AUTOMATOR, unsigned("/private/tmp/x")];
    let mut mac = Mac::with(settings);
    let mut tasks = vec![mac.open(TERMINAL)];
    for &(action, which, program) in steps {
        let at = usize::from(which) % tasks.len();
        let task = tasks[at].clone();
        mac.pass(u64::from(which % 8));
        match action % 8 {
            0..=2 => {
                let (fork, child) = mac.fork_event(&task);
                for _ in 0..=usize::from(told_twice) {
                    mac.tree.fork(&fork);
                }
                tasks.push(child);
            }
            3..=5 => {
                let program = PROGRAMS[usize::from(program) % PROGRAMS.len()];
                let (exec, next) = mac.exec_event(
                    &task,
                    program,
                    With { arguments: &[program.path, "x"], ..With::default() },
                );
                for _ in 0..=usize::from(told_twice) {
                    mac.tree.exec(&exec);
                }
                tasks[at] = next;
            }
            6 if tasks.len() > 1 => {
                let exit =
                    Exit { message: mac.fork_event(&task).0.message, process: task.info, wait_status: 0 };
                for _ in 0..=usize::from(told_twice) {
                    mac.tree.exit(&exit);
                }
                tasks.remove(at);
            }
            _ => {
                // A fork and an exec that were never told.
                let (_, child) = mac.fork_event(&task);
                let (_, next) =
                    mac.exec_event(&child, PROGRAMS[usize::from(program) % PROGRAMS.len()], With::default());
                tasks.push(next);
            }
        }
    }
    mac
}

proptest! {
    #[test]
    fn a_list_in_any_order_gives_the_same_tree(order in Just((0..7_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let mut shadow = Mac::new();
        let terminal = shadow.open(TERMINAL);
        let login = shadow.spawn(&terminal, apple("/usr/bin/login", "com.apple.login"), &[]);
        let zsh = shadow.spawn(&login, ZSH, &[]);
        let python = shadow.spawn(&zsh, PYTHON, &[]);
        let sh = shadow.spawn(&python, SH, &[]);
        let curl = shadow.spawn(&sh, CURL, &[]);
        let second = shadow.spawn(&zsh, CURL, &[]);
        let tasks = [&terminal, &login, &zsh, &python, &sh, &curl, &second];
        let mut mac = Mac::after(&shadow);
        for at in order {
            mac.list(tasks[at], &[]);
        }
        prop_assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.python3");
        prop_assert_eq!(mac.subject(&second), "apple:com.apple.curl < apple:com.apple.Terminal");
        let ancestors: Vec<i32> = mac.who(&curl).ancestors.iter().map(|ancestor| ancestor.key.pid).collect();
        prop_assert_eq!(ancestors, [&sh, &python, &zsh, &login, &terminal].map(|task| task.info.key.pid));
    }

    #[test]
    fn a_life_told_twice_is_the_same_life(steps in proptest::collection::vec(any::<(u8, u8, u8)>(), 0..80)) {
        let (once, twice) = (live(&steps, false, Settings::default()), live(&steps, true, Settings::default()));
        prop_assert_eq!(told(&once), told(&twice));
        prop_assert_eq!(once.tree.counts(), twice.tree.counts());
    }

    #[test]
    fn the_tree_stays_within_its_bounds(steps in proptest::collection::vec(any::<(u8, u8, u8)>(), 0..200)) {
        let mac = live(&steps, false, Settings { live: 4, ended: 3, ..Settings::default() });
        let counts = mac.tree.counts();
        prop_assert!(counts.live <= 4);
        // The last exit may be one more until the next event.
        prop_assert!(counts.ended <= 4 + 4);
        prop_assert_eq!(mac.tree.rows().len(), counts.live + counts.ended);
    }
}
