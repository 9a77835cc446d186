//! When things happen: local days and times in the zone of the day, with the Mac asleep, off or under way in between.

use std::time::Duration;

use jiff::ToSpan;

use super::Scenario;
use super::dice::Dice;
use super::language::{Event, Flow, Habit, What};
use super::values::{Clock, DAY};
use crate::observation::{Timestamp, ZoneOffset};

/// Something that takes place at a time: a chain of programs with its traffic.
#[derive(Debug, Clone)]
pub(super) struct Act<'a> {
    pub(super) at: Timestamp,
    /// The day it belongs to.
    pub(super) day: u32,
    /// How many acts of its habit or event came before it.
    pub(super) number: u64,
    pub(super) run: &'a str,
    pub(super) job: Option<&'a str>,
    pub(super) responsible: Option<&'a str>,
    pub(super) user: u32,
    pub(super) lives: Duration,
    pub(super) late: Duration,
    pub(super) listed: bool,
    pub(super) flows: &'a [Flow],
    pub(super) dice: Dice,
}

/// The calendar of a scenario.
#[derive(Debug)]
pub(super) struct Calendar<'a> {
    scenario: &'a Scenario,
    /// From when on which zone holds; the first from the beginning of time.
    zones: Vec<(Timestamp, jiff::tz::TimeZone)>,
    /// When the Mac observed nothing, in order.
    absences: Vec<Absence<'a>>,
}

/// A time in which nothing is observed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absence<'a> {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// It starts anew afterwards.
    pub(super) restarts: bool,
    /// Under this version.
    pub(super) version: Option<&'a str>,
}

impl<'a> Calendar<'a> {
    pub(super) fn of(scenario: &'a Scenario) -> Self {
        let zones = vec![(Timestamp::MIN, scenario.zone.clone())];
        let mut calendar = Self { scenario, zones, absences: Vec::new() };
        let mut events: Vec<&Event> = scenario.document.events.iter().collect();
        events.sort_by_key(|event| (event.day, event.at));
        for event in events {
            let from = calendar.instant(event.day, event.at);
            let to = event.to.as_ref().map(|to| to.get_ref().as_str());
            match event.what {
                What::Zone => {
                    let zone = to.and_then(|name| jiff::tz::TimeZone::get(name).ok());
                    calendar.zones.extend(zone.map(|zone| (from, zone)));
                }
                What::Sleep | What::Restart | What::Upgrade => calendar.absences.push(Absence {
                    from,
                    to: from.after(event.lasts.0.max(A_RESTART)),
                    restarts: event.what != What::Sleep,
                    version: to.filter(|_| event.what == What::Upgrade),
                }),
                _ => {}
            }
        }
        calendar
    }

    /// The point in time of a day, counted from 1, and a local time.
    pub(super) fn instant(&self, day: u32, clock: Clock) -> Timestamp {
        let midnight = self.scenario.starts.at(0, 0, 0, 0);
        let local =
            midnight.checked_add((i64::from(day) - 1).days().seconds(i64::from(clock.0))).unwrap_or(midnight);
        let in_zone = |zone: &jiff::tz::TimeZone| {
            zone.to_timestamp(local)
                .map_or(Timestamp::EPOCH, |point| Timestamp::from_seconds(point.as_second(), 0))
        };
        self.zones
            .iter()
            .rev()
            .map(|(from, zone)| (*from, in_zone(zone)))
            .find(|(from, point)| point >= from)
            .map_or(Timestamp::EPOCH, |(_, point)| point)
    }

    /// Seconds east of UTC at a point in time.
    pub(super) fn offset(&self, time: Timestamp) -> ZoneOffset {
        let zone = self.zones.iter().rev().find(|(from, _)| *from <= time).map(|(_, zone)| zone);
        let point = jiff::Timestamp::from_second(time.as_seconds()).unwrap_or_default();
        ZoneOffset(zone.map_or(0, |zone| zone.to_offset(point).seconds()))
    }

    /// The first and the last moment.
    pub(super) fn span(&self) -> (Timestamp, Timestamp) {
        (self.instant(1, Clock(0)), self.instant(self.scenario.document.days, Clock(DAY)))
    }

