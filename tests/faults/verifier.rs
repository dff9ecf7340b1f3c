//! Reads what came out with a client of its own, and holds it against what had to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

use crate::harness::scores::score_bits;
use crate::harness::{Client, Message, until};
use crate::stream::{Place, Stream};

/// What an output topic says.
#[derive(Default)]
struct Told {
    /// How often each record stands there.
    times: BTreeMap<Place, usize>,
    /// Records about which it says something wrong, or two things.
    wrong: Vec<String>,
    /// First tellings that came after that of a later record of the same partition.
    out_of_order: usize,
}

/// What a run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub lost: usize,
    pub phantoms: usize,
    pub duplicated: usize,
    pub out_of_order: usize,
    pub wrong: Vec<String>,
}

impl Findings {
    /// The first promise that was broken, in words; `once`: whether nothing may come twice.
    pub fn fault(&self, once: bool) -> Option<String> {
        let counts = [
            (self.lost, "lost"),
            (self.phantoms, "made up"),
            (self.out_of_order, "out of order"),
            (self.wrong.len(), "told wrongly"),
            (if once { self.duplicated } else { 0 }, "told twice"),
        ];
        let (count, what) = counts.into_iter().find(|(count, _)| *count > 0)?;
        let first = self.wrong.first().map_or("", String::as_str);
        Some(format!("{count} {what} {first}"))
    }
}

/// Waits until no transaction is open on `topic`: a reader of what is committed sees nothing behind the first open one, and
/// that of an instance that has died stays open until the cluster ends it.
#[track_caller]
pub fn wait_settled(client: &Client, address: &str, topic: &str) {
    let whole: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("isolation.level", "read_uncommitted")
        .create()
        .unwrap();
    until("the end of all transactions", || {
        let committed = client.ends(topic);
        let behind = committed.iter().any(|(&partition, &end)| {
            let ends = whole.fetch_watermarks(topic, partition, Duration::from_secs(30));
            !ends.is_ok_and(|ends| ends.1 == end)
        });
        (!behind).then_some(())
    });
}

/// Every record's disposition on `outliers` and `dead_letters`, as a `read_committed` reader sees them.
pub fn verify(stream: &Stream, client: &Client, outliers: &str, dead_letters: &str) -> Findings {
    let mut findings = Findings::default();
    let told = tell(client.read(outliers), |message, place| {
        let bits = score_bits(&message.json());
        let wanted = stream.outliers.get(place);
        (wanted.is_none() || wanted == Some(&bits)).then_some(bits.to_string())
    });
    findings.hold(told, stream.outliers.keys());
    let told = tell(client.read(dead_letters), |message, place| {
        let class = message.header("outlierd.class");
        let wanted = stream.dead_letters.get(place);
        (wanted.is_none() || wanted == Some(&class)).then_some(class.to_owned())
    });
    findings.hold(told, stream.dead_letters.keys());
    findings
}

impl Findings {
    fn hold<'a>(&mut self, told: Told, wanted: impl Iterator<Item = &'a Place>) {
        let wanted: BTreeSet<&Place> = wanted.collect();
        let found: BTreeSet<&Place> = told.times.keys().collect();
        self.lost += wanted.difference(&found).count();
        self.phantoms += found.difference(&wanted).count();
        self.duplicated += told.times.values().map(|times| times - 1).sum::<usize>();
        self.out_of_order += told.out_of_order;
        self.wrong.extend(told.wrong);
    }
}

/// `what` a message says of the record at a place; `None` where that is wrong.
fn tell(messages: Vec<Message>, what: impl Fn(&Message, &Place) -> Option<String>) -> Told {
    let mut told = Told::default();
    let (mut said, mut last) = (
        BTreeMap::<Place, String>::new(),
        BTreeMap::<i64, i64>::new(),
    );
    for message in messages {
        let place = about(&message);
        match what(&message, &place) {
            Some(text) if said.get(&place).is_none_or(|before| *before == text) => {
                said.insert(place, text);
            }
            _ => told.wrong.push(format!("{place:?}")),
        }
        let times = told.times.entry(place).or_default();
        *times += 1;
        if *times == 1
            && last
                .insert(place.0, place.1)
                .is_some_and(|last| last > place.1)
        {
            told.out_of_order += 1;
        }
    }
    told
}

/// The record that a message is about.
fn about(message: &Message) -> Place {
    if message.headers.contains_key("outlierd.offset") {
        let number = |name: &str| message.header(name).parse().unwrap();
        return (number("outlierd.partition"), number("outlierd.offset"));
    }
    place(&message.json())
}

fn place(body: &Value) -> Place {
    let number = |name: &str| body[name].as_i64().unwrap();
    (number("partition"), number("offset"))
}

/// Reads a topic while it is written, as a `read_committed` reader.
pub struct Witness {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Seen>>,
}

/// A message that the witness saw: about which record, and when.
pub type Seen = (Place, Instant);

impl Witness {
    pub fn of(address: &str, topic: &str) -> Witness {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", address)
            .set("group.id", "the-witness")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "10")
            .create()
            .unwrap();
        let mut whole = TopicPartitionList::new();
        whole
            .add_partition_offset(topic, 0, Offset::Beginning)
            .unwrap();
        consumer.assign(&whole).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let told_to_stop = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            loop {
                match consumer.poll(Duration::from_millis(500)) {
                    Some(Ok(message)) => {
                        let body = serde_json::from_slice(message.payload().unwrap_or_default());
                        seen.push((place(&body.unwrap()), Instant::now()));
                    }
                    // Brokers are killed meanwhile.
                    Some(Err(_)) => {}
                    None if told_to_stop.load(Ordering::Relaxed) => return seen,
                    None => {}
                }
            }
        });
        Witness { stop, thread }
    }

    /// All that it saw.
    pub fn end(self) -> Vec<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
