//! The producer of the line: every message has a number, and every number gets a report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use super::access::Access;
use super::client::{ClientError, Connection};
use super::reporting::Reporting;
use super::requests::Requests;
use super::topics::{self, TopicFault};
use super::transaction::TransactionError;
use crate::health::Health;
use crate::metrics::{Metrics, PublishError};

/// Which of the topics a message goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    Outliers,
    DeadLetters,
    Audit,
}

/// A message, kept until it is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub to: Destination,
    pub key: Option<Vec<u8>>,
    pub payload: Vec<u8>,
    pub headers: Vec<(&'static str, Vec<u8>)>,
}

/// More than what surrounds a record in its batch.
const FRAME: usize = 256;

impl Outgoing {
    /// No fewer bytes than it has on its topic, uncompressed.
    fn bytes(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers
            .map(|(key, value)| key.len() + value.len() + 16)
            .sum();
        FRAME + headers + self.payload.len() + self.key.as_ref().map_or(0, Vec::len)
    }
}

/// What came of the attempt to send a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Queued,
    /// Nothing was queued: try again when reports have come.
    Full,
    /// Nothing was queued: publish it by reference.
    TooLarge,
}

/// What became of message `number`.
#[derive(Debug)]
pub struct Report {
    pub number: u64,
    pub outcome: Result<(), Refusal>,
}

/// Why a message was not delivered, by what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Never fits: publish it by reference.
    #[error("larger than the topic takes")]
    TooLarge,
    /// Try again later; nothing may be skipped.
    #[error("{0}")]
    Later(#[source] KafkaError),
}

impl Refusal {
    /// As it is counted.
    pub fn reason(&self) -> PublishError {
        use RDKafkaErrorCode as E;
        let Refusal::Later(error) = self else {
            return PublishError::TooLarge;
        };
        match error.rdkafka_error_code() {
            Some(E::MessageTimedOut | E::RequestTimedOut) => PublishError::Timeout,
            Some(
                E::TopicAuthorizationFailed
                | E::ClusterAuthorizationFailed
                | E::UnknownTopicOrPartition
                | E::UnknownTopic
                | E::UnknownPartition
                | E::InvalidTopic
                | E::PolicyViolation
                | E::InvalidRecord,
            ) => PublishError::Refused,
            _ => PublishError::Other,
        }
    }
}

/// Why the outlet cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum OutletError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("output: {0}")]
    Topic(#[source] TopicFault),
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    #[error(
        "the cluster refuses what is published ({reason}): grant WRITE on {topics} to this client's principal (its \
         \"sasl.username\", or the subject of its certificate)"
    )]
    Forbidden { reason: String, topics: String },
    #[error("the producer failed for good: {0}; restart outlierd")]
    Fatal(String),
}

impl From<TopicFault> for OutletError {
    fn from(fault: TopicFault) -> OutletError {
        match fault {
            // It has nothing to do with the topic that was asked for.
            TopicFault::Client(error) => OutletError::Client(error),
            fault => OutletError::Topic(fault),
        }
    }
}

/// The topics that a line writes.
#[derive(Debug, Clone)]
pub struct Topics {
    pub outliers: String,
    pub dead_letters: String,
    pub audit: Option<String>,
}

impl Topics {
    fn names(&self) -> impl Iterator<Item = &str> {
        let audit = self.audit.as_deref();
        [self.outliers.as_str(), self.dead_letters.as_str()]
            .into_iter()
            .chain(audit)
    }

    /// Names them in a sentence.
    pub(super) fn told(&self) -> String {
        self.names().collect::<Vec<_>>().join(", ")
    }
}

/// The client that produces, with a thread that takes its reports.
pub(super) type Client = ThreadedProducer<OutletContext>;

/// The producer of the line.
pub struct Outlet {
    pub(super) producer: Arc<Client>,
    reports: Receiver<Report>,
    pub(super) topics: Topics,
    /// What each takes, in bytes, where that is known.
    limits: BTreeMap<String, usize>,
    pub(super) transactional_id: Option<String>,
    /// Whether a transaction of this producer has ended.
    pub(super) has_ended: bool,
    /// Whether a call of this producer has not come back.
    pub(super) is_stuck: bool,
    /// How long the cluster lets a transaction be open.
    pub(super) open_at_most: Duration,
}

