//! System calls about processes and interfaces.

#![allow(unsafe_code, reason = "system calls; every block says what it relies on")]

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::ptr;
use std::sync::Arc;

use super::{Listed, UniqueIdentity, has_entitlement_in};
use crate::observation::{Running, Timestamp};
use crate::source::network_statistics::Lookup;

/// Every process that runs now.
pub(crate) fn processes(time: Timestamp) -> Vec<Running> {
    let mut numbers = vec![0_i32; MOST_PROCESSES];
    let size = c_int::try_from(size_of_val(&numbers[..])).unwrap_or(c_int::MAX);
    // Safety: `numbers` has `size` writable bytes, and any bytes are a valid `i32`.
    let count = unsafe { libc::proc_listallpids(numbers.as_mut_ptr().cast(), size) };
    numbers.truncate(usize::try_from(count).unwrap_or_default());
    numbers.sort_unstable();
    numbers.into_iter().filter(|pid| *pid > 0).map(|pid| listed(pid).observe(time)).collect()
}

fn listed(pid: i32) -> Listed {
    let mut listed = Listed {
        pid,
        unique: unique_identity(pid),
        path: path(pid),
        arguments: arguments(pid),
        signing_id: signing(pid, CS_OPS_IDENTITY, LONGEST_IDENTITY),
        team_id: signing(pid, CS_OPS_TEAMID, LONGEST_IDENTITY),
        cdhash: signing(pid, CS_OPS_CDHASH, 20).try_into().ok(),
        ..Listed::default()
    };
    if let Ok(flags) = signing(pid, CS_OPS_STATUS, 4).try_into() {
        listed.signing_flags = u32::from_ne_bytes(flags);
    }
    if let Some(info) = bsd_info(pid) {
        let number = |number: u32| i32::try_from(number).unwrap_or_default();
        listed.ppid = number(info.pbi_ppid);
        listed.group_id = Some(number(info.pbi_pgid));
        listed.euid = Some(info.pbi_uid);
        listed.ruid = Some(info.pbi_ruid);
        let seconds = i64::try_from(info.pbi_start_tvsec).unwrap_or_default();
        let nanos = u32::try_from(info.pbi_start_tvusec).unwrap_or_default().saturating_mul(1_000);
        listed.start = Some(Timestamp::from_seconds(seconds, nanos));
    }
    listed
}

/// What a process is called by the kernel itself, now.
fn unique_identity(pid: i32) -> Option<UniqueIdentity> {
    let mut bytes = [0_u8; UniqueIdentity::LENGTH];
    // Safety: `bytes` has as many writable bytes as is said.
    let length = unsafe {
        libc::proc_pidinfo(pid, PROC_PIDUNIQIDENTIFIERINFO, 0, bytes.as_mut_ptr().cast(), UNIQUE_SIZE)
    };
    if length == UNIQUE_SIZE { UniqueIdentity::parse(&bytes) } else { None }
}

fn bsd_info(pid: i32) -> Option<libc::proc_bsdinfo> {
    // Safety: a structure of numbers, for which all zero is valid.
    let mut info: libc::proc_bsdinfo = unsafe { std::mem::zeroed() };
    let size = c_int::try_from(size_of_val(&info)).ok()?;
    // Safety: `info` has `size` writable bytes.
    let length = unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTBSDINFO, 0, (&raw mut info).cast(), size) };
    (length == size).then_some(info)
}

fn path(pid: i32) -> Vec<u8> {
    let mut path = vec![0_u8; LONGEST_PATH];
    let size = u32::try_from(path.len()).unwrap_or_default();
    // Safety: `path` has `size` writable bytes.
    let length = unsafe { libc::proc_pidpath(pid, path.as_mut_ptr().cast(), size) };
    path.truncate(usize::try_from(length).unwrap_or_default());
    path
}

fn arguments(pid: i32) -> Vec<u8> {
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid];
    let mut bytes = vec![0_u8; LONGEST_ARGUMENTS];
    let mut length = bytes.len();
    // Safety: `name` has three numbers; `bytes` has `length` writable bytes, and the kernel writes no more; nothing is set.
    let status = unsafe {
        libc::sysctl(name.as_mut_ptr(), 3, bytes.as_mut_ptr().cast(), &raw mut length, ptr::null_mut(), 0)
    };
    bytes.truncate(if status == 0 { length } else { 0 });
    bytes
}

/// What the kernel knows of a code signature; empty where there is none.
fn signing(pid: i32, operation: c_uint, size: usize) -> Vec<u8> {
    let mut bytes = vec![0_u8; size];
    // Safety: `bytes` has `size` writable bytes, and the kernel writes no more.
    let status = unsafe { csops(pid, operation, bytes.as_mut_ptr().cast(), size) };
    bytes.truncate(if status == 0 { size } else { 0 });
    bytes
}

/// Whether the signature of this process carries an entitlement.
pub(crate) fn has_entitlement(key: &str) -> bool {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    has_entitlement_in(&signing(own, CS_OPS_ENTITLEMENTS_BLOB, LONGEST_ENTITLEMENTS), key)
}

/// The kernel, asked about flows.
#[derive(Debug, Default)]
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn generation(&mut self, pid: i32, unique_pid: u64) -> Option<i32> {
        unique_identity(pid).filter(|found| found.unique_pid == unique_pid).map(|found| found.generation)
    }

    fn interface(&mut self, number: u32) -> Option<Arc<str>> {
        let mut name = [0_u8; libc::IF_NAMESIZE];
        // Safety: `name` has `IF_NAMESIZE` writable bytes, which is what the call may write.
        let found = unsafe { libc::if_indextoname(number, name.as_mut_ptr().cast()) };
        if found.is_null() {
            return None;
        }
        CStr::from_bytes_until_nul(&name).ok()?.to_str().ok().map(Arc::from)
    }
}

// Safety: the signature is that of `bsd/sys/codesign.h`.
unsafe extern "C" {
    fn csops(pid: libc::pid_t, operation: c_uint, data: *mut c_void, size: usize) -> c_int;
}

/// `CS_OPS_*` of `bsd/sys/codesign.h`.
const CS_OPS_STATUS: c_uint = 0;
const CS_OPS_CDHASH: c_uint = 5;
const CS_OPS_ENTITLEMENTS_BLOB: c_uint = 7;
const CS_OPS_IDENTITY: c_uint = 11;
const CS_OPS_TEAMID: c_uint = 14;
/// Of `bsd/sys/proc_info_private.h`: what only Apple's own headers name.
const PROC_PIDUNIQIDENTIFIERINFO: c_int = 17;
/// `sizeof(struct proc_uniqidentifierinfo)`.
const UNIQUE_SIZE: c_int = 56;
/// Twice what macOS lets run on a Mac with 64 GB (`kern.maxproc`).
const MOST_PROCESSES: usize = 32_768;
/// `PROC_PIDPATHINFO_MAXSIZE`.
const LONGEST_PATH: usize = 4_096;
/// `ARG_MAX`, below which the kernel gives nothing of what is longer.
const LONGEST_ARGUMENTS: usize = 1 << 20;
/// `MAX_CSOPS_BLOB` would be more; no identifier is longer than this.
const LONGEST_IDENTITY: usize = 1_024;
/// Bytes: ours have some hundred.
const LONGEST_ENTITLEMENTS: usize = 64 << 10;
