//! The learning contract, the budget and the explanation, through the detector's doors.

use std::sync::Arc;
use std::time::Duration;

use super::channel::combine::{Offsets, combine};
use super::*;
use crate::baseline::{Priors, Saved};
use crate::network::Protocol;
use crate::observation::{Timestamp, ZoneOffset};
use crate::process::{Identity, Role, Subject};

const UTC: ZoneOffset = ZoneOffset(0);
const TOOL: Role = Role { tool: true, scripting_host: false, scripted: false };
const SCRIPTED: Role = Role { scripted: true, ..TOOL };
const APP: Role = Role { tool: false, ..TOOL };

fn tls() -> ProtocolUse {
    ProtocolUse::new(Protocol::Tls, 443, Some(Protocol::Tls))
}

fn subject(image: &str, initiator: Option<&str>) -> Subject {
    Subject { image: Identity::new(image), initiator: initiator.map(Identity::new) }
}

/// One Mac whose alerts all leave.
struct Mac {
    detector: Detector,
    time: Timestamp,
    disposition: Disposition,
}

impl Mac {
    fn new(settings: Settings) -> Self {
        let detector = Detector::new(settings, Arc::new(Priors::builtin()));
        // A Monday, so that nothing depends on a weekend.
        Self {
            detector,
            time: Timestamp::from_seconds(20_454 * 86_400, 0),
            disposition: Disposition::Alerted,
        }
    }

    fn wait(&mut self, hours: u64) -> Vec<Digest> {
        let mut digests = Vec::new();
        for _ in 0..hours {
            self.time = self.time.after(Duration::from_secs(3_600));
            digests.extend(self.detector.advance(self.time, UTC, None));
        }
        digests
    }

    fn send(
        &mut self,
        subject: &Subject,
        role: Role,
        protocol: ProtocolUse,
        to: &str,
        out: u64,
    ) -> Option<Finding> {
        let destination: Arc<str> = to.into();
        let finding = self.detector.observe(&Activity {
            time: self.time,
            zone: UTC,
            subject,
            role,
            initiator_seen: true,
            volatile_cdhash: None,
            protocol: Some(protocol),
            destination: Some(&destination),
            bytes_out: out,
            bytes_in: out / 2 + 2_000,
            began: true,
            who: None,
        })?;
        self.detector.dispose(&finding, self.disposition);
        Some(finding)
    }

    /// A flow of these bytes by the tool to where it always goes.
    fn exchange(&mut self, out: u64, received: u64) -> Option<Finding> {
        let destination: Arc<str> = "tool.example".into();
        self.detector.observe(&Activity {
            time: self.time,
            zone: UTC,
            subject: &curl(),
            role: TOOL,
            initiator_seen: true,
            volatile_cdhash: None,
            protocol: Some(tls()),
            destination: Some(&destination),
            bytes_out: out,
            bytes_in: received,
            began: true,
            who: None,
        })
    }

    /// Days in which an app and a tool do what they always do, two hours of each day.
    fn live(&mut self, days: u64) {
        let (app, tool) =
            (subject("TEAM:app", None), subject("apple:curl", Some("apple:com.apple.Terminal")));
        for day in 0..days {
            self.wait(10);
            self.send(&app, APP, tls(), "app.example", 200_000 + day * 1_000);
            self.send(&tool, TOOL, tls(), "tool.example", 30_000 + day * 100);
            self.wait(4);
            self.send(&app, APP, tls(), "app.example", 300_000);
            self.wait(10);
        }
    }
}

fn curl() -> Subject {
    subject("apple:curl", Some("apple:com.apple.Terminal"))
}

#[test]
fn a_burst_by_a_known_tool_to_a_new_place_alerts_and_names_both() {
    let mut mac = Mac::new(Settings::default());
    mac.live(30);
    let finding = mac.send(&curl(), TOOL, tls(), "paste.example", 400_000_000).expect("a finding");
    assert!(
        finding.counts(Channel::Volume) && finding.counts(Channel::Destination),
        "{:?}",
        finding.channels
    );
    assert!(finding.severity >= Severity::Medium);
    assert_eq!(finding.mac_state, BaselineState::Active);
}

