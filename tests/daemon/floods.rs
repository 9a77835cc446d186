//! More than a Mac does: the daemon stays within its bounds and says what made room for what.

use std::fmt::Write as _;

use crate::rig::{FILE_SINK, Home, departure, tick, until};

/// What the daemon may use at most in these tests: the promise is 100 MB at 2,000 subjects; these are ten times as many, in a build for tests.
const MOST_BYTES: u64 = 250_000_000;

fn resident(home: &Home) -> u64 {
    home.status_json()["usage"]["resident_bytes"].as_u64().unwrap_or(0)
}

#[test]
fn ten_thousand_subjects_in_a_minute_are_bounded_and_counted() {
    let home = Home::new(&FILE_SINK.replace("learn_days = 0", "learn_days = 0, subjects = 2000"));
    let mut daemon = home.start();
    for number in 0..10_000_u32 {
        let millis = number * 6;
        let time = format!("2026-03-02T08:00:{:02}.{:03}000000Z", millis / 1_000, millis % 1_000);
        daemon.feed(&departure(number, &time));
    }
    daemon.feed(&tick("2026-03-02T08:01:10Z"));
    let observations = || home.status_json()["engine"]["observations"].as_u64().unwrap_or(0);
    until("all are seen", || observations() >= 30_000);
    let baselines = home.status_json()["engine"]["baselines"].clone();
    assert!(baselines["subjects"].as_u64().unwrap() <= 2_000, "{baselines}");
    assert!(baselines["evicted"].as_u64().unwrap() >= 8_000, "{baselines}");
    assert!(resident(&home) < MOST_BYTES, "{} bytes", resident(&home));
    let (status, said) = daemon.stop();
    assert!(status.success(), "{said}");
}

/// Flows of one program, each to a destination of its own, that stay open.
fn flows(range: std::ops::Range<u32>) -> Vec<u8> {
    let mut lines = String::new();
    for number in range {
        let [_, a, b, c] = number.to_be_bytes();
        let second = number / 20_000;
        writeln!(
            lines,
            "{{\"flow\":{{\"time\":\"2026-03-02T08:{:02}:{:02}Z\",\"flow_id\":\"f{number}\",\"pid\":1003,\"pidversion\":3009,\"transport\":\"tcp\",\
             \"local\":\"192.0.2.1:50000\",\"remote\":\"20.{a}.{b}.{c}:443\",\"direction\":\"outbound\",\"protocol\":\"tls\",\"bytes_out\":1000,\
             \"bytes_in\":1000,\"packets_out\":3,\"packets_in\":3,\"state\":\"open\"}}}}",
            1 + second / 60,
            second % 60,
        )
        .unwrap();
    }
    lines.into_bytes()
}

#[test]
fn three_hundred_thousand_destinations_of_one_subject_are_bounded_and_counted() {
    destinations_are_bounded_and_counted(300_000);
}

#[test]
#[ignore = "takes minutes in a build for tests: cargo test --release --test daemon -- --ignored million"]
fn a_million_destinations_of_one_subject_are_bounded_and_counted() {
    destinations_are_bounded_and_counted(1_000_000);
}

fn destinations_are_bounded_and_counted(destinations: u32) {
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    daemon.feed(&departure(1, "2026-03-02T08:00:00.000000000Z"));
    let observations = || home.status_json()["engine"]["observations"].as_u64().unwrap_or(0);
    let mut after_a_part = 0;
    for part in 0..destinations / 50_000 {
        daemon.feed(&flows(part * 50_000..(part + 1) * 50_000));
        if part == 3 {
            // Some are still on their way; the table is full by then.
            until("a part is seen", || observations() >= 140_000);
            after_a_part = resident(&home);
        }
    }
    daemon.feed(&tick("2026-03-02T08:03:00Z"));
    until("all are seen", || observations() >= u64::from(destinations));
    let status = home.status_json();
    let engine = &status["engine"];
    assert!(engine["live_flows"].as_u64().unwrap() <= 131_072, "{engine}");
    assert!(
        engine["evicted_flows"].as_u64().unwrap() >= u64::from(destinations) - 200_000,
        "what made room is counted: {engine}"
    );
    assert!(engine["baselines"]["subjects"].as_u64().unwrap() < 10);
    let at_the_end = resident(&home);
    assert!(at_the_end < after_a_part + after_a_part / 4, "{after_a_part} bytes, then {at_the_end}");
    assert!(at_the_end < 2 * MOST_BYTES, "{at_the_end} bytes");
    let (ended, said) = daemon.stop();
    assert!(ended.success(), "{said}");
}
