//! Topics of a cell's own, the stream on them, and the instances that work on it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::audit;
use crate::cluster::Cluster;
use crate::harness::{Client, Outlierd, Record, Setup, until};
use crate::stream::{PARTITIONS, Stream};
use crate::verifier::{Findings, Seen, Witness, verify, wait_settled};

/// The promise that a cell holds the line to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    AtLeastOnce,
    ExactlyOnce,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::AtLeastOnce => "at_least_once",
            Mode::ExactlyOnce => "exactly_once",
        }
    }
}

/// What the cells run in.
pub struct Scene<'a> {
    pub cluster: &'a mut Cluster,
    pub mode: Mode,
    pub client: Client,
    pub stream: Stream,
    /// Whether the group uses the classic protocol.
    pub classic: bool,
    /// Whether each instance is a static member of the group, which keeps its partitions while it is away for a moment.
    pub is_static: bool,
    /// How the classic protocol assigns partitions, if not as the daemon would have it.
    pub strategy: Option<&'static str>,
    /// Whether the daemons keep an audit.
    pub audited: bool,
    /// The defect that the daemons have.
    pub planted: Option<String>,
    name: String,
    witness: Option<Witness>,
    /// When everything was well again.
    healed: Option<Instant>,
    recovered: Option<Duration>,
}

/// What a cell found.
pub struct Outcome {
    pub records: usize,
    pub findings: Findings,
    /// From the end of the fault to the last commit.
    pub recovered: Option<Duration>,
    /// What is wrong with the audit.
    pub audit: Option<String>,
    /// What the concurrent reader saw beyond what stands there, or missed of it.
    pub witnessed_else: i64,
}

