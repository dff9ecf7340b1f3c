//! How often the requests that end a transaction were sent, as librdkafka's log of its protocol tells.
//!
//! librdkafka sends a request again when its connection breaks, and tells nobody else. Whatever has become of the first
//! one, it may still come: then it would end the next transaction of the same producer before its time (Jepsen, "Bufstream
//! 0.1.0", 2024), or take its offsets back. Only a new producer, with a new epoch, is safe from that.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

/// How long the log may be behind.
const PATIENCE: Duration = Duration::from_secs(1);

/// Counts since the last transaction began.
#[derive(Debug, Default)]
pub(super) struct Requests {
    ends: AtomicU32,
    ended: AtomicU32,
    offsets: AtomicU32,
}

impl Requests {
    /// Has a client with these settings log its requests.
    pub(super) fn logged(config: &mut ClientConfig) {
        let more = config.get("debug").map(|debug| format!("{debug},"));
        let debug = more.unwrap_or_default() + "protocol";
        config.set("debug", debug);
        config.set_log_level(RDKafkaLogLevel::Debug);
    }

    /// Hears a line of the log, such as "…: Sent EndTxnRequest (v1, 70 bytes @ 0, CorrId 33)".
    pub(super) fn hear(&self, message: &str) {
        for (said, count) in [
            (": Sent EndTxnRequest ", &self.ends),
            (": Received EndTxnResponse ", &self.ended),
            (": Sent TxnOffsetCommitRequest ", &self.offsets),
        ] {
            if message.contains(said) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    /// A new transaction begins.
    pub(super) fn reset(&self) {
        for count in [&self.ends, &self.ended, &self.offsets] {
            count.store(0, Ordering::SeqCst);
        }
    }

    /// Of a transaction that was committed: whether another copy of one of its requests may still come. The log comes from
    /// another thread, and is read up to the answer to the last of them.
    pub(super) fn may_come_again(&self) -> bool {
        let began = Instant::now();
        while self.ended.load(Ordering::SeqCst) == 0 {
            if began.elapsed() > PATIENCE {
                return true;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        self.ends.load(Ordering::SeqCst) > 1 || self.offsets.load(Ordering::SeqCst) > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[&str]) -> Requests {
        let requests = Requests::default();
        for line in lines {
            requests.hear(&format!(
                "[thrd:127.0.0.1:9092/1]: 127.0.0.1:9092/1: {line}"
            ));
        }
        requests
    }

    const OFFSETS: &str = "Sent TxnOffsetCommitRequest (v3, 129 bytes @ 0, CorrId 6)";
    const END: &str = "Sent EndTxnRequest (v1, 70 bytes @ 0, CorrId 7)";
    const ENDED: &str = "Received EndTxnResponse (v1, 6 bytes, CorrId 7, rtt 3.10ms)";

    #[test]
    fn each_request_sent_once_comes_once() {
        assert!(!heard(&[OFFSETS, END, ENDED]).may_come_again());
    }

    #[test]
    fn a_request_sent_twice_may_come_again() {
        assert!(heard(&[OFFSETS, END, END, ENDED]).may_come_again());
        assert!(heard(&[OFFSETS, OFFSETS, END, ENDED]).may_come_again());
    }

    #[test]
    fn a_log_that_does_not_tell_is_no_proof() {
        assert!(heard(&[OFFSETS, END]).may_come_again());
        let requests = heard(&[END, ENDED]);
        requests.reset();
        assert!(requests.may_come_again());
    }
}
