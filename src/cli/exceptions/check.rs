//! `tidemark exceptions check`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

use super::attacks::Attacks;
use super::{Today, Which};
use crate::cli::printable::printable;
use crate::cli::{Code, Failure};
use crate::exceptions::Expiry;

/// Reads exceptions strictly, and replays known attacks with them: an exception that is wrong, has expired or would hide one fails the
/// check.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files with exceptions, or folders of such files.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Accepts that this exception hides known attacks.
    #[arg(long, value_name = "ID")]
    allow_hiding: Vec<String>,
    #[command(flatten)]
    attacks: Attacks,
    #[command(flatten)]
    today: Today,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let exceptions = args.which.load(&args.paths)?;
    if exceptions.is_empty() {
        return Err(Failure::new(
            Code::Config,
            "there are no exceptions to check; name a file, a folder or --config",
        ));
    }
    for id in &args.allow_hiding {
        if !exceptions.iter().any(|exception| exception.id == *id) {
            return Err(Failure::new(
                Code::Usage,
                format!("--allow-hiding {id}: there is no such exception"),
            ));
        }
    }
    let today = args.today.day();
    let mut wrong = String::new();
    let mut err = anstream::stderr().lock();
    for exception in exceptions.iter() {
        let expiry = exception.expiry(today);
        if matches!(expiry, Expiry::Over(_)) {
            let _ = write!(
                wrong,
                "\n{}: exception {} {expiry}; renew it with its owner {} or take it out",
                exception.source, exception.id, exception.owner
            );
        } else if expiry.is_due() {
            // A closed standard error leaves nobody to tell.
            let _ = writeln!(err, "{}: exception {} {expiry}", exception.source, exception.id);
        }
    }
    let count = exceptions.len();
    let judged = exceptions.clone().without(&args.allow_hiding);
    let (known, hidden) = args.attacks.hidden(&args.which.setup.config()?, judged)?;
    for attack in &hidden {
        let _ = write!(
            wrong,
            "\n{} would hide a known attack: {} Narrow it, or allow it with --allow-hiding.",
            attack.hidden_by.join(", "),
            printable(&attack.summary)
        );
    }
    if !wrong.is_empty() {
        return Err(Failure::new(Code::CheckFailed, wrong.trim_start()));
    }
    writeln!(io::stdout(), "{count} exceptions are fine; {known} known attacks stand out")?;
    Ok(())
}