#[test]
fn ordinary_days_raise_nothing() {
    let mut mac = Mac::new(Settings::default());
    mac.live(60);
    assert_eq!(mac.detector.summary().held_while_learning, 0);
    assert!(mac.detector.summary().trim <= 0.0);
}

#[test]
fn while_the_mac_learns_a_scripting_host_alerts_and_an_ordinary_departure_stays() {
    let mut mac = Mac::new(Settings::default());
    mac.wait(1);
    let scripted = subject("apple:curl", Some("apple:com.apple.osascript"));
    let first = mac.send(&scripted, SCRIPTED, tls(), "a.example", 50_000).expect("from the first hour");
    assert_eq!(first.mac_state, BaselineState::Learning);

    let mut mac = Mac::new(Settings { alerts_per_mac_per_day: 1.0, ..Settings::default() });
    mac.live(5);
    let found = mac.send(&curl(), TOOL, tls(), "paste.example", 3_000_000);
    assert!(found.as_ref().is_none_or(|f| f.severity >= Severity::High), "{found:?}");
    assert!(mac.detector.summary().held_while_learning >= 1);
}

#[test]
fn the_score_follows_from_the_channels_that_are_told() {
    let mut mac = Mac::new(Settings::default());
    mac.live(30);
    let irc = ProtocolUse::new(Protocol::Irc, 6_667, Some(Protocol::Irc));
    let finding = mac.send(&curl(), TOOL, irc, "irc.example", 60_000_000).expect("a finding");
    let z: Vec<(Channel, f64)> = finding.channels.iter().map(|c| (c.name, c.z)).collect();
    let offsets =
        Offsets { channels: 4, active: finding.active_subjects, trim: finding.trim, first_day: false };
    let again = combine(&z, &offsets);
    assert!((again.score.min(6.0) - finding.score).abs() < 1e-12, "{} and {}", again.score, finding.score);
    for channel in &finding.channels {
        assert_eq!(again.counted.contains(channel.name), channel.counted);
    }
}

#[test]
fn what_would_have_kept_it_quiet_does_keep_it_quiet() {
    let run = |bytes: u64| {
        let mut mac = Mac::new(Settings::default());
        mac.live(30);
        mac.send(&curl(), TOOL, tls(), "tool.example", bytes)
    };
    let finding = run(500_000_000).expect("a finding");
    let limit = finding.unless.iter().find_map(|unless| match unless.condition {
        Condition::BytesAtMost { bytes, .. } if unless.channel == Channel::Volume => Some(bytes),
        _ => None,
    });
    let limit = limit.expect("a limit on volume");
    // What the day had sent before belongs to it as well.
    assert!(limit > 1_000_000 && run(limit * 9 / 10).is_none(), "{limit}");
    assert!(run(limit * 11 / 10).is_some(), "{limit}");
}

#[test]
fn a_scripting_host_that_never_had_a_socket_is_news_after_weeks_and_not_on_day_two() {
    let osascript = subject("apple:com.apple.osascript", None);
    let host = Role { scripting_host: true, ..APP };
    let after = |days: u64| {
        let mut mac = Mac::new(Settings { learn_days: 1, ..Settings::default() });
        for _ in 0..days {
            mac.wait(9);
            mac.detector.image_seen(mac.time, UTC, &osascript, host);
            mac.wait(15);
        }
        mac.wait(9);
        mac.send(&osascript, host, tls(), "evil.example", 20_000)
    };
    let finding = after(30).expect("after thirty days");
    assert!(finding.counts(Channel::Protocol));
    assert_eq!(after(2), None);
}

