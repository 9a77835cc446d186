//! What the kernel says of a process that runs.

use std::sync::Arc;

use crate::cursor::Cursor;
use crate::observation::{CodeSigning, Credentials, Executable, ProcessInfo, ProcessKey, Running, Timestamp};
use crate::source::eslogger::{Arguments, Environment};
use crate::source::packet_tap::clean_text;
use crate::source::text::{NAME_LIMIT, TEXT_LIMIT};

/// What system calls returned on one process; empty where one failed, which is no rarity: a process may end at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub pid: i32,
    /// `proc_pidinfo` with `PROC_PIDUNIQIDENTIFIERINFO`.
    pub unique: Option<UniqueIdentity>,
    /// `pbi_ppid`.
    pub ppid: i32,
    /// `pbi_pgid`.
    pub group_id: Option<i32>,
    /// `pbi_uid`.
    pub euid: Option<u32>,
    /// `pbi_ruid`.
    pub ruid: Option<u32>,
    /// `pbi_start_tvsec` and `pbi_start_tvusec`.
    pub start: Option<Timestamp>,
    /// `proc_pidpath`.
    pub path: Vec<u8>,
    /// `sysctl` with `KERN_PROCARGS2`.
    pub arguments: Vec<u8>,
    /// `csops` with `CS_OPS_STATUS`.
    pub signing_flags: u32,
    /// `csops` with `CS_OPS_CDHASH`.
    pub cdhash: Option<[u8; 20]>,
    /// `csops` with `CS_OPS_IDENTITY`.
    pub signing_id: Vec<u8>,
    /// `csops` with `CS_OPS_TEAMID`.
    pub team_id: Vec<u8>,
}

impl Listed {
    /// The process, as the road knows it.
    pub fn observe(&self, time: Timestamp) -> Running {
        let (arguments, environment) = arguments(&self.arguments).unwrap_or_default();
        let parent = (self.ppid > 0).then_some(ProcessKey { pid: self.ppid, pidversion: None });
        Running {
            time,
            process: ProcessInfo {
                key: ProcessKey { pid: self.pid, pidversion: self.unique.map(|unique| unique.generation) },
                parent,
                responsible: None,
                ppid: self.ppid,
                original_ppid: None,
                group_id: self.group_id,
                session_id: None,
                credentials: Credentials { auid: None, euid: self.euid, ruid: self.ruid, asid: None },
                executable: Executable {
                    path: clean_text(&self.path, TEXT_LIMIT).unwrap_or_default(),
                    path_truncated: false,
                },
                signing: CodeSigning {
                    flags: self.signing_flags,
                    // Unlike the flags of a message, those that `csops` gives say it (`csops_internal` of `kern_cs.c` adds the bit).
                    is_platform_binary: self.signing_flags & CS_PLATFORM_BINARY != 0,
                    signing_id: identity(&self.signing_id),
                    team_id: identity(&self.team_id),
                    cdhash: self.cdhash.filter(|hash| *hash != [0; 20]),
                },
                is_es_client: false,
                tty: None,
                start_time: self.start,
            },
            arguments: arguments.kept,
            environment: environment.0,
        }
    }
}

/// `struct proc_uniqidentifierinfo`, as far as it is used.
#[doc(alias = "proc_uniqidentifierinfo")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UniqueIdentity {
    /// The kernel's own number of the process, which is never used again.
    pub unique_pid: u64,
    /// `p_idversion`: the `pidversion` of its audit token.
    pub generation: i32,
}

impl UniqueIdentity {
    /// Length of the structure in bytes.
    pub const LENGTH: usize = 56;

    /// Reads what `proc_pidinfo` wrote: the executable's UUID, two numbers of 64 bits (its own and its parent's), then the generation.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Cursor::new(bytes).part(Self::LENGTH)?;
        fields.skip(16)?;
        let unique_pid = fields.u64_le()?;
        fields.skip(size_of::<u64>())?;
        Some(Self { unique_pid, generation: fields.u32_le()?.cast_signed() })
    }
}

/// Reads `KERN_PROCARGS2`: the number of arguments, the path that was executed, NUL bytes up to the first argument, the arguments, the
/// environment, each ended by NUL.
fn arguments(bytes: &[u8]) -> Option<(Arguments, Environment)> {
    let mut bytes = Cursor::new(bytes);
    let total = bytes.u32_le()?;
    let mut texts = bytes.take_rest().split(|byte| *byte == 0);
    texts.next()?; // the path
    let mut texts = texts.skip_while(|text| text.is_empty());
    let mut arguments = Arguments { kept: Vec::new(), total };
    for _ in 0..total {
        // What is left of an empty argument is an empty text.
        let Some(text) = texts.next() else { break };
        if arguments.kept.len() < Arguments::LIMIT {
            arguments.kept.push(clean_text(text, TEXT_LIMIT).unwrap_or_default());
        }
    }
    let mut environment = Environment::default();
    for entry in texts {
        environment.keep_bytes(entry);
    }
    Some((arguments, environment))
}

