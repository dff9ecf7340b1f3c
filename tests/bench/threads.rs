//! CPU time by thread, from `/proc`.

use std::collections::BTreeMap;
use std::fs;

/// Nanoseconds on a processor by name; threads of one name are added up.
pub fn cpu() -> BTreeMap<String, u64> {
    let mut by_name = BTreeMap::new();
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return by_name;
    };
    for task in tasks.flatten() {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).ok();
        // A thread that has just ended has neither.
        let (Some(name), Some(times)) = (read("comm"), read("schedstat")) else {
            continue;
        };
        let spent = times
            .split(' ')
            .next()
            .and_then(|time| time.parse::<u64>().ok());
        *by_name.entry(group(name.trim())).or_default() += spent.unwrap_or(0);
    }
    by_name
}

fn group(name: &str) -> String {
    match name {
        "consume" | "score" | "publish" => name.into(),
        _ if name.starts_with("rdk:") => "librdkafka".into(),
        _ => "others".into(),
    }
}
