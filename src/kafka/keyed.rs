//! A compacted topic as maps, one a partition, that several programs change one after another.
//!
//! Who wants to change it takes over its transactional id: that ends whatever another had begun, so that what is read
//! from here on is what the change meets. Should somebody take over in between, the change comes to nothing and its maker
//! knows. So a change is a compare and swap, and nobody holds a lock that outlives him.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::Offset;

use super::client::{ClientError, Connection};
use super::reader::{Bounds, Reader};
use super::refusals::Refusals;
use super::topics::{self, TopicFault};
use super::transaction::TransactionError;

/// How long one step of a change may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a compacted topic could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyedError {
    #[error(transparent)]
    Topic(#[from] TopicFault),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Transaction(TransactionError),
    /// Nothing of the change is in force.
    #[error("another program changes topic {0} at the same time")]
    Overtaken(String),
    #[error(
        "topic {topic} forgets (cleanup.policy = {policy}), and what is kept in it must stay: `kafka-configs.sh --alter \
         --topic {topic} --add-config cleanup.policy=compact --bootstrap-server {brokers}`"
    )]
    Forgets {
        topic: String,
        policy: String,
        brokers: String,
    },
    #[error(
        "topic {topic} has {found} partitions, and a store of models has {wanted}: make one with `kafka-topics.sh --create \
         --topic {topic} --partitions {wanted} --config cleanup.policy=compact --bootstrap-server {brokers}`"
    )]
    Partitions {
        topic: String,
        found: i32,
        wanted: i32,
        brokers: String,
    },
}

impl KeyedError {
    /// Whether no broker answers.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            KeyedError::Topic(TopicFault::Client(ClientError::Unreachable { .. }))
                | KeyedError::Client(ClientError::Unreachable { .. })
        )
    }
}

/// One record of a map: none is the key's end.
pub type Pair = (String, Option<Vec<u8>>);

/// A compacted topic.
pub struct Keyed {
    connection: Connection,
    topic: String,
}

impl Keyed {
    /// # Errors
    /// When no broker answers, or the topic is missing or has another number of partitions.
    pub fn open(connection: Connection, topic: &str, wanted: i32) -> Result<Keyed, KeyedError> {
        let found = topics::partitions(&connection, topic)?;
        let topic = topic.to_owned();
        if found != wanted {
            let brokers = connection.brokers().to_owned();
            return Err(KeyedError::Partitions {
                topic,
                found,
                wanted,
                brokers,
            });
        }
        Ok(Keyed { connection, topic })
    }

    /// Hands out every record of a partition in order, up to what is decided by now, and returns the offset after it.
    ///
    /// # Errors
    /// When no broker answers, or one refuses.
    pub fn read(
        &self,
        partition: i32,
        mut visit: impl FnMut(&str, Option<&[u8]>),
    ) -> Result<i64, KeyedError> {
        let bounds = Bounds {
            only: Some(partition),
            ..Bounds::default()
        };
        let reader = Reader::open(&self.connection, &self.topic, bounds)?;
        reader.read(|record| {
            let key = record.key.and_then(|key| std::str::from_utf8(key).ok());
            visit(key.unwrap_or_default(), record.payload);
        })?;
        Ok(reader.spans().first().map_or(0, |span| span.next))
    }

    /// Follows a partition from an offset on.
    ///
    /// # Errors
    /// When librdkafka refuses.
    pub fn follow(&self, partition: i32, from: i64) -> Result<Tail, KeyedError> {
        let mut config = self.connection.consumer("outlierd-store");
        // What is gone by compaction is no loss here.
        config.set("auto.offset.reset", "earliest");
        config.set("statistics.interval.ms", "0");
        let consumer: BaseConsumer = config.create().map_err(ClientError::Settings)?;
        let mut start = TopicPartitionList::new();
        start
            .add_partition_offset(&self.topic, partition, Offset::Offset(from))
            .and_then(|()| consumer.assign(&start))
            .map_err(ClientError::Settings)?;
        Ok(Tail { consumer })
    }

