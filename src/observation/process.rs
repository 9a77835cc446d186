//! What Endpoint Security says about processes, as owned values.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A process by its number and, where the source gives it, the generation of that number.
///
/// `(pid, pidversion)` names one execution uniquely until the next boot: XNU gives every fork and every exec a new `pidversion` from
/// one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessKey {
    /// The process number.
    pub pid: i32,
    /// Its generation; `None` where the source knows only the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pidversion: Option<i32>,
}

/// What every process event carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// The wall clock of the event.
    pub time: Timestamp,
    /// `mach_absolute_time` of the event, in the Mac's own ticks: stands still in sleep.
    pub mach_time: Option<u64>,
    /// `es_message_t` version: 7 on macOS 13.3, 9 on 15, 10 on 26, 11 on 27. Zero where the source has none.
    pub version: u32,
    /// Counter of the client and event type; a jump is a loss.
    pub seq_num: Option<u64>,
    /// Counter of the client; a jump is a loss.
    pub global_seq_num: Option<u64>,
}

/// A process as `es_process_t` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// The process.
    pub key: ProcessKey,
    /// Its parent now; launchd once the parent has died.
    pub parent: Option<ProcessKey>,
    /// The process that macOS holds responsible. It may be the process itself.
    pub responsible: Option<ProcessKey>,
    /// Number of the parent now.
    pub ppid: i32,
    /// Number of the parent at the fork, whatever became of it.
    pub original_ppid: Option<i32>,
    /// Process group.
    pub group_id: Option<i32>,
    /// Session.
    pub session_id: Option<i32>,
    /// Who runs it.
    pub credentials: Credentials,
    /// The file that it executes.
    pub executable: Executable,
    /// The code signature.
    pub signing: CodeSigning,
    /// Whether it is an Endpoint Security client.
    pub is_es_client: bool,
    /// The controlling terminal.
    pub tty: Option<Arc<str>>,
    /// When it was forked (an exec does not change it).
    pub start_time: Option<Timestamp>,
}

/// Users and groups of an audit token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Credentials {
    /// Audit user: who logged in. `None` for system processes (`4294967295`).
    pub auid: Option<u32>,
    /// Effective user.
    pub euid: Option<u32>,
    /// Real user.
    pub ruid: Option<u32>,
    /// Audit session.
    pub asid: Option<i32>,
}

/// The file that a process executes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Executable {
    /// Absolute path. With hard links any one of the names.
    pub path: Arc<str>,
    /// Whether Endpoint Security cut the path.
    pub path_truncated: bool,
}

/// What the kernel knows of a code signature.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CodeSigning {
    /// `CS_*` bits of `osfmk/kern/cs_blobs.h`.
    pub flags: u32,
    /// Whether it is part of macOS. The only reliable word on that: `CS_PLATFORM_BINARY` is often missing in the flags.
    pub is_platform_binary: bool,
    /// The signing identifier; for ad-hoc signatures it may hold a build's hash.
    pub signing_id: Option<Arc<str>>,
    /// The team; `None` for Apple's and ad-hoc signed code.
    pub team_id: Option<Arc<str>>,
    /// Hash of the code directory; differs by build and CPU slice.
    pub cdhash: Option<[u8; 20]>,
}

impl CodeSigning {
    /// `CS_VALID`.
    pub const VALID: u32 = 0x0000_0001;
    /// `CS_ADHOC`.
    pub const ADHOC: u32 = 0x0000_0002;
    /// `CS_LINKER_SIGNED`.
    pub const LINKER_SIGNED: u32 = 0x0002_0000;
    /// `CS_SIGNED`.
    pub const SIGNED: u32 = 0x2000_0000;
}

/// `es_event_exec_t`: a process image was replaced.
#[doc(alias = "es_event_exec_t")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// Time and sequence.
    pub message: Message,
    /// The image before, in the same process: not the parent.
    pub actor: ProcessInfo,
    /// The image after.
    pub target: ProcessInfo,
    /// `argv`, bounded in number and length by the source.
    pub arguments: Vec<Arc<str>>,
    /// How many arguments there were.
    pub arguments_total: u32,
    /// The few environment entries that say who started it (`XPC_SERVICE_NAME`, `__CFBundleIdentifier`, ...), never all.
    pub environment: Vec<(Arc<str>, Arc<str>)>,
    /// The script, only where it was executed through its `#!` line.
    pub script: Option<Arc<str>>,
    /// Working directory.
    pub cwd: Option<Arc<str>>,
    /// The path before symlinks were resolved, or the interpreter of a `#!` script.
    pub dyld_exec_path: Option<Arc<str>>,
    /// `cpu_type_t` of the slice that runs.
    pub cpu_type: Option<i32>,
    /// Another client denied it: the image was not replaced.
    pub denied: bool,
}

/// `es_event_fork_t`.
#[doc(alias = "es_event_fork_t")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// Time and sequence.
    pub message: Message,
    /// The process that forked.
    pub parent: ProcessInfo,
    /// The new process: image and signature are still the parent's.
    pub child: ProcessInfo,
}

/// `es_event_exit_t`.
#[doc(alias = "es_event_exit_t")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Time and sequence.
    pub message: Message,
    /// The process that ended.
    pub process: ProcessInfo,
    /// Wait status: exit code `(status >> 8) & 0xff`, signal `status & 0x7f`.
    pub wait_status: i32,
}

/// A process that ran already when observation began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// When the list was made.
    pub time: Timestamp,
    /// The process.
    pub process: ProcessInfo,
    /// `argv`, where it could be read.
    pub arguments: Vec<Arc<str>>,
    /// As for [`Exec::environment`].
    pub environment: Vec<(Arc<str>, Arc<str>)>,
}
