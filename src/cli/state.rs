//! The state of an engine in a folder, from one run to the next.

use std::path::Path;

use super::{Code, Failure};
use crate::alert::Alert;
use crate::baseline::{Opened, Store, StoreError};
use crate::engine::{Engine, Settings, Verdict};

/// Opens the store in a folder, and says what is odd about it.
pub(super) fn open(folder: &Path) -> Result<Opened, Failure> {
    let opened = Store::open(folder).map_err(|error| store_failure(&error))?;
    if let Some(aside) = &opened.set_aside {
        tracing::error!(store = %folder.display(), aside = %aside.display(), "the store could not be read and was set aside; learning begins anew");
    }
    Ok(opened)
}

/// An engine that goes on from what the store holds, and knows of the events that left after that, the latest first.
pub(super) fn resume(
    store: &Store,
    settings: Settings,
    left: impl IntoIterator<Item = Alert>,
    out: &mut Vec<Verdict>,
) -> Result<Engine, Failure> {
    let saved = store.load().map_err(|error| store_failure(&error))?;
    Engine::resume(settings, &saved, left, out).map_err(|error| Failure::new(Code::BadData, error))
}

/// Ends the run and keeps what the next one needs.
pub(super) fn suspend(store: &Store, engine: &mut Engine, out: &mut Vec<Verdict>) -> Result<(), Failure> {
    let checkpoint = engine.suspend(out).map_err(|error| Failure::new(Code::Io, error))?;
    store.write(&checkpoint).map_err(|error| store_failure(&error))
}

fn store_failure(error: &StoreError) -> Failure {
    let code = match error {
        StoreError::Corrupt { .. } | StoreError::Newer { .. } | StoreError::Stuck { .. } => Code::BadData,
        StoreError::InUse(_) | StoreError::Unwritable(_) | StoreError::Full(_) | StoreError::Io { .. } => {
            Code::Io
        }
    };
    Failure::new(code, error)
}
