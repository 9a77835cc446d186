//! Compares the volume score with vectors of its reference: how far apart are they?
//!
//! `volume_vectors < VECTORS`: each line holds the values learnt (bytes, day), `x` in bytes, and the reference's log10 of the probability of a
//! value at least as large, for the prior of hourly bytes out. Prints how many were compared, the largest difference and where it was, and exits 1
//! where that exceeds 10^−6. `scripts/volume_vectors.py` makes the vectors.

#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::io::{self, BufRead};
use std::process::ExitCode;

use serde::Deserialize;
use tidemark::baseline::{Histogram, Priors, bits, volume};

#[derive(Deserialize)]
struct Vector {
    learnt: Vec<(u64, u32)>,
    x: u64,
    log10_p: f64,
}

fn main() -> io::Result<ExitCode> {
    let priors = Priors::builtin();
    let (mut compared, mut largest, mut place) = (0u64, 0.0f64, String::from("nowhere"));
    let (mut learnt, mut histogram) = (Vec::new(), Histogram::default());
    for line in io::stdin().lock().lines() {
        let vector: Vector = serde_json::from_str(&line?)?;
        // Several lines ask of the same history.
        if compared == 0 || vector.learnt != learnt {
            histogram = Histogram::default();
            for &(bytes, day) in &vector.learnt {
                histogram.learn(bits(bytes), 1.0, day, HALF_LIFE_DAYS);
            }
            learnt = vector.learnt;
        }
        let found = volume::log10_p(&histogram, &priors.out.hour, bits(vector.x));
        let difference = (found - vector.log10_p).abs();
        compared += 1;
        if difference > largest || difference.is_nan() {
            largest = difference;
            place =
                format!("x = {}, after {} values: {found}, not {}", vector.x, learnt.len(), vector.log10_p);
        }
    }
    println!("{compared} compared, largest difference {largest:.2e} ({place})");
    let agrees = compared > 0 && largest <= MOST_DIFFERENCE;
    Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The half-life of the reference, in days.
const HALF_LIFE_DAYS: f64 = 30.0;
/// What the reference takes for agreement, in powers of ten.
const MOST_DIFFERENCE: f64 = 1e-6;
