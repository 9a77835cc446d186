//! The order of the merged stream, and that a split changes nothing.

use std::fmt::Write as _;
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering as AtomicOrdering};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::observation::{LinkType, Packet, PacketOwner};
use crate::source::{OpenOptions, RecordingReader, Source};

const SECOND: i64 = 1_000_000_000;

/// A recording from its text.
fn input(name: &str, text: &str) -> Input {
    let reader = RecordingReader::new(Cursor::new(text.to_owned()), name, Origin(0));
    Input::from_source(Box::new(reader), Origin(0))
}

fn timestamp(nanos: i64) -> String {
    Timestamp::from_nanos(nanos).to_string()
}

/// A gap whose number of losses tells it from others: the shortest observation.
fn line(nanos: i64, tag: u64) -> String {
    format!(r#"{{"gap":{{"time":"{}","source":"test","lost":{tag}}}}}"#, timestamp(nanos))
}

fn header(host: &str) -> String {
    format!(r#"{{"recording":{{"schema":"tidemark.recording/1","host":"{host}"}}}}"#)
}

fn exit(nanos: i64, seq_num: u64) -> String {
    format!(
        r#"{{"event":{{"exit":{{"stat":0}}}},"process":{{"audit_token":{{"pid":7}}}},"time":"{}","seq_num":{seq_num}}}"#,
        timestamp(nanos)
    )
}

fn text(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |text, line| text + line + "\n")
}

/// The tags of the stream's gaps; a header shows as its host.
fn tags(merged: &mut Merged) -> Vec<String> {
    merged
        .map(|observation| match observation {
            Observation::Gap(gap) => gap.lost.unwrap_or_default().to_string(),
            Observation::Recording(header) => header.host.as_deref().unwrap_or_default().to_owned(),
            other => format!("{other:?}"),
        })
        .collect()
}

/// Whatever the stream holds, in full.
fn all(merged: impl Iterator<Item = Observation>) -> String {
    merged.fold(String::new(), |mut text, observation| {
        writeln!(text, "{observation:?}").unwrap();
        text
    })
}

#[test]
fn a_sorted_input_passes_as_it_is() {
    let lines: Vec<String> =
        (0..10_000_u32).map(|n| line(i64::from(n) / 3 * SECOND / 100, n.into())).collect();
    let mut merged = Merged::new(vec![input("a", &text(&lines))]);
    let expected: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    assert_eq!(tags(&mut merged), expected);
    let report = &merged.reports()[0];
    assert_eq!((report.observations, report.reordered, report.out_of_order), (10_000, 0, 0));
}

#[test]
fn what_is_a_little_late_is_put_in_its_place_and_counted() {
    let lines =
        [line(0, 1), line(2 * SECOND, 2), line(4 * SECOND, 4), line(3 * SECOND, 3), line(20 * SECOND, 5)];
    let mut merged = Merged::new(vec![input("a", &text(&lines))]);
    assert_eq!(tags(&mut merged), ["1", "2", "3", "4", "5"]);
    let report = &merged.reports()[0];
    assert_eq!((report.reordered, report.out_of_order), (1, 0));
}

#[test]
fn equal_times_keep_their_order_when_others_are_put_right() {
    let lines = [line(2, 3), line(2, 4), line(1, 1), line(2, 5), line(1, 2)];
    assert_eq!(tags(&mut Merged::new(vec![input("a", &text(&lines))])), ["1", "2", "3", "4", "5"]);
}

#[test]
fn what_is_too_late_comes_as_it_is_met_and_is_counted() {
    let lines =
        [line(0, 1), line(10 * SECOND, 2), line(20 * SECOND, 3), line(SECOND, 4), line(30 * SECOND, 5)];
    let mut merged = Merged::new(vec![input("a", &text(&lines))]);
    assert_eq!(tags(&mut merged), ["1", "2", "4", "3", "5"]);
    let report = &merged.reports()[0];
    assert_eq!((report.reordered, report.out_of_order), (0, 1));
}

#[test]
fn one_time_in_the_far_future_does_not_disturb_the_rest() {
    let mut lines = vec![line(i64::MAX, 9)];
    lines.extend((0..9).map(|n| line(i64::from(n) * SECOND, u64::try_from(n).unwrap())));
    let mut merged = Merged::new(vec![input("a", &text(&lines))]);
    assert_eq!(tags(&mut merged), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

#[test]
fn inputs_merge_by_time_and_rank_by_their_first_times() {
    let early = text(&[line(1, 1), line(5, 51), line(9, 9)]);
    let late = text(&[line(3, 3), line(5, 52), line(6, 6)]);
    for inputs in [[("a", &early), ("b", &late)], [("b", &late), ("a", &early)]] {
        let mut merged = Merged::new(inputs.iter().map(|(name, text)| input(name, text)).collect());
        assert_eq!(tags(&mut merged), ["1", "3", "51", "52", "6", "9"]);
        let names: Vec<String> = merged.reports().iter().map(|report| report.name.to_string()).collect();
        assert_eq!(names, inputs.map(|(name, _)| name), "reports stand in the order given");
    }
}

#[test]
fn a_header_comes_right_before_what_follows_it_in_its_input() {
    let first = text(&[header("mac"), line(1, 1), line(5, 5), header("mac"), line(9, 9), header("mac")]);
    let second = text(&[line(0, 0), line(7, 7), line(12, 12)]);
    let mut merged = Merged::new(vec![input("a", &first), input("b", &second)]);
    assert_eq!(tags(&mut merged), ["0", "mac", "1", "5", "7", "mac", "9", "mac", "12"]);
}

#[test]
fn headers_in_a_file_of_their_own_come_before_the_next_input_given() {
    let (first, second) = (text(&[line(1, 1)]), text(&[line(2, 2)]));
    let inputs = |order: [&str; 3]| {
        order.map(|name| {
            input(
                name,
                if name == "a" {
                    &first
                } else if name == "b" {
                    &second
                } else {
                    HEADER
                },
            )
        })
    };
    let stream = |order| tags(&mut Merged::new(inputs(order).into()));
    assert_eq!(stream(["header", "a", "b"]), ["mac", "1", "2"]);
    assert_eq!(stream(["a", "header", "b"]), ["1", "mac", "2"]);
    assert_eq!(stream(["a", "b", "header"]), ["1", "2", "mac"]);
}

/// A recording that is only a header.
const HEADER: &str = r#"{"recording":{"schema":"tidemark.recording/1","host":"mac"}}"#;

#[test]
fn endless_headers_are_not_held() {
    let lines = text(&vec![header("mac"); 10_000]);
    assert_eq!(tags(&mut Merged::new(vec![input("a", &lines)])).len(), 10_000);
}

#[test]
fn two_hosts_on_one_road_are_reported() {
    let lines = |host: &str, at| text(&[header(host), line(at, 1)]);
    let mut merged = Merged::new(vec![input("a", &lines("mac-1", 1)), input("b", &lines("mac-2", 2))]);
    assert_eq!(merged.by_ref().count(), 4);
    assert_eq!(merged.warnings().len(), 1);
    assert!(merged.warnings()[0].starts_with("b was recorded on mac-2"), "{:?}", merged.warnings());
    let mut same = Merged::new(vec![input("a", &lines("mac-1", 1)), input("b", &lines("mac-1", 2))]);
    assert_eq!(same.by_ref().count(), 4);
    assert!(same.warnings().is_empty());
}

/// Endless packets of one size, one a millisecond, that counts how many were taken.
struct Packets {
    length: usize,
    taken: Arc<AtomicU32>,
    report: SourceReport,
}

impl Iterator for Packets {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        let number = self.taken.fetch_add(1, AtomicOrdering::Relaxed);
        Some(Observation::Packet(Packet {
            time: Timestamp::from_nanos(i64::from(number) * 1_000_000),
            origin: Origin(0),
            interface: None,
            link_type: LinkType::ETHERNET,
            wire_length: 0,
            data: vec![0; self.length].into(),
            direction: None,
            owner: PacketOwner::default(),
            flow_id: None,
        }))
    }
}

impl Source for Packets {
    fn report(&self) -> &SourceReport {
        &self.report
    }
}

#[test]
fn the_look_ahead_is_bounded_in_bytes_and_in_number() {
    for (length, most) in [(64 << 10, 4), (1 << 10, 256), (0, 4_096)] {
        let taken = Arc::new(AtomicU32::new(0));
        let packets = Packets { length, taken: Arc::clone(&taken), report: SourceReport::new("packets") };
        let mut merged = Merged::new(vec![Input::from_source(Box::new(packets), Origin(0))]);
        for given in 1..5_000 {
            merged.next();
            let ahead = taken.load(AtomicOrdering::Relaxed) - given;
            assert!(ahead <= most, "{ahead} packets of {length} bytes");
        }
    }
}

/// Files in a directory that goes with them.
fn files(texts: &[impl AsRef<[u8]>]) -> (TempDir, Vec<PathBuf>) {
    let directory = TempDir::new().unwrap();
    let write = |(number, text): (usize, _)| {
        let path = directory.path().join(format!("part-{number}.ndjson"));
        fs::write(&path, text).unwrap();
        path
    };
    let paths = texts.iter().enumerate().map(write).collect();
    (directory, paths)
}

fn joined(paths: &[PathBuf]) -> Merged {
    Merged::new(Input::all(paths, Origins::Joined, &OpenOptions::default()))
}

#[test]
fn one_input_that_is_missing_does_not_keep_the_others_from_being_read() {
    let (directory, mut paths) = files(&[line(1, 1), String::new(), line(2, 2)]);
    paths.insert(1, directory.path().join("none"));
    let mut merged = joined(&paths);
    assert_eq!(tags(&mut merged), ["1", "2"]);
    assert!(matches!(merged.failures(), [OpenError::Missing { .. }]));
    let ended: Vec<bool> = merged.reports().iter().map(|report| report.ended_early.is_some()).collect();
    assert_eq!(ended, [false, true, false, false]);
}

#[test]
fn unrelated_inputs_have_origins_of_their_own() {
    let flow = |time: i64| {
        let time = timestamp(time);
        format!(
            r#"{{"flow":{{"time":"{time}","flow_id":"1","transport":"tcp","local":"192.0.2.1:1","remote":"192.0.2.2:2","state":"open"}}}}"#
        )
    };
    let (_directory, paths) = files(&[flow(2), flow(1)]);
    let origins = |origins| -> Vec<u32> {
        Merged::new(Input::all(&paths, origins, &OpenOptions::default()))
            .filter_map(|observation| match observation {
                Observation::Flow(flow) => Some(flow.origin.0),
                _ => None,
            })
            .collect()
    };
    assert_eq!(origins(Origins::PerInput), [1, 0]);
    assert_eq!(origins(Origins::Joined), [0, 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn inputs_are_open_only_while_they_are_due() {
    let texts: Vec<String> = (0..60).map(|n| text(&[line(n * 100, 0), line(n * 100 + 50, 1)])).collect();
    let (directory, paths) = files(&texts);
    let open = || {
        let descriptors = fs::read_dir("/proc/self/fd").unwrap();
        descriptors
            .filter_map(|descriptor| fs::read_link(descriptor.ok()?.path()).ok())
            .filter(|path| path.starts_with(directory.path()))
            .count()
    };
    let merged = joined(&paths);
    assert_eq!(open(), 0);
    let most = merged.map(|_| open()).max();
    assert_eq!(most, Some(1));
}

#[test]
fn two_recorders_side_by_side_have_sequences_of_their_own() {
    let first = text(&[exit(0, 10), exit(20 * SECOND, 11), exit(40 * SECOND, 12)]);
    let second = text(&[exit(10 * SECOND, 500), exit(30 * SECOND, 501), exit(50 * SECOND, 502)]);
    let third = text(&[exit(60 * SECOND, 900), exit(70 * SECOND, 901)]);
    let (_directory, paths) = files(&[&first, &second]);
    assert_eq!(joined(&paths).filter(|seen| matches!(seen, Observation::Gap(_))).count(), 0);
    // What begins after both ended goes on where the later one ended.
    let (_directory, paths) = files(&[second, third]);
    let lost: Vec<_> = joined(&paths)
        .filter_map(|seen| match seen {
            Observation::Gap(gap) => gap.lost,
            _ => None,
        })
        .collect();
    assert_eq!(lost, [397]);
    // Unrelated inputs never go on in each other.
    let unrelated = Merged::new(Input::all(&paths, Origins::PerInput, &OpenOptions::default()));
    assert_eq!(unrelated.filter(|seen| matches!(seen, Observation::Gap(_))).count(), 0);
}

/// Cuts lines into parts after the given ones.
fn split(lines: &[String], cuts: &[prop::sample::Index]) -> Vec<String> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(lines.len() + 1)).collect();
    ends.extend([0, lines.len()]);
    ends.sort_unstable();
    ends.windows(2).map(|part| text(&lines[part[0]..part[1]])).collect()
}

/// Lines of a recording at these times, with losses among the numbers of its events.
fn recording(times: impl IntoIterator<Item = i64>, kinds: &[(u8, u64)]) -> Vec<String> {
    let mut seq_num = 0;
    times
        .into_iter()
        .zip(kinds)
        .map(|(time, (kind, jump))| match kind {
            0 => header("mac"),
            1 => line(time, *jump),
            2 => line(time, *jump).replace("\"test\"", "\"eslogger\""),
            _ => {
                seq_num += 1 + jump;
                exit(time, seq_num)
            }
        })
        .collect()
}

fn kinds() -> impl Strategy<Value = Vec<(u8, u64)>> {
    proptest::collection::vec((0..8_u8, prop_oneof![4 => Just(0), 1 => 1..5_u64]), 1..60)
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    proptest::collection::vec(any::<prop::sample::Index>(), 0..4)
}

proptest! {
    #[test]
    fn the_parts_of_a_sorted_recording_give_what_the_whole_gives(
        kinds in kinds(), steps in proptest::collection::vec(prop_oneof![Just(0), Just(SECOND), Just(20 * SECOND)], 60), cuts in cuts(),
        turned: bool,
    ) {
        let mut now = 0;
        let times = steps.into_iter().map(|step| { now += step; now });
        let lines = recording(times, &kinds);
        let (_whole, whole) = files(&[text(&lines)]);
        let (_parts, mut parts) = files(&split(&lines, &cuts));
        // The order in which they are named decides only among parts that begin at the same time.
        let mut begins: Vec<_> =
            parts.iter().filter_map(|part| joined(std::slice::from_ref(part)).find_map(|seen| seen.time())).collect();
        begins.dedup();
        if turned && begins.len() == parts.len() {
            parts.reverse();
        }
        prop_assert_eq!(all(joined(&parts)), all(joined(&whole)));
    }

    #[test]
    fn the_parts_of_a_recording_in_slight_disorder_give_what_the_whole_gives(
        kinds in proptest::collection::vec((1..8_u8, prop_oneof![4 => Just(0), 1 => 1..5_u64]), 8..60),
        late in proptest::collection::vec(0..4_i64, 60), cut: prop::sample::Index,
    ) {
        // Each line is late by up to four seconds, and no two have the same time. No headers: which line one precedes is lost where the
        // cut follows it. And no part so short that disorder alone decides which begins first.
        let times = late.into_iter().zip(0..).map(|(late, n)| n * SECOND - late * SECOND + n);
        let lines = recording(times, &kinds);
        let cut = 8 + cut.index(lines.len() - 7);
        let (_whole, whole) = files(&[text(&lines)]);
        let (_parts, parts) = files(&[text(&lines[..cut]), text(&lines[cut..])]);
        prop_assert_eq!(all(joined(&parts)), all(joined(&whole)));
    }

    #[test]
    fn nothing_is_lost_or_made_whatever_the_times(times in proptest::collection::vec(any::<i64>(), 0..200), cuts in cuts()) {
        let lines: Vec<String> = times.iter().zip(0..).map(|(time, tag)| line(*time, tag)).collect();
        let (_directory, parts) = files(&split(&lines, &cuts));
        let mut tags: Vec<usize> = tags(&mut joined(&parts)).iter().map(|tag| tag.parse().unwrap()).collect();
        tags.sort_unstable();
        prop_assert_eq!(tags, (0..times.len()).collect::<Vec<_>>());
    }
}