/// A blob of `csops`: a magic number, its length (both of 32 bits), then a text that ends with NUL.
fn identity(blob: &[u8]) -> Option<Arc<str>> {
    clean_text(blob.get(BLOB_HEADER..)?, NAME_LIMIT)
}

/// Whether the entitlements of a code signature, as `csops` gives them (`CS_OPS_ENTITLEMENTS_BLOB`: magic number, length of the whole
/// with them, both of 32 bits in network order, then a property list), hold this key as true.
pub fn has_entitlement_in(blob: &[u8], key: &str) -> bool {
    let mut fields = Cursor::new(blob);
    let (magic, length) = (fields.u32_be(), fields.u32_be());
    let text = length
        .and_then(|length| usize::try_from(length).ok()?.checked_sub(BLOB_HEADER))
        .and_then(|length| fields.take(length));
    let (Some(ENTITLEMENTS_MAGIC), Some(text)) = (magic, text) else { return false };
    plist::Value::from_reader(std::io::Cursor::new(text))
        .is_ok_and(|list| list.as_dictionary().and_then(|d| d.get(key)?.as_boolean()).unwrap_or_default())
}

/// `CSMAGIC_EMBEDDED_ENTITLEMENTS`.
const ENTITLEMENTS_MAGIC: u32 = 0xfade_7171;
/// `CS_PLATFORM_BINARY`.
const CS_PLATFORM_BINARY: u32 = 0x0400_0000;
/// Length of the header of a blob.
const BLOB_HEADER: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn procargs(count: u32, rest: &[u8]) -> Vec<u8> {
        [&count.to_le_bytes()[..], rest].concat()
    }

    #[test]
    fn a_process_is_read_as_the_calls_return_it() {
        let mut unique = [0xee; 56];
        unique[16..24].copy_from_slice(&0x1_0001_u64.to_le_bytes());
        unique[32..36].copy_from_slice(&(-7_i32).to_le_bytes());
        let listed = Listed {
            pid: 501,
            unique: UniqueIdentity::parse(&unique),
            ppid: 1,
            path: b"/usr/bin/python3".to_vec(),
            arguments: procargs(
                3,
                b"/usr/bin/python3\0\0\0\0python3\0\0x.py\0XPC_SERVICE_NAME=a.b\0PATH=/bin\0\0",
            ),
            signing_flags: 0x2400_0001,
            cdhash: Some([9; 20]),
            signing_id: b"\xfa\xde\x0b\x01\0\0\0\x19com.apple.python3\0\0\0\0".to_vec(),
            team_id: Vec::new(),
            ..Listed::default()
        };
        let running = listed.observe(Timestamp::from_nanos(3));
        assert_eq!(running.process.key, ProcessKey { pid: 501, pidversion: Some(-7) });
        assert_eq!(listed.unique.unwrap().unique_pid, 0x1_0001);
        assert_eq!(running.arguments.iter().map(|text| &**text).collect::<Vec<_>>(), ["python3", "", "x.py"]);
        assert_eq!(running.environment.len(), 1);
        assert_eq!(running.process.signing.signing_id.as_deref(), Some("com.apple.python3"));
        assert!(running.process.signing.is_platform_binary && running.process.signing.team_id.is_none());
    }

    #[test]
    fn an_entitlement_counts_where_it_is_true_and_whole() {
        let list = include_bytes!("../../../launchd/bundle/tidemark.entitlements");
        let length = u32::try_from(list.len() + 8).unwrap().to_be_bytes();
        let mut blob = [&b"\xfa\xde\x71\x71"[..], &length, list].concat();
        // The kernel fills only the beginning of what it is given.
        blob.resize(blob.len() + 100, 0);
        assert!(has_entitlement_in(&blob, "com.apple.developer.endpoint-security.client"));
        assert!(!has_entitlement_in(&blob, "com.apple.security.get-task-allow"));
        assert!(!has_entitlement_in(&blob[..100], "com.apple.developer.endpoint-security.client"));
        assert!(!has_entitlement_in(b"", "x"));
    }

    #[test]
    fn a_process_that_hides_or_is_gone_still_has_its_number() {
        let running = Listed { pid: 7, ..Listed::default() }.observe(Timestamp::EPOCH);
        assert_eq!(running.process.key, ProcessKey { pid: 7, pidversion: None });
        assert_eq!((&*running.process.executable.path, running.arguments.len()), ("", 0));
    }

    proptest! {
        #[test]
        fn entitlements_of_any_bytes_are_none(blob: Vec<u8>) {
            prop_assert!(!has_entitlement_in(&blob, "x"));
        }

        #[test]
        fn no_list_of_arguments_is_read_past_its_end(count: u32, rest: Vec<u8>) {
            let (arguments, _) = arguments(&procargs(count, &rest)).unwrap();
            prop_assert!(arguments.kept.len() <= Arguments::LIMIT.min(rest.len() + 1));
        }
    }
}
