//! Numbers that only grow, and the rates between two readings of them.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use sysinfo::{DiskRefreshKind, Disks, Networks};

use super::kernel;

/// One reading of everything that is counted since boot; `None` where this host does not count it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) disk_read_bytes: Option<u64>,
    pub(super) disk_written_bytes: Option<u64>,
    /// All interfaces but loopback. A packet that crosses a bridge counts on each side.
    pub(super) received_bytes: Option<u64>,
    pub(super) sent_bytes: Option<u64>,
    pub(super) loopback_bytes: Option<u64>,
    pub(super) page_faults: Option<u64>,
    pub(super) context_switches: Option<u64>,
    pub(super) forks: Option<u64>,
}

/// [`Counters`] per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) disk_read_bytes: Option<f64>,
    pub(super) disk_written_bytes: Option<f64>,
    pub(super) received_bytes: Option<f64>,
    pub(super) sent_bytes: Option<f64>,
    pub(super) loopback_bytes: Option<f64>,
    pub(super) page_faults: Option<f64>,
    pub(super) context_switches: Option<f64>,
    pub(super) forks: Option<f64>,
}

impl Counters {
    /// The rates since `before`, which was read `elapsed` ago. A counter that went back (an
    /// interface or disk was taken away) has no rate this time.
    pub(super) fn rates_since(&self, before: &Self, elapsed: Duration) -> Rates {
        let seconds = elapsed.as_secs_f64();
        let rate = |now: Option<u64>, before: Option<u64>| {
            let grown = now?.checked_sub(before?)?;
            (seconds > 0.0).then(|| grown as f64 / seconds)
        };
        Rates {
            disk_read_bytes: rate(self.disk_read_bytes, before.disk_read_bytes),
            disk_written_bytes: rate(self.disk_written_bytes, before.disk_written_bytes),
            received_bytes: rate(self.received_bytes, before.received_bytes),
            sent_bytes: rate(self.sent_bytes, before.sent_bytes),
            loopback_bytes: rate(self.loopback_bytes, before.loopback_bytes),
            page_faults: rate(self.page_faults, before.page_faults),
            context_switches: rate(self.context_switches, before.context_switches),
            forks: rate(self.forks, before.forks),
        }
    }
}

/// Where the counters are read.
pub(super) struct Sources {
    disks: Option<Disks>,
    networks: Option<Networks>,
}

impl Sources {
    pub(super) fn new() -> Self {
        Self {
            disks: Disks::new().ok(),
            networks: Networks::new().ok(),
        }
    }

    pub(super) fn read(&mut self) -> Counters {
        let mut counters = Counters::default();
        self.read_disks(&mut counters);
        self.read_networks(&mut counters);
        if let Ok(stat) = fs::read_to_string("/proc/stat") {
            counters.context_switches = kernel::counter(&stat, "ctxt");
            counters.forks = kernel::counter(&stat, "processes");
        }
        if let Ok(vmstat) = fs::read_to_string("/proc/vmstat") {
            counters.page_faults = kernel::counter(&vmstat, "pgfault");
        }
        counters
    }

    fn read_disks(&mut self, counters: &mut Counters) {
        let by_kernel = fs::read_to_string("/proc/diskstats")
            .ok()
            .and_then(|text| kernel::disk_bytes(&text));
        if let Some((read, written)) = by_kernel.or_else(|| self.mounted_disk_bytes()) {
            counters.disk_read_bytes = Some(read);
            counters.disk_written_bytes = Some(written);
        }
    }

    /// A disk that is mounted several times is counted once, by its name.
    fn mounted_disk_bytes(&mut self) -> Option<(u64, u64)> {
        let disks = self.disks.as_mut()?;
        disks.refresh_specifics(true, DiskRefreshKind::nothing().with_io_usage());
        let mut seen = BTreeSet::new();
        let usages: Vec<_> = disks
            .iter()
            .filter(|disk| seen.insert(disk.name().to_owned()))
            .map(sysinfo::Disk::usage)
            .collect();
        let read = usages.iter().map(|usage| usage.total_read_bytes).sum();
        let written = usages.iter().map(|usage| usage.total_written_bytes).sum();
        (!usages.is_empty()).then_some((read, written))
    }

    fn read_networks(&mut self, counters: &mut Counters) {
        let Some(networks) = self.networks.as_mut() else {
            return;
        };
        networks.refresh(true);
        for (name, data) in networks.iter() {
            if is_loopback(&name.to_string_lossy()) {
                *counters.loopback_bytes.get_or_insert(0) += data.total_received();
            } else {
                *counters.received_bytes.get_or_insert(0) += data.total_received();
                *counters.sent_bytes.get_or_insert(0) += data.total_transmitted();
            }
        }
    }
}

/// `lo` on Linux, `lo0` on BSD and macOS, `Loopback Pseudo-Interface 1` on Windows.
fn is_loopback(interface: &str) -> bool {
    interface == "lo" || interface == "lo0" || interface.starts_with("Loopback")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn with_forks(forks: Option<u64>) -> Counters {
        Counters {
            forks,
            ..Counters::default()
        }
    }

    #[test]
    fn a_rate_is_the_growth_over_the_time() {
        let rates =
            with_forks(Some(110)).rates_since(&with_forks(Some(100)), Duration::from_millis(250));
        assert_eq!(rates.forks, Some(40.0));
        assert_eq!(rates.page_faults, None);
    }

    #[test]
    fn a_counter_that_went_back_or_stood_alone_has_no_rate() {
        let second = Duration::from_secs(1);
        let rate = |now, before, elapsed| {
            with_forks(now)
                .rates_since(&with_forks(before), elapsed)
                .forks
        };
        assert_eq!(rate(Some(5), Some(9), second), None);
        assert_eq!(rate(Some(5), None, second), None);
        assert_eq!(rate(Some(5), Some(5), Duration::ZERO), None);
    }

    #[test]
    fn loopback_is_told_from_the_other_interfaces() {
        assert!(is_loopback("lo") && is_loopback("lo0"));
        assert!(!is_loopback("eth0") && !is_loopback("longhaul0"));
    }
}
