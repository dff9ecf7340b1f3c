//! What the clients of the line tell the daemon: their log lines, and whether a broker is there.

use std::sync::Arc;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::{Broker, Statistics};

use super::access::Access;
use crate::health::{Condition, Health};
use crate::metrics::Metrics;

pub(super) struct Reporting {
    pub(super) name: &'static str,
    pub(super) access: Access,
    pub(super) health: Arc<Health>,
    pub(super) metrics: Arc<Metrics>,
}

impl Reporting {
    pub(super) fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        use RDKafkaLogLevel as L;
        let client = self.name;
        // Settings for all clients are passed to each; those of the other kind are no news.
        if facility == "CONFWARN" && message.contains("will be ignored by this") {
            return;
        }
        self.access.hear_log(facility, message);
        match level {
            L::Emerg | L::Alert | L::Critical | L::Error => {
                tracing::warn!(client, facility, "librdkafka: {message}");
            }
            L::Warning => tracing::info!(client, facility, "librdkafka: {message}"),
            L::Notice | L::Info | L::Debug => {
                tracing::debug!(client, facility, "librdkafka: {message}");
            }
        }
    }

    pub(super) fn error(&self, error: &KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                self.broker(Err(self.why_not(&format!("no broker answers: {reason}"))));
            }
            code => {
                tracing::debug!(client = self.name, "{error}: {reason}");
                if let Some(code) = code {
                    self.access.hear(code, reason);
                }
            }
        }
    }

    /// Once a second: is any broker connected?
    pub(super) fn stats(&self, statistics: &Statistics) {
        let connected = |broker: &Broker| broker.state == "UP";
        if statistics.brokers.values().any(connected) {
            self.access.granted();
            self.broker(Ok(()));
        } else {
            self.broker(Err(self.why_not("no broker is connected")));
        }
    }

    /// Why no broker is connected: what keeps this client out, if it is that for sure.
    fn why_not(&self, otherwise: &str) -> String {
        let fault = self.access.fault().filter(|fault| fault.is_certain);
        fault.map_or_else(|| otherwise.to_owned(), |fault| fault.to_string())
    }

    fn broker(&self, state: Result<(), String>) {
        self.metrics.broker_up.set(i64::from(state.is_ok()));
        if self.health.set(Condition::Broker, state.clone()) {
            match state {
                Ok(()) => tracing::info!("a broker is connected"),
                Err(reason) => tracing::warn!("{reason}; retrying"),
            }
        }
    }
}
