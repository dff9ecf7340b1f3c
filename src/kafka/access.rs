//! What keeps a client out of the cluster, by the setting that decides it.
//!
//! librdkafka tries again for ever, and tells only on the side what each attempt met: in its error events.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::group::lock;
#[cfg(feature = "tls")]
use super::handshake;

/// Why the cluster does not let a client in, and which setting to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the cluster does not let this client in: {met}: {remedy}")]
pub struct AccessFault {
    met: String,
    remedy: String,
}

impl AccessFault {
    /// What an event of librdkafka says about access, if it does. `config` is that of the client.
    pub(super) fn of(
        config: &ClientConfig,
        code: RDKafkaErrorCode,
        reason: &str,
    ) -> Option<AccessFault> {
        let met = || bare(reason).to_owned();
        let remedy = match code {
            RDKafkaErrorCode::Authentication => credentials(config, reason),
            RDKafkaErrorCode::SSL if reason.contains("verify failed") => {
                return Some(refused_broker(config, met()));
            }
            RDKafkaErrorCode::SSL if reason.contains("alert") => CLIENT_CERTIFICATE.to_owned(),
            RDKafkaErrorCode::SSL => PROTOCOL.to_owned(),
            _ if reason.contains("security.protocol") => PROTOCOL.to_owned(),
            _ => return None,
        };
        Some(AccessFault { met: met(), remedy })
    }
}

const PROTOCOL: &str =
    "check \"security.protocol\": it is to be what this listener of the brokers speaks";

const CLIENT_CERTIFICATE: &str = "check \"ssl.keystore.location\", or \"ssl.certificate.location\" and \
     \"ssl.key.location\": the brokers want a valid certificate of the client, by an authority that they know";

pub(super) const AUTHORITY: &str =
    "check \"ssl.ca.location\": it is to hold the authority that signed the brokers' certificates";

fn credentials(config: &ClientConfig, reason: &str) -> String {
    let mechanism = ["sasl.mechanism", "sasl.mechanisms"]
        .iter()
        .find_map(|key| config.get(key))
        .unwrap_or("GSSAPI");
    if reason.contains("nsupported SASL mechanism") {
        return format!("check \"sasl.mechanism\", which is {mechanism}");
    }
    match mechanism {
        "OAUTHBEARER" => {
            "check \"sasl.oauthbearer.token.endpoint.url\", \"sasl.oauthbearer.client.id\" and \
                          \"sasl.oauthbearer.client.secret\""
                .into()
        }
        _ => "check \"sasl.username\", and \"sasl.password\" under [kafka.secrets]".into(),
    }
}

/// The client refused the broker's certificate.
fn refused_broker(config: &ClientConfig, met: String) -> AccessFault {
    #[cfg(feature = "tls")]
    if let Some((met, remedy)) = handshake::objection(config) {
        return AccessFault { met, remedy };
    }
    #[cfg(not(feature = "tls"))]
    let _ = config;
    AccessFault {
        met,
        remedy: AUTHORITY.to_owned(),
    }
}

/// Without "(after 3ms in state SSL_HANDSHAKE, 4 identical error(s) suppressed)".
fn bare(reason: &str) -> &str {
    reason
        .split_once(" (after ")
        .map_or(reason, |(bare, _)| bare)
}

/// What a client has met that speaks against it.
pub(super) struct Access {
    config: ClientConfig,
    met: Mutex<Met>,
}

#[derive(Default)]
struct Met {
    reason: String,
    fault: Option<AccessFault>,
}

impl Access {
    /// For a client with the settings `config`.
    pub(super) fn new(config: &ClientConfig) -> Access {
        Access {
            config: config.clone(),
            met: Mutex::default(),
        }
    }

    /// Hears an event of librdkafka; what is met again and again is looked into once.
    pub(super) fn hear(&self, code: RDKafkaErrorCode, reason: &str) {
        let mut met = lock(&self.met);
        if met.reason == bare(reason) {
            return;
        }
        if let Some(fault) = AccessFault::of(&self.config, code, reason) {
            *met = Met {
                reason: bare(reason).to_owned(),
                fault: Some(fault),
            };
        }
    }

    /// What keeps the client out, if it has met anything.
    pub(super) fn fault(&self) -> Option<AccessFault> {
        lock(&self.met).fault.clone()
    }

    /// It is in: whatever kept it out is over.
    pub(super) fn granted(&self) {
        *lock(&self.met) = Met::default();
    }
}

/// The context of a client that only asks.
pub(super) struct Doorstep {
    pub(super) access: Access,
    all_down: AtomicBool,
}

impl Doorstep {
    pub(super) fn new(config: &ClientConfig) -> Doorstep {
        Doorstep {
            access: Access::new(config),
            all_down: AtomicBool::new(false),
        }
    }

    /// Whether something keeps it out, and no broker is left that might still let it in.
    pub(super) fn is_turned_away(&self) -> bool {
        self.all_down.load(Ordering::Relaxed) && self.access.fault().is_some()
    }
}

impl ClientContext for Doorstep {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(client = "asking", facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => self.all_down.store(true, Ordering::Relaxed),
            Some(code) => self.access.hear(code, reason),
            None => {}
        }
    }
}

impl ConsumerContext for Doorstep {}