#[test]
fn the_same_again_within_a_day_is_held_and_a_new_channel_leaves() {
    let mut mac = Mac::new(Settings { alerts_per_mac_per_day: 1.0, ..Settings::default() });
    mac.live(20);
    let redis = ProtocolUse::new(Protocol::Redis, 6_379, Some(Protocol::Redis));
    let first = mac.send(&curl(), TOOL, redis, "a.example", 1_000).expect("a first use");
    assert!(first.severity < Severity::High, "{first:?}");
    assert_eq!(mac.send(&curl(), TOOL, redis, "a.example", 900_000), None, "the same");
    let second = mac.send(&curl(), TOOL, redis, "b.example", 900_000_000).expect("volume joined");
    assert_eq!(second.occurrence, 1);
    assert!(second.held_back >= 1 && second.held.iter().any(|held| held.reason == HeldReason::Repeated));
}

#[test]
fn a_suppressed_finding_moves_nothing_and_alerts_once_when_its_exception_ends() {
    let mut mac = Mac::new(Settings::default());
    mac.live(20);
    mac.disposition = Disposition::Suppressed { learn: false };
    let mut suppressed = 0;
    for day in 0..30 {
        mac.wait(24);
        suppressed +=
            u32::from(mac.send(&curl(), TOOL, tls(), &format!("n{day}.example"), 2_000_000_000).is_some());
    }
    assert!(suppressed > 5, "{suppressed}");
    assert!(mac.detector.summary().trim <= 0.0);
    mac.disposition = Disposition::Alerted;
    mac.wait(24);
    let mut alerts = 0;
    for n in 0..4 {
        let bytes = if n == 0 { 300_000_000_000 } else { 2_000_000 };
        let finding = mac.send(&curl(), TOOL, tls(), &format!("end{n}.example"), bytes);
        alerts += u32::from(finding.is_some());
    }
    assert_eq!(alerts, 1);
}

#[test]
fn an_accepted_behaviour_becomes_usual_and_an_unjudged_one_does_not() {
    let after = |disposition| {
        let mut mac = Mac::new(Settings::default());
        mac.live(20);
        mac.disposition = disposition;
        for _ in 0..6 {
            mac.wait(24);
            mac.send(&curl(), TOOL, tls(), "tool.example", 300_000_000);
        }
        mac.wait(24);
        mac.send(&curl(), TOOL, tls(), "tool.example", 300_000_000).is_some()
    };
    assert!(!after(Disposition::Suppressed { learn: true }));
    assert!(after(Disposition::Suppressed { learn: false }));
}

#[test]
fn noise_spends_the_cap_and_the_grave_one_still_leaves() {
    let mut mac =
        Mac::new(Settings { alerts_per_mac_per_day: 1.0, alerts_per_day_cap: 2, ..Settings::default() });
    mac.live(20);
    let mut left = 0;
    for n in 0..8 {
        let tool = subject("apple:ruby", Some(&format!("TEAM{n}:example")));
        let finding = mac.send(&tool, TOOL, tls(), "a.example", 10_000);
        left += u32::from(finding.is_some_and(|f| f.severity < Severity::High));
    }
    assert_eq!(left, 2, "the cap");
    let grave = mac.send(&curl(), TOOL, tls(), "paste.example", 5_000_000_000).expect("the grave one");
    assert!(grave.severity >= Severity::High);
    let digests = mac.wait(24);
    let capped = digests.iter().find(|digest| digest.reason == HeldReason::Capped).expect("a digest");
    assert!(capped.count >= 1 && !capped.strongest.is_empty());
}

#[test]
fn an_analyst_who_says_benign_ends_it_and_one_who_says_malicious_does_not() {
    let irc = ProtocolUse::new(Protocol::Irc, 6_667, Some(Protocol::Irc));
    let again = |verdict: Option<Verdict>| {
        let mut mac = Mac::new(Settings::default());
        mac.live(25);
        mac.send(&curl(), TOOL, irc, "irc.example", 5_000).expect("a first use");
        mac.wait(30);
        if let Some(verdict) = verdict {
            assert!(mac.detector.feedback(&curl(), verdict));
        }
        mac.wait(20);
        mac.send(&curl(), TOOL, irc, "irc.example", 5_000).is_some()
    };
    assert!(!again(Some(Verdict::Benign)));
    assert!(again(Some(Verdict::Malicious)));
}

