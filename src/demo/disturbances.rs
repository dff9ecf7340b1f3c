//! Provokes disturbances, one kind after another, until the demo ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::disturb::{Disturbance, LENGTH, Room};
use super::ledger::{RECOVERY_SECONDS, Window};

/// Calm before the first disturbance.
const FIRST: Duration = Duration::from_secs(3);

/// Calm after each, so that its recovery is over before the next begins.
const CALM: Duration = Duration::from_millis(RECOVERY_SECONDS as u64 * 1000 + 500);

/// The thread that disturbs this host.
pub(super) struct Disturbances {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Window>>,
}

impl Disturbances {
    /// Times are seconds since `began`.
    pub(super) fn start(began: Instant, say: fn(&str)) -> Disturbances {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            // The disk of the working directory: a temporary folder may be memory.
            let here = std::env::current_dir().unwrap_or_else(|_| std::env::temp_dir());
            let plan = Disturbance::plan(&Room::measure(&here));
            let mut windows = Vec::new();
            wait(FIRST, &told);
            for disturbance in &plan {
                if told.load(Ordering::Acquire) {
                    break;
                }
                say(&format!(
                    "-- disturbance: {} {}",
                    disturbance.name(),
                    disturbance.announce(LENGTH)
                ));
                let start = began.elapsed().as_secs_f64();
                let done = disturbance.run(LENGTH, &told);
                let end = began.elapsed().as_secs_f64();
                match done {
                    Ok(_) => {
                        say(&format!("-- {} over", disturbance.name()));
                        windows.push(Window {
                            name: disturbance.name(),
                            start,
                            end,
                        });
                    }
                    Err(error) => say(&format!("-- {} left out: {error}", disturbance.name())),
                }
                wait(CALM, &told);
            }
            windows
        });
        Disturbances { stop, thread }
    }

    /// Ends the one at hand; returns when each took place.
    pub(super) fn stop(self) -> Vec<Window> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap_or_default()
    }
}

fn wait(length: Duration, stop: &AtomicBool) {
    let until = Instant::now() + length;
    while Instant::now() < until && !stop.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(50));
    }
}
