//! The volume score against the vectors of its reference.
//!
//! Each line of `tests/vectors/bayes_pot.jsonl` holds the values learnt (bytes, day), the values asked for, and log10 of the probability of
//! a value at least as large, as the reference implementation of Bayes-POT printed them for the prior of hourly bytes out.

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

// A test's own helpers may fail as the test does.

use serde::Deserialize;
use tidemark::baseline::{Histogram, Priors, bits, volume};

#[derive(Deserialize)]
struct Vector {
    learnt: Vec<(u64, u32)>,
    x: Vec<u64>,
    log10_p: Vec<f64>,
}

#[test]
fn the_volume_score_agrees_with_its_reference() {
    let priors = Priors::builtin();
    let mut checked = 0;
    for line in include_str!("vectors/bayes_pot.jsonl").lines() {
        let vector: Vector = serde_json::from_str(line).unwrap();
        let mut histogram = Histogram::default();
        for &(bytes, day) in &vector.learnt {
            histogram.learn(bits(bytes), 1.0, day, 30.0);
        }
        for (&bytes, &expected) in vector.x.iter().zip(&vector.log10_p) {
            let found = volume::log10_p(&histogram, &priors.out.hour, bits(bytes));
            assert!((found - expected).abs() <= 1e-6, "{bytes}: {found}, not {expected}");
            checked += 1;
        }
    }
    assert!(checked >= 500, "only {checked} values");
}
