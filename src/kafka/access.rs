//! What keeps a client out of the cluster, by the setting that decides it.
//!
//! librdkafka tries again for ever, and tells only on the side what each attempt met: in its error events.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
    pub(super) remedy: String,
    /// Whether it is that and nothing else: a broker that hangs up may only be about to go.
    pub(super) is_certain: bool,
}

impl AccessFault {
    fn certain(met: String, remedy: String) -> AccessFault {
        AccessFault {
            met,
            remedy,
            is_certain: true,
        }
    }

    /// What an event of librdkafka says about access, if it does. `config` is that of the client.
    pub(super) fn of(
        config: &ClientConfig,
        code: RDKafkaErrorCode,
        reason: &str,
    ) -> Option<AccessFault> {
        let met = || bare(reason).to_owned();
        let says = |text: &str| reason.contains(text);
        let remedy = match code {
            RDKafkaErrorCode::Authentication => credentials(config, reason),
            RDKafkaErrorCode::SSL if says("verify failed") => {
                return Some(refused_broker(config, met()));
            }
            // The broker's answer to a certificate that it does not take, or misses.
            _ if says("alert") && (says("certificate") || says("unknown ca")) => {
                CLIENT_CERTIFICATE.to_owned()
            }
            RDKafkaErrorCode::SSL => PROTOCOL.to_owned(),
            _ if says("Disconnected") && says("APIVERSION_QUERY") => {
                return Some(AccessFault {
                    met: met(),
                    remedy: PROTOCOL.to_owned(),
                    is_certain: false,
                });
            }
            _ => return None,
        };
        Some(AccessFault::certain(met(), remedy))
    }
}

const PROTOCOL: &str =
    "check \"security.protocol\": it is to be what this listener of the brokers speaks";

const CLIENT_CERTIFICATE: &str = "check \"ssl.keystore.location\", or \"ssl.certificate.location\" and \
     \"ssl.key.location\": the brokers want a valid certificate of the client, by an authority that they know";

pub(super) const AUTHORITY: &str =
    "check \"ssl.ca.location\": it is to hold the authority that signed the brokers' certificates";

/// What it may be if a client with these settings has met nothing and is not let in either: a broker that misses a
/// certificate hangs up, and whether its last word is heard is a matter of chance.
pub(super) fn silent(config: &ClientConfig) -> Option<&'static str> {
    let is_tls = config
        .get("security.protocol")
        .is_some_and(|it| it.eq_ignore_ascii_case("ssl"));
    let keys = [
        "ssl.certificate.location",
        "ssl.certificate.pem",
        "ssl.keystore.location",
    ];
    let shows_none = keys.iter().all(|key| config.get(key).is_none());
    (is_tls && shows_none).then_some(CLIENT_CERTIFICATE)
}

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
        return AccessFault::certain(met, remedy);
    }
    #[cfg(not(feature = "tls"))]
    let _ = config;
    AccessFault::certain(met, AUTHORITY.to_owned())
}

/// Without "(after 3ms in state SSL_HANDSHAKE, 4 identical error(s) suppressed)".
fn bare(reason: &str) -> &str {
    reason
        .split_once(" (after ")
        .map_or(reason, |(bare, _)| bare)
}

/// A client that was refused once is let in by another broker, or with its next token, before this is over; or not at all.
const FOR_LONG: Duration = Duration::from_secs(2);

/// What a client has met that speaks against it.
pub(super) struct Access {
    config: ClientConfig,
    met: Mutex<Met>,
}

#[derive(Default)]
struct Met {
    reason: String,
    fault: Option<AccessFault>,
    /// When the first fault was met.
    since: Option<Instant>,
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
                since: met.since.or_else(|| Some(Instant::now())),
            };
        }
    }

    /// Hears a line of librdkafka's log: that a broker hangs up at once is told there alone.
    pub(super) fn hear_log(&self, facility: &str, message: &str) {
        if facility == "FAIL" {
            let told = message.split_once("]: ").map_or(message, |(_, told)| told);
            self.hear(RDKafkaErrorCode::BrokerTransportFailure, told);
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

    /// Whether something keeps it out, and no broker is left that might still let it in, or none has for a while.
    pub(super) fn is_turned_away(&self) -> bool {
        let since = lock(&self.access.met).since;
        let for_long = |since: Instant| since.elapsed() > FOR_LONG;
        since.is_some_and(|since| self.all_down.load(Ordering::Relaxed) || for_long(since))
    }
}

impl ClientContext for Doorstep {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(client = "asking", facility, "librdkafka: {message}");
        self.access.hear_log(facility, message);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What librdkafka 2.12.1 said against Kafka 4.1.1.
    #[test]
    fn what_librdkafka_says_is_told_by_the_setting_to_look_at() {
        use RDKafkaErrorCode as E;
        for (code, reason, names) in [
            (
                E::Authentication,
                "sasl_ssl://127.0.0.1:1/bootstrap: SASL authentication error: Authentication failed during \
                 authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512 (after 3ms in state \
                 AUTH_REQ)",
                "\"sasl.password\"",
            ),
            (
                E::BrokerTransportFailure,
                "ssl://127.0.0.1:1/bootstrap: Receive failed: error:0A000412:SSL routines::ssl/tls alert bad \
                 certificate: SSL alert number 42 (after 2ms in state APIVERSION_QUERY)",
                "\"ssl.certificate.location\"",
            ),
            (
                E::BrokerTransportFailure,
                "127.0.0.1:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 29ms \
                 in state APIVERSION_QUERY)",
                "\"security.protocol\"",
            ),
        ] {
            let mut config = ClientConfig::new();
            config.set("sasl.mechanism", "SCRAM-SHA-512");
            let fault = AccessFault::of(&config, code, reason).unwrap().to_string();
            assert!(fault.contains(names), "{fault}");
            assert!(!fault.contains("in state"), "{fault}");
        }
        let refused =
            "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused";
        let config = ClientConfig::new();
        assert_eq!(
            AccessFault::of(&config, E::BrokerTransportFailure, refused),
            None
        );
    }
}
