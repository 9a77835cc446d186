use crate::rig::{FILE_SINK, Home, tick, until};

const EXCEPTION: &str = "[[exception]]\nid = 'x'\nowner = 'it@example.com'\nreason = 'test'\ncreated = 2026-01-01\nexpires = 2026-12-31\n\
                         channels = ['volume']\nmatch.image = 'apple:com.apple.curl'\n";

#[test]
fn a_change_is_taken_by_itself_a_broken_one_leaves_the_last_good_in_force_and_both_are_said() {
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    daemon.feed(&tick("2026-03-02T08:00:00Z"));
    assert!(home.status().status.success());

    home.write("tidemark.toml", &FILE_SINK.replace("learn_days = 0", "learn_days = 3"));
    until("the change is told", || !home.health("reloaded").is_empty());
    let told = home.health("reloaded")[0]["summary"].to_string();
    assert!(told.contains("detection.learn_days"), "{told}");

    home.write("tidemark.toml", &FILE_SINK.replace("learn_days", "lern_days"));
    until("the mistake is told", || !home.health("reload_refused").is_empty());
    let told = home.health("reload_refused")[0]["summary"].to_string();
    assert!(told.contains("learn_days"), "{told}");
    let status = home.status();
    let line = String::from_utf8(status.stdout).unwrap();
    assert!(
        status.status.code() == Some(1) && line.starts_with("LOOK ") && line.contains("learn_days"),
        "{line}"
    );

    home.write("tidemark.toml", FILE_SINK);
    until("all is well again", || home.status().status.success());
    assert!(daemon.stop().0.success());
}

#[test]
fn broken_exceptions_leave_the_last_good_ones_in_force() {
    let home = Home::new(&format!("exceptions = {{ directory = 'exceptions.d' }}\n{FILE_SINK}"));
    home.write("exceptions.d/x.toml", EXCEPTION);
    let daemon = home.start();
    assert_eq!(home.status_json()["engine"]["exceptions"], 1);
    home.write("exceptions.d/x.toml", &EXCEPTION.replace("owner", "ownr"));
    daemon.signal(rustix::process::Signal::HUP);
    until("the mistake is told", || !home.health("reload_refused").is_empty());
    assert_eq!(home.status_json()["engine"]["exceptions"], 1);
    home.write("exceptions.d/x.toml", &(EXCEPTION.to_owned() + &EXCEPTION.replace("'x'", "'y'")));
    daemon.signal(rustix::process::Signal::HUP);
    until("both are in force", || home.status_json()["engine"]["exceptions"] == 2);
    assert!(daemon.stop().0.success());
}

#[test]
fn a_sink_that_comes_by_a_reload_gets_what_still_waits_for_one_that_goes() {
    // A port that nobody listens on: bound, and let go.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let detection = FILE_SINK.lines().next().unwrap();
    let down = format!(
        "{detection}\n[[delivery.sink]]\ntype = 'webhook'\nname = 'down'\nurl = 'http://{address}/'\nproxy = 'none'\n"
    );
    let home = Home::new(&down);
    let mut daemon = home.start();
    for number in 0..5 {
        daemon.feed(&crate::rig::departure(number, "2026-03-02T08:00:00.000000000Z"));
    }
    daemon.feed(&tick("2026-03-02T08:00:10Z"));
    until("alerts wait", || home.status_json()["spool"]["queues"]["alerts"]["waiting"] == 5);
    let line = String::from_utf8(home.status().stdout).unwrap();
    assert!(line.contains("sink down waits"), "{line}");
    home.write("tidemark.toml", FILE_SINK);
    daemon.signal(rustix::process::Signal::HUP);
    until("they arrive", || home.alerts().len() == 5);
    until("all is well", || home.status().status.success());
    assert!(daemon.stop().0.success());
}
