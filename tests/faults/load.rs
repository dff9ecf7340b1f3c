//! A stream that is fed at a steady rate.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use crate::latency::Fed;
use crate::stream::{PARTITIONS, Stream};

const TURN: Duration = Duration::from_millis(50);

/// A thread that feeds until it is told to end.
pub struct Load {
    stop: Arc<AtomicBool>,
    fed: Arc<Mutex<Fed>>,
    thread: JoinHandle<()>,
}

impl Load {
    /// Feeds `rate` records a second of `stream`, which come round again and again.
    pub fn start(address: &str, topic: &str, stream: &Stream, rate: usize) -> Load {
        let producer: ThreadedProducer<_> = ClientConfig::new()
            .set("bootstrap.servers", address)
            // In order over a broker that is killed meanwhile, and however long that takes.
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "0")
            .set("compression.type", "lz4")
            .create()
            .unwrap();
        let (stop, fed) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(Mutex::new(Fed::new())),
        );
        let (told_to_stop, tell) = (Arc::clone(&stop), Arc::clone(&fed));
        let (topic, rows) = (topic.to_owned(), stream.rows.clone());
        let thread = std::thread::spawn(move || {
            let mut row = 0;
            let began = Instant::now();
            while !told_to_stop.load(Ordering::Relaxed) {
                let due = (began.elapsed().as_secs_f64() * rate as f64) as usize;
                let now = Instant::now();
                while row < due {
                    let payload = &rows[row % rows.len()];
                    let record = BaseRecord::<[u8], str>::to(&topic)
                        .partition(row as i32 % PARTITIONS)
                        .payload(payload);
                    producer.send(record).map_err(|(error, _)| error).unwrap();
                    row += 1;
                }
                tell.lock().unwrap().push((row, now));
                std::thread::sleep(TURN);
            }
            producer.flush(Duration::from_secs(60)).unwrap();
        });
        Load { stop, fed, thread }
    }

    /// Stops, and says what was fed when.
    pub fn end(self) -> Fed {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        std::mem::take(&mut *self.fed.lock().unwrap())
    }
}
