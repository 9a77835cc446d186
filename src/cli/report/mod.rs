//! `tidemark report`: alerts as one page for people.
//!
//! The page stands alone: no script, no picture, font or style from elsewhere, and a content security policy that forbids them. Everything that
//! an alert says is escaped by the template engine; the pictures are SVG whose numbers are computed here.

mod chart;
mod page;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use minijinja::Environment;
use minijinja::value::{Serde, Value};

use super::{Code, Failure, alerts};
use page::Page;

/// Writes a page about alerts: when, who, which protocols, how much against what is usual, what could not be seen, which exceptions matched.
///
/// INPUT is a file of alerts in any form (native, OCSF, ECS), `-` for standard input. With `--suppressed` replay gives those that exceptions
/// cover as well, and the page counts them by exception.
///
/// Examples:
///   tidemark replay --suppressed recording.ndjson | tidemark report - -o report.html
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Files of alerts; `-` is standard input.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    /// The page; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut all = Vec::new();
    for input in &args.inputs {
        all.extend(alerts::read(input)?);
    }
    let html = render(&Page::of(&all)).map_err(|error| Failure::new(Code::Io, error))?;
    if args.output == Path::new("-") {
        io::stdout().lock().write_all(html.as_bytes())?;
        return Ok(());
    }
    std::fs::write(&args.output, html)
        .map_err(|error| Failure::new(Code::Io, format!("cannot write {}: {error}", args.output.display())))
}

fn render(page: &Page) -> Result<String, minijinja::Error> {
    // The name's ending switches escaping on.
    Environment::new().render_named_str("report.html", include_str!("report.html"), Value::from(Serde(page)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::{Alert, samples};

    fn html(alerts: &[Alert]) -> String {
        render(&Page::of(alerts)).unwrap()
    }

    /// What would make a browser load or run something. A link that a person may follow is none; the page has not even that.
    fn reaches_out(html: &str) -> Option<&'static str> {
        [
            "src=", "href=", "url(", "@import", "<script", "<link", "<iframe", "<object", "<embed",
            "onload=", "http:", "https:",
        ]
        .into_iter()
        .find(|part| html.to_ascii_lowercase().contains(part))
    }

    #[test]
    fn the_page_stands_alone() {
        // Without foreign text, so that every such word would be the page's own.
        assert_eq!(reaches_out(&html(&[])), None);
        let mut alert = samples::plain();
        alert.process.arguments.clear();
        assert_eq!(reaches_out(&html(&[alert])), None);
        assert!(html(&[]).contains("default-src 'none'"));
    }

    #[test]
    fn foreign_text_stays_text() {
        let mut alert = samples::plain();
        alert.summary = "<img src=x onerror=alert(1)>".to_owned();
        alert.host.name = "\"><script>alert(1)</script>".into();
        alert.process.arguments = vec!["</svg><style>*{}".into()];
        let html = html(&[alert]);
        assert!(
            !html.contains("<img") && !html.contains("<script") && !html.contains("</svg><style>"),
            "{html}"
        );
        assert!(html.contains("&lt;img"));
    }

    #[test]
    fn it_shows_findings_once_with_what_is_usual_and_what_was_seen() {
        let mut later = samples::plain();
        later.stage.count = 7;
        let html = html(&[samples::plain(), later]);
        assert_eq!(html.matches("class=\"finding\"").count(), 1);
        for part in ["23.4 MB", "120 kB", "Automator", "alice", "seen 7 times"] {
            assert!(html.contains(part), "{part}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_alerts_make_a_page_without_markup_of_their_own(alerts in prop::collection::vec(samples::any_alert(), 0..6)) {
            let html = html(&alerts);
            prop_assert!(!html.contains("<script") && !html.contains("NaN") && !html.contains("inf "));
        }
    }
}
