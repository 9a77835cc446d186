//! `tidemark config`: whether a configuration is right, what is in force and who said so, and what may be said at all.

use std::io::{self, Write};

use super::inputs::Setup;
use super::{Code, Failure};
use crate::config::{Layers, schema};
use crate::managed;

/// Looks at the configuration.
///
/// A value comes from the first of these that has it: `--set` on the command line, a variable of the environment
/// (`TIDEMARK__DETECTION__LEARN_DAYS`), managed preferences, the file, the default.
///
/// Examples:
///   tidemark config check --config tidemark.toml
///   tidemark config show --effective --config tidemark.toml
///   tidemark config schema > tidemark.schema.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Check(CheckArgs),
    Show(ShowArgs),
    Schema(SchemaArgs),
}

/// Says everything that is wrong, with the file, the line and the nearest key; the exit code is 78 then. Exceptions that the configuration names are
/// checked as well.
#[derive(Debug, clap::Args)]
struct CheckArgs {
    #[command(flatten)]
    service: ServiceSetup,
}

/// Prints each value that was set, with its origin: the file and its line, managed preferences, the environment or the command line.
#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Prints what is in force: defaults as well.
    #[arg(long)]
    effective: bool,
    /// Prints one JSON object a value.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceSetup,
}

/// Prints the JSON Schema of the file, for editors and for checks in a repository.
#[derive(Debug, clap::Args)]
struct SchemaArgs {}

/// The configuration as the daemon takes it: a file, and what goes before it.
#[derive(Debug, clap::Args)]
pub(super) struct ServiceSetup {
    #[command(flatten)]
    pub(super) setup: Setup,
}

impl ServiceSetup {
    /// Where the layers are.
    pub(super) fn layers(&self) -> Layers {
        let setup = self.setup.layers();
        Layers {
            managed: Some(setup.managed.unwrap_or_else(managed::preferences_file)),
            environment: Layers::environment(),
            ..setup
        }
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match &args.verb {
        Verb::Check(args) => check(args),
        Verb::Show(args) => show(args),
        Verb::Schema(_) => {
            writeln!(io::stdout().lock(), "{:#}", schema())?;
            Ok(())
        }
    }
}

fn check(args: &CheckArgs) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::new(Code::Config, error);
    let effective = args.service.layers().load().map_err(|error| wrong(&error))?;
    let exceptions = effective.config.exceptions.load().map_err(|error| wrong(&error))?;
    let sinks = effective.config.delivery.sinks.len();
    let mut out = anstream::stdout().lock();
    writeln!(out, "the configuration is right: {sinks} sinks, {} exceptions", exceptions.len())?;
    Ok(())
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let effective = args.service.layers().load().map_err(|error| Failure::new(Code::Config, error))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for entry in effective.entries() {
        if !args.effective && entry.origin == crate::config::Origin::Default {
            continue;
        }
        let origin = entry.origin.to_string();
        if args.json {
            writeln!(
                out,
                "{}",
                serde_json::json!({ "key": entry.key, "value": entry.value, "origin": origin })
            )?;
        } else {
            writeln!(out, "{} = {}  # {origin}", entry.key, entry.value)?;
        }
    }
    out.flush()?;
    Ok(())
}
