//! Disturbances against the times of outliers.

/// How long after a disturbance its traces still count as its own: memory is handed back, caches
/// and buffers drain, temperatures and the one-minute load average (of which a sixth fades in 10 s)
/// come down. Seconds.
pub const RECOVERY_SECONDS: f64 = 5.0;

/// When a disturbance was made. Seconds on the clock of the outliers.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub name: &'static str,
    pub start: f64,
    pub end: f64,
}

/// What became of one disturbance.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub name: &'static str,
    /// Seconds from the start to the first outlier inside the window; `None` when nothing was
    /// flagged there: the disturbance was masked by what the host does anyway, or missed.
    pub caught_after: Option<f64>,
    /// Outliers inside the window.
    pub during: usize,
    /// Outliers in the recovery, less those inside another window.
    pub afterwards: usize,
    /// It began before the one before it had recovered, so its outliers may be that one's.
    pub in_recovery: bool,
}

impl Finding {
    pub fn is_caught(&self) -> bool {
        self.caught_after.is_some()
    }
}

/// What became of all disturbances, and the outliers that belong to none.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// In the order of the windows' starts.
    pub findings: Vec<Finding>,
    /// The first outlier of all.
    pub first: Option<f64>,
    /// Outliers outside all windows and recoveries, in order: false alarms, or the host's own doings.
    pub outside: Vec<f64>,
}

/// Gives every outlier to at most one window: the latest that is open (both ends count), or else the
/// latest that is recovering. `outliers` are times in seconds, in any order.
pub fn account(windows: &[Window], outliers: &[f64], recovery: f64) -> Account {
    let mut windows = windows.to_vec();
    windows.sort_by(|a, b| a.start.total_cmp(&b.start));
    let mut times = outliers.to_vec();
    times.sort_by(f64::total_cmp);

    let mut findings = unflagged(&windows, recovery);
    let mut outside = Vec::new();
    for time in &times {
        let latest = |slack: f64| {
            windows
                .iter()
                .rposition(|window| (window.start..=window.end + slack).contains(time))
        };
        if let Some(index) = latest(0.0) {
            let finding = &mut findings[index];
            finding.during += 1;
            finding
                .caught_after
                .get_or_insert(time - windows[index].start);
        } else if let Some(index) = latest(recovery) {
            findings[index].afterwards += 1;
        } else {
            outside.push(*time);
        }
    }
    Account {
        findings,
        first: times.first().copied(),
        outside,
    }
}

fn unflagged(windows: &[Window], recovery: f64) -> Vec<Finding> {
    let mut recovered = f64::NEG_INFINITY;
    windows
        .iter()
        .map(|window| {
            let in_recovery = window.start <= recovered;
            recovered = recovered.max(window.end + recovery);
            Finding {
                name: window.name,
                caught_after: None,
                during: 0,
                afterwards: 0,
                in_recovery,
            }
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn window(name: &'static str, start: f64, end: f64) -> Window {
        Window { name, start, end }
    }

    #[test]
    fn outliers_are_given_to_the_window_they_fall_in() {
        let windows = [
            window("processor", 100.0, 104.0),
            window("memory", 130.0, 134.0),
        ];
        let account = account(&windows, &[101.5, 100.75, 110.0, 50.0, 115.0], 10.0);
        let [processor, memory] = account.findings.as_slice() else {
            panic!("{account:?}");
        };
        assert_eq!(processor.caught_after, Some(0.75));
        assert_eq!((processor.during, processor.afterwards), (2, 1));
        assert!(!memory.is_caught() && !memory.in_recovery);
        assert_eq!(account.first, Some(50.0));
        assert_eq!(account.outside, [50.0, 115.0]);
    }

    #[test]
    fn an_open_window_comes_before_the_recovery_of_the_one_before() {
        let windows = [window("disk", 6.0, 8.0), window("processor", 0.0, 4.0)];
        let account = account(&windows, &[5.0, 7.0, 9.0], 10.0);
        assert_eq!(account.findings[0].name, "processor");
        assert_eq!(account.findings[0].afterwards, 1);
        assert_eq!(account.findings[1].caught_after, Some(1.0));
        assert_eq!(account.findings[1].afterwards, 1);
        assert!(account.findings[1].in_recovery);
    }

    #[test]
    fn an_outlier_of_the_recovery_catches_nothing() {
        let account = account(&[window("memory", 0.0, 4.0)], &[4.25], RECOVERY_SECONDS);
        assert!(!account.findings[0].is_caught());
        assert_eq!(account.findings[0].afterwards, 1);
    }

    proptest::proptest! {
        #[test]
        fn every_outlier_is_counted_once(
            starts in proptest::collection::vec(0.0f64..100.0, 0..6),
            outliers in proptest::collection::vec(0.0f64..120.0, 0..40),
        ) {
            let windows: Vec<Window> =
                starts.iter().map(|start| window("x", *start, start + 4.0)).collect();
            let account = account(&windows, &outliers, 10.0);
            let given: usize = account.findings.iter().map(|f| f.during + f.afterwards).sum();
            proptest::prop_assert_eq!(given + account.outside.len(), outliers.len());
        }
    }
}
