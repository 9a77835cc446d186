//! The tree as `tidemark processes` prints it.

use std::sync::Arc;

use serde::Serialize;

use super::facts::{Identity, Script};
use super::lifetimes::Process;
use crate::observation::{ProcessKey, Timestamp};

/// One process with all the images that it had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessRow {
    /// Its number, and the generation of its latest image.
    #[serde(flatten)]
    pub key: ProcessKey,
    /// Identity of the latest image.
    pub identity: Identity,
    /// Who made the latest image run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiator: Option<Identity>,
    /// Whether that was seen without a hole.
    pub initiator_known: bool,
    /// The responsible app, or the nearest one among the ancestors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<Identity>,
    /// What the latest image runs, where it is an interpreter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
    /// The nearest ancestor that is another process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<ProcessKey>,
    /// When it was forked; absent where it ran already when it was first heard of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Its images, oldest first.
    pub images: Vec<ImageRow>,
}

/// One image of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageRow {
    /// Its generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pidversion: Option<i32>,
    /// When it began, or was first heard of.
    pub since: Timestamp,
    /// Its identity.
    pub identity: Identity,
    /// Its path.
    pub path: Arc<str>,
    /// Its arguments, as far as they are kept.
    pub arguments: Vec<Arc<str>>,
    /// Whether it is the parent's image, before the forked process executed one of its own.
    pub forked: bool,
}

/// All processes, by start and then by number.
pub(super) fn rows<'a>(processes: impl Iterator<Item = &'a Process>) -> Vec<ProcessRow> {
    let mut sorted: Vec<&Process> = processes.collect();
    sorted.sort_unstable_by_key(|process| (process.started, process.handle()));
    sorted.into_iter().filter_map(row).collect()
}

fn row(process: &Process) -> Option<ProcessRow> {
    let who = process.who(process.latest()?);
    let images = process
        .images()
        .iter()
        .map(|image| ImageRow {
            pidversion: image.pidversion,
            since: image.since,
            identity: image.actor.facts.identity.clone(),
            path: Arc::clone(&image.actor.facts.path),
            arguments: image.actor.facts.arguments.clone(),
            forked: image.is_copy(process.pid),
        })
        .collect();
    Some(ProcessRow {
        key: who.process.key,
        identity: who.subject.image.clone(),
        initiator: who.subject.initiator.clone(),
        initiator_known: who.initiator_known,
        application: who.application.as_ref().map(|app| app.identity.clone()),
        script: who.process.script.clone(),
        parent: who.ancestors.iter().map(|ancestor| ancestor.key).find(|key| key.pid != process.pid),
        start: process.known_start(),
        end: process.ended,
        images,
    })
}
