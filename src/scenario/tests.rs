use super::*;
use crate::observation::FlowState;

fn wrong(text: &str) -> String {
    Scenario::parse(text).unwrap_err().to_string()
}

fn small(rest: &str) -> Scenario {
    let text = format!(
        "title = \"A small Mac\"\ndays = 3\n[mac]\nordinary = false\nzone = \"UTC\"\n{rest}\n[expect]\n"
    );
    Scenario::parse(&text).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// The reports of flows: seconds since the first day's beginning, bytes sent, state, process.
fn reports(scenario: &Scenario) -> Vec<(i64, u64, FlowState, i32)> {
    let start = 1_772_409_600;
    let of = |observation: &Observation| match observation {
        Observation::Flow(flow) => {
            Some((flow.time.as_seconds() - start, flow.bytes_out, flow.state, flow.pid?))
        }
        _ => None,
    };
    scenario.recording(1).iter().filter_map(of).collect()
}

#[test]
fn what_is_misspelt_is_named_with_its_line_and_what_was_meant() {
    let key = wrong("title = \"x\"\n[[habit]]\nrun = \"Mail\"\nevry = \"1 h\"\n[expect]");
    assert!(key.contains("line 4") && key.contains("did you mean `every`"), "{key}");
    let program =
        wrong("title = \"x\"\n[[event]]\nday = 1\nat = \"10:00\"\nrun = \"Terminal > zhs > curl\"\n[expect]");
    assert!(
        program.contains("line 5") && program.contains("`zhs`") && program.contains("`zsh`"),
        "{program}"
    );
    let protocol = wrong(
        "title = \"x\"\n[[habit]]\nrun = \"Mail\"\nflow = [{ to = \"a.example\", protocol = \"imaps\" }]\n[expect]",
    );
    assert!(protocol.contains("did you mean `imap`"), "{protocol}");
    let subject = wrong("title = \"x\"\n[[expect.alert]]\nsubject = \"crul < Mail\"\nday = 1");
    assert!(subject.contains("line 3") && subject.contains("`curl`"), "{subject}");
}

#[test]
fn what_cannot_be_is_refused() {
    for (text, part) in [
        ("title = \"x\"", "no `[expect]`"),
        ("title = \"x\"\ndays = 0\n[expect]", "between 1 and"),
        ("title = \"x\"\n[[event]]\nday = 17\nat = \"10:00\"\nrun = \"Mail\"\n[expect]", "day 17 of 16"),
        ("title = \"x\"\n[[event]]\nday = 1\nat = \"10:00\"\n[expect]", "needs `run`"),
        ("title = \"x\"\n[[event]]\nday = 1\nat = \"10:00\"\nwhat = \"sleep\"\n[expect]", "needs `for`"),
        ("title = \"x\"\n[mac]\nzone = \"Europe/Berlim\"\n[expect]", "no time zone"),
        ("title = \"x\"\nexceptions = \"[[exception]]\"\n[expect]", "exception"),
    ] {
        assert!(wrong(text).contains(part), "{}", wrong(text));
    }
}

#[test]
fn the_ordinary_mac_names_only_programs_that_it_has() {
    let text = "title = \"x\"\n[expect]";
    let scenario = Scenario::parse(text).unwrap();
    assert!(scenario.document.habits.len() > 10);
    for habit in &scenario.document.habits {
        assert!(!scenario.chain(habit.run.get_ref()).steps.is_empty(), "{}", habit.run.get_ref());
    }
}

#[test]
fn a_recording_is_the_same_every_time_and_another_under_another_seed() {
    let scenario = small("[[habit]]\nrun = \"Mail\"\nevery = \"1 h\"\nflow = [{ to = \"a.example\" }]");
    let text = |seed| format!("{:?}", scenario.recording(seed));
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

#[test]
fn counters_grow_through_a_sleep_and_are_told_after_it() {
    let scenario = small(
        "[[event]]\nday = 1\nat = \"10:00\"\nrun = \"Mail\"\nflow = [{ to = \"a.example\", sends = 80000, over = \"8 h\", spread = 1.0 }]\n\
         [[event]]\nday = 1\nat = \"11:00\"\nwhat = \"sleep\"\nfor = \"6 h\"",
    );
    let told = reports(&scenario);
    assert!(told.iter().all(|(time, ..)| !(11 * 3_600..17 * 3_600).contains(time)), "{told:?}");
    assert_eq!(told.last().map(|(_, bytes, state, _)| (*bytes, *state)), Some((80_000, FlowState::Closed)));
    let woken = told.iter().find(|(time, ..)| *time >= 17 * 3_600).unwrap();
    assert!(woken.1 > 69_000, "{woken:?}");
}

#[test]
fn a_restart_cuts_a_flow_and_the_program_goes_on_with_the_rest() {
    let scenario = small(
        "[[event]]\nday = 1\nat = \"10:00\"\nrun = \"Mail\"\nflow = [{ to = \"a.example\", sends = 80000, over = \"2 h\", spread = 1.0 }]\n\
         [[event]]\nday = 1\nat = \"11:00\"\nwhat = \"restart\"",
    );
    let told = reports(&scenario);
    let before =
        told.iter().filter(|(time, ..)| *time < 11 * 3_600).map(|(_, bytes, ..)| *bytes).max().unwrap();
    let after =
        told.iter().filter(|(time, ..)| *time > 11 * 3_600).map(|(_, bytes, ..)| *bytes).max().unwrap();
    assert_eq!(before + after, 80_000);
    assert_eq!(told.iter().filter(|(.., state, _)| *state == FlowState::Closed).count(), 1);
}

#[test]
fn a_day_of_23_hours_has_23() {
    let scenario = Scenario::parse(
        "title = \"x\"\ndays = 1\n[mac]\nordinary = false\nzone = \"Europe/Berlin\"\nstarts = \"2026-03-29\"\n[expect]",
    )
    .unwrap();
    let (first, last) = schedule::Calendar::of(&scenario).span();
    assert_eq!(last.since(first).as_secs(), 23 * 3_600);
}

#[test]
fn a_difference_says_what_was_expected_and_what_was_seen() {
    let scenario = Scenario::parse(
        "title = \"x\"\ndays = 2\n[mac]\nordinary = false\n[[event]]\nday = 1\nat = \"10:00\"\n\
         run = \"osascript > sh -c x => curl x\"\nflow = [{ to = \"a.example\" }]\n[expect]",
    )
    .unwrap();
    let outcome = scenario.run(1);
    assert!(!outcome.holds());
    let [difference] = outcome.differences.as_slice() else { panic!("{outcome:?}") };
    assert_eq!(difference.expected, "no alerts");
    assert!(
        difference.seen.contains("apple:com.apple.curl < apple:com.apple.osascript"),
        "{}",
        difference.seen
    );
}