    /// The absence in which a time lies.
    pub(super) fn absence(&self, time: Timestamp) -> Option<&Absence<'a>> {
        self.absences.iter().find(|absence| absence.from <= time && time < absence.to)
    }

    pub(super) fn absences(&self) -> &[Absence<'a>] {
        &self.absences
    }

    /// The next restart after a time.
    pub(super) fn next_restart(&self, time: Timestamp) -> Option<&Absence<'a>> {
        self.absences.iter().find(|absence| absence.restarts && absence.from > time)
    }

    /// Time since boot without sleep, where the Mac was booted a while before observation began.
    pub(super) fn awake(&self, time: Timestamp) -> Duration {
        let (first, _) = self.span();
        let booted = self
            .absences
            .iter()
            .rev()
            .find(|absence| absence.restarts && absence.to <= time)
            .map(|absence| absence.to);
        let since = booted.unwrap_or_else(|| first.before(UP_BEFORE));
        let slept = self
            .absences
            .iter()
            .filter(|absence| !absence.restarts && absence.from >= since && absence.from < time);
        let slept: Duration = slept.map(|absence| absence.to.min(time).since(absence.from)).sum();
        time.since(since).saturating_sub(slept)
    }

    /// Everything that takes place while the Mac is awake, in order.
    pub(super) fn acts(&self, seed: u64) -> Vec<Act<'a>> {
        let document = &self.scenario.document;
        let mut acts = Vec::new();
        for (index, habit) in document.habits.iter().enumerate() {
            self.habit(habit, index, seed, &mut acts);
        }
        for (index, event) in document.events.iter().enumerate().filter(|(_, event)| event.what == What::Run)
        {
            let Some(run) = &event.run else { continue };
            let from = self.instant(event.day, event.at);
            for number in 0..event.times {
                acts.push(Act {
                    at: from.after(event.every.0.saturating_mul(number)),
                    day: event.day,
                    number: u64::from(number),
                    run: run.get_ref(),
                    job: event.job.as_deref(),
                    responsible: event.responsible.as_ref().map(|name| name.get_ref().as_str()),
                    user: event.user,
                    lives: event.lives.0,
                    late: event.late.0,
                    listed: event.listed,
                    flows: &event.flows,
                    dice: Dice::of(seed, &["event", &index.to_string(), &number.to_string()]),
                });
            }
        }
        acts.retain(|act| self.absence(act.at).is_none());
        acts.sort_by_key(|act| act.at);
        acts
    }

    fn habit(&self, habit: &'a Habit, index: usize, seed: u64, acts: &mut Vec<Act<'a>>) {
        let mut number = 0;
        for day in 1..=self.scenario.document.days {
            let date =
                self.scenario.starts.checked_add((i64::from(day) - 1).days()).unwrap_or(self.scenario.starts);
            let weekday = u8::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0);
            if !habit.days.contains(day) || !habit.on.contains(weekday) || (day - 1) % habit.every_days != 0 {
                continue;
            }
            let mut dice = Dice::of(seed, &["habit", &index.to_string(), &day.to_string()]);
            for moment in moments(habit, &mut dice) {
                let own = Dice::of(dice.next(), &["act"]);
                if dice.share() >= habit.chance {
                    continue;
                }
                acts.push(Act {
                    at: self.instant(day, moment),
                    day,
                    number,
                    run: habit.run.get_ref(),
                    job: habit.job.as_deref(),
                    responsible: habit.responsible.as_ref().map(|name| name.get_ref().as_str()),
                    user: habit.user,
                    lives: habit.lives.0,
                    late: Duration::ZERO,
                    listed: false,
                    flows: &habit.flows,
                    dice: own,
                });
                number += 1;
            }
        }
    }
}

/// The moments of a day at which a habit shows.
fn moments(habit: &Habit, dice: &mut Dice) -> Vec<Clock> {
    let spans: Vec<(u32, u32)> = habit
        .hours
        .0
        .iter()
        .map(|(from, to)| (from.0, if to > from { to.0 - from.0 } else { DAY + to.0 - from.0 }))
        .collect();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a day, not negative"
    )]
    let within = |from: u32, length: u32, share: f64| Clock(from + (f64::from(length) * share) as u32);
    let Some(every) = habit.every else {
        return (0..habit.times.unwrap_or(1))
            .filter_map(|_| {
                dice.one_of(&spans).copied().map(|(from, length)| within(from, length, dice.share()))
            })
            .collect();
    };
    let every = u32::try_from(every.0.as_secs()).unwrap_or(u32::MAX);
    let rhythm =
        |(from, length): (u32, u32)| (0..length / every).map(move |beat| (from + beat * every, every));
    let beats: Vec<(u32, u32)> = spans.into_iter().flat_map(rhythm).collect();
    beats.into_iter().map(|(from, length)| within(from, length, dice.share())).collect()
}

/// How long a Mac takes to come up again.
pub(super) const A_RESTART: Duration = Duration::from_secs(60);
/// How long the Mac has been up when observation begins.
const UP_BEFORE: Duration = Duration::from_secs(2 * 86_400);
