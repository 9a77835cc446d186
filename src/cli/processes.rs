//! `tidemark processes`: the process tree with identities.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use super::Failure;
use super::inputs::{self, Inputs};
use crate::observation::{Observation, ProcessKey};
use crate::process::{ProcessRow, Processes, Settings};
use crate::source::Origins;

/// Prints the processes of a recording as a tree: identity, initiator and responsible app of each.
///
/// Examples:
///   sudo eslogger exec fork exit | head -n 1000 | tidemark processes -
///   tidemark processes --json exec.ndjson | jq 'select(.initiator == "apple:com.apple.Automator")'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    inputs: Inputs,
    /// Prints one JSON object a process.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut source = inputs::open(&args.inputs, Origins::Joined)?;
    let mut processes = Processes::new(Settings::keep_all());
    for observation in &mut source {
        match &observation {
            Observation::Exec(exec) => {
                processes.exec(exec);
            }
            Observation::Fork(fork) => processes.fork(fork),
            Observation::Exit(exit) => processes.exit(exit),
            Observation::Running(running) => processes.running(running),
            _ => {}
        }
    }
    let rows = processes.rows();
    let mut out = BufWriter::new(io::stdout().lock());
    if args.json {
        for row in &rows {
            serde_json::to_writer(&mut out, row).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        }
    } else {
        write_tree(&mut out, &rows)?;
    }
    out.flush()?;
    source.finish()
}

/// Children below their parents, in the order of the rows.
fn write_tree(out: &mut impl Write, rows: &[ProcessRow]) -> io::Result<()> {
    let mut children: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    let mut place: BTreeMap<(i32, Option<i32>), usize> = BTreeMap::new();
    let key = |key: ProcessKey| (key.pid, key.pidversion);
    for (index, row) in rows.iter().enumerate() {
        place.insert(key(row.key), index);
        for image in &row.images {
            place.insert((row.key.pid, image.pidversion), index);
        }
    }
    for (index, row) in rows.iter().enumerate() {
        // A row that names itself as its parent would never be reached.
        let parent =
            row.parent.and_then(|parent| place.get(&key(parent)).copied()).filter(|parent| *parent != index);
        children.entry(parent).or_default().push(index);
    }
    let mut stack: Vec<(usize, usize)> = Vec::new();
    let push = |stack: &mut Vec<(usize, usize)>, parent: Option<usize>, depth: usize| {
        stack.extend(children.get(&parent).into_iter().flatten().rev().map(|child| (*child, depth)));
    };
    push(&mut stack, None, 0);
    let mut unwritten: Vec<Option<&ProcessRow>> = rows.iter().map(Some).collect();
    // Numbers come round again, so that parents can form a circle with no way in: whatever the walk from the roots did not reach begins a
    // walk of its own.
    for root in 0..rows.len() {
        while let Some((index, depth)) = stack.pop() {
            if let Some(row) = unwritten.get_mut(index).and_then(Option::take) {
                write_row(out, row, depth)?;
                push(&mut stack, Some(index), depth.saturating_add(1));
            }
        }
        stack.push((root, 0));
    }
    Ok(())
}

fn write_row(out: &mut impl Write, row: &ProcessRow, depth: usize) -> io::Result<()> {
    let indent = depth.min(MOST_INDENT).saturating_mul(2);
    write!(out, "{:indent$}{} {}", "", row.key.pid, row.identity)?;
    if let Some(script) = &row.script {
        write!(out, " ({})", script.name)?;
    }
    match &row.initiator {
        Some(initiator) => write!(out, "  < {initiator}")?,
        None if !row.initiator_known => write!(out, "  < ?")?,
        None => {}
    }
    if let Some(application) = &row.application {
        write!(out, "  for {application}")?;
    }
    writeln!(out)
}

/// Deeper trees are drawn at this depth: a fork chain of thousands is not a picture.
const MOST_INDENT: usize = 32;
