//! A baseline that an earlier version stored becomes the present one, and loses nothing that is told of it.
//!
//! `tests/vectors/baseline_v2.ndjson` was exported by the version that stored values of version 2, from the repository's own fortnight; the
//! numbers below are what `tidemark baseline show --json` of that version printed. `baseline_v3.ndjson` is the same as the version wrote it that
//! stored values of version 3.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use std::sync::Arc;

use tidemark::baseline::Priors;
use tidemark::detect::{Detector, Settings, Transfer};
use tidemark::process::{Identity, Subject};

const OLD: &str = include_str!("vectors/baseline_v2.ndjson");
const V3: &str = include_str!("vectors/baseline_v3.ndjson");

#[test]
fn version_two_becomes_the_present_one() {
    tells_what_it_told(OLD);
}

#[test]
fn version_three_becomes_the_present_one() {
    assert!(V3.lines().skip(1).all(|line| line.contains("\"state\":\"03")));
    tells_what_it_told(V3);
}

fn tells_what_it_told(old: &str) {
    let mut mac = Detector::new(Settings::default(), Arc::new(Priors::builtin()));
    let old = Transfer::read(old).unwrap();
    mac.import(&old, false);
    let zoom = Subject { image: Identity::new("BJ4HAAB9B3:us.zoom.xos"), initiator: None };
    let portrait = mac.portrait(&zoom).unwrap();
    let hour = portrait.hour.unwrap();
    assert_eq!((hour.windows, hour.median, hour.p99), (21, 85_200_000, 1_120_000_000));
    let weights = [0.871, 0.891, 0.776, 0.794, 5.948, 4.106, 2.535, 1.845];
    assert_eq!(hour.bins.iter().map(|(_, weight)| *weight).collect::<Vec<_>>(), weights);
    let spoken: Vec<_> = portrait.protocols.iter().map(|s| (s.protocol.as_str(), s.days, s.known)).collect();
    assert_eq!(
        spoken,
        [("unknown/other", 9, true), ("stun/well-known", 9, true), ("tls/well-known", 9, true)]
    );
    assert_eq!((portrait.active_days, portrait.active_hours, portrait.destinations), (9, 22, 1));
}

#[test]
fn what_was_migrated_is_stored_in_the_present_form_and_smaller() {
    let migrated = Transfer::read(OLD).unwrap().to_text();
    assert!(migrated.lines().skip(1).all(|line| line.contains("\"state\":\"04")), "{migrated}");
    assert!(migrated.len() < OLD.len());
    assert_eq!(Transfer::read(&migrated).unwrap().to_text(), migrated);
}
