//! A signal to stop, for work that looks up from time to time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// Whether SIGTERM or SIGINT has come.
#[derive(Debug, Clone)]
pub struct StopSignal(Arc<AtomicBool>);

impl StopSignal {
    /// Catches both signals from here on; a second one has no effect either.
    ///
    /// # Errors
    /// Where signals cannot be caught.
    pub fn catch() -> io::Result<Self> {
        let raised = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (mut terminate, mut interrupt) = runtime.block_on(async {
            Ok::<_, io::Error>((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
        })?;
        let raise = Arc::clone(&raised);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            });
            raise.store(true, Ordering::Relaxed);
        })?;
        Ok(Self(raised))
    }

    /// Whether one has come.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
