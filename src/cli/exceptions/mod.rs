//! `tidemark exceptions`: what the organisation has accepted, looked at from every side.

mod attacks;
mod check;
mod findings;
mod lists;

use std::path::PathBuf;

use super::inputs::Setup;
use super::{Code, Failure};
use crate::exceptions::{Day, Exceptions};
use crate::observation::Timestamp;

/// Checks, lists, explains and suggests exceptions.
///
/// Exceptions are those of the configuration (--config) and of the files and folders that --exceptions names.
///
/// Examples:
///   tidemark exceptions check config/exceptions.d
///   tidemark replay fortnight.ndjson.gz attack.ndjson attack.pcapng > alerts.ndjson
///   tidemark exceptions suggest alerts.ndjson --owner it@example.com --reason "nightly upload" > exceptions.d/upload.toml
///   tidemark exceptions explain alerts.ndjson --exceptions exceptions.d
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Check(check::Args),
    List(lists::ListArgs),
    Expiring(lists::ExpiringArgs),
    Unused(lists::UnusedArgs),
    Suppressed(lists::SuppressedArgs),
    Explain(findings::ExplainArgs),
    Suggest(findings::SuggestArgs),
    Test(findings::TestArgs),
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match &args.verb {
        Verb::Check(args) => check::run(args),
        Verb::List(args) => lists::list(args),
        Verb::Expiring(args) => lists::expiring(args),
        Verb::Unused(args) => lists::unused(args),
        Verb::Suppressed(args) => lists::suppressed(args),
        Verb::Explain(args) => findings::explain(args),
        Verb::Suggest(args) => findings::suggest(args),
        Verb::Test(args) => findings::test(args),
    }
}

/// Which exceptions.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// A file with exceptions, or a folder of such files, beside those of the configuration.
    #[arg(long, value_name = "PATH")]
    exceptions: Vec<PathBuf>,
    #[command(flatten)]
    setup: Setup,
}

impl Which {
    pub(super) fn load(&self, more: &[PathBuf]) -> Result<Exceptions, Failure> {
        let config = self.setup.config()?;
        let wrong = |error| Failure::new(Code::Config, error);
        let paths: Vec<PathBuf> = self.exceptions.iter().chain(more).cloned().collect();
        let configured = config.exceptions.load().map_err(wrong)?;
        let named = Exceptions::read(&paths, config.exceptions.policy()).map_err(wrong)?;
        configured.and(named).map_err(wrong)
    }
}

/// The day that counts as today.
#[derive(Debug, clap::Args)]
pub(super) struct Today {
    /// The day to judge by, as 2026-12-31; without it the machine's clock says, in UTC.
    #[arg(long, value_name = "DATE")]
    today: Option<jiff::civil::Date>,
}

impl Today {
    pub(super) fn day(&self) -> Day {
        let clock = || jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::now()).date();
        Day(self.today.unwrap_or_else(clock))
    }
}

/// The day before which stored findings are too old to say anything.
fn days_before(time: Timestamp, days: u32) -> Timestamp {
    time.before(std::time::Duration::from_secs(u64::from(days) * SECONDS_A_DAY))
}

const SECONDS_A_DAY: u64 = 86_400;
