//! The members of an `eslogger` line, borrowed from it.
//!
//! The names are Apple's (`es_message_t` and what hangs from it), and one definition serves reading and writing. Every member may be
//! missing or null, and members that are not named here are passed over: a newer macOS adds some with every version, and Jamf Protect
//! leaves out what is null. The `stat` of a file is never looked at, so its inode numbers above 2^53 cannot be misread.
//!
//! Numbers are read as `i64`, since the same 32 bits are written with a sign in one place and without in another.

use serde::{Deserialize, Serialize};

use super::values::{Arguments, Environment, File, Text, Token};

/// `es_process_t`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Process<'a> {
    pub(super) audit_token: Option<Token>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent_audit_token: Option<Token>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) responsible_audit_token: Option<Token>,
    pub(super) ppid: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) original_ppid: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session_id: Option<i64>,
    pub(super) codesigning_flags: Option<i64>,
    pub(super) is_platform_binary: Option<bool>,
    pub(super) is_es_client: Option<bool>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) cdhash: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) signing_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) team_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) executable: Option<File<'a>>,
    #[serde(borrow)]
    pub(super) tty: Option<File<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) start_time: Option<Text<'a>>,
}

/// The `event` member: one of these, or an event of another type, and then none.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Events<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) exec: Option<Box<ExecEvent<'a>>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) fork: Option<Box<ForkEvent<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exit: Option<ExitEvent>,
}

/// `es_event_exec_t`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ExecEvent<'a> {
    #[serde(borrow)]
    pub(super) target: Process<'a>,
    pub(super) args: Arguments,
    /// Not Apple's: written where fewer arguments were kept than there were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) args_total: Option<u32>,
    pub(super) env: Environment,
    #[serde(borrow)]
    pub(super) cwd: Option<File<'a>>,
    #[serde(borrow)]
    pub(super) script: Option<File<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) dyld_exec_path: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_cputype: Option<i64>,
}

/// `es_event_fork_t`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ForkEvent<'a> {
    #[serde(borrow)]
    pub(super) child: Process<'a>,
}

/// `es_event_exit_t`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ExitEvent {
    pub(super) stat: Option<i64>,
}

/// The `action` member of a notification: its one question is whether the event was let pass.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Action {
    result: Option<ActionResult>,
}

/// `es_result_t` with its type beside it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct ActionResult {
    result_type: Option<i64>,
    result: Option<AuthResult>,
}

/// `es_auth_result_t`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct AuthResult {
    auth: Option<i64>,
}

impl Action {
    /// `ES_AUTH_RESULT_DENY`.
    const DENY: i64 = 1;

    /// What `eslogger` prints for an event that was let pass or denied.
    pub(crate) fn of(denied: bool) -> Self {
        let auth = AuthResult { auth: Some(i64::from(denied)) };
        Self { result: Some(ActionResult { result_type: Some(0), result: Some(auth) }) }
    }

    /// Whether another client denied the event.
    pub(crate) fn denied(&self) -> bool {
        self.result.as_ref().and_then(|result| result.result.as_ref()).and_then(|result| result.auth)
            == Some(Self::DENY)
    }
}
