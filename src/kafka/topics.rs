//! Does a topic exist, and with how many partitions?

use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client::{ClientError, Connection, PATIENCE};

/// Why a topic cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TopicFault {
    #[error(
        "topic {topic} does not exist: make it with `kafka-topics.sh --create --topic {topic} \
         --bootstrap-server {brokers}`"
    )]
    Missing { topic: String, brokers: String },
    #[error("topic {topic}: {source}: grant the client the right to describe and use it")]
    Refused { topic: String, source: KafkaError },
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// The number of partitions of `topic`, asked with a client of its own.
///
/// # Errors
/// When no broker answers, or the topic is missing or refused.
pub fn partitions(connection: &Connection, topic: &str) -> Result<i32, TopicFault> {
    let consumer: BaseConsumer = connection
        .consumer("outlierd-metadata")
        .create()
        .map_err(ClientError::Settings)?;
    ask(consumer.client(), connection, topic)
}

/// The number of partitions of `topic`.
pub(super) fn ask<C: ClientContext>(
    client: &Client<C>,
    connection: &Connection,
    topic: &str,
) -> Result<i32, TopicFault> {
    let metadata = client
        .fetch_metadata(Some(topic), PATIENCE)
        .map_err(|source| ClientError::request(connection, format!("for topic {topic}"), source))?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let missing = || TopicFault::Missing {
        topic: topic.to_owned(),
        brokers: connection.brokers().to_owned(),
    };
    let found = found.ok_or_else(missing)?;
    match found.error().map(RDKafkaErrorCode::from) {
        None if found.partitions().is_empty() => Err(missing()),
        None => Ok(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            Err(missing())
        }
        Some(code) => Err(TopicFault::Refused {
            topic: topic.to_owned(),
            source: KafkaError::MetadataFetch(code),
        }),
    }
}
