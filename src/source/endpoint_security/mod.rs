//! Process events as they happen: Endpoint Security, notifications of exec, fork and exit.
//!
//! The kernel hands messages to a handler one after the other, and what the handler takes too long over the kernel drops. So a [`Handler`]
//! does three things: it notes the message's numbers, makes an owned copy of what counts, and hands it to the stream without ever waiting.
//! The copy is made by portable code from borrowed views ([`ExecView`], [`ProcessView`]), so that its cost can be measured anywhere; the
//! client itself is system calls.

mod copy;
#[cfg(all(target_os = "macos", feature = "endpoint-security"))]
mod shell;

pub use copy::{ExecView, Handler, ProcessView};
#[cfg(all(target_os = "macos", feature = "endpoint-security"))]
pub(crate) use shell::subscribe;

use thiserror::Error;

/// The name under which this source reports.
pub const SOURCE_NAME: &str = "endpoint_security";

/// Why macOS refuses an Endpoint Security client, with what mends it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Denied {
    /// `ES_NEW_CLIENT_RESULT_ERR_NOT_ENTITLED`.
    #[error(
        "this tidemark is not signed with the entitlement com.apple.developer.endpoint-security.client; install a signed release"
    )]
    NotEntitled,
    /// `ES_NEW_CLIENT_RESULT_ERR_NOT_PERMITTED`.
    #[error(
        "tidemark has no Full Disk Access; grant it in System Settings, Privacy & Security, or with a configuration profile (PPPC)"
    )]
    NotPermitted,
    /// `ES_NEW_CLIENT_RESULT_ERR_NOT_PRIVILEGED`.
    #[error("tidemark does not run as root; start it with launchd, or with sudo")]
    NotPrivileged,
    /// `ES_NEW_CLIENT_RESULT_ERR_TOO_MANY_CLIENTS`.
    #[error("too many Endpoint Security clients are connected; stop another security product's client")]
    TooManyClients,
    /// This build has no client.
    #[error("this tidemark was built without the feature endpoint-security; install a signed release")]
    NotBuilt,
    /// Anything else.
    #[error("Endpoint Security cannot be used: {0}")]
    Other(String),
}

impl Denied {
    /// Whether it may pass while the daemon runs, so that it is worth another try.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NotPermitted | Self::TooManyClients)
    }
}
