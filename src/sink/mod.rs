//! Delivery: how events reach whoever watches, and that none is lost on the way.
//!
//! ```text
//!  alert ──► spool (on the disk) ──► Reader ──► Delivery ──► Receiver: file, stdout, HTTP, syslog
//!                                    cursor ◄── what it has      └──► dead letters: what it will never take
//! ```
//!
//! A line is on the disk in the [`spool`] before any receiver hears of it. Each sink has a [`Delivery`] of its own: it reads the spool from
//! its cursor on, sends, and moves the cursor behind what the [`Receiver`] has. What an attempt came to is an [`Outcome`], whatever the
//! receiver speaks; when to try again, to send halves, to set an event aside or to stand still is decided in one place, for all.
//! Delivery is at least once: an event that was sent twice has the same id. Beside the road, the [`Archive`] keeps on the Mac what was found.

mod archive;
mod dead_letters;
mod delivery;
mod event;
mod file;
mod http;
mod outcome;
mod receiver;
mod secret;
mod settings;
pub mod spool;
mod status;
mod syslog;
mod tls;

pub use archive::{Archive, Archived};
pub use dead_letters::DeadLetters;
pub use delivery::{Course, Delivery, Retry};
pub use event::{Event, Rejected};
pub use file::FileSink;
pub use http::{HttpError, HttpSink};
pub use outcome::{Fate, Outcome};
pub use receiver::{Receiver, SinkError, Wrong};
pub use secret::{Secret, SecretError};
pub use settings::{
    FileSettings, HttpSettings, InvalidSetting, Settings, SinkSettings, StdoutSettings, SyslogSettings,
    TlsSettings,
};
pub use status::{SinkState, SinkStatus, StatusCell};
pub use syslog::{SyslogError, SyslogSink};
pub use tls::{TlsError, client_config};
