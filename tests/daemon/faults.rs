use std::fs;

use crate::rig::{FILE_SINK, Home, departure, recording, tick, until};

#[test]
fn a_source_that_ends_ends_the_daemon_with_everything_delivered() {
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    for number in 0..20 {
        daemon.feed(&departure(number, "2026-03-02T08:00:00.000000000Z"));
    }
    daemon.close();
    let (status, said) = daemon.end();
    assert!(status.success(), "{said}");
    assert_eq!(home.alerts().len(), 20);
    assert_eq!((home.health("started").len(), home.health("stopping").len()), (1, 1));
}

#[test]
fn a_source_that_says_nothing_does_not_keep_the_daemon_from_answering_or_ending() {
    let home = Home::new(FILE_SINK);
    let daemon = home.start();
    assert!(home.status().status.success());
    let (status, said) = daemon.stop();
    assert!(status.success(), "{said}");
}

#[test]
fn sigterm_in_the_middle_of_a_burst_loses_nothing_that_was_alerted_on() {
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    let feeding = 2_000;
    for number in 0..feeding {
        if number == feeding / 2 {
            daemon.signal(rustix::process::Signal::TERM);
        }
        let time = format!("2026-03-02T08:{:02}:{:02}.000000000Z", number / 60, number % 60);
        daemon.feed_while_it_lasts(&departure(number, &time));
    }
    let (status, said) = daemon.end();
    assert!(status.success(), "{said}");
    let sequences: Vec<u64> =
        home.alerts().iter().map(|alert| alert["host"]["sequence"].as_u64().unwrap()).collect();
    // Every event that was numbered is there, once, in order.
    let expected: Vec<u64> = (1..=sequences.len() as u64).collect();
    assert!(sequences.len() > 100, "{}", sequences.len());
    assert_eq!(sequences, expected);
}

#[test]
fn a_second_daemon_on_one_state_is_turned_away_and_the_first_goes_on() {
    let home = Home::new(FILE_SINK);
    let first = home.start();
    let (status, said) = home.spawn("recording:-").end();
    assert_eq!(status.code(), Some(74), "{said}");
    assert!(said.contains("in use by another process"), "{said}");
    assert!(home.status().status.success());
    assert!(first.stop().0.success());
}

#[test]
fn a_state_that_cannot_be_written_is_said_at_the_start() {
    let home = Home::new(FILE_SINK);
    home.write("state", "a file stands where the folder should");
    let (status, said) = home.spawn("recording:-").end();
    assert_eq!(status.code(), Some(74), "{said}");
    assert!(said.contains("state"), "{said}");
}

#[test]
fn a_store_that_was_damaged_is_set_aside_and_the_daemon_observes() {
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    daemon.feed(&departure(1, "2026-03-02T08:00:00.000000000Z"));
    daemon.close();
    assert!(daemon.end().0.success());
    for file in ["conf", "db"] {
        fs::write(home.state().join("baselines").join(file), b"not a store any more").unwrap();
    }
    let mut daemon = home.start();
    daemon.feed(&departure(2, "2026-03-02T08:10:00.000000000Z"));
    daemon.feed(&tick("2026-03-02T08:10:10Z"));
    until("it alerts", || {
        home.alerts().iter().any(|alert| alert["time"].as_str().unwrap().contains("08:10"))
    });
    assert!(daemon.stop().0.success());
    let aside = fs::read_dir(home.state())
        .unwrap()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("baselines.corrupt-"));
    assert!(aside);
    assert_eq!(
        store_resets(&home),
        ["medium", "high"],
        "a first start, and one with a store that could not be read"
    );
}

#[test]
fn a_start_that_remembers_the_mac_tells_of_no_reset_and_a_removed_store_is_told() {
    let home = Home::new(FILE_SINK);
    for _ in 0..2 {
        let mut daemon = home.start();
        daemon.feed(&departure(1, "2026-03-02T08:00:00.000000000Z"));
        daemon.close();
        assert!(daemon.end().0.success());
    }
    assert_eq!(store_resets(&home), ["medium"]);
    fs::remove_dir_all(home.state().join("baselines")).unwrap();
    let mut daemon = home.start();
    daemon.close();
    assert!(daemon.end().0.success());
    assert_eq!(store_resets(&home), ["medium", "medium"]);
}

/// The severities of the health events that tell of a lost store, in the order in which they came.
fn store_resets(home: &Home) -> Vec<String> {
    let resets = home.health("store_reset").into_iter();
    resets.map(|event| event["severity"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn clocks_that_jump_a_day_both_ways_stop_nothing() {
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    for (number, time) in
        [(1, "2026-03-02T08:00:00Z"), (2, "2026-03-03T08:00:00Z"), (3, "2026-03-02T08:00:05Z")]
    {
        daemon.feed(&tick(time));
        daemon.feed(&departure(number, time));
    }
    daemon.feed(&tick("2026-03-03T08:00:20Z"));
    until("each is alerted on", || home.alerts().len() == 3);
    assert!(home.status().status.success());
    assert!(daemon.stop().0.success());
}

#[test]
fn an_ordinary_fortnight_gives_the_daemon_no_more_alerts_than_it_gives_a_replay() {
    let (_, sink) = FILE_SINK.split_once('\n').unwrap();
    let home = Home::new(sink);
    let mut daemon = home.start();
    daemon.feed(&recording("fortnight.ndjson.gz"));
    daemon.close();
    assert!(daemon.end().0.success());
    assert_eq!(home.alerts().len(), 0, "an ordinary fortnight");
}
