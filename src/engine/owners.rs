//! Whose flows are, as a state is written: a hundred thousand flows belong to some thousand processes, each of which is written once, and is one again
//! when it is read.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize, Serializer};

use super::judge::{Tag, Waiting};
use crate::process::{Attribution, Method, ProcessFacts, Who};

/// A [`Tag`] as it is written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedTag {
    /// As states of version 1 have it: whole, with each flow.
    #[serde(default, skip_serializing)]
    attribution: Option<Attribution>,
    #[serde(default)]
    method: Method,
    /// Its place among [`Owners::whos`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    who: Option<usize>,
    /// Its place among [`Owners::brokers`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    via: Option<usize>,
    waiting: Waiting,
    told: bool,
}

/// Those whose flows were written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Owners {
    whos: Vec<Arc<Who>>,
    brokers: Vec<Arc<ProcessFacts>>,
}

impl Owners {
    /// A tag as it was; of an owner that is not there, as though nothing had been known.
    pub(super) fn read(&self, saved: SavedTag) -> Tag {
        let SavedTag { attribution, method, who, via, waiting, told } = saved;
        let attribution = attribution.unwrap_or_else(|| {
            let who = who.and_then(|at| self.whos.get(at)).cloned();
            let method = if who.is_some() { method } else { Method::None };
            Attribution { method, who, via: via.and_then(|at| self.brokers.get(at)).cloned() }
        });
        Tag { attribution, waiting, told }
    }
}

/// [`Owners`] while flows are written: whoever is met for the first time gets the next place. It is written after them.
#[derive(Debug, Default)]
pub(super) struct Met<'a>(RefCell<Lists<'a>>);

#[derive(Debug, Default)]
struct Lists<'a> {
    whos: Places<'a, Who>,
    brokers: Places<'a, ProcessFacts>,
}

impl<'a> Met<'a> {
    pub(super) fn write(&self, tag: &'a Tag) -> SavedTag {
        let mut lists = self.0.borrow_mut();
        let Attribution { method, who, via } = &tag.attribution;
        SavedTag {
            attribution: None,
            method: *method,
            who: who.as_ref().map(|who| lists.whos.place(who)),
            via: via.as_ref().map(|broker| lists.brokers.place(broker)),
            waiting: tag.waiting,
            told: tag.told,
        }
    }
}

impl Serialize for Met<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Owners<'a> {
            whos: &'a [&'a Arc<Who>],
            brokers: &'a [&'a Arc<ProcessFacts>],
        }
        let lists = self.0.borrow();
        Owners { whos: &lists.whos.list, brokers: &lists.brokers.list }.serialize(serializer)
    }
}

/// What is shared, each once, in the order in which it was met. It is known by its address alone, which no output shows.
#[derive(Debug)]
struct Places<'a, T> {
    list: Vec<&'a Arc<T>>,
    places: HashMap<*const T, usize, FixedState>,
}

impl<T> Default for Places<'_, T> {
    fn default() -> Self {
        Self { list: Vec::new(), places: HashMap::default() }
    }
}

impl<'a, T> Places<'a, T> {
    fn place(&mut self, shared: &'a Arc<T>) -> usize {
        *self.places.entry(Arc::as_ptr(shared)).or_insert_with(|| {
            self.list.push(shared);
            self.list.len() - 1
        })
    }
}
