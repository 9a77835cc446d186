//! `tidemark mdm`: what a device management server is given.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Code, Failure};
use crate::config::Config;
use crate::exceptions::{self, Policy};
use crate::managed::{self, BundleId, Profile, TeamId};

/// Writes what a device management (MDM) server ships to Macs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Profile(ProfileArgs),
    Schema(SchemaArgs),
}

/// Writes a configuration profile: Full Disk Access for the daemon, its background item switched on for good, and, where they are named,
/// settings and exceptions.
///
/// macOS takes the grants only from a server that it is enrolled with, not from a profile that is opened by hand. The same arguments give
/// the same bytes, so that a new upload replaces the old one.
///
///   tidemark mdm profile --team-id ABCDE12345 > tidemark.mobileconfig
///   tidemark mdm profile --team-id ABCDE12345 --config tidemark.toml --exceptions exceptions.d --output tidemark.mobileconfig
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct ProfileArgs {
    /// The team identifier of who signed the app; `codesign -dv Tidemark.app` prints it.
    #[arg(long, value_name = "ID")]
    team_id: TeamId,
    /// The app's bundle identifier.
    #[arg(long, value_name = "ID", default_value = managed::BUNDLE_ID)]
    bundle_id: BundleId,
    /// The name of your organisation, for people who look at the profile.
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
    /// Ships the settings of this file; they stand above the file on the Mac.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ships the exceptions of this file, or of the `*.toml` files in this folder.
    #[arg(long, value_name = "PATH")]
    exceptions: Vec<PathBuf>,
    /// Writes into this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Prints the settings as a JSON Schema, for the form of Jamf Pro's Application & Custom Settings.
///
/// Example: `tidemark mdm schema > tidemark.json`
#[derive(Debug, clap::Args)]
struct SchemaArgs {}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match &args.verb {
        Verb::Profile(args) => profile(args),
        Verb::Schema(SchemaArgs {}) => schema(),
    }
}

fn profile(args: &ProfileArgs) -> Result<(), Failure> {
    let mut settings = args.config.as_deref().map(settings).transpose()?;
    if !args.exceptions.is_empty() {
        let exceptions = toml::Value::Array(exceptions(&args.exceptions)?);
        settings.get_or_insert_default().insert("exception".to_owned(), exceptions);
    }
    let profile = Profile {
        team: args.team_id.clone(),
        bundle: args.bundle_id.clone(),
        organization: args.organization.clone(),
        settings,
    };
    let mut text = Vec::new();
    profile.write(&mut text)?;
    text.push(b'\n');
    match &args.output {
        None => Ok(io::stdout().lock().write_all(&text)?),
        Some(path) => File::create(path)
            .and_then(|mut file| file.write_all(&text))
            .map_err(|error| Failure::new(Code::Io, format!("{}: {error}", path.display()))),
    }
}

/// The tables of a configuration, once it is known to be one.
fn settings(path: &Path) -> Result<toml::Table, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::new(Code::Config, error);
    Config::load(path).map_err(|error| wrong(&error))?;
    table(path)
}

/// The `[[exception]]` tables of files and folders, once they are known to be exceptions.
fn exceptions(paths: &[PathBuf]) -> Result<Vec<toml::Value>, Failure> {
    exceptions::Exceptions::read(paths, Policy::default())
        .map_err(|error| Failure::new(Code::Config, error))?;
    let mut all = Vec::new();
    for path in exceptions::files(paths).map_err(|error| Failure::new(Code::Config, error))? {
        if let Some(toml::Value::Array(tables)) = table(&path)?.remove("exception") {
            all.extend(tables);
        }
    }
    Ok(all)
}

fn table(path: &Path) -> Result<toml::Table, Failure> {
    let wrong =
        |error: &dyn std::fmt::Display| Failure::new(Code::Config, format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    toml::from_str(&text).map_err(|error| wrong(&error))
}

fn schema() -> Result<(), Failure> {
    let schema = managed::jamf_schema().map_err(|error| Failure::new(Code::Config, error))?;
    writeln!(io::stdout().lock(), "{schema:#}")?;
    Ok(())
}
