use super::*;
use crate::alert::{Privacy, PrivacyMode, PrivacySettings, samples};

fn sample(second: i64, image: &str) -> Entry {
    let mut ended = samples::ended(second);
    if let Some(who) = &mut ended.attribution.who {
        let mut changed = (**who).clone();
        changed.subject.image = crate::process::Identity::new(image);
        *who = changed.into();
    }
    Entry::new(&ended, &Privacy::default())
}

fn read(folder: &Path) -> Vec<Entry> {
    Entries::of(folder).unwrap().collect()
}

fn settings(days: u32, max_mib: u32) -> Settings {
    Settings { days, max_mib }
}

#[test]
fn what_was_taken_is_read_back_after_a_restart_and_is_the_flow_that_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("history");
    assert_eq!(read(&folder), []);
    let entries = [sample(10, "apple:a"), sample(11, "apple:b"), sample(12, "apple:c")];
    {
        let mut journal = Journal::open(&folder, &Settings::default()).unwrap();
        journal.take(&entries[0]);
        journal.take(&entries[1]);
    }
    let mut journal = Journal::open(&folder, &Settings::default()).unwrap();
    journal.take(&entries[2]);
    journal.write();
    assert_eq!(read(&folder), entries);
    assert_eq!(segments(&folder).unwrap().len(), 1, "a restart begins no segment");
    // There and back: what is judged anew is told the same.
    for entry in &entries {
        assert_eq!(&Entry::new(&entry.to_ended(), &Privacy::default()), entry);
    }
}

#[test]
fn days_and_bytes_are_bounded_and_the_oldest_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path(), &settings(3, 1)).unwrap();
    for day in 0..10 {
        journal.take(&sample(day * 86_400, "apple:a"));
    }
    journal.write();
    let days: Vec<i64> = read(folder.path()).iter().map(|entry| entry.end.as_seconds() / 86_400).collect();
    assert_eq!(days, [5, 6, 7, 8, 9], "three days, and the one that the oldest segment reaches into");
    for number in 0..5_000 {
        journal.take(&sample(10 * 86_400 + number, "apple:a"));
    }
    journal.write();
    let bytes: u64 = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes <= 1 << 20 && bytes > 1 << 19, "{bytes}");
    assert_eq!(read(folder.path()).last().unwrap().end.as_seconds(), 10 * 86_400 + 4_999);
}

#[test]
fn half_a_line_spoils_no_other() {
    let folder = tempfile::tempdir().unwrap();
    Journal::open(folder.path(), &Settings::default()).unwrap().take(&sample(1, "apple:a"));
    let path = folder.path().join(segments(folder.path()).unwrap()[0].name());
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"start\":\"20").unwrap();
    Journal::open(folder.path(), &Settings::default()).unwrap().take(&sample(2, "apple:a"));
    let mut entries = Entries::of(folder.path()).unwrap();
    assert_eq!(entries.by_ref().count(), 2);
    assert_eq!(entries.unreadable(), 1);
}

#[test]
fn a_disk_that_takes_nothing_costs_the_flows_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path(), &Settings::default()).unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    journal.take(&sample(1, "apple:a"));
    journal.write();
    assert_eq!(journal.left_out(), 1);
    fs::create_dir(folder.path()).unwrap();
    journal.take(&sample(2, "apple:a"));
    journal.write();
    assert_eq!((journal.left_out(), read(folder.path()).len()), (1, 1));
}

#[test]
fn a_user_is_forgotten_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path(), &Settings::default()).unwrap();
    let with = |change: fn(&mut crate::journal::entry::Program)| {
        let mut entry = sample(1, "apple:a");
        let program = entry.program.as_mut().unwrap();
        (program.uid, program.path) = (Some(502), "/usr/bin/curl".into());
        change(program);
        entry
    };
    let kept = with(|_| {});
    journal.take(&with(|program| program.uid = Some(501)));
    journal.take(&kept);
    journal.take(&with(|program| program.path = "/Users/ann/bin/x".into()));
    journal.write();
    assert_eq!(journal.forget(&Person::new("ann", Some(501), &Privacy::default())).unwrap(), 2);
    assert_eq!(read(folder.path()), std::slice::from_ref(&kept));
    journal.take(&kept);
    journal.write();
    assert_eq!(read(folder.path()).len(), 2, "it goes on where it was");
}

#[test]
fn names_that_are_off_are_not_kept() {
    let off = PrivacySettings {
        server_names: PrivacyMode::Off,
        user_names: PrivacyMode::Off,
        ..PrivacySettings::default()
    };
    let mut ended = samples::ended(1);
    let mut who = (**ended.attribution.who.as_ref().unwrap()).clone();
    let mut process = (*who.process).clone();
    process.path = "/Users/annabel/bin/tool".into();
    who.process = process.into();
    ended.attribution.who = Some(who.into());
    let line = serde_json::to_string(&Entry::new(&ended, &Privacy::default())).unwrap();
    let name = ended.flow.identified.metadata.as_ref().unwrap().server_name.clone().unwrap();
    assert!(line.contains("annabel") && line.contains(&*name), "{line}");
    let line = serde_json::to_string(&Entry::new(&ended, &Privacy::new(off, b""))).unwrap();
    assert!(!line.contains("annabel") && !line.contains(&*name), "{line}");
}
