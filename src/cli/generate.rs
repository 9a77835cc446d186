//! `tidemark completions` and `tidemark man`: from the same definition as `--help`.

use std::io;
use std::path::PathBuf;

use super::Failure;

/// Prints a completion script for a shell.
///
/// Example: `tidemark completions zsh > "${fpath[1]}/_tidemark"`
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: clap_complete::Shell,
}

pub(super) fn completions(args: &CompletionsArgs, mut command: clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "tidemark", &mut script);
    Ok(io::Write::write_all(&mut io::stdout().lock(), &script)?)
}

/// Prints the manual page, or writes one page a verb into a folder.
///
/// Example: `tidemark man | man -l -`
#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Writes `tidemark.1` and a page for each verb into this folder instead.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn man(args: &ManArgs, command: clap::Command) -> Result<(), Failure> {
    match &args.out {
        Some(folder) => Ok(clap_mangen::generate_to(command, folder)?),
        None => Ok(clap_mangen::Man::new(command).render(&mut io::stdout().lock())?),
    }
}