#[test]
fn a_confirmed_attack_does_not_count_against_the_budget() {
    let trim = |verdict: Option<Verdict>| {
        let mut mac = Mac::new(Settings::default());
        mac.live(20);
        mac.send(&curl(), TOOL, tls(), "paste.example", 5_000_000_000).expect("a finding");
        mac.wait(30);
        if let Some(verdict) = verdict {
            mac.detector.feedback(&curl(), verdict);
        }
        mac.detector.summary().trim
    };
    assert!(trim(None) > trim(Some(Verdict::Malicious)) + 0.15);
}

#[test]
fn a_wrong_clock_neither_ages_nor_forgets() {
    let mut mac = Mac::new(Settings::default());
    mac.live(20);
    let known = mac.detector.subjects().len();
    let (real, wrong) = (mac.time, mac.time.after(Duration::from_secs(400 * 86_400)));
    for time in [wrong, real, Timestamp::EPOCH, real] {
        mac.detector.advance(time, UTC, None);
    }
    assert_eq!(mac.detector.subjects().len(), known);
    assert!(mac.detector.summary().observed_days <= 22, "{}", mac.detector.summary().observed_days);
    let finding = mac.send(&curl(), TOOL, tls(), "paste.example", 900_000_000);
    assert!(finding.is_some(), "the baseline was lost");
}

#[test]
fn subjects_idle_for_sixty_observed_days_are_forgotten() {
    let mut mac = Mac::new(Settings::default());
    mac.send(&subject("TEAM:once", None), APP, tls(), "a.example", 10);
    mac.live(59);
    assert!(mac.detector.portrait(&subject("TEAM:once", None)).is_some());
    mac.live(4);
    assert!(mac.detector.portrait(&subject("TEAM:once", None)).is_none());
}

#[test]
fn another_build_of_an_unsigned_image_begins_anew() {
    let mut mac = Mac::new(Settings::default());
    let image = subject("path:/Users/x/a.out", None);
    let run = |mac: &mut Mac, cdhash: u8| {
        let activity = Activity {
            time: mac.time,
            zone: UTC,
            subject: &image,
            role: APP,
            initiator_seen: true,
            volatile_cdhash: Some([cdhash; 20]),
            protocol: Some(tls()),
            destination: None,
            bytes_out: 1_000,
            bytes_in: 0,
            began: true,
            who: None,
        };
        mac.detector.observe(&activity);
        mac.detector.portrait(&image).unwrap().active_hours
    };
    run(&mut mac, 1);
    mac.wait(1);
    assert_eq!(run(&mut mac, 1), 2);
    mac.wait(1);
    assert_eq!(run(&mut mac, 2), 1);
}

#[test]
fn the_number_of_subjects_is_bounded_and_counted() {
    let mut mac = Mac::new(Settings { subjects: 100, ..Settings::default() });
    let keep = subject("TEAM:networked", None);
    mac.send(&keep, APP, tls(), "a.example", 10);
    for n in 0..500 {
        mac.detector.image_seen(mac.time, UTC, &subject(&format!("path:/tmp/{n}"), None), APP);
    }
    assert!(mac.detector.summary().subjects <= 100);
    assert!(mac.detector.summary().evicted >= 400);
    assert!(mac.detector.portrait(&keep).is_some(), "what has a socket is kept before what has none");
}

/// Puts a checkpoint into what a store would hold.
fn save(detector: &mut Detector, saved: &mut Saved) {
    let checkpoint = detector.checkpoint();
    saved.time = checkpoint.time;
    saved.host = Some(checkpoint.host);
    for (key, value) in checkpoint.subjects {
        saved.subjects.retain(|(known, _)| *known != key);
        saved.subjects.extend(value.map(|value| (key, value)));
    }
}

