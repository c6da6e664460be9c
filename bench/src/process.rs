//! What the system says of this process.

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::Outcome;

/// Processor time of all threads so far.
pub fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Resident bytes; `None` where the system has no `/proc`.
pub fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    Some(kib.trim().parse::<u64>().ok()? * 1_024)
}

/// Lets this process, and those it starts, open so many files.
///
/// # Errors
///
/// The system does not allow that.
pub fn allow_files(count: u64) -> Outcome {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    limit.current = Some(count);
    setrlimit(Resource::Nofile, limit)
        .map_err(|error| format!("{count} open files are needed ({error}): raise the hard limit, `ulimit -Hn`").into())
}
