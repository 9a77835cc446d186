//! Who could change what the daemon is and is told, and who did.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::rig::{FILE_SINK, Home, until};

fn tampered(home: &Home) -> Vec<String> {
    home.health("tampered").iter().map(|event| event["summary"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_configuration_that_others_may_write_is_told_and_taken_back_when_it_is_mended() {
    let home = Home::new(FILE_SINK);
    let config = home.path("tidemark.toml");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).unwrap();
    let daemon = home.start();
    until("it is told", || tampered(&home).len() == 1);
    let told = tampered(&home).remove(0);
    assert!(told.contains("everybody can change") && told.contains("tidemark.toml"), "{told}");
    let line = || String::from_utf8_lossy(&home.status().stdout).into_owned();
    assert!(line().starts_with("LOOK ") && line().contains("everybody can change"), "{}", line());

    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    daemon.signal(rustix::process::Signal::HUP);
    until("all is well", || home.status().status.success());
    assert_eq!(tampered(&home).len(), 1, "it is told once");
    assert!(daemon.stop().0.success());
}

#[test]
fn a_program_that_was_replaced_under_a_daemon_is_told() {
    let home = Home::new(FILE_SINK);
    let program = home.path("tidemark");
    fs::copy(env!("CARGO_BIN_EXE_tidemark"), &program).unwrap();
    let usual = home.command(&["recording:-"]);
    let mut command = Command::new(&program);
    command.args(usual.get_args());
    let daemon = home.spawn_by(command);
    until("it answers and has looked at itself", || home.status().status.success());
    until("it has looked at itself", || home.status_json()["configured"].is_string());
    daemon.signal(rustix::process::Signal::HUP);
    until("it has read its configuration anew", || home.health("reloaded").len() == 1);
    assert!(tampered(&home).is_empty());

    fs::rename(&program, home.path("before")).unwrap();
    fs::write(&program, "#!/bin/sh\n").unwrap();
    daemon.signal(rustix::process::Signal::HUP);
    until("it is told", || tampered(&home).len() == 1);
    let told = tampered(&home).remove(0);
    assert!(told.contains("was changed on the disk") || told.contains("can no longer be read"), "{told}");
    assert!(daemon.stop().0.success());
}
