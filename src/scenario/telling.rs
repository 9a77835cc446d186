//! How what happened is told: with the clock's ticks, the headers that say what changed, and the times that the Mac's own clock showed.

use std::time::Duration;

use super::Scenario;
use super::language::What;
use super::schedule::Calendar;
use crate::observation::{self, Gap, Observation, RecordingHeader, Timestamp};

/// An observation with the time at which it really happened.
type Told = (Timestamp, Observation);

/// Everything in the order in which it happened, with the times that the Mac's clock showed.
pub(super) fn in_order(scenario: &Scenario, calendar: &Calendar<'_>, told: Vec<Told>) -> Vec<Observation> {
    let mut all = surroundings(scenario, calendar);
    // Processes come before what they send at the same moment, and end after it: sorting keeps the order of equals.
    let of_traffic = |(_, observation): &Told| {
        matches!(observation, Observation::Flow(_) | Observation::Packet(_) | Observation::Exit(_))
    };
    let (traffic, others): (Vec<Told>, Vec<Told>) = told.into_iter().partition(of_traffic);
    all.extend(others.into_iter().chain(traffic));
    all.sort_by_key(|(time, _)| *time);
    let events = scenario.document.events.iter().filter(|event| event.what == What::Clock);
    let wrong: Vec<(Timestamp, Timestamp, Timestamp)> = events
        .filter_map(|event| {
            let from = calendar.instant(event.day, event.at);
            let shown = Timestamp::parse(event.to.as_ref()?.get_ref()).ok()?;
            Some((from, from.after(event.lasts.0), shown))
        })
        .collect();
    all.into_iter()
        .map(|(time, mut observation)| {
            if let Some((from, _, shown)) = wrong.iter().find(|(from, to, _)| (*from..*to).contains(&time)) {
                set_time(&mut observation, shown.after(time.since(*from)));
            }
            observation
        })
        .collect()
}

/// The clock's ticks, the headers that say what changed, and what was lost.
fn surroundings(scenario: &Scenario, calendar: &Calendar<'_>) -> Vec<Told> {
    let (first, last) = calendar.span();
    let (mut time, mut offset) = (first, calendar.offset(first));
    let start = RecordingHeader {
        schema: "tidemark.recording/1".into(),
        host: Some("scenario".into()),
        os_version: Some(scenario.document.mac.os.as_str().into()),
        utc_offset_seconds: Some(offset),
        producer: Some("tidemark test".into()),
        ..RecordingHeader::default()
    };
    let mut told = vec![(Timestamp::MIN, Observation::Recording(Box::new(start)))];
    while time <= last {
        let now = calendar.offset(time);
        if now != offset {
            offset = now;
            let header = RecordingHeader { utc_offset_seconds: Some(now), ..RecordingHeader::default() };
            told.push((time, Observation::Recording(Box::new(header))));
        }
        if calendar.absence(time).is_none() {
            let clock = observation::Clock { time, awake: Some(calendar.awake(time)) };
            told.push((time, Observation::Clock(clock)));
        }
        time = time.after(A_TICK);
    }
    for absence in calendar.absences() {
        if let Some(version) = absence.version {
            let header = RecordingHeader { os_version: Some(version.into()), ..RecordingHeader::default() };
            told.push((absence.to, Observation::Recording(Box::new(header))));
        }
    }
    for event in scenario.document.events.iter().filter(|event| event.what == What::Gap) {
        let time = calendar.instant(event.day, event.at);
        let gap = Gap { time, source: "endpoint security".into(), lost: Some(event.lost) };
        told.push((time, Observation::Gap(Box::new(gap))));
    }
    told
}

fn set_time(observation: &mut Observation, time: Timestamp) {
    match observation {
        Observation::Recording(_) => {}
        Observation::Exec(exec) => exec.message.time = time,
        Observation::Fork(fork) => fork.message.time = time,
        Observation::Exit(exit) => exit.message.time = time,
        Observation::Running(running) => running.time = time,
        Observation::Packet(packet) => packet.time = time,
        Observation::Flow(flow) => flow.time = time,
        Observation::Gap(gap) => gap.time = time,
        Observation::Clock(clock) => clock.time = time,
    }
}

/// How often the clock is told; the observed time of a day rests on it.
const A_TICK: Duration = Duration::from_secs(900);
