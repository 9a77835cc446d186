//! `tidemark tail`: findings as they come.

use std::io::Write;

use super::Failure;
use super::status::{DaemonPlace, failure};
use crate::alert::Alert;

/// Prints findings as they come, until it is stopped: one line each for people, or the documents.
///
/// What has gone before is in the SIEM, and in the file of a sink of the type `file`. A line that was missed, where findings came faster than they were
/// printed, is counted.
///
/// Example:
///   sudo tidemark tail --json | jq -r .summary
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Prints the documents as the spool has them: alerts, digests, and what else leaves.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonPlace,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let lines = args.daemon.connect()?.tail().map_err(|error| failure(&error))?;
    let mut out = anstream::stdout().lock();
    for line in lines {
        let line = line.map_err(|error| failure(&error.into()))?;
        let text = if args.json { line } else { sentence(&line) };
        writeln!(out, "{text}")?;
        out.flush()?;
    }
    Ok(())
}

fn sentence(line: &str) -> String {
    if let Ok(alert) = Alert::read(line) {
        return format!("{}  {:.1}  {}", alert.time, alert.score, alert.summary);
    }
    let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    match (value.get("missed"), value.get("summary").and_then(serde_json::Value::as_str)) {
        (Some(missed), _) => format!("({missed} lines were missed)"),
        (None, Some(summary)) => {
            format!(
                "{}  {summary}",
                value.get("time").and_then(serde_json::Value::as_str).unwrap_or_default()
            )
        }
        (None, None) => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::samples;

    #[test]
    fn a_finding_is_a_line_with_its_score_and_its_sentence() {
        let alert = samples::plain();
        let line = sentence(&alert.to_json());
        assert!(line.contains(&alert.summary) && line.contains(&format!("{:.1}", alert.score)), "{line}");
        assert_eq!(sentence("{\"missed\":3}"), "(3 lines were missed)");
        assert_eq!(sentence("{\"time\":\"t\",\"summary\":\"s\"}"), "t  s");
    }
}