#[test]
fn stopping_and_starting_anywhere_changes_no_finding() {
    let road = |mac: &mut Mac, stop: &mut dyn FnMut(&mut Mac)| {
        let mut findings = Vec::new();
        for day in 0..24u64 {
            mac.wait(9);
            for n in 0..6 {
                let image = subject(&format!("TEAM:{n}"), None);
                findings.extend(mac.send(
                    &image,
                    APP,
                    tls(),
                    &format!("d{}.example", day % 7),
                    40_000 * (n + day),
                ));
            }
            findings.extend(mac.send(&curl(), TOOL, tls(), "tool.example", 20_000));
            if day % 9 == 8 {
                let irc = ProtocolUse::new(Protocol::Irc, 6_667, Some(Protocol::Irc));
                findings.extend(mac.send(&curl(), TOOL, irc, &format!("x{day}.example"), 700_000_000));
                findings.extend(mac.send(&curl(), TOOL, irc, &format!("y{day}.example"), 900_000_000));
            }
            stop(mac);
            mac.wait(15);
        }
        findings
    };
    let mut whole = Mac::new(Settings::default());
    let expected = road(&mut whole, &mut |_| {});
    assert!(!expected.is_empty());
    let mut saved = Saved::default();
    let mut stopped = Mac::new(Settings::default());
    let found = road(&mut stopped, &mut |mac| {
        save(&mut mac.detector, &mut saved);
        mac.detector = Detector::restore(Settings::default(), Arc::new(Priors::builtin()), &saved).unwrap();
    });
    assert_eq!(found, expected);
}

#[test]
fn an_export_into_a_fresh_store_is_lossless_and_a_dry_run_changes_nothing() {
    let mut mac = Mac::new(Settings::default());
    mac.live(12);
    let text = mac.detector.export().to_text();
    let transfer = Transfer::read(&text).unwrap();
    let mut fresh = Detector::new(Settings::default(), Arc::new(Priors::builtin()));
    assert_eq!(fresh.import(&transfer, true).added.len(), 2);
    assert!(fresh.subjects().is_empty());
    fresh.import(&transfer, false);
    assert_eq!(fresh.export().to_text(), text);
    assert_eq!(fresh.summary().observed_days, mac.detector.summary().observed_days);
}

#[test]
fn merging_two_macs_commutes() {
    let export = |days| {
        let mut mac = Mac::new(Settings::default());
        mac.live(days);
        mac.detector.export()
    };
    let (young, old) = (export(4), export(15));
    let settings = Settings::default();
    let one = young.clone().merge(old.clone(), &settings).to_text();
    let other = old.merge(young, &settings).to_text();
    assert_eq!(one, other);
}

#[test]
fn a_broken_document_is_refused_with_its_line() {
    assert!(matches!(Transfer::read("{}"), Err(TransferError::Header)));
    let mut mac = Mac::new(Settings::default());
    mac.live(2);
    let text = mac.detector.export().to_text().replace("\"state\":\"04", "\"state\":\"zz");
    let error = Transfer::read(&text).unwrap_err();
    assert!(error.to_string().starts_with("line 2"), "{error}");
}

#[test]
fn bytes_received_are_a_channel_where_it_is_switched_on() {
    let download = |settings: Settings| {
        let mut mac = Mac::new(settings);
        mac.live(30);
        mac.exchange(30_000, 40_000_000_000)
    };
    assert_eq!(download(Settings::default()), None, "volume means bytes sent");
    let finding = download(Settings { bytes_in: true, ..Settings::default() }).expect("a finding");
    assert!(finding.counts(Channel::Received), "{:?}", finding.channels);
}

#[test]
fn the_number_of_flows_is_a_channel_where_it_is_switched_on() {
    let fan_out = |settings: Settings| {
        let mut mac = Mac::new(settings);
        mac.live(30);
        (0..20_000).find_map(|_| mac.exchange(40, 60))
    };
    let often = Settings { alerts_per_mac_per_day: 0.5, ..Settings::default() };
    assert_eq!(fan_out(often.clone()), None);
    let finding = fan_out(Settings { fan_out: true, ..often }).expect("a finding");
    assert!(finding.counts(Channel::FanOut), "{:?}", finding.channels);
}

