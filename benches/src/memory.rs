//! The memory of a process, as the system counts it.

use std::path::Path;

/// Resident memory in MiB: now, and at its peak. Zero when the system does not say.
pub fn of_process(id: u32) -> (u64, u64) {
    let status = Path::new("/proc").join(id.to_string()).join("status");
    let status = std::fs::read_to_string(status).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        number.unwrap_or_default() / 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Of this process.
pub fn of_this_process() -> (u64, u64) {
    of_process(std::process::id())
}
