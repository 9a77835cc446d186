//! `tidemark baseline`: what was learnt, to look at, to move and to correct.

use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::inputs::Setup;
use super::run::{BASELINES, DEFAULT_STATE};
use super::status::failure;
use super::{Code, Failure};
use crate::baseline::{Checkpoint, Priors, Store, StoreError};
use crate::daemon::{Client, ControlError, Request};
use crate::detect::{Detector, Distribution, Portrait, Transfer, Verdict};
use crate::process::{Identity, Subject};

/// Looks at what was learnt, moves it and corrects it.
///
/// A subject is written as it is printed: `apple:com.apple.curl < apple:com.apple.Terminal`, or an image alone.
///
/// Examples:
///   tidemark baseline list
///   tidemark baseline show 'apple:com.apple.curl < apple:com.apple.Terminal'
///   tidemark baseline export > mac.ndjson && tidemark baseline import --dry-run mac.ndjson
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// The state's folder, as given to `tidemark run`; the store is in it.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE, global = true)]
    state: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Where the store is.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The folder of the store; `baselines` in the state's folder where none is named.
    #[arg(long, value_name = "FOLDER", global = true)]
    store: Option<PathBuf>,
    #[command(flatten)]
    pub(super) setup: Setup,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Lists the subjects that are known.
    List {
        /// Prints one JSON object a subject.
        #[arg(long)]
        json: bool,
    },
    /// Shows one subject: its hours and days, protocols, destinations and state.
    Show {
        /// The subject.
        subject: String,
        /// Prints it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Writes every baseline to standard output.
    Export,
    /// Takes an exported document in: what is unknown is added, what is known is merged.
    Import {
        /// The document; `-` is standard input.
        file: PathBuf,
        /// Says what would change, and changes nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Merges exported documents into one, on standard output. The order does not matter.
    Merge {
        /// The documents.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Forgets a subject.
    Forget {
        /// The subject.
        subject: String,
    },
    /// Says that what a subject did so far is normal, so that it is learnt in full.
    Approve {
        /// The subject.
        subject: String,
    },
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let place = args.place.or_in(&args.state);
    match &args.what {
        What::List { json } => list(&place.open()?.1, *json, &mut out)?,
        What::Show { subject, json } => {
            let (_, detector) = place.open()?;
            let portrait = detector.portrait(&parse_subject(subject)).ok_or_else(|| unknown(subject))?;
            if *json { write_json(&mut out, &portrait)? } else { show(&portrait, &mut out)? }
        }
        What::Export => out.write_all(place.open()?.1.export().to_text().as_bytes())?,
        What::Import { file, dry_run } => {
            let (store, mut detector) = place.open()?;
            let imported = detector.import(&read_transfer(file)?, *dry_run);
            let would = if *dry_run { "would be " } else { "" };
            for (subjects, done) in [(&imported.added, "added"), (&imported.merged, "merged")] {
                for subject in subjects {
                    writeln!(out, "{would}{done}: {subject}")?;
                }
            }
            if !*dry_run {
                store.save(&mut detector)?;
            }
        }
        What::Merge { files } => {
            let config = place.setup.config()?;
            let mut documents = files.iter().map(|file| read_transfer(file));
            let Some(first) = documents.next() else { return Ok(()) };
            let merged = documents
                .try_fold(first?, |all, next| Ok::<_, Failure>(all.merge(next?, &config.detection)))?;
            out.write_all(merged.to_text().as_bytes())?;
        }
        What::Forget { subject } => {
            if let Some(mut daemon) = place.daemon()? {
                let request = Request::Forget { subject: parse_subject(subject) };
                return daemon.ask(request).map(drop).map_err(|error| failure(&error));
            }
            let (store, mut detector) = place.open()?;
            if !detector.forget(&parse_subject(subject)) {
                return Err(unknown(subject));
            }
            store.save(&mut detector)?;
        }
        What::Approve { subject } => {
            if let Some(mut daemon) = place.daemon()? {
                let request = Request::Approve { subject: parse_subject(subject) };
                return daemon.ask(request).map(drop).map_err(|error| failure(&error));
            }
            let (mut store, mut detector) = place.open()?;
            let named = parse_subject(subject);
            if !detector.feedback(&named, Verdict::Benign) {
                let nothing = format!("nothing of `{subject}` waits for a word");
                return Err(Failure::new(Code::CheckFailed, nothing));
            }
            store.settle(named.to_string());
            store.save(&mut detector)?;
        }
    }
    out.flush()?;
    Ok(())
}

/// An open store that a detector was read from.
pub(super) struct OpenStore {
    pub(super) store: Store,
    /// What the engine keeps beside the baselines: a verb leaves it as it was, so that the next run goes on from it.
    road: Option<Vec<u8>>,
    /// What the next engine is to close.
    settled: Vec<String>,
}

impl OpenStore {
    /// Writes what changed.
    pub(super) fn save(&self, detector: &mut Detector) -> Result<(), Failure> {
        self.write(detector.checkpoint())
    }

    /// Has the next engine close the findings that have this key, or this subject.
    pub(super) fn settle(&mut self, what: String) {
        if !self.settled.contains(&what) {
            self.settled.push(what);
        }
    }

    /// Writes a checkpoint.
    pub(super) fn write(&self, mut checkpoint: Checkpoint) -> Result<(), Failure> {
        checkpoint.road.clone_from(&self.road);
        checkpoint.settled.clone_from(&self.settled);
        self.store.write(&checkpoint).map_err(|error| Failure::new(Code::Io, error))
    }
}

impl Place {
    /// This place, which is in a state's folder where it is not named.
    pub(super) fn or_in(&self, state: &Path) -> Located<'_> {
        let store = self.store.clone().unwrap_or_else(|| state.join(BASELINES));
        Located { store, setup: &self.setup }
    }
}

/// A store's folder and the settings that it is read with.
pub(super) struct Located<'a> {
    store: PathBuf,
    setup: &'a Setup,
}

