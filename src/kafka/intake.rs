//! The consumer of the line.
//!
//! One OS thread polls it (a `StreamConsumer` can stall on lost wake-ups). Assignments are answered
//! in the callback, because only there can a start offset be given; everything else about them
//! reaches the loop as a [`Change`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::Offset;

use super::access::Access;
use super::assignment::StartRule;
use super::client::{ClientError, Connection, PATIENCE, cluster_id};
use super::group::{GroupContext, LetGo, lock};
use super::reporting::Reporting;
use super::topic_id::topic_id;
use super::topic_watch::TopicWatch;
use super::topics::{self, TopicFault};
use super::{Change, Position, TopicId, Trail};
use crate::config;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::planted::{self, Defect};

/// Why the intake cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Topic(#[from] TopicFault),
    #[error("the consumer failed for good: {0}; restart outlierd")]
    Fatal(#[source] KafkaError),
    #[error("not allowed to read {topic} as group {group}: {source}; grant READ on both")]
    Forbidden {
        topic: String,
        group: String,
        source: Box<KafkaError>,
    },
}

/// What one poll brought.
pub enum Polled<'a> {
    Record(Received<'a>),
    /// The next offset of some partition is out of its log's range; the error does not say which.
    OutOfRange,
    /// Nothing for the line; it may have been an event.
    Nothing,
}

/// One record as the client holds it.
pub struct Received<'a>(BorrowedMessage<'a>);

impl Received<'_> {
    pub fn partition(&self) -> i32 {
        self.0.partition()
    }
    pub fn offset(&self) -> i64 {
        self.0.offset()
    }
    pub fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }
    pub fn payload(&self) -> Option<&[u8]> {
        self.0.payload()
    }
    /// Epoch milliseconds; -1 if the record has none.
    pub fn timestamp_ms(&self) -> i64 {
        self.0.timestamp().to_millis().unwrap_or(-1)
    }
}

/// The consumer of the line; shared by the thread that polls and the thread that commits.
pub struct Intake {
    pub(super) consumer: Arc<BaseConsumer<GroupContext>>,
    pub(super) topic: String,
    group: String,
    cluster: String,
    topic_id: Option<TopicId>,
    watch: TopicWatch<GroupContext>,
}

impl Intake {
    /// Connects, checks that the topic is there, and joins the group. `let_go` is called from
    /// within [`Intake::poll`] when partitions are revoked.
    ///
    /// # Errors
    /// When librdkafka refuses the settings, no broker answers, or the topic is missing.
    pub fn join(
        connection: &Connection,
        input: &config::Input,
        after_training: BTreeMap<i32, i64>,
        trail: &Arc<Trail>,
        health: &Arc<Health>,
        metrics: &Arc<Metrics>,
        let_go: LetGo,
    ) -> Result<Intake, IntakeError> {
        let config = connection.consumer(&input.group);
        let context = GroupContext {
            rule: StartRule {
                topic: input.topic.clone(),
                start: input.start,
                on_data_loss: input.on_data_loss,
                after_training,
                trail: Arc::clone(trail),
            },
            reporting: Reporting {
                name: "consumer",
                access: Access::new(&config),
                health: Arc::clone(health),
                metrics: Arc::clone(metrics),
            },
            owned: Mutex::default(),
            changes: Mutex::default(),
            changed: AtomicBool::new(false),
            high: Mutex::default(),
            let_go,
            closing: AtomicBool::new(false),
        };
        let consumer: BaseConsumer<GroupContext> = config
            .create_with_context(context)
            .map_err(ClientError::Settings)?;
        topics::partitions(connection, &input.topic)?;
        let cluster = cluster_id(consumer.client(), connection)?;
        let topic_id = topic_id(consumer.client(), &input.topic, PATIENCE).map_err(|source| {
            ClientError::request(
                connection,
                format!("for the id of topic {}", input.topic),
                source,
            )
        })?;
        consumer
            .subscribe(&[&input.topic])
            .map_err(ClientError::Settings)?;
        Ok(Intake {
            consumer: Arc::new(consumer),
            topic: input.topic.clone(),
            group: input.group.clone(),
            cluster,
            topic_id,
            watch: TopicWatch::new(Instant::now()),
        })
    }

    /// The handle for the thread that commits.
    pub fn share(&self) -> Intake {
        Intake {
            consumer: Arc::clone(&self.consumer),
            topic: self.topic.clone(),
            group: self.group.clone(),
            cluster: self.cluster.clone(),
            topic_id: self.topic_id.clone(),
            watch: TopicWatch::new(Instant::now()),
        }
    }

    /// The id of the cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The topic's id when this consumer began, if the cluster gives topics ids.
    pub fn topic_id(&self) -> Option<&TopicId> {
        self.topic_id.as_ref()
    }

    /// The topic's id as it is now, whenever it has been asked for; costs little and never waits.
    pub fn watch_topic(&self, now: Instant) -> Option<TopicId> {
        self.topic_id.as_ref()?;
        self.watch.look(&self.consumer, &self.topic, now)
    }

    /// The topic's id as it is now; waits for the answer.
    pub fn ask_topic(&self) -> Option<TopicId> {
        self.topic_id.as_ref()?;
        topic_id(self.consumer.client(), &self.topic, PATIENCE)
            .ok()
            .flatten()
    }

