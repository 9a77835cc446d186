//! System calls about the system itself.

#![allow(unsafe_code, reason = "system calls; every block says what it relies on")]

use std::ffi::{CStr, c_int};
use std::time::Duration;

/// A text that the kernel keeps under a name, such as `kern.osproductversion`.
pub(crate) fn system_text(name: &CStr) -> Option<String> {
    let mut text = [0_u8; LONGEST_TEXT];
    let mut length = text.len();
    // Safety: `name` ends with NUL; `text` has `length` writable bytes, and the kernel writes no more; nothing is set.
    let status: c_int = unsafe {
        libc::sysctlbyname(name.as_ptr(), text.as_mut_ptr().cast(), &raw mut length, std::ptr::null_mut(), 0)
    };
    if status != 0 {
        return None;
    }
    CStr::from_bytes_until_nul(&text).ok()?.to_str().ok().map(str::to_owned)
}

/// Time since boot during which the Mac was awake.
pub(crate) fn awake() -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // Safety: `time` is a writable `timespec`.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_UPTIME_RAW, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanos = u32::try_from(time.tv_nsec).ok()?;
    (status == 0).then(|| Duration::new(seconds, nanos))
}

/// Bytes of memory of this process that are resident.
pub(crate) fn resident() -> Option<u64> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage_info_v2>::zeroed();
    let pid = c_int::try_from(std::process::id()).ok()?;
    // Safety: the buffer is writable and has the size of the flavour that is named; an all-zero one is valid, so it may be read in any case.
    let (status, usage) = unsafe {
        let status = libc::proc_pid_rusage(pid, libc::RUSAGE_INFO_V2, usage.as_mut_ptr().cast());
        (status, usage.assume_init())
    };
    (status == 0).then_some(usage.ri_resident_size)
}

/// A host's name has at most 255 bytes.
const LONGEST_TEXT: usize = 256;
