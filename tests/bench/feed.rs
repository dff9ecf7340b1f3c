//! The other process: an embedded broker and a producer, so that their costs are not ours.
//!
//! It is this program with [`ARGUMENT`]. They talk in lines: it says `brokers HOST:PORT`; it is told
//! `feed RECORDS RATE` and, as records are judged, `done RECORDS`. The broker keeps little and drops
//! the oldest silently, so the producer is never more than [`WINDOW`] records ahead.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use outlierd::config;
use outlierd::kafka::{Connection, EmbeddedBroker, Feeder};

use super::stream::{self, DEAD_LETTERS, OUTLIERS, PARTITIONS, TOPIC};

pub const ARGUMENT: &str = "--feed";

/// Records on the broker that are not judged yet: about 12 MiB of the 40 that it keeps.
const WINDOW: u64 = 40_000;

/// Different records; then they come again.
const DIFFERENT: usize = 40_000;

/// The other process, from this side.
pub struct Feed {
    child: Child,
    orders: ChildStdin,
    brokers: String,
}

impl Feed {
    pub fn start() -> anyhow::Result<Feed> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the feed")?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the feed has no pipes");
        };
        let mut answer = String::new();
        BufReader::new(answers).read_line(&mut answer)?;
        let Some(brokers) = answer.trim().strip_prefix("brokers ") else {
            bail!("the feed did not start: {answer:?}");
        };
        Ok(Feed {
            brokers: brokers.to_owned(),
            child,
            orders,
        })
    }

    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// `rate`: records a second at most.
    pub fn feed(&mut self, records: u64, rate: u64) -> anyhow::Result<()> {
        Ok(writeln!(self.orders, "feed {records} {rate}")?)
    }

    /// Tells how many records were judged, since the start.
    pub fn done(&mut self, records: u64) -> anyhow::Result<()> {
        Ok(writeln!(self.orders, "done {records}")?)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What the other process does.
pub fn serve() -> anyhow::Result<()> {
    let broker = EmbeddedBroker::start(&[(TOPIC, PARTITIONS), (OUTLIERS, 1), (DEAD_LETTERS, 1)])?;
    let connection = Connection::new(&config::Kafka {
        brokers: broker.bootstrap_servers().to_owned(),
        properties: [].into(),
        secrets: [].into(),
    });
    let feeder = Feeder::new(&connection, TOPIC)?;
    let records = stream::records(2, DIFFERENT);
    println!("brokers {}", broker.bootstrap_servers());
    let done = Arc::new(AtomicU64::new(0));
    let (send, orders) = channel();
    let done_to_set = Arc::clone(&done);
    std::thread::spawn(move || listen(&done_to_set, &send));
    produce(&feeder, &records, &orders, &done)
}

/// Reads orders until the other side has ended, and then ends this one.
fn listen(done: &AtomicU64, orders: &Sender<(u64, u64)>) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let mut words = line.split(' ');
        let kind = words.next();
        let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        match (kind, &numbers[..]) {
            (Some("feed"), &[records, rate]) => {
                orders.send((records, rate)).ok();
            }
            (Some("done"), &[records]) => done.store(records, Ordering::Relaxed),
            _ => break,
        }
    }
    std::process::exit(0);
}

fn produce(
    feeder: &Feeder,
    records: &[stream::Record],
    orders: &Receiver<(u64, u64)>,
    done: &AtomicU64,
) -> anyhow::Result<()> {
    let mut produced: u64 = 0;
    for (count, rate) in orders {
        let (began, first) = (Instant::now(), produced);
        while produced < first + count {
            let due = (began.elapsed().as_secs_f64() * rate as f64) as u64;
            let room = done.load(Ordering::Relaxed) + WINDOW;
            let until = (first + due.min(count)).min(room);
            if produced >= until {
                std::thread::sleep(Duration::from_millis(1));
            }
            while produced < until {
                let record = &records[produced as usize % records.len()];
                feeder.send(
                    Some(record.key.as_bytes()),
                    Some(record.payload.as_bytes()),
                    None,
                )?;
                produced += 1;
            }
        }
    }
    Ok(())
}
