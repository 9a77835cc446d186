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

use super::alerts::{self, Kept};
use super::exceptions::{Today, Which};
use super::{Code, Failure};
use crate::alert::Alert;
use page::Page;

/// Writes a page about alerts: when, who, which protocols, how much against what is usual, what could not be seen, which exceptions matched.
///
/// INPUT is a file of alerts in any form (native, OCSF, ECS), `-` for standard input; where none is named, what this Mac keeps, which is what it found
/// in the last month. The exceptions of `--config` and `--exceptions` stand in the page with their ends and how often they matched; of
/// others only what the alerts say of them.
///
/// Examples:
///   tidemark replay --suppressed recording.ndjson | tidemark report - -o report.html
///   sudo tidemark report --config tidemark.toml -o report.html
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Files of alerts; `-` is standard input.
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    today: Today,
    #[command(flatten)]
    which: Which,
    /// The page; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut all = Vec::new();
    for input in &args.inputs {
        all.extend(alerts::read(input)?);
    }
    if args.inputs.is_empty() {
        all.extend(args.kept.findings()?.filter_map(|line| Alert::read(&line).ok()));
    }
    let exceptions = args.which.load(&[])?;
    let html = render(&Page::of(&all, &exceptions, args.today.day()))
        .map_err(|error| Failure::new(Code::Io, error))?;
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
    use crate::alert::samples;
    use crate::exceptions::{Day, Exception, Exceptions, Policy, parse};

    fn html(alerts: &[Alert]) -> String {
        render(&Page::of(alerts, &Exceptions::default(), Day(jiff::civil::date(2026, 7, 1)))).unwrap()
    }

    #[test]
    fn exceptions_stand_with_owner_end_and_hits_and_those_that_end_are_marked() {
        let stanza = |id: &str, expires: &str| {
            format!(
                "[[exception]]\nid='{id}'\nowner='it'\nreason='r'\ncreated=2026-01-01\nexpires={expires}\nmatch.image='apple:com.apple.curl'\n"
            )
        };
        let text =
            stanza("IDLE", "2026-12-31") + &stanza("ENDING", "2026-07-03") + &stanza("OVER", "2026-06-30");
        let exceptions =
            Exceptions::new(parse(Path::new("x.toml"), &text, Policy::default()).unwrap()).unwrap();
        let mut alert = samples::plain();
        alert.exception = exceptions.iter().find(|one| one.id == "ENDING").map(Exception::as_section);
        let page = Page::of(&[alert], &exceptions, Day(jiff::civil::date(2026, 7, 1)));
        let html = render(&page).unwrap();
        for part in ["expires in 2 days", "expired 1 day ago", "expires in 183 days"] {
            assert!(html.contains(part), "{part}");
        }
        assert_eq!(html.matches("class=\"due\"").count(), 2);
        assert!(html.find("OVER").unwrap() < html.find("IDLE").unwrap(), "what ends stands first");
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