    /// Remembers what was committed, for when the group forgets it.
    pub fn remember(&self, positions: &[Position]) {
        let trail = &self.consumer.context().rule.trail;
        for position in positions {
            trail.passed(
                position.partition,
                position.next,
                position.note.topic.clone(),
            );
        }
    }

    /// Waits up to `patience` for a record or an event.
    ///
    /// # Errors
    /// When the consumer cannot go on.
    pub fn poll(&self, patience: Duration) -> Result<Polled<'_>, IntakeError> {
        use RDKafkaErrorCode as E;
        match self.consumer.poll(patience) {
            None => Ok(Polled::Nothing),
            Some(Ok(message)) => Ok(Polled::Record(Received(message))),
            Some(Err(source)) => match source.rdkafka_error_code() {
                Some(E::AutoOffsetReset | E::OffsetOutOfRange) => Ok(Polled::OutOfRange),
                Some(E::Fatal | E::GroupAuthorizationFailed | E::TopicAuthorizationFailed) => {
                    Err(self.stop_for(source))
                }
                // Said once by what watches the brokers; here it would be said ten times a second.
                Some(E::AllBrokersDown | E::BrokerTransportFailure) => {
                    tracing::debug!("consumer: {source}");
                    Ok(Polled::Nothing)
                }
                // Unknown for a while after it was made, or while brokers restart.
                _ => {
                    tracing::warn!("consumer: {source}; it retries by itself");
                    Ok(Polled::Nothing)
                }
            },
        }
    }

    fn stop_for(&self, source: KafkaError) -> IntakeError {
        if source.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            return IntakeError::Fatal(source);
        }
        IntakeError::Forbidden {
            topic: self.topic.clone(),
            group: self.group.clone(),
            source: Box::new(source),
        }
    }

    /// Whether [`Intake::changes`] has something to tell. Costs one load, so that it can be asked
    /// for every record.
    pub fn has_changes(&self) -> bool {
        self.consumer.context().changed.load(Ordering::Acquire)
    }

    /// What changed in the assignment since the last call.
    pub fn changes(&self) -> Vec<Change> {
        let context = self.consumer.context();
        context.changed.store(false, Ordering::Release);
        std::mem::take(&mut *lock(&context.changes))
    }

    /// The first offset there is and the next one to be written.
    ///
    /// # Errors
    /// When no broker answers.
    pub fn watermarks(&self, partition: i32) -> Result<(i64, i64), KafkaError> {
        self.consumer
            .fetch_watermarks(&self.topic, partition, PATIENCE)
    }

    /// The latest known end of each partition, from librdkafka's statistics.
    pub fn ends(&self) -> BTreeMap<i32, i64> {
        lock(&self.consumer.context().high).clone()
    }

    /// Stops fetching all partitions; what the client had fetched of them is dropped and will be
    /// fetched again.
    ///
    /// # Errors
    /// When librdkafka refuses.
    pub fn pause(&self) -> Result<(), KafkaError> {
        self.consumer.pause(&self.consumer.assignment()?)
    }

    /// # Errors
    /// When librdkafka refuses.
    pub fn resume(&self, halted: &BTreeSet<i32>) -> Result<(), KafkaError> {
        let mut wanted = TopicPartitionList::new();
        for element in self.consumer.assignment()?.elements_for_topic(&self.topic) {
            if !halted.contains(&element.partition()) {
                wanted.add_partition(&self.topic, element.partition());
            }
        }
        self.consumer.resume(&wanted)
    }

    /// Stops fetching one partition.
    ///
    /// # Errors
    /// When librdkafka refuses.
    pub fn halt(&self, partition: i32) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        self.consumer.pause(&list)
    }

    /// Commits `positions`, those that are still ours, and waits for the broker's word. Returns
    /// how many were ours.
    ///
    /// # Errors
    /// When the commit is refused or nobody answers.
    pub fn commit(&self, positions: &[Position]) -> Result<usize, KafkaError> {
        let mut list = TopicPartitionList::new();
        {
            let owned = lock(&self.consumer.context().owned);
            for position in positions {
                if owned.contains(&position.partition) || planted::has(&Defect::KeepRevoked) {
                    let mut element = list.add_partition(&self.topic, position.partition);
                    element.set_offset(Offset::Offset(position.next))?;
                    element.set_metadata(position.note.to_string());
                }
            }
        }
        if list.count() > 0 {
            self.consumer.commit(&list, CommitMode::Sync)?;
        }
        Ok(list.count())
    }

    fn unassign(&self) -> Result<(), KafkaError> {
        match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self
                .consumer
                .incremental_unassign(&self.consumer.assignment()?),
            _ => self.consumer.unassign(),
        }
    }

    /// Leaves the group. Dropping a consumer can block while brokers are down, so that happens on
    /// a thread of its own which nobody waits for longer than `patience`.
    pub fn leave(self, patience: Duration) {
        self.consumer
            .context()
            .closing
            .store(true, Ordering::SeqCst);
        let (done, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            if let Err(error) = self.unassign() {
                tracing::debug!("unassign: {error}");
            }
            drop(self);
            done.send(()).ok();
        });
        if wait.recv_timeout(patience).is_err() {
            tracing::warn!(
                "leaving the group took longer than {patience:?}; its members will be told by the session timeout"
            );
        }
    }
}
