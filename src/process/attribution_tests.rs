use std::time::Duration;

use super::super::simulation::*;
use super::super::{Attribution, Settings};
use super::*;

const SAFARI: Program = apple("/System/Applications/Safari.app/Contents/MacOS/Safari", "com.apple.Safari");
const WEBKIT: Program = apple("/x/com.apple.WebKit.Networking", "com.apple.WebKit.Networking");
const NSURLSESSIOND: Program = apple("/usr/libexec/nsurlsessiond", "com.apple.nsurlsessiond");

fn by_number(mac: &mut Mac, task: &Task, time: Timestamp) -> Attribution {
    mac.tree.attribute(Some(ProcessKey { pid: task.info.key.pid, pidversion: None }), None, time)
}

fn image(attribution: &Attribution) -> Option<&str> {
    attribution.who.as_ref().map(|who| who.subject.image.as_str())
}

#[test]
fn a_generation_names_the_process_exactly() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let flow = mac.flow(&terminal);
    assert_eq!((flow.method, image(&flow)), (Method::Exact, Some("apple:com.apple.Terminal")));
    let unseen = ProcessKey { pid: terminal.info.key.pid, pidversion: Some(999_999) };
    let flow = mac.tree.attribute(Some(unseen), None, mac.now);
    assert_eq!((flow.method, image(&flow)), (Method::None, None));
}

#[test]
fn a_socket_belongs_to_the_image_that_opened_it() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let python = mac.spawn(&terminal, PYTHON, &["python3", "x.py"]);
    let opened = mac.now;
    mac.pass(5);
    let sh = mac.exec(&python, SH, &["/bin/sh", "-i"]);
    let flow = mac.flow(&python);
    assert_eq!((flow.method, image(&flow)), (Method::Exact, Some("apple:com.apple.python3")));
    assert_eq!(image(&by_number(&mut mac, &sh, opened)), Some("apple:com.apple.python3"));
    let now = mac.now;
    assert_eq!(image(&by_number(&mut mac, &sh, now)), Some("apple:com.apple.sh"));
    assert_eq!(mac.subject(&sh), "apple:com.apple.sh < apple:com.apple.python3");
}

#[test]
fn a_number_means_whoever_had_it_when_the_flow_began() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let first = mac.spawn(&terminal, CURL, &["curl", "x"]);
    let during = mac.now;
    mac.pass(10);
    mac.exit(&first);
    mac.pass(10);
    let between = mac.now;
    mac.pass(10);
    let mut parent = terminal.clone();
    parent.info.key = terminal.info.key;
    let (mut fork, mut second) = mac.fork_event(&parent);
    fork.child.key.pid = first.info.key.pid;
    second.info.key.pid = first.info.key.pid;
    mac.tree.fork(&fork);
    let second = mac.exec(&second, PYTHON, &["python3"]);
    let after = mac.now;

    let flow = by_number(&mut mac, &second, during);
    assert_eq!((flow.method, image(&flow)), (Method::Pid, Some("apple:com.apple.curl")));
    assert_eq!(image(&by_number(&mut mac, &second, between)), Some("apple:com.apple.curl"));
    assert_eq!(image(&by_number(&mut mac, &second, after)), Some("apple:com.apple.python3"));
    assert_eq!(image(&mac.flow(&first)), Some("apple:com.apple.curl"));
}

#[test]
fn an_ended_process_counts_for_the_grace_time_and_no_longer() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let curl = mac.spawn(&terminal, CURL, &["curl", "x"]);
    mac.exit(&curl);
    mac.pass(60);
    mac.fork(&terminal);
    assert_eq!(image(&mac.flow(&curl)), Some("apple:com.apple.curl"));
    let late = mac.now.after(Duration::from_secs(1));
    assert_eq!(by_number(&mut mac, &curl, late).method, Method::None);
    mac.pass(1);
    mac.fork(&terminal);
    assert_eq!(mac.flow(&curl).method, Method::None);
    assert_eq!(mac.tree.counts().ended, 0);
}