impl<'a> Scene<'a> {
    /// `padded`: one outlier in so many is long. `limit`: what the outlier topic takes, in bytes.
    pub fn new(
        cluster: &'a mut Cluster,
        name: &str,
        mode: Mode,
        records: usize,
        padded: usize,
        limit: &str,
    ) -> Scene<'a> {
        // Another than that of any other run: a cell that failed leaves its topics.
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{}-{}-{run}", mode.name(), std::process::id());
        for (topic, partitions, settings) in [
            (name.clone(), PARTITIONS, &[][..]),
            (
                format!("{name}.outliers"),
                1,
                &[("max.message.bytes", limit)][..],
            ),
            (format!("{name}.dead-letters"), 1, &[][..]),
            // One partition: the messages stand in the order in which they were written.
            (format!("{name}.audit"), 1, &[][..]),
        ] {
            cluster.make(&topic, partitions, settings);
        }
        let client = Client::new(&cluster.address);
        let stream = Stream::new(7, records, padded, &Setup::new(&cluster.address));
        let witness = Witness::of(&cluster.address, &format!("{name}.outliers"));
        Scene {
            cluster,
            mode,
            client,
            stream,
            classic: false,
            is_static: false,
            strategy: None,
            audited: false,
            planted: None,
            name,
            witness: Some(witness),
            healed: None,
            recovered: None,
        }
    }

    /// The configuration of one instance.
    pub fn instance(&self, instance: &str) -> Setup {
        let topic = |suffix: &str| format!("\"{}{suffix}\"", self.name);
        let setup = Setup::new(&self.cluster.address)
            .set("input", "topic", &topic(""))
            .set("input", "group", &topic(""))
            .set("output", "topic", &topic(".outliers"))
            .set("dead_letter", "topic", &topic(".dead-letters"))
            .set("line", "batch_rows", "100")
            .set("line", "commit_interval", "\"50ms\"")
            .set("delivery", "mode", &format!("{:?}", self.mode.name()));
        let setup = match self.classic {
            true => setup
                .set("kafka.properties", "group.protocol", "\"classic\"")
                .set("kafka.properties", "session.timeout.ms", "\"3000\"")
                .set("kafka.properties", "heartbeat.interval.ms", "\"300\""),
            false => setup,
        };
        let setup = match self.strategy {
            Some(name) => setup.set(
                "kafka.properties",
                "partition.assignment.strategy",
                &format!("{name:?}"),
            ),
            None => setup,
        };
        let setup = match self.is_static {
            true => setup.set(
                "kafka.properties",
                "group.instance.id",
                &format!("{instance:?}"),
            ),
            false => setup,
        };
        let setup = match self.audited {
            true => setup.set("audit", "topic", &topic(".audit")),
            false => setup,
        };
        let setup = match &self.planted {
            Some(defect) => setup.environment("OUTLIERD_PLANTED_DEFECT", defect),
            None => setup,
        };
        match self.mode {
            Mode::AtLeastOnce => setup,
            Mode::ExactlyOnce => setup.set("delivery", "instance", &format!("{instance:?}")),
        }
    }

    /// Feeds all records but those from `share` of them on; the rest comes with [`Self::feed_rest`].
    pub fn feed(&self, share: f64) {
        let count = (self.stream.len() as f64 * share) as usize;
        self.stream.feed(&self.client, &self.name, 0..count);
    }

    pub fn feed_rest(&self, share: f64) {
        let from = (self.stream.len() as f64 * share) as usize;
        let rest = from..self.stream.len();
        self.stream.feed(&self.client, &self.name, rest);
    }

    /// The rows from one share of all to another.
    pub fn rows(&self, from: f64, to: f64) -> std::ops::Range<usize> {
        let at = |share: f64| (self.stream.len() as f64 * share) as usize;
        at(from)..at(to)
    }

    pub fn feed_range(&self, rows: std::ops::Range<usize>) {
        self.stream.feed(&self.client, &self.name, rows);
    }

    /// The name of the input topic and the group, with a suffix that of an output topic.
    pub fn topic(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.name)
    }

    /// Feeds all records, each with a key of its own of so many bytes.
    pub fn feed_keyed(&self, length: usize) {
        self.stream.feed_keyed(&self.client, &self.name, length);
    }

    /// How many bytes these rows take on the wire, more or less.
    pub fn compressed(&self, rows: std::ops::Range<usize>) -> usize {
        let text: String = rows.map(|row| self.stream.row(row)).collect();
        let mut packed =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
        packed.finish().unwrap().len()
    }

    /// Records below the committed offsets.
    pub fn committed(&self) -> usize {
        let offsets = self.client.committed(&self.name, &self.name);
        offsets.values().sum::<i64>() as usize
    }

    /// Waits until a share of all records is committed; says how many are.
    #[track_caller]
    pub fn wait_committed(&self, share: f64) -> usize {
        let least = (self.stream.len() as f64 * share) as usize;
        until(&format!("{least} committed records"), || {
            Some(self.committed()).filter(|committed| *committed >= least)
        })
    }

    /// Tombstones, which are skipped: so many in each partition.
    pub fn feed_nothing(&self, each: usize) {
        let records: Vec<Record> = (0..each as i32 * PARTITIONS)
            .map(|row| Record::default().to(row % PARTITIONS))
            .collect();
        self.client.feed(&self.name, &records);
    }

    /// Deletes the unread records below an offset in every partition, as retention does; says how many those were.
    pub fn lose_below(&mut self, offset: i64) -> u64 {
        let committed = self.client.committed(&self.name, &self.name);
        let below = committed.keys().map(|&partition| (partition, offset));
        self.cluster.delete_below(&self.name, &below.collect());
        let mut lost = 0;
        for (&partition, &next) in &committed {
            assert!(next < offset, "they were read already");
            lost += (offset - next) as u64;
            self.stream.forget(i64::from(partition), next..offset);
        }
        lost
    }

    /// Has the outlier topic refuse everything, or take it again.
    pub fn refuse_outliers(&self, refuse: bool) {
        let topic = format!("{}.outliers", self.name);
        let bytes = if refuse { 100 } else { 1 << 20 };
        self.cluster.limit(&topic, bytes);
    }

    /// Deletes the input topic and makes it anew, empty.
    pub fn make_anew(&self) {
        self.cluster.remove_whole(&self.name);
        self.cluster.make(&self.name, PARTITIONS, &[]);
    }

    /// From here on, time to recover is counted.
    pub fn heal(&mut self) {
        self.healed = Some(Instant::now());
    }

    /// Waits until everything is committed.
    #[track_caller]
    pub fn wait_all(&mut self) {
        self.wait_committed(1.0);
        self.recovered = self.healed.map(|healed| healed.elapsed());
    }

    /// Waits until every partition stands still.
    #[track_caller]
    pub fn wait_halted(&self, daemon: &Outlierd) {
        until("halted partitions", || {
            (daemon.metric("outlierd_halted_partitions") == PARTITIONS as u64).then_some(())
        });
        daemon.wait_unready("halted partitions");
    }

    #[track_caller]
    pub fn wait_assigned(&self, daemon: &Outlierd, partitions: u64) {
        until(&format!("{partitions} assigned partitions"), || {
            (daemon.metric("outlierd_assigned_partitions") == partitions).then_some(())
        });
    }

    /// All that the concurrent reader saw; it reads no more.
    pub fn witnessed(&mut self) -> Vec<Seen> {
        self.witness.take().map_or_else(Vec::new, Witness::end)
    }

    /// Holds what came out against what had to, and removes the topics.
    pub fn end(mut self) -> Outcome {
        let (outliers, dead) = (
            format!("{}.outliers", self.name),
            format!("{}.dead-letters", self.name),
        );
        let audit = format!("{}.audit", self.name);
        let topics = [&outliers, &dead].into_iter();
        for topic in topics.chain(self.audited.then_some(&audit)) {
            wait_settled(&self.client, &self.cluster.address, topic);
        }
        let findings = verify(&self.stream, &self.client, &outliers, &dead);
        let stands = self.client.read(&outliers).len() as i64;
        let saw = self.witnessed().len() as i64;
        let exactly_once = self.mode == Mode::ExactlyOnce;
        let audit_fault = match self.audited {
            true => audit::fault(&self.stream, &self.client.read(&audit), exactly_once),
            false => None,
        };
        self.cluster.remove(&[&self.name, &outliers, &dead, &audit]);
        Outcome {
            records: self.stream.len(),
            findings,
            recovered: self.recovered,
            audit: audit_fault,
            witnessed_else: saw - stands,
        }
    }
}
