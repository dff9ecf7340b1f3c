//! Client settings, and why a client cannot be made or asked.

use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::access::{self, AccessFault};
use crate::config;

/// How long a request for metadata or watermarks may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

const IS_IT_UP: &str = "check kafka.brokers and that the cluster is up";

/// Why a client could not be made or asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not told as its cause: that repeats the value, which may be a secret.
    #[error("librdkafka refuses the settings in [kafka]: {}", refusal(.0))]
    Settings(KafkaError),
    #[error("no broker of {brokers} answers ({source}): {remedy}")]
    Unreachable {
        brokers: Box<str>,
        source: KafkaError,
        remedy: Box<str>,
    },
    #[error(transparent)]
    Access(#[from] AccessFault),
    #[error("asking {what}: {source}")]
    Request { what: String, source: KafkaError },
}

/// What librdkafka says of a setting, without its value, and what it does not know to say.
fn refusal(error: &KafkaError) -> String {
    let told = match error {
        KafkaError::ClientConfig(_, why, key, _) => format!("{key}: {why}"),
        other => other.to_string(),
    };
    let remedy = match () {
        () if told.contains("No provider for SASL mechanism") => {
            "; set \"sasl.mechanism\" to PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER, and build outlierd with \
             `--features tls`"
        }
        () if told.contains("in this build") || told.contains("at build time") => {
            "; build outlierd with `--features tls`"
        }
        () => "",
    };
    told + remedy
}

/// The settings for clients of one cluster.
#[derive(Clone)]
pub struct Connection {
    base: ClientConfig,
    brokers: String,
    next_generation: bool,
    /// How long the cluster lets a transaction be open.
    pub(super) open_at_most: Duration,
}

impl Connection {
    pub fn new(kafka: &config::Kafka) -> Connection {
        let mut base = ClientConfig::new();
        base.set("bootstrap.servers", &kafka.brokers);
        base.set("client.id", "outlierd");
        // A broker that stands still keeps what was asked of it: librdkafka's default waits for a minute before it asks the
        // one that leads by then.
        base.set("socket.timeout.ms", "10000");
        for (key, value) in &kafka.properties {
            base.set(key, value);
        }
        for (key, secret) in &kafka.secrets {
            base.set(key, secret.expose());
        }
        base.set_log_level(RDKafkaLogLevel::Info);
        Connection {
            next_generation: base.get("group.protocol") == Some("consumer"),
            brokers: kafka.brokers.clone(),
            open_at_most: kafka.transaction_timeout(),
            base,
        }
    }

    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Settings of a client that asks about topics.
    pub(super) fn admin(&self) -> ClientConfig {
        let mut config = self.base.clone();
        config.remove("group.protocol");
        config
    }

    /// Settings of a consumer, each with the reason that it is not librdkafka's default.
    pub(super) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.base.clone();
        for (key, value) in [
            // Offsets are committed by hand, after delivery, and never otherwise.
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            // An offset out of range is an error to decide on, never a silent jump.
            ("auto.offset.reset", "error"),
            ("check.crcs", "true"),
            // The default lets a drained queue wait for a second before it is filled again.
            ("fetch.queue.backoff.ms", "50"),
            // Bounds what the client holds; the line holds a few batches more.
            ("queued.max.messages.kbytes", "32768"),
            ("statistics.interval.ms", "1000"),
        ] {
            config.set(key, value);
        }
        if !self.next_generation && self.base.get("partition.assignment.strategy").is_none() {
            config.set("partition.assignment.strategy", "cooperative-sticky");
        }
        config.set("group.id", group);
        config
    }

    /// Settings of the producer: every message acknowledged by all in-sync replicas, once, in
    /// order, however long that takes; in a transaction, as long as that may take.
    pub(super) fn producer(&self, transactional_id: Option<&str>) -> ClientConfig {
        let mut config = self.base.clone();
        config.remove("group.protocol");
        match transactional_id {
            Some(id) => {
                config.set(
                    "transaction.timeout.ms",
                    self.open_at_most.as_millis().to_string(),
                );
                config.set("transactional.id", id)
            }
            None => config.set("message.timeout.ms", "0"),
        };
        for (key, value) in [
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("queue.buffering.max.kbytes", "65536"),
            ("statistics.interval.ms", "0"),
        ] {
            config.set(key, value);
        }
        for (key, value) in [("linger.ms", "5"), ("compression.type", "lz4")] {
            if self.base.get(key).is_none() {
                config.set(key, value);
            }
        }
        config
    }
}

