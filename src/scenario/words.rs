//! What Endpoint Security says about a file, a user and the moment of an event.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::chain::Step;
use super::language::Program;
use super::mac::Task;
use crate::observation::{CodeSigning, Credentials, Executable, Message, ProcessInfo, ProcessKey, Timestamp};

/// The first process.
pub(super) fn launchd() -> ProcessInfo {
    let key = ProcessKey { pid: 1, pidversion: Some(1) };
    ProcessInfo {
        key,
        parent: Some(key),
        responsible: Some(key),
        ppid: 0,
        original_ppid: Some(0),
        group_id: Some(1),
        session_id: Some(1),
        credentials: Credentials::default(),
        executable: Executable { path: LAUNCHD_PATH.into(), path_truncated: false },
        signing: CodeSigning {
            flags: CodeSigning::SIGNED | CodeSigning::VALID,
            is_platform_binary: true,
            signing_id: Some("com.apple.xpc.launchd".into()),
            ..CodeSigning::default()
        },
        is_es_client: false,
        tty: None,
        start_time: Some(Timestamp::EPOCH),
    }
}

pub(super) fn arguments(task: &Task, step: &Step) -> Vec<Arc<str>> {
    let path = &task.info.executable.path;
    let name = path.rsplit('/').next().unwrap_or(path);
    std::iter::once(Arc::from(name))
        .chain(step.arguments.iter().map(|argument| Arc::from(argument.as_str())))
        .collect()
}

pub(super) fn credentials(user: u32) -> Credentials {
    Credentials { auid: Some(user), euid: Some(user), ruid: Some(user), asid: i32::try_from(user).ok() }
}

/// What the kernel would say of the file's signature. The code hash follows from the path, the signer and the name of the build.
pub(super) fn signing(program: &Program, path: &str) -> CodeSigning {
    let signed = program.apple || program.team.is_some();
    let own = if signed { 0 } else { CodeSigning::ADHOC };
    let mut hash = Sha256::new();
    for part in [path, program.build.as_str(), program.team.as_deref().unwrap_or_default()] {
        hash.update(part);
        hash.update([0]);
    }
    let mut cdhash = [0; 20];
    cdhash.iter_mut().zip(hash.finalize()).for_each(|(slot, byte)| *slot = byte);
    CodeSigning {
        flags: CodeSigning::SIGNED | CodeSigning::VALID | own,
        is_platform_binary: program.apple,
        signing_id: program.id.as_deref().map(Arc::from),
        team_id: program.team.as_deref().map(Arc::from),
        cdhash: Some(cdhash),
    }
}

pub(super) fn message(time: Timestamp, awake: Duration) -> Message {
    let ticks = u64::try_from(awake.as_nanos() * TICKS_PER_SECOND / 1_000_000_000).ok();
    Message { time, mach_time: ticks, version: 9, seq_num: None, global_seq_num: None }
}

const LAUNCHD_PATH: &str = "/sbin/launchd";
/// Ticks of `mach_absolute_time` on Apple silicon.
const TICKS_PER_SECOND: u128 = 24_000_000;
