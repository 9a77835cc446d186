//! `tidemark sink`: whether events arrive.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::inputs::Setup;
use super::run::{DEFAULT_STATE, host_name};
use super::{Code, Failure};
use crate::daemon::{STATUS_FILE, test_event};
use crate::sink::spool::Queue;
use crate::sink::{Event, Fate, Outcome, Receiver, SinkSettings};

/// Looks after the delivery of alerts to receivers.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Test(TestArgs),
    Status(StatusArgs),
}

/// Sends one marked test event through every configured sink, once, and says what each receiver answered.
///
/// The event has `"test": true` and the kind `test`; nothing has to be running, and the spool is not touched. The exit code is 1 where a
/// receiver did not take it.
///
/// Example:
///   tidemark sink test --config tidemark.toml
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct TestArgs {
    /// Only this sink.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    #[command(flatten)]
    setup: Setup,
}

/// Prints the state of the delivery as JSON: what waits, what was sent, what was dropped, and what each sink does.
///
/// The daemon writes it every few seconds.
#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// The state's folder, as given to `tidemark run`.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE)]
    state: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match &args.verb {
        Verb::Test(args) => test(args),
        Verb::Status(args) => status(args),
    }
}

fn test(args: &TestArgs) -> Result<(), Failure> {
    let config = args.setup.config()?;
    let wanted = |sink: &&SinkSettings| args.only.as_ref().is_none_or(|only| only == sink.name());
    let sinks: Vec<_> = config.delivery.sinks.iter().filter(wanted).collect();
    if sinks.is_empty() {
        let why = match &args.only {
            Some(name) => format!("no sink is named {name:?}"),
            None => "no [[delivery.sink]] is configured: name a configuration by --config".to_owned(),
        };
        return Err(Failure::new(Code::Config, why));
    }
    let line = test_event(&host_name(), jiff::Timestamp::now());
    let event = Event::parse(line, Queue::Health).map_err(|(_, error)| Failure::new(Code::BadData, error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut failed = 0;
    for sink in sinks {
        let answer = match Receiver::new(sink) {
            Ok(mut receiver) => {
                let events = std::slice::from_ref(&event);
                runtime.block_on(async {
                    match tokio::time::timeout(PATIENCE, receiver.deliver(events)).await {
                        Ok(outcome) => taken(outcome),
                        Err(_) => Err("no answer within two minutes".to_owned()),
                    }
                })
            }
            Err(error) => Err(error.why.to_string()),
        };
        let mut out = anstream::stdout().lock();
        match answer {
            Ok(()) => writeln!(out, "{}: delivered, event {}", sink.name(), event.id)?,
            Err(why) => {
                failed += 1;
                writeln!(out, "{}: NOT delivered: {why}", sink.name())?;
            }
        }
    }
    match failed {
        0 => Ok(()),
        failed => {
            Err(Failure::new(Code::CheckFailed, format!("{failed} of the receivers did not take the event")))
        }
    }
}

/// Whether the receiver has the one event, else why not.
fn taken(outcome: Outcome) -> Result<(), String> {
    match outcome {
        Outcome::Delivered => Ok(()),
        Outcome::Each(fates) => match fates.into_iter().next() {
            Some(Fate::Delivered) => Ok(()),
            Some(Fate::Later(why) | Fate::Rejected(why)) => Err(why),
            None => Err("the receiver told of no event".to_owned()),
        },
        Outcome::Unfit(why) | Outcome::Gone(why) | Outcome::Refused(why) | Outcome::Later { why, .. } => {
            Err(why)
        }
    }
}

fn status(args: &StatusArgs) -> Result<(), Failure> {
    let path = args.state.join(STATUS_FILE);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::new(Code::NoInput, format!("cannot read {}: {error}", path.display())))?;
    let status: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| Failure::new(Code::BadData, format!("{}: {error}", path.display())))?;
    let mut out = io::stdout().lock();
    writeln!(out, "{status:#}")?;
    Ok(())
}

/// Longer than any timeout that a person would configure and wait for.
const PATIENCE: Duration = Duration::from_mins(2);
