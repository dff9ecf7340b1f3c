//! Does a topic exist, with how many partitions, and what does it take?

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use super::access::Doorstep;
use super::client::{ClientError, Connection, PATIENCE};
use super::topic_id::can_answer;

/// How long a client asks that is not let in: what that may be is said within ten seconds.
const ASKING: Duration = Duration::from_secs(8);

/// How long one question waits, of all that are asked within [`ASKING`].
const TURN: Duration = Duration::from_millis(500);

/// How long events are heard after each question.
const HEARING: Duration = Duration::from_millis(100);

/// Why a topic cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TopicFault {
    #[error(
        "topic {topic} does not exist: make it with `kafka-topics.sh --create --topic {topic} \
         --bootstrap-server {brokers}`"
    )]
    Missing { topic: String, brokers: String },
    #[error(
        "topic {topic}: {source}: grant the right to describe and use it to this client's principal (its \
         \"sasl.username\", or the subject of its certificate)"
    )]
    Refused { topic: String, source: KafkaError },
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// The number of partitions of `topic`, asked with a client of its own.
///
/// # Errors
/// When no broker answers or lets this client in, or the topic is missing or refused.
pub fn partitions(connection: &Connection, topic: &str) -> Result<i32, TopicFault> {
    let config = connection.consumer("outlierd-metadata");
    let asking: BaseConsumer<Doorstep> = config
        .create_with_context(Doorstep::new(&config))
        .map_err(ClientError::Settings)?;
    let metadata = ask(&asking, topic).map_err(|source| {
        ClientError::request(connection, format!("for topic {topic}"), source)
            .met(&config, asking.context().access.fault())
    })?;
    count(&metadata, connection, topic)
}

/// Asks in short turns, and hears in between what keeps the client out.
fn ask(asking: &BaseConsumer<Doorstep>, topic: &str) -> Result<Metadata, KafkaError> {
    let began = Instant::now();
    loop {
        let asked = asking.fetch_metadata(Some(topic), TURN);
        hear(asking);
        let hopeless = began.elapsed() > ASKING || asking.context().is_turned_away();
        if asked.is_ok() || hopeless {
            return asked;
        }
    }
}

/// Hears the events that have come. A poll that does not wait hears one of them, and what keeps the client out may stand
/// behind a dozen lines of log.
fn hear(asking: &BaseConsumer<Doorstep>) {
    let began = Instant::now();
    while began.elapsed() < HEARING {
        // It has no assignment: only events come of it.
        asking.poll(HEARING / 10);
    }
}

/// How long a message of each of `topics` may be, in bytes: `max.message.bytes`. Whoever may not ask goes without.
pub(super) fn limits(connection: &Connection, topics: &[&str]) -> BTreeMap<String, usize> {
    let limits = ask_setting(connection, topics, "max.message.bytes").unwrap_or_else(|error| {
        tracing::info!(
            "asking how large messages may be: {error}; what is too large is only known once it is refused"
        );
        BTreeMap::new()
    });
    let bytes = |(topic, limit): (String, String)| Some((topic, limit.parse().ok()?));
    limits.into_iter().filter_map(bytes).collect()
}

/// What becomes of the old records of a topic: `cleanup.policy`. Whoever may not ask does not know.
pub(super) fn cleanup_policy(connection: &Connection, topic: &str) -> Option<String> {
    let policies = ask_setting(connection, &[topic], "cleanup.policy");
    policies.ok()?.remove(topic)
}

/// One setting of each of `topics`.
fn ask_setting(
    connection: &Connection,
    topics: &[&str],
    setting: &str,
) -> Result<BTreeMap<String, String>, KafkaError> {
    let admin: AdminClient<DefaultClientContext> = connection.admin().create()?;
    // Where nobody would, the answer is not waited for.
    match topics.first() {
        Some(first) if can_answer(admin.inner(), first, PATIENCE)? => {}
        _ => return Ok(BTreeMap::new()),
    }
    let asked: Vec<ResourceSpecifier<'_>> = topics
        .iter()
        .map(|topic| ResourceSpecifier::Topic(topic))
        .collect();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let asking = admin.describe_configs(&asked, &options);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|_| KafkaError::Canceled)?;
    let answers = runtime.block_on(asking)?;
    let value = |answer: Result<ConfigResource, RDKafkaErrorCode>| {
        let topic = answer.ok()?;
        let value = topic.get(setting)?.value.clone()?;
        match topic.specifier {
            OwnedResourceSpecifier::Topic(name) => Some((name, value)),
            _ => None,
        }
    };
    Ok(answers.into_iter().filter_map(value).collect())
}

fn count(metadata: &Metadata, connection: &Connection, topic: &str) -> Result<i32, TopicFault> {
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