#[test]
fn a_channel_that_is_switched_on_later_begins_to_learn() {
    let mut mac = Mac::new(Settings::default());
    mac.live(3);
    mac.detector.set_settings(Settings { bytes_in: true, ..Settings::default() });
    mac.live(30);
    let finding = mac.exchange(30_000, 40_000_000_000).expect("a finding");
    let received = finding.channels.iter().find(|c| c.name == Channel::Received).expect("the channel");
    assert!(received.counted && received.evidence["day"]["windows"].as_u64() >= Some(29), "{received:?}");
}

#[test]
fn on_the_first_day_of_a_mac_that_learns_a_great_upload_is_what_an_unknown_program_may_do() {
    let mut mac = Mac::new(Settings::default());
    let backup = subject("TEAM:backup", None);
    mac.wait(2);
    assert_eq!(mac.send(&backup, APP, tls(), "backup.example", 20_000_000_000), None);
    mac.wait(24 * 8);
    let again = mac.send(&backup, APP, tls(), "backup.example", 20_000_000_000);
    assert_eq!(again, None, "what nobody could judge was taken for usual");
    // The same by a program that appears once the Mac knows its own is told.
    let other = subject("TEAM:other", None);
    assert!(mac.send(&other, APP, tls(), "elsewhere.example", 20_000_000_000).is_some());
}

#[test]
fn what_is_high_leaves_while_the_mac_learns() {
    let mut mac = Mac::new(Settings::default());
    mac.live(2);
    let finding = mac.send(&curl(), TOOL, tls(), "paste.example", 50_000_000_000).expect("a finding");
    assert!(finding.severity >= Severity::High, "{finding:?}");
    assert_eq!(finding.mac_state, BaselineState::Learning);
}

#[test]
fn what_takes_the_place_of_a_program_under_another_signer_is_measured_by_its_history() {
    let (app, other) = (subject("TEAM:app", None), subject("OTHER:app", None));
    let sent = |succeeds: bool| {
        let mut mac = Mac::new(Settings::default());
        mac.live(20);
        if succeeds {
            mac.detector.succeeds(&other, &app.image);
        }
        mac.wait(1);
        mac.send(&other, APP, tls(), "elsewhere.example", 60_000_000)
    };
    assert_eq!(sent(false), None, "a new program has no past");
    let finding = sent(true).expect("the program's past is its own");
    assert!(finding.counts(Channel::Destination) && finding.baseline.active_days >= 20, "{finding:?}");
}

#[test]
fn the_days_great_upload_is_not_told_again_in_every_hour_that_is_like_any_other() {
    let mut mac = Mac::new(Settings::default());
    mac.live(30);
    mac.wait(8);
    let app = subject("TEAM:app", None);
    assert!(mac.send(&app, APP, tls(), "elsewhere.example", 4_000_000_000).is_some());
    for hour in 0..6 {
        mac.wait(1);
        assert_eq!(mac.send(&app, APP, tls(), "app.example", 250_000), None, "hour {hour}");
    }
    mac.wait(1);
    assert!(mac.send(&app, APP, tls(), "elsewhere.example", 4_000_000_000).is_some(), "an upload of its own");
}

#[test]
fn while_the_system_settles_its_own_parts_wait_whatever_their_score() {
    let mut mac = Mac::new(Settings::default());
    let (system, other) = (subject("apple:com.apple.daemon", None), subject("TEAM:daemon", None));
    for day in 0..30 {
        for daemon in [&system, &other] {
            mac.send(daemon, APP, tls(), "a.example", 200_000 + day);
        }
        mac.wait(24);
    }
    mac.detector.system_seen("15.5");
    mac.detector.system_seen("26.0");
    let upload = |mac: &mut Mac, daemon| mac.send(daemon, APP, tls(), "b.example", 20_000_000_000);
    assert_eq!(upload(&mut mac, &system), None);
    assert!(upload(&mut mac, &other).is_some_and(|finding| finding.severity >= Severity::High));
}
