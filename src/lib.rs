//! tidemark learns, for each program on a Mac, which protocols it speaks and how much it moves, and raises an alert when a
//! program does what it never did. It implements MITRE ATT&CK analytic AN1227 (strategy DET0444, technique T1071).
//!
//! # The road
//!
//! ```text
//!  source ──► Observation ──► engine ──────────────────────────► Finding ──► exceptions ──► Alert ──► sink
//!                             process   network   baseline  detect
//!                             who?      what?     usual?    how unusual?
//! ```
//!
//! Read the rooms in the order of the road: [`observation`] (the shared words), [`source`] (where observations come from), [`process`]
//! (who acted), [`network`] (what was said), [`baseline`] (what is usual), [`detect`] (how unusual this is), [`engine`] (the one place
//! that walks an observation down the road), [`exceptions`] (what the organisation has accepted), [`alert`] (the document), [`journal`] (what flows ended), [`sink`]
//! (delivery), [`daemon`] (the live wiring), [`managed`] (what an MDM ships) and [`cli`] (one file a verb). An import runs with the road, never against it.
//!
//! The engine does no I/O and knows no wall clock: time comes with the observations, so the same recording gives the same alerts to
//! the byte, on any machine.

mod cursor;
mod lines;
mod lock;

pub mod observation;

pub mod config;

pub mod managed;

pub mod source;

pub mod process;

pub mod network;

pub mod baseline;

pub mod detect;

pub mod engine;

pub mod exceptions;

pub mod alert;

pub mod journal;

pub mod sink;

pub mod daemon;

pub mod scenario;

pub mod cli;
