//! Follows the output topics and says what comes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{DEAD_LETTERS, OUTLIERS};
use crate::kafka::{Connection, Follower, TopicFault};
use crate::metrics::{Metrics, OutputTopic};

/// Dead letters that are shown one by one; the others are counted.
const SHOWN_DEAD_LETTERS: u64 = 5;

/// How long the last messages may take to arrive.
const LAST: Duration = Duration::from_secs(5);

/// An outlier that was published.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    /// When its message was read, seconds since the demo began.
    pub(super) at: f64,
    /// Of a transaction, its number.
    pub(super) number: Option<usize>,
}

/// The threads that follow the output topics.
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Seen>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(
        connection: &Connection,
        began: Instant,
        say: fn(&str),
    ) -> Result<Watch, TopicFault> {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (outliers, dead_letters) = (
            Follower::open(connection, OUTLIERS)?,
            Follower::open(connection, DEAD_LETTERS)?,
        );
        let (told, found) = (Arc::clone(&stop), Arc::clone(&seen));
        let follow_outliers = std::thread::spawn(move || {
            while !told.load(Ordering::Acquire) {
                if let Some(message) = outliers.next(Duration::from_millis(100)) {
                    let at = began.elapsed().as_secs_f64();
                    let message: Value =
                        serde_json::from_slice(&message.payload.unwrap_or_default())
                            .unwrap_or_default();
                    say(&line(&message));
                    let number = number(&message);
                    found
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(Seen { at, number });
                }
            }
        });
        let told = Arc::clone(&stop);
        let follow_dead_letters = std::thread::spawn(move || {
            let mut shown = 0;
            while !told.load(Ordering::Acquire) {
                if let Some(message) = dead_letters.next(Duration::from_millis(100)) {
                    shown += 1;
                    if shown <= SHOWN_DEAD_LETTERS {
                        say(&dead_letter(&message.headers));
                    } else if shown == SHOWN_DEAD_LETTERS + 1 {
                        say("   dead letter: and more; they are counted from here on");
                    }
                }
            }
        });
        Ok(Watch {
            stop,
            seen,
            threads: vec![follow_outliers, follow_dead_letters],
        })
    }

    /// Waits for the last outliers, then ends; returns all of them.
    pub(super) fn stop(self, metrics: &Metrics) -> Vec<Seen> {
        let published = metrics.published.get(OutputTopic::Outliers).get() as usize;
        let deadline = Instant::now() + LAST;
        let count = || {
            self.seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .len()
        };
        while count() < published && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.stop.store(true, Ordering::Release);
        for thread in self.threads {
            thread.join().ok();
        }
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// When, how odd, which fields, observed against expected.
fn line(message: &Value) -> String {
    let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
    let time = text("timestamp");
    let time = time
        .split('T')
        .nth(1)
        .and_then(|time| time.get(..8))
        .unwrap_or("--:--:--");
    let mark = if message["episode"]["first"] == true {
        "outlier"
    } else {
        "    ..."
    };
    let key = match message["key"].as_str() {
        Some(key) => format!(" {key}"),
        None => String::new(),
    };
    format!("{time} {mark}{key}, {}: {}", text("claim"), text("summary"))
}

fn dead_letter(headers: &[(String, Vec<u8>)]) -> String {
    let header = |name: &str| {
        let found = headers.iter().find(|(key, _)| key == name);
        found.map_or(String::new(), |(_, value)| {
            String::from_utf8_lossy(value).into_owned()
        })
    };
    format!(
        "   dead letter: partition {} offset {}: {}",
        header("outlierd.partition"),
        header("outlierd.offset"),
        header("outlierd.error")
    )
}

fn number(message: &Value) -> Option<usize> {
    let id = message["record"]["transaction_id"].as_str()?;
    id.rsplit('-').next()?.parse().ok()
}