    /// Takes the right to change the topic, and ends what another had begun.
    ///
    /// # Errors
    /// When the topic forgets, the cluster does not let this client, or nobody answers.
    pub fn take_over(&self) -> Result<Turn, KeyedError> {
        if let Some(policy) = topics::cleanup_policy(&self.connection, &self.topic)
            && policy != "compact"
        {
            return Err(KeyedError::Forgets {
                topic: self.topic.clone(),
                policy,
                brokers: self.connection.brokers().to_owned(),
            });
        }
        let id = format!("outlierd.{}", self.topic);
        let producer = self
            .connection
            .producer(Some(&id))
            .create_with_context(Refusals::default())
            .map_err(ClientError::Settings)?;
        let turn = Turn {
            topic: self.topic.clone(),
            id,
            producer,
        };
        turn.producer
            .init_transactions(PATIENCE)
            .map_err(|error| turn.failed("taking over its transactional id", error))?;
        Ok(turn)
    }
}

/// What comes to one partition.
pub struct Tail {
    consumer: BaseConsumer,
}

impl Tail {
    /// Hands out what has come since the last call; does not wait.
    ///
    /// # Errors
    /// When a broker refuses. What the client mends by itself is no error.
    pub fn catch_up(&self, mut visit: impl FnMut(&str, Option<&[u8]>)) -> Result<(), KeyedError> {
        use RDKafkaErrorCode as E;
        while let Some(polled) = self.consumer.poll(Duration::ZERO) {
            match polled {
                Ok(record) => {
                    let key = record.key().and_then(|key| std::str::from_utf8(key).ok());
                    visit(key.unwrap_or_default(), record.payload());
                }
                Err(source)
                    if matches!(
                        source.rdkafka_error_code(),
                        Some(
                            E::Authentication
                                | E::TopicAuthorizationFailed
                                | E::UnknownTopicOrPartition
                                | E::UnknownTopic
                                | E::UnknownPartition
                        )
                    ) =>
                {
                    let what = "for what is new in a store of models".to_owned();
                    return Err(ClientError::Request { what, source }.into());
                }
                Err(error) => tracing::debug!("following a store: {error}"),
            }
        }
        Ok(())
    }
}

/// The right to change a topic, until somebody else takes it.
pub struct Turn {
    topic: String,
    id: String,
    producer: ThreadedProducer<Refusals>,
}

impl Turn {
    /// Has all of `pairs`, each with its partition, in force at once, or none of them.
    ///
    /// # Errors
    /// [`KeyedError::Overtaken`] when somebody else has taken over; or the cluster refuses, or does not answer: then
    /// what is in force must be read again.
    pub fn commit(self, pairs: &[(i32, Pair)]) -> Result<(), KeyedError> {
        let producer = &self.producer;
        producer
            .begin_transaction()
            .map_err(|error| self.failed("opening a transaction", error))?;
        let outcome = self.send(pairs).and_then(|()| {
            let committed = producer.commit_transaction(PATIENCE);
            committed.map_err(|error| self.failed("committing a transaction", error))
        });
        if outcome.is_err() {
            // The next to take over ends it anyway.
            producer.abort_transaction(Duration::from_secs(1)).ok();
        }
        outcome
    }

    fn send(&self, pairs: &[(i32, Pair)]) -> Result<(), KeyedError> {
        for (partition, (key, value)) in pairs {
            let mut record = BaseRecord::<str, [u8]>::to(&self.topic)
                .partition(*partition)
                .key(key);
            record.payload = value.as_deref();
            let sent = self.producer.send(record);
            sent.map_err(|(error, _)| self.failed("writing", error))?;
        }
        let flushed = self.producer.flush(PATIENCE);
        match (self.producer.context().take(), flushed) {
            (Some(error), _) | (None, Err(error)) => Err(self.failed("writing", error)),
            (None, Ok(())) => Ok(()),
        }
    }

    fn failed(&self, doing: &str, error: KafkaError) -> KeyedError {
        use RDKafkaErrorCode as E;
        // Where a producer ends for good it says only then why.
        let fatal = self.producer.client().fatal_error().map(|(code, _)| code);
        match fatal.or(error.rdkafka_error_code()) {
            Some(
                E::Fenced
                | E::ProducerFenced
                | E::InvalidProducerEpoch
                | E::ConcurrentTransactions
                | E::Conflict,
            ) => KeyedError::Overtaken(self.topic.clone()),
            _ => KeyedError::Transaction(TransactionError::of(&self.id, doing, error)),
        }
    }
}