impl Located<'_> {
    /// The daemon that has this store open, where one runs: it is asked to do what else is done to the store itself.
    pub(super) fn daemon(&self) -> Result<Option<Client>, Failure> {
        let Some(state) = self.store.parent() else { return Ok(None) };
        match Client::connect(state) {
            Ok(client) => Ok(Some(client)),
            Err(ControlError::Absent { .. }) => Ok(None),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Opens a store that exists, and reads the detector from it. A verb never makes a store, nor sets one aside.
    pub(super) fn open(&self) -> Result<(OpenStore, Detector), Failure> {
        let folder = &self.store;
        if !folder.is_dir() {
            let message = format!("there is no store in {}: name its folder with --store", folder.display());
            return Err(Failure::new(Code::NoInput, message));
        }
        let store = Store::open_as_it_is(folder).map_err(|error| match error {
            StoreError::Corrupt { .. } | StoreError::Newer { .. } => Failure::new(Code::BadData, error),
            _ => Failure::new(Code::NoInput, error),
        })?;
        let saved = store.load().map_err(|error| Failure::new(Code::BadData, error))?;
        let settings = self.setup.config()?.detection;
        let detector = Detector::restore(settings, Arc::new(Priors::builtin()), &saved)
            .map_err(|error| Failure::new(Code::BadData, error))?;
        Ok((OpenStore { store, road: saved.road, settled: saved.settled }, detector))
    }
}

/// Reads a subject as it is printed.
pub(super) fn parse_subject(text: &str) -> Subject {
    match text.split_once(" < ") {
        Some((image, by)) => Subject { image: Identity::new(image), initiator: Some(Identity::new(by)) },
        None => Subject { image: Identity::new(text), initiator: None },
    }
}

fn unknown(subject: &str) -> Failure {
    let message = format!("`{subject}` is not known: `tidemark baseline list` prints what is");
    Failure::new(Code::CheckFailed, message)
}

/// Reads a file, or standard input for `-`.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    let unreadable = |error| Failure::new(Code::NoInput, format!("cannot read {}: {error}", path.display()));
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map_err(unreadable)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

fn read_transfer(path: &Path) -> Result<Transfer, Failure> {
    Transfer::read(&read_text(path)?)
        .map_err(|error| Failure::new(Code::BadData, format!("{}: {error}", path.display())))
}

fn write_json(out: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

fn list(detector: &Detector, json: bool, out: &mut impl Write) -> io::Result<()> {
    let portraits = detector.subjects().into_iter().filter_map(|subject| detector.portrait(subject));
    for portrait in portraits {
        if json {
            write_json(out, &portrait)?;
        } else {
            let state = state(&portrait);
            writeln!(
                out,
                "{state:8} {:4} days {:5} hours  {}",
                portrait.active_days, portrait.active_hours, portrait.subject
            )?;
        }
    }
    Ok(())
}

fn state(portrait: &Portrait) -> &'static str {
    match portrait.state {
        crate::detect::BaselineState::Learning => "learning",
        crate::detect::BaselineState::Active => "active",
        crate::detect::BaselineState::Settling => "settling",
    }
}

fn show(portrait: &Portrait, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", portrait.subject)?;
    writeln!(
        out,
        "{}, {:.0} days old, first seen {}, last seen {:.1} days ago",
        state(portrait),
        portrait.age_days,
        portrait.first_seen,
        portrait.idle_days
    )?;
    writeln!(
        out,
        "ran on {} days ({} hours), used the network on {} days ({} hours), {} destinations, {} alerts",
        portrait.run_days,
        portrait.run_hours,
        portrait.active_days,
        portrait.active_hours,
        portrait.destinations,
        portrait.alerts
    )?;
    for spoken in &portrait.protocols {
        let unsure = if spoken.known { "" } else { ", not learnt yet" };
        writeln!(out, "  {:24} {} days{unsure}", spoken.protocol, spoken.days)?;
    }
    for (name, distribution) in [
        ("bytes out an hour", &portrait.hour),
        ("bytes out a day", &portrait.day),
        ("bytes to new destinations a day", &portrait.new_destinations_day),
    ] {
        if let Some(distribution) = distribution {
            plot(name, distribution, out)?;
        }
    }
    Ok(())
}

/// One bar a bin.
fn plot(name: &str, distribution: &Distribution, out: &mut impl Write) -> io::Result<()> {
    let Distribution { windows, median, p99, bins } = distribution;
    writeln!(out, "\n{name}: {windows} windows, median {}, 1 in 100 over {}", size(*median), size(*p99))?;
    let heaviest = bins.iter().fold(0.0f64, |most, (_, weight)| most.max(*weight));
    for (low, weight) in bins {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the width"
        )]
        let length = (weight / heaviest.max(f64::MIN_POSITIVE) * PLOT_WIDTH).round() as usize;
        writeln!(out, "{:>9} {:6.1} {}", size(*low), weight, "█".repeat(length))?;
    }
    Ok(())
}

/// A byte count with a decimal unit.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes as f64, UNITS[0]);
    for larger in &UNITS[1..] {
        if value < 1_000.0 {
            break;
        }
        value /= 1_000.0;
        unit = larger;
    }
    if value < 10.0 && unit != "B" { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// Cells of the longest bar.
const PLOT_WIDTH: f64 = 50.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_reads_as_it_is_printed() {
        for text in ["apple:com.apple.curl < apple:com.apple.Terminal", "TEAM:com.example.App"] {
            assert_eq!(parse_subject(text).to_string(), text);
        }
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!([size(999), size(1_500), size(250_000_000)], ["999 B", "1.5 kB", "250 MB"]);
    }
}
