//! Flows that ended are kept, found again, and judged anew.

use serde_json::Value;

use crate::rig::{FILE_SINK, Home, departure, recording, tick, until};

fn history(home: &Home, arguments: &[&str]) -> Vec<Value> {
    let done = home.ask(&[&["history", "--json"], arguments].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_else_a_program_talked_to_is_found_while_the_daemon_runs_and_after_a_kill() {
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    for number in 1..=3 {
        daemon.feed(&departure(number, &format!("2026-03-02T08:0{number}:00.000000000Z")));
    }
    daemon.feed(&tick("2026-03-02T08:04:00Z"));
    until("all are kept", || history(&home, &[]).len() == 3);
    daemon.signal(rustix::process::Signal::KILL);
    daemon.end();
    let all = history(&home, &[]);
    assert_eq!(all[0]["program"]["image"], "apple:com.apple.curl");
    assert_eq!(
        (&all[0]["server_name"], &all[0]["bytes_out"]),
        (&"files.example.net".into(), &40_000_000.into())
    );
    assert_eq!(history(&home, &["--destination", "example.net"]).len(), 3);
    assert_eq!(history(&home, &["--destination", "198.51.100.23"]).len(), 3);
    assert_eq!(history(&home, &["--destination", "other.example"]).len(), 0);
    assert_eq!(history(&home, &["--image", "Job2.app"]).len(), 1, "the initiator is looked at as well");
    assert_eq!(history(&home, &["--pid", "1003"]).len(), 1);
    assert_eq!(history(&home, &["--since", "90s"]).len(), 2);
    assert_eq!(history(&home, &["--since", "2026-03-02T08:02:30Z"]).len(), 1);
    let people = String::from_utf8(home.ask(&["history", "--pid", "1003"]).stdout).unwrap();
    assert!(people.contains("tls files.example.net (198.51.100.23:443)  sent 40.0 MB"), "{people}");
}

#[test]
fn no_history_is_kept_where_none_is_wanted() {
    let home = Home::new(&FILE_SINK.replacen("detection", "history = { days = 0 }\ndetection", 1));
    let mut daemon = home.start();
    daemon.feed(&departure(1, "2026-03-02T08:00:00.000000000Z"));
    daemon.close();
    assert!(daemon.end().0.success());
    assert!(history(&home, &[]).is_empty() && !home.state().join("history").exists());
}

#[test]
fn a_backtest_says_what_a_budget_and_an_exception_would_have_changed() {
    let (_, sink) = FILE_SINK.split_once('\n').unwrap();
    let home = Home::new(&format!("detection = {{ learn_days = 3 }}\n{sink}"));
    let mut daemon = home.start();
    daemon.feed(&recording("fortnight.ndjson.gz"));
    daemon.feed(&recording("attack.ndjson"));
    for number in 0..3 {
        daemon.feed(&departure(number, &format!("2026-06-15T12:0{number}:00.000000000Z")));
    }
    daemon.close();
    assert!(daemon.end().0.success());
    let config = home.path("tidemark.toml");
    let backtest = |arguments: &[&str]| -> Value {
        let always = ["backtest", "--json", "--config", config.to_str().unwrap()];
        let done = home.ask(&[&always, arguments].concat());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    };
    let same = backtest(&["--budget", "0.05"]);
    assert_eq!(same["in_force"], same["proposed"], "the budget that is in force changes nothing");
    assert!(
        same["in_force"]["findings"].as_u64().unwrap() >= 1 && same["flows"].as_u64().unwrap() > 1_000,
        "{same}"
    );
    let louder = backtest(&["--budget", "5.0"]);
    assert!(louder["proposed"]["findings"].as_u64() > louder["in_force"]["findings"].as_u64(), "{louder}");

    home.write(
        "new.toml",
        "[[exception]]\nid = 'x'\nowner = 'it@example.com'\nreason = 'test'\ncreated = 2026-01-01\nexpires = 2026-12-31\n\
         match.image = 'apple:com.apple.curl'\n",
    );
    let quieter = backtest(&["--exceptions", home.path("new.toml").to_str().unwrap()]);
    assert!(quieter["proposed"]["suppressed"].as_u64().unwrap() >= 1, "{quieter}");
    assert!(
        quieter["changed"].as_object().unwrap().values().all(|change| change.as_i64() < Some(0)),
        "{quieter}"
    );
    let nothing = home.ask(&["backtest", "--config", config.to_str().unwrap()]);
    assert_eq!(nothing.status.code(), Some(2), "what would be different has to be named");
}
