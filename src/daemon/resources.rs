//! What the daemon uses of the machine.

use std::time::Duration;

use serde::Serialize;

/// What this process uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Seconds of processor time since it began, user and system.
    pub cpu_seconds: f64,
    /// Bytes of memory that are resident, where the system says.
    pub resident_bytes: Option<u64>,
}

/// What this process uses now.
pub(super) fn usage() -> Usage {
    Usage { cpu_seconds: cpu_time().as_secs_f64(), resident_bytes: resident() }
}

/// Processor time of this process.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    // Never negative: the clock counts from the start of the process.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(target_os = "macos")]
fn resident() -> Option<u64> {
    crate::source::live::resident()
}

#[cfg(target_os = "linux")]
fn resident() -> Option<u64> {
    // The second number of `statm` counts resident pages (proc(5)).
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}

#[cfg(not(any(target_os = "macos", target_os = "linux")))]
fn resident() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_uses_something() {
        let mut sum = 0_u64;
        while cpu_time().is_zero() {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(usage().cpu_seconds > 0.0);
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        assert!(usage().resident_bytes.unwrap() > 100_000);
    }
}
