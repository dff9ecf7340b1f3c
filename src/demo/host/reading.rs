//! One sample as it is sent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use sysinfo::System;

use super::counters::Rates;
use super::gauges::Gauges;

/// Up to so many cores have a reading each; more are told by the least, mean and most only.
const CORES_SHOWN: usize = 8;

#[derive(Debug, Serialize)]
pub(super) struct Reading<'a> {
    host: &'a str,
    /// RFC 3339, whole milliseconds.
    time: String,
    cpu: BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    load: BTreeMap<&'static str, f64>,
    memory: Memory,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    swap: BTreeMap<&'static str, f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    disk: BTreeMap<&'static str, f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    net: BTreeMap<&'static str, f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    loopback: BTreeMap<&'static str, f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    kernel: BTreeMap<&'static str, f64>,
    processes: Processes,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    temperature: &'a BTreeMap<String, f64>,
}

#[derive(Debug, Serialize)]
struct Memory {
    available_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_share: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Processes {
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forks_per_s: Option<f64>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        host: &'a str,
        time: Timestamp,
        system: &System,
        rates: Rates,
        gauges: &'a Gauges,
    ) -> Self {
        let shares: Vec<f64> = system
            .cpus()
            .iter()
            .map(|cpu| (f64::from(cpu.usage()) / 100.0).clamp(0.0, 1.0))
            .collect();
        Self {
            host,
            time: format!("{time:.3}"),
            cpu: processor(&shares),
            load: load(),
            memory: memory(system),
            swap: swap(system),
            disk: rounded([
                ("read_bytes_per_s", rates.disk_read_bytes),
                ("write_bytes_per_s", rates.disk_written_bytes),
            ]),
            net: rounded([
                ("rx_bytes_per_s", rates.received_bytes),
                ("tx_bytes_per_s", rates.sent_bytes),
            ]),
            loopback: rounded([("bytes_per_s", rates.loopback_bytes)]),
            kernel: rounded([
                ("page_faults_per_s", rates.page_faults),
                ("context_switches_per_s", rates.context_switches),
            ]),
            processes: Processes {
                count: gauges.processes,
                forks_per_s: rates.forks.map(|rate| round(rate, 1)),
            },
            temperature: &gauges.temperatures,
        }
    }

    /// Replaces `out` by this reading as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        if let Err(error) = serde_json::to_writer(&mut *out, self) {
            tracing::error!(%error, "a reading of this host could not be written");
        }
    }
}

/// The least, mean and most busy core, and each core where they are few. Shares from 0 to 1.
fn processor(shares: &[f64]) -> BTreeMap<String, f64> {
    let mut cpu = BTreeMap::new();
    if shares.is_empty() {
        return cpu;
    }
    let least = shares.iter().copied().fold(1.0, f64::min);
    let most = shares.iter().copied().fold(0.0, f64::max);
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    for (name, share) in [("min", least), ("mean", mean), ("max", most)] {
        cpu.insert(name.to_owned(), round(share, 4));
    }
    if shares.len() <= CORES_SHOWN {
        for (core, share) in shares.iter().enumerate() {
            cpu.insert(format!("core{core}"), round(*share, 4));
        }
    }
    cpu
}

fn load() -> BTreeMap<&'static str, f64> {
    System::load_average().map_or_else(
        |_| BTreeMap::new(),
        |load| {
            BTreeMap::from([
                ("one", load.one),
                ("five", load.five),
                ("fifteen", load.fifteen),
            ])
        },
    )
}

fn memory(system: &System) -> Memory {
    let total = system.total_memory();
    let available = system.available_memory();
    let used = total.saturating_sub(available) as f64 / total as f64;
    Memory {
        available_bytes: available,
        used_share: (total > 0).then(|| round(used, 5)),
    }
}

/// Empty on a host without swap.
fn swap(system: &System) -> BTreeMap<&'static str, f64> {
    let total = system.total_swap();
    if total == 0 {
        return BTreeMap::new();
    }
    BTreeMap::from([(
        "used_share",
        round(system.used_swap() as f64 / total as f64, 5),
    )])
}

fn rounded<const N: usize>(
    readings: [(&'static str, Option<f64>); N],
) -> BTreeMap<&'static str, f64> {
    readings
        .into_iter()
        .filter_map(|(name, value)| Some((name, round(value?, 1))))
        .collect()
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn few_cores_are_shown_each_and_many_together() {
        let few = processor(&[0.25, 0.75]);
        assert_eq!((few["min"], few["mean"], few["max"]), (0.25, 0.5, 0.75));
        assert_eq!(few["core1"], 0.75);
        assert_eq!(processor(&[0.5; 64]).len(), 3);
        assert!(processor(&[]).is_empty());
    }

    #[test]
    fn what_is_not_measured_is_left_out() {
        let readings = rounded([("a", Some(1.26)), ("b", None)]);
        assert_eq!(readings, BTreeMap::from([("a", 1.3)]));
    }
}