impl Outlet {
    /// Connects, and checks that both topics are there. With a `transactional_id`, also ends what an earlier producer
    /// of the same id left open.
    ///
    /// # Errors
    /// When librdkafka refuses the settings, no broker answers, a topic is missing, or transactions are refused.
    pub fn new(
        connection: &Connection,
        topics: Topics,
        transactional_id: Option<String>,
        health: &Arc<Health>,
        metrics: &Arc<Metrics>,
    ) -> Result<Outlet, OutletError> {
        // Not asked with the producer: its question alone makes a missing topic on a cluster that
        // makes topics by itself.
        for topic in topics.names() {
            topics::partitions(connection, topic)?;
        }
        let mut config = connection.producer(transactional_id.as_deref());
        let all: Vec<&str> = topics.names().collect();
        let limits = topics::limits(connection, &all);
        if let Some(least) = limits.values().min() {
            // A batch that is too large is refused with all that is in it.
            config.set("batch.size", least.clamp(&1, &1_000_000).to_string());
        }
        // As many reports as messages in flight, and the publish thread bounds those.
        let (send, reports) = unbounded();
        let context = OutletContext {
            requests: Requests::default(),
            is_quiet: config.get("debug").is_none(),
            send,
            reporting: Reporting {
                name: "producer",
                access: Access::new(&config),
                health: Arc::clone(health),
                metrics: Arc::clone(metrics),
            },
        };
        if transactional_id.is_some() {
            Requests::logged(&mut config);
        }
        let producer: Client = config
            .create_with_context(context)
            .map_err(ClientError::Settings)?;
        let outlet = Outlet {
            has_ended: false,
            is_stuck: false,
            producer: Arc::new(producer),
            reports,
            topics,
            limits,
            transactional_id,
            open_at_most: connection.open_at_most,
        };
        outlet.take_over()?;
        Ok(outlet)
    }

    /// Delivery reports, in the order in which they come.
    pub fn reports(&self) -> &Receiver<Report> {
        &self.reports
    }

    /// Queues `message`; if that is done, its report will carry `number`.
    ///
    /// # Errors
    /// When the producer cannot go on.
    pub fn send(&self, number: u64, message: &Outgoing) -> Result<Sent, OutletError> {
        let mut headers = OwnedHeaders::new_with_capacity(message.headers.len());
        for (key, value) in &message.headers {
            headers = headers.insert(Header {
                key,
                value: Some(value),
            });
        }
        let topic = match message.to {
            Destination::Outliers => &self.topics.outliers,
            Destination::DeadLetters => &self.topics.dead_letters,
            // Nothing goes there unless there is one.
            Destination::Audit => self.topics.audit.as_deref().unwrap_or_default(),
        };
        // Refused by the broker it would end its transaction, or come after later ones. Brokers measure what is compressed,
        // and this is not: the client's own limit goes by the same.
        let limit = self.limits.get(topic);
        if limit.is_some_and(|&limit| message.bytes() > limit) {
            return Ok(Sent::TooLarge);
        }
        let number_as_opaque = usize::try_from(number).unwrap_or(usize::MAX);
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(topic, number_as_opaque)
            .payload(&message.payload)
            .headers(headers);
        record.key = message.key.as_deref();
        match self.producer.send(record) {
            Ok(()) => Ok(Sent::Queued),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Ok(Sent::Full),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => {
                Ok(Sent::TooLarge)
            }
            Err((error, _)) => {
                if let Some(fatal) = self.fatal_error() {
                    return Err(fatal);
                }
                self.producer.context().report(number, &Err(error));
                Ok(Sent::Queued)
            }
        }
    }

    /// Drops the producer on a thread of its own, which nobody waits for longer than `patience`.
    pub fn close(self, patience: Duration) {
        let (done, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            drop(self);
            done.send(()).ok();
        });
        wait.recv_timeout(patience).ok();
    }
}

pub(super) struct OutletContext {
    send: Sender<Report>,
    pub(super) requests: Requests,
    /// Whether nobody but us asked for its debug log.
    is_quiet: bool,
    reporting: Reporting,
}

impl OutletContext {
    fn report(&self, number: u64, outcome: &Result<(), KafkaError>) {
        let outcome = match outcome {
            Ok(()) => Ok(()),
            Err(error) => Err(match error.rdkafka_error_code() {
                Some(
                    RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize,
                ) => Refusal::TooLarge,
                _ => Refusal::Later(error.clone()),
            }),
        };
        // Nobody listens any more only while the line ends.
        self.send.send(Report { number, outcome }).ok();
    }
}

impl ClientContext for OutletContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.requests.hear(message);
        let is_debug = matches!(level, RDKafkaLogLevel::Debug);
        if !(self.is_quiet && is_debug) {
            self.reporting.log(level, facility, message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.reporting.error(&error, reason);
    }
}

impl ProducerContext for OutletContext {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let outcome = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        self.report(number as u64, &outcome);
    }
}
