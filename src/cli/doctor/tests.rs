use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::files;
use super::*;

fn patient(folder: &Path, config: &str) -> Patient {
    let path = folder.join("tidemark.toml");
    fs::write(&path, config).unwrap();
    Patient { config: Some(path), managed: folder.join("managed.plist"), state: folder.join("state") }
}

fn found<'a>(findings: &'a [Finding], check: &str) -> Vec<&'a Finding> {
    findings.iter().filter(|finding| finding.check == check).collect()
}

fn one<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
    match found(findings, check).as_slice() {
        [finding] => finding,
        other => panic!("{check}: {other:?}"),
    }
}

#[test]
fn every_failure_and_warning_has_its_mend() {
    let folder = tempfile::tempdir().unwrap();
    for config in [
        "",
        "[detection]\nlearn_dais = 1",
        "[[delivery.sink]]\ntype='hec'\nname='s'\nurl='https://s'\ntoken_file='no'",
    ] {
        for finding in files::findings(&patient(folder.path(), config)) {
            let needs = matches!(finding.result, Health::Failed | Health::Warning);
            assert_eq!(finding.mend.is_some(), needs, "{finding:?}");
        }
    }
}

#[test]
fn a_wrong_configuration_fails_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let findings = files::findings(&patient(folder.path(), "[detection]\nlearn_dais = 1"));
    let configuration = one(&findings, "configuration");
    assert_eq!(configuration.result, Health::Failed);
    assert!(configuration.says.contains("tidemark.toml:2") && configuration.says.contains("learn_dais"));
    assert!(found(&findings, "sinks").is_empty(), "nothing is said of what could not be read");
}

#[test]
fn a_receiver_whose_token_is_missing_fails_and_one_that_refuses_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let findings = files::findings(&patient(
        folder.path(),
        "[[delivery.sink]]\ntype='hec'\nname='splunk'\nurl='https://s'\ntoken_file='no'",
    ));
    let sink = one(&findings, "sinks");
    assert_eq!(sink.result, Health::Failed);
    assert!(sink.says.contains("splunk"), "{sink:?}");

    let patient = patient(folder.path(), "[[delivery.sink]]\ntype='file'\nname='f'\npath='alerts.ndjson'");
    fs::create_dir(&patient.state).unwrap();
    let status = r#"{"sinks":[{"name":"f","state":"refused","last_error":"403 Forbidden"}]}"#;
    fs::write(patient.state.join("status.json"), status).unwrap();
    let findings = files::findings(&patient);
    let sink = one(&findings, "sinks");
    assert!(sink.result == Health::Failed && sink.says.contains("403 Forbidden"), "{sink:?}");
    assert_eq!(one(&findings, "daemon").result, Health::Ok, "its status is fresh");
}

#[test]
fn a_daemon_that_stopped_and_a_clock_that_was_set_back_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let patient = patient(folder.path(), "");
    fs::create_dir(&patient.state).unwrap();
    let status = fs::File::create(patient.state.join("status.json")).unwrap();
    let (now, hour) = (std::time::SystemTime::now(), std::time::Duration::from_hours(1));
    status.set_modified(now - hour).unwrap();
    assert_eq!(one(&files::findings(&patient), "daemon").result, Health::Failed);
    status.set_modified(now + hour).unwrap();
    assert_eq!(one(&files::findings(&patient), "clock").result, Health::Warning);
}

#[test]
fn a_state_that_others_may_read_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let patient = patient(folder.path(), "");
    fs::create_dir(&patient.state).unwrap();
    for (mode, result) in [(0o755, Health::Warning), (0o700, Health::Ok)] {
        fs::set_permissions(&patient.state, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(one(&files::findings(&patient), "state").result, result);
    }
}

#[test]
fn a_store_that_cannot_be_read_fails_and_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let patient = patient(folder.path(), "");
    let store = patient.state.join("baselines");
    drop(crate::baseline::Store::open(&store).unwrap());
    assert_eq!(one(&files::findings(&patient), "store").result, Health::Ok);
    fs::write(store.join("conf"), b"no configuration of sled's").unwrap();
    let before = fs::read_dir(&patient.state).unwrap().count();
    assert_eq!(one(&files::findings(&patient), "store").result, Health::Failed);
    assert_eq!(fs::read_dir(&patient.state).unwrap().count(), before, "nothing was set aside");
    assert_eq!(fs::read(store.join("conf")).unwrap(), b"no configuration of sled's");
}

#[test]
fn other_products_are_read_from_macos_own_list() {
    let list = r#"<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>extensions</key><array>
        <dict><key>identifier</key><string>com.example.filter</string><key>state</key><string>activated_enabled</string>
        <key>categories</key><array><string>com.apple.system_extension.network_extension</string></array></dict>
        <dict><key>identifier</key><string>com.example.gone</string><key>state</key><string>terminated_waiting_to_uninstall_on_reboot</string>
        <key>categories</key><array><string>com.apple.system_extension.endpoint_security</string></array></dict>
        <dict><key>identifier</key><integer>3</integer></dict></array></dict></plist>"#;
    let found = extensions::active(list.as_bytes()).unwrap();
    assert_eq!(found.len(), 1);
    assert!(
        found[0].identifier == "com.example.filter" && found[0].is_network && !found[0].is_endpoint_security
    );
    assert_eq!(extensions::active(b"bplist00"), None);
}

#[test]
fn a_configuration_that_others_may_write_fails() {
    let folder = tempfile::tempdir().unwrap();
    let patient = patient(folder.path(), "");
    assert_eq!(one(&files::findings(&patient), "permissions").result, Health::Ok);
    let path = patient.config.clone().unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
    let findings = files::findings(&patient);
    let permissions = one(&findings, "permissions");
    assert!(
        permissions.result == Health::Failed && permissions.says.contains("tidemark.toml"),
        "{permissions:?}"
    );
}
