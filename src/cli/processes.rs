//! `tidemark processes`: the process tree with identities.

use std::io::{self, BufWriter, Write};

use super::Failure;
use super::inputs::{self, Inputs};
use crate::observation::Observation;
use crate::source::Origins;

/// Prints the processes of a recording as a tree: identity, initiator and responsible app of each image.
///
/// Examples:
///   sudo eslogger exec fork exit | head -n 1000 | tidemark processes -
///   tidemark processes --json exec.ndjson | jq 'select(.initiator == "apple:com.apple.Automator")'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    inputs: Inputs,
    /// Prints one JSON object a process image.
    #[arg(long)]
    json: bool,
}
