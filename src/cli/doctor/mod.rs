//! `tidemark doctor`: what stands between this machine and its alerts, one line a check, with its mend.
//!
//! Nothing is changed: a store is looked at in a copy, and no event is sent. What only a Mac can answer is skipped elsewhere, and said so.

mod extensions;
mod files;
mod mac;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::run::{DEFAULT_STATE, host_name};
use super::{Code, Failure};
use crate::managed;

/// Checks what tidemark needs, one line each, with what mends it.
///
/// Run it with sudo. macOS grants Full Disk Access to whoever is responsible for a process: what is said of it here is true of the
/// terminal that doctor was started from, and of the daemon only where doctor runs under it.
///
/// The exit code is 1 where a check failed; a warning is none.
///
///   sudo tidemark doctor
///   sudo tidemark doctor --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Prints one JSON document.
    #[arg(long)]
    json: bool,
    /// The configuration file; by default the installed one, where there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Managed preferences; by default those of this Mac.
    #[arg(long, value_name = "FILE")]
    managed: Option<PathBuf>,
    /// The state's folder, as given to `tidemark run`.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE)]
    state: PathBuf,
}

/// One check's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    result: Health,
    /// What was found, in words.
    says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    /// As it should be.
    Ok,
    /// It works, less well than it could.
    Warning,
    /// It does not work.
    Failed,
    /// It cannot be told here.
    Skipped,
}

impl Finding {
    fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, result: Health::Ok, says: says.into(), mend: None }
    }

    fn warning(check: &'static str, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, result: Health::Warning, says: says.into(), mend: Some(mend.into()) }
    }

    fn failed(check: &'static str, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, result: Health::Failed, says: says.into(), mend: Some(mend.into()) }
    }

    fn skipped(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, result: Health::Skipped, says: says.into(), mend: None }
    }
}

/// What doctor looks at.
struct Patient {
    config: Option<PathBuf>,
    managed: PathBuf,
    state: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let installed = Path::new(INSTALLED_CONFIG);
    let patient = Patient {
        config: args.config.clone().or_else(|| installed.exists().then(|| installed.to_owned())),
        managed: args.managed.clone().unwrap_or_else(managed::preferences_file),
        state: args.state.clone(),
    };
    let mut findings = mac::findings();
    findings.extend(files::findings(&patient));
    let failed = findings.iter().filter(|finding| finding.result == Health::Failed).count();
    if args.json {
        write_json(&findings, failed)?;
    } else {
        write_lines(&findings)?;
    }
    match failed {
        0 => Ok(()),
        1 => Err(Failure::new(Code::CheckFailed, "1 check failed")),
        many => Err(Failure::new(Code::CheckFailed, format!("{many} checks failed"))),
    }
}

fn write_json(findings: &[Finding], failed: usize) -> io::Result<()> {
    let document = serde_json::json!({
        "schema": "tidemark.doctor/1",
        "host": host_name(),
        "version": env!("CARGO_PKG_VERSION"),
        "failed": failed,
        "checks": findings,
    });
    writeln!(io::stdout().lock(), "{document:#}")
}

fn write_lines(findings: &[Finding]) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    for finding in findings {
        let (word, colour) = match finding.result {
            Health::Ok => ("ok", anstyle::AnsiColor::Green),
            Health::Warning => ("warning", anstyle::AnsiColor::Yellow),
            Health::Failed => ("FAILED", anstyle::AnsiColor::Red),
            Health::Skipped => ("skipped", anstyle::AnsiColor::BrightBlack),
        };
        let style = anstyle::Style::new().fg_color(Some(colour.into()));
        write!(out, "{style}{word:<8}{style:#} {:<20} {}", finding.check, finding.says)?;
        if let Some(mend) = &finding.mend {
            write!(out, "; {mend}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Where the package puts it.
const INSTALLED_CONFIG: &str = "/Library/Application Support/Tidemark/tidemark.toml";

#[cfg(test)]
mod tests;
