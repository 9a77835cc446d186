//! The command line: one file a verb.
//!
//! Every flag is defined once, in the verb's `Args`; `--help`, the shell completions and the manual page come from that definition.
//! Data goes to standard output, words for people to standard error.

mod alerts;
mod audit;
mod backtest;
mod baseline;
mod calibrate;
mod config;
mod controls;
mod coverage;
mod doctor;
mod evidence;
mod exceptions;
mod exit;
mod explain;
mod feedback;
mod flows;
mod forget;
mod generate;
mod history;
mod inputs;
mod mdm;
mod plot;
mod printable;
mod processes;
mod record;
mod replay;
mod report;
mod run;
mod selftest;
mod sink;
mod source;
mod state;
mod status;
mod summary;
mod tail;
mod test;
mod top;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use exit::{Code, EXIT_CODES, Failure};

/// tidemark learns, for each program on a Mac, which protocols it speaks and how much it moves, and raises an alert when a program
/// does what it never did (MITRE ATT&CK AN1227).
#[derive(Debug, Parser)]
#[command(name = "tidemark", version, propagate_version = true, after_help = EXIT_CODES, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Says more on standard error: once for information, twice for debugging. `TIDEMARK_LOG` sets levels by module.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Replay(replay::Args),
    Explain(explain::Args),
    Evidence(evidence::Args),
    Report(report::Args),
    Flows(flows::Args),
    Processes(processes::Args),
    Run(run::Args),
    Record(record::Args),
    Baseline(baseline::Args),
    Feedback(feedback::Args),
    Calibrate(calibrate::Args),
    Config(config::Args),
    Exceptions(exceptions::Args),
    Sink(sink::Args),
    Mdm(mdm::Args),
    Doctor(doctor::Args),
    Test(test::Args),
    Status(status::Args),
    Top(top::Args),
    Tail(tail::Args),
    Coverage(coverage::Args),
    Selftest(selftest::Args),
    Audit(audit::Args),
    Forget(forget::Args),
    History(history::Args),
    Backtest(backtest::Args),
    Completions(generate::CompletionsArgs),
    Man(generate::ManArgs),
}

/// Reads the command line, does what it says and gives the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbose);
    let done = match cli.verb {
        Verb::Replay(args) => replay::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Evidence(args) => evidence::run(&args),
        Verb::Report(args) => report::run(&args),
        Verb::Flows(args) => flows::run(&args),
        Verb::Processes(args) => processes::run(&args),
        Verb::Run(args) => run::run(&args),
        Verb::Record(args) => record::run(&args),
        Verb::Baseline(args) => baseline::run(&args),
        Verb::Feedback(args) => feedback::run(&args),
        Verb::Calibrate(args) => calibrate::run(&args),
        Verb::Config(args) => config::run(&args),
        Verb::Exceptions(args) => exceptions::run(&args),
        Verb::Sink(args) => sink::run(&args),
        Verb::Mdm(args) => mdm::run(&args),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Status(args) => status::run(&args),
        Verb::Top(args) => top::run(&args),
        Verb::Tail(args) => tail::run(&args),
        Verb::Coverage(args) => coverage::run(&args),
        Verb::Selftest(args) => selftest::run(&args),
        Verb::Audit(args) => audit::run(&args),
        Verb::Forget(args) => forget::run(&args),
        Verb::History(args) => history::run(&args),
        Verb::Backtest(args) => backtest::run(&args),
        Verb::Completions(args) => generate::completions(&args, Cli::command()),
        Verb::Man(args) => generate::man(&args, Cli::command()),
    };
    match done {
        Ok(()) => Code::Ok.into(),
        Err(failure) => {
            if !failure.message.is_empty() {
                let style = anstyle::Style::new().bold().fg_color(Some(anstyle::AnsiColor::Red.into()));
                let mut stderr = anstream::stderr();
                // A closed standard error leaves nobody to tell.
                let _ = std::io::Write::write_fmt(
                    &mut stderr,
                    format_args!("{style}error{style:#}: {}\n", failure.message),
                );
            }
            failure.code.into()
        }
    }
}

fn log_to_stderr(verbose: u8) {
    let default = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("TIDEMARK_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second logger in one process can only come from a test, which keeps the first.
    let _ = logger.try_init();
}
