//! Kafka clients of the tests' own: nothing of the line's is used to judge the line.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

use super::until;

const PATIENCE: Duration = Duration::from_secs(30);

/// What is sent. A payload of `None` is a tombstone.
#[derive(Debug, Clone, Default)]
pub struct Record {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    /// Epoch milliseconds; now if `None`.
    pub time_ms: Option<i64>,
}

/// What stands on a topic.
#[derive(Debug, Clone)]
pub struct Message {
    pub key: Option<Vec<u8>>,
    pub payload: Vec<u8>,
    pub headers: BTreeMap<String, Vec<u8>>,
}

/// Offset by partition.
pub type Offsets = BTreeMap<i32, i64>;

/// A client of one cluster.
pub struct Client {
    address: String,
    asking: BaseConsumer,
}

impl Record {
    pub fn of(payload: impl Into<Vec<u8>>) -> Record {
        Record {
            payload: Some(payload.into()),
            ..Record::default()
        }
    }

    pub fn to(mut self, partition: i32) -> Record {
        self.partition = partition;
        self
    }

    pub fn key(mut self, key: &str) -> Record {
        self.key = Some(key.into());
        self
    }

    pub fn at(mut self, time_ms: i64) -> Record {
        self.time_ms = Some(time_ms);
        self
    }
}

impl Message {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        std::str::from_utf8(&self.headers[name]).unwrap()
    }

    /// Whether `text` stands anywhere in it.
    pub fn mentions(&self, text: &str) -> bool {
        let holds = |bytes: &[u8]| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        holds(&self.payload)
            || self.key.as_deref().is_some_and(holds)
            || self.headers.values().any(|value| holds(value))
    }
}

impl Client {
    pub fn new(address: &str) -> Client {
        Client {
            address: address.to_owned(),
            asking: consumer(address, "the-tests"),
        }
    }

    /// Writes `records`, in their order within a partition, and waits until all are taken.
    pub fn feed(&self, topic: &str, records: &[Record]) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .set("linger.ms", "20")
            .set("compression.type", "lz4")
            // Brokers stand still in some tests: what they do not answer is sent to others, and stands there once.
            .set("enable.idempotence", "true")
            .set("socket.timeout.ms", "3000")
            .set("request.timeout.ms", "3000")
            .create()
            .unwrap();
        for record in records {
            let mut sent = BaseRecord::<[u8], [u8]>::to(topic).partition(record.partition);
            sent.key = record.key.as_deref();
            sent.payload = record.payload.as_deref();
            sent.timestamp = record.time_ms;
            producer.send(sent).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(2 * PATIENCE).unwrap();
    }

    /// Everything that stands on `topic` now, in order within a partition.
    pub fn read(&self, topic: &str) -> Vec<Message> {
        let consumer = consumer(&self.address, "the-tests");
        let ends = self.ends(topic);
        let mut from_the_start = TopicPartitionList::new();
        let mut open = 0;
        for (&partition, _) in ends.iter().filter(|(_, end)| **end > 0) {
            from_the_start
                .add_partition_offset(topic, partition, Offset::Beginning)
                .unwrap();
            open += 1;
        }
        consumer.assign(&from_the_start).unwrap();
        let mut messages = Vec::new();
        while open > 0 {
            match consumer.poll(PATIENCE).expect("the topic goes on") {
                Ok(message) => messages.push(Message {
                    key: message.key().map(<[u8]>::to_vec),
                    payload: message.payload().unwrap_or_default().to_vec(),
                    headers: message.headers().map_or_else(BTreeMap::new, |headers| {
                        let pair = |header: rdkafka::message::Header<'_, &[u8]>| {
                            (
                                header.key.to_owned(),
                                header.value.unwrap_or_default().to_vec(),
                            )
                        };
                        headers.iter().map(pair).collect()
                    }),
                }),
                Err(KafkaError::PartitionEOF(_)) => open -= 1,
                Err(error) => panic!("reading {topic}: {error}"),
            }
        }
        messages
    }

    /// The next offset to be written, by partition; where a transaction is open, its first.
    pub fn ends(&self, topic: &str) -> Offsets {
        // Brokers may be on their way back.
        until("the ends of a topic", || {
            let metadata = self.asking.fetch_metadata(Some(topic), PATIENCE).ok()?;
            let partitions = metadata.topics()[0].partitions().iter();
            let end = |id| self.asking.fetch_watermarks(topic, id, PATIENCE).ok();
            partitions
                .map(|partition| Some((partition.id(), end(partition.id())?.1)))
                .collect()
        })
    }

    /// Number of messages that `topic` holds.
    pub fn count(&self, topic: &str) -> usize {
        usize::try_from(self.ends(topic).values().sum::<i64>()).unwrap()
    }

    /// What `group` has committed, of the partitions where it has.
    pub fn committed(&self, group: &str, topic: &str) -> Offsets {
        let asking = consumer(&self.address, group);
        committed_of(&asking, topic, self.ends(topic).keys().copied())
    }

    /// Commits for a `group` without members: partition, offset, and what stands beside it.
    pub fn commit(&self, group: &str, topic: &str, offsets: &[(i32, i64, &str)]) {
        let mut list = TopicPartitionList::new();
        for &(partition, offset, note) in offsets {
            let mut element = list.add_partition(topic, partition);
            element.set_offset(Offset::Offset(offset)).unwrap();
            element.set_metadata(note);
        }
        let committing = consumer(&self.address, group);
        committing.commit(&list, CommitMode::Sync).unwrap();
    }

    /// What stands beside the committed offsets of `group`, by partition.
    pub fn notes(&self, group: &str, topic: &str) -> Vec<String> {
        let mut asked = TopicPartitionList::new();
        for &partition in self.ends(topic).keys() {
            asked.add_partition(topic, partition);
        }
        let asking = consumer(&self.address, group);
        let answered = asking.committed_offsets(asked, PATIENCE).unwrap();
        let elements = answered.elements();
        elements
            .iter()
            .map(|one| one.metadata().to_owned())
            .collect()
    }

    /// For asking often: a consumer that never joins `group`.
    pub fn watcher(&self, group: &str) -> BaseConsumer {
        consumer(&self.address, group)
    }
}

pub fn committed_of(
    asking: &BaseConsumer,
    topic: &str,
    partitions: impl Iterator<Item = i32>,
) -> Offsets {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, partition);
    }
    let answered = until("committed offsets", || {
        asking.committed_offsets(list.clone(), PATIENCE).ok()
    });
    let offset = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element
        .offset()
    {
        Offset::Offset(offset) => Some((element.partition(), offset)),
        _ => None,
    };
    answered.elements().iter().filter_map(offset).collect()
}

fn consumer(address: &str, group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "10")
        // Brokers stand still in some tests.
        .set("socket.timeout.ms", "3000")
        .create()
        .unwrap()
}
