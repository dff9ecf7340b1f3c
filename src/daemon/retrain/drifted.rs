//! Whether the stream has drifted for so long that a model is to be trained.

use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A drift is no reason again sooner than this after a retrain.
const AFTER_RETRAIN: Duration = Duration::from_secs(3600);

/// A drift as a reason. What passes is an incident; what stays is the new normal, and by then there are records of it to
/// learn from.
pub(super) struct Drifted {
    /// How many fields drift.
    pub(super) fields: watch::Receiver<usize>,
    /// It has to last so long.
    pub(super) lasts: Duration,
    pub(super) since: Option<Instant>,
}

impl Drifted {
    /// Whether it is a reason, looked at regularly; `trained` is when the last retrain began.
    pub(super) fn is_due(&mut self, now: Instant, trained: Option<Instant>) -> bool {
        if *self.fields.borrow() == 0 {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        now.duration_since(since) >= self.lasts
            && trained.is_none_or(|trained| now.duration_since(trained) > AFTER_RETRAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_is_a_reason_once_it_lasts_and_not_again_within_the_hour() {
        let (sender, fields) = watch::channel(0);
        let mut drifted = Drifted {
            fields,
            lasts: Duration::from_secs(60),
            since: None,
        };
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!drifted.is_due(after(0), None));
        sender.send_replace(2);
        assert!(!drifted.is_due(after(100), None));
        assert!(!drifted.is_due(after(159), None));
        assert!(drifted.is_due(after(160), None));
        assert!(!drifted.is_due(after(160), Some(after(1))));
        assert!(drifted.is_due(after(3602), Some(after(1))));
        // What is over counts from its beginning when it comes again.
        sender.send_replace(0);
        assert!(!drifted.is_due(after(3603), None));
        sender.send_replace(1);
        assert!(!drifted.is_due(after(3604), None));
        assert!(drifted.is_due(after(3664), None));
    }
}
