//! The time a disturbance has, and how its work is spread over it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The longest pause between two looks at the stop flag.
const PAUSE: Duration = Duration::from_millis(5);

/// One disturbance's turn: over when its time is up or when it is told to stop.
pub(super) struct Turn<'a> {
    begun: Instant,
    length: Duration,
    stop: &'a AtomicBool,
}

impl<'a> Turn<'a> {
    pub(super) fn new(length: Duration, stop: &'a AtomicBool) -> Self {
        Self {
            begun: Instant::now(),
            length,
            stop,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_stopped() || self.elapsed() >= self.length
    }

    /// Whether it was told to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn pause(&self) {
        thread::sleep(PAUSE.min(self.length.saturating_sub(self.elapsed())));
    }

    /// How much of `total` should be done by now for the work to fill the first `share` of the turn.
    pub(super) fn due(&self, total: u64, share: f64) -> u64 {
        due(self.elapsed(), self.length.mul_f64(share), total)
    }
}

fn due(elapsed: Duration, length: Duration, total: u64) -> u64 {
    if elapsed >= length {
        return total;
    }
    let passed = elapsed.as_secs_f64() / length.as_secs_f64();
    ((total as f64 * passed) as u64).min(total)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn work_is_spread_evenly() {
        let seconds = Duration::from_secs;
        assert_eq!(due(seconds(0), seconds(4), 100), 0);
        assert_eq!(due(seconds(1), seconds(4), 100), 25);
        assert_eq!(due(seconds(4), seconds(4), 100), 100);
        assert_eq!(due(seconds(0), seconds(0), 100), 100);
    }

    proptest::proptest! {
        #[test]
        fn never_more_is_due_than_there_is(elapsed in 0u64..10_000, length in 0u64..10_000, total: u64) {
            let millis = Duration::from_millis;
            proptest::prop_assert!(due(millis(elapsed), millis(length), total) <= total);
        }
    }
}