impl ClientError {
    /// What a failed request comes to, for a client with the settings `config` that has met `fault`.
    pub(super) fn met(self, config: &ClientConfig, fault: Option<AccessFault>) -> ClientError {
        let hint = fault.as_ref().map(|fault| fault.remedy.as_str());
        let hint = hint.or(access::silent(config)).map(str::to_owned);
        match (self, fault, hint) {
            (_, Some(fault), _) if fault.is_certain => ClientError::Access(fault),
            (
                ClientError::Unreachable {
                    brokers, source, ..
                },
                _,
                Some(hint),
            ) => ClientError::Unreachable {
                brokers,
                source,
                remedy: format!("{IS_IT_UP}, or {hint}").into(),
            },
            (error, ..) => error,
        }
    }

    /// Tells "nobody there" from other failures of a request.
    pub(super) fn request(
        connection: &Connection,
        what: String,
        source: KafkaError,
    ) -> ClientError {
        match source.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve,
            ) => ClientError::Unreachable {
                brokers: connection.brokers.as_str().into(),
                source,
                remedy: IS_IT_UP.into(),
            },
            _ => ClientError::Request { what, source },
        }
    }
}

/// The cluster's id, which every id of an outlier begins with: nothing can stand in for it.
///
/// # Errors
/// When nobody tells it in time.
pub(super) fn cluster_id<C: ClientContext>(
    client: &Client<C>,
    connection: &Connection,
) -> Result<String, ClientError> {
    let id = client.fetch_cluster_id(PATIENCE);
    id.ok_or_else(|| ClientError::Unreachable {
        brokers: connection.brokers.as_str().into(),
        source: KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut),
        remedy: IS_IT_UP.into(),
    })
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    fn connection(properties: &[(&str, &str)]) -> Connection {
        Connection::new(&config::Kafka {
            brokers: "127.0.0.1:1".into(),
            properties: properties
                .iter()
                .map(|(key, value)| ((*key).to_string(), (*value).to_string()))
                .collect(),
            secrets: [(
                "sasl.password".to_string(),
                config::Secret::new("hush".into()),
            )]
            .into(),
        })
    }

    #[test]
    fn promises_are_kept_whatever_is_passed_through() {
        let consumer = connection(&[("enable.auto.commit", "true")]).consumer("g");
        assert_eq!(consumer.get("enable.auto.commit"), Some("false"));
        assert_eq!(consumer.get("auto.offset.reset"), Some("error"));
        assert_eq!(consumer.get("sasl.password"), Some("hush"));
    }

    #[test]
    fn the_assignment_strategy_is_left_alone_with_the_next_generation_protocol() {
        let next = connection(&[("group.protocol", "consumer")]);
        assert_eq!(
            next.consumer("g").get("partition.assignment.strategy"),
            None
        );
        assert_eq!(next.producer(None).get("group.protocol"), None);
        let classic = connection(&[]).consumer("g");
        assert_eq!(
            classic.get("partition.assignment.strategy"),
            Some("cooperative-sticky")
        );
    }

    #[test]
    fn a_build_without_tls_says_how_to_get_it() {
        let connection = connection(&[("security.protocol", "sasl_ssl")]);
        let made = connection
            .consumer("g")
            .create::<rdkafka::consumer::BaseConsumer>();
        let told = made.map_err(ClientError::Settings).err();
        let told = told.map_or(String::new(), |error| error.to_string());
        assert!(told.contains("--features tls"), "{told}");
        // With TLS it is the mechanism that nobody named.
        let names = if cfg!(feature = "tls") {
            "\"sasl.mechanism\""
        } else {
            "security.protocol"
        };
        assert!(told.contains(names), "{told}");
    }

    #[test]
    fn a_key_that_does_not_exist_is_named_and_its_secret_is_not() {
        let connection = Connection::new(&config::Kafka {
            brokers: "localhost:9092".into(),
            properties: [].into(),
            secrets: [("sasl.pasword".into(), config::Secret::new("hush".into()))].into(),
        });
        let made = connection
            .consumer("g")
            .create::<rdkafka::consumer::BaseConsumer>();
        let Err(refused) = made.map_err(ClientError::Settings) else {
            panic!("librdkafka has a setting of this name");
        };
        let mut told = refused.to_string();
        let mut cause = std::error::Error::source(&refused);
        while let Some(error) = cause {
            told += &error.to_string();
            cause = error.source();
        }
        assert!(told.contains("sasl.pasword"), "{told}");
        assert!(!told.contains("hush"), "{told}");
    }
}
