//! What a process takes, as Linux tells it.

use std::time::Duration;

/// A line of `/proc/PID/status` in KiB, such as `VmHWM`: the most that it ever had in memory.
pub fn memory_kib(process: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let value = status
        .lines()
        .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let value = value.unwrap_or_else(|| panic!("no {line} in {status}"));
    value.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Processor time that it has used, user and system.
pub fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    let second = rustix::param::clock_ticks_per_second();
    Duration::from_secs_f64(ticks as f64 / second as f64)
}