#[test]
fn a_flow_may_be_stamped_a_moment_before_its_process() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let before = mac.now.after(Duration::from_secs(8));
    mac.pass(9);
    let curl = mac.spawn(&terminal, CURL, &["curl", "x"]);
    assert_eq!(by_number(&mut mac, &curl, before).method, Method::Pid);
    let long_before = mac.now.before(Duration::from_secs(5));
    assert_eq!(by_number(&mut mac, &curl, long_before).method, Method::None);
}

#[test]
fn a_brokers_flow_counts_for_the_process_that_it_serves() {
    let mut mac = Mac::new();
    let daemon = mac.open(NSURLSESSIOND);
    let safari = mac.open(SAFARI);
    let flow = mac.tree.attribute(Some(daemon.info.key), Some(safari.info.key.pid), mac.now);
    assert_eq!((flow.method, image(&flow)), (Method::Effective, Some("apple:com.apple.Safari")));
    assert_eq!(flow.via.unwrap().identity.as_str(), "apple:com.apple.nsurlsessiond");
}

#[test]
fn a_broker_of_one_app_counts_for_the_responsible_app() {
    let mut mac = Mac::new();
    let safari = mac.open(SAFARI);
    let launchd = mac.launchd.clone();
    let mut proxy = mac.fork(&launchd);
    proxy.info.responsible = Some(safari.info.key);
    let webkit = mac.exec(&proxy, WEBKIT, &[]);
    let flow = mac.flow(&webkit);
    assert_eq!((flow.method, image(&flow)), (Method::Effective, Some("apple:com.apple.Safari")));
}

#[test]
fn a_broker_that_serves_nobody_known_counts_for_itself() {
    let mut mac = Mac::new();
    let daemon = mac.open(NSURLSESSIOND);
    for effective in [None, Some(0), Some(-1), Some(77_777), Some(daemon.info.key.pid)] {
        let flow = mac.tree.attribute(Some(daemon.info.key), effective, mac.now);
        assert_eq!((flow.method, image(&flow)), (Method::Exact, Some("apple:com.apple.nsurlsessiond")));
        assert!(flow.via.is_none());
    }
}

#[test]
fn a_tool_is_not_hidden_behind_its_terminal() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let curl = mac.spawn(&terminal, CURL, &["curl", "x"]);
    let flow = mac.tree.attribute(Some(curl.info.key), Some(terminal.info.key.pid), mac.now);
    assert_eq!((flow.method, image(&flow)), (Method::Exact, Some("apple:com.apple.curl")));
}

#[test]
fn where_the_owner_was_never_seen_the_served_process_stands_in() {
    let mut mac = Mac::new();
    let safari = mac.open(SAFARI);
    let unseen = Some(ProcessKey { pid: 88_888, pidversion: None });
    let flow = mac.tree.attribute(unseen, Some(safari.info.key.pid), mac.now);
    assert_eq!((flow.method, image(&flow)), (Method::Effective, Some("apple:com.apple.Safari")));
    assert_eq!(mac.tree.attribute(None, None, mac.now).method, Method::None);
}

#[test]
fn a_listed_process_is_known_by_snapshot_and_its_initiator_is_not() {
    let mut shadow = Mac::new();
    let terminal = shadow.open(TERMINAL);
    let curl = shadow.spawn(&terminal, CURL, &["curl", "x"]);
    let mut mac = Mac::after(&shadow);
    // The child stands first in the list.
    mac.list(&curl, &["curl", "x"]);
    mac.list(&terminal, &[]);
    let flow = mac.flow(&curl);
    assert_eq!(flow.method, Method::Snapshot);
    let who = flow.who.unwrap();
    assert_eq!(who.subject.to_string(), "apple:com.apple.curl < apple:com.apple.Terminal");
    assert!(!who.initiator_known);
    // What it starts from now on is seen to the end.
    let tool = mac.spawn(&terminal, CURL, &["curl", "y"]);
    let flow = mac.flow(&tool);
    assert_eq!(flow.method, Method::Exact);
    assert!(flow.who.unwrap().initiator_known);
}

#[test]
fn who_is_made_once_for_an_image() {
    let mut mac = Mac::with(Settings::default());
    let terminal = mac.open(TERMINAL);
    let (first, second) = (mac.who(&terminal), mac.who(&terminal));
    assert!(Arc::ptr_eq(&first, &second));
}
