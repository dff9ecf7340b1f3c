//! Waiting for conditions.

use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine: a test that gets there has failed.
const DEADLINE: Duration = Duration::from_secs(90);

/// Asks `condition` until it gives a value.
#[track_caller]
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(began.elapsed() < DEADLINE, "in vain waited for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
