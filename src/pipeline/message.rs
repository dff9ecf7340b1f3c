//! What is published: outlier messages and dead letters (`docs/messages.md`).

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Batch, DeadLetter, Finding, Redaction};
use crate::detect::{Episode, Episodes, Model, Reason, hex, sentence};
use crate::kafka::{Destination, Origin, Outgoing};
use crate::metrics::DeadLetterClass;

/// Version of the outlier message's schema.
const SCHEMA: u8 = 1;

/// Reasons in a message at most, and the least share that one must have.
const REASONS: usize = 8;
const LEAST_SHARE: f32 = 0.01;

/// Writes messages; remembers the open episodes.
pub struct Messages {
    origin: Origin,
    redaction: Redaction,
    dead_letter_payload: bool,
    episodes: Episodes,
    model: ModelReference,
}

#[derive(Debug, Clone, Serialize)]
struct ModelReference {
    version: String,
    schema: String,
}

/// The outlier message, in the order in which a person reads it. `record` is appended raw.
#[derive(Serialize)]
struct OutlierMessage<'a> {
    schema: u8,
    id: &'a str,
    episode: Episode,
    cluster: &'a str,
    topic: &'a str,
    partition: i32,
    offset: i64,
    /// RFC 3339.
    timestamp: Option<String>,
    key: Option<String>,
    /// One plain sentence.
    summary: String,
    claim: String,
    p: f64,
    severity: f64,
    threshold_p: f64,
    score: f32,
    elbo: f32,
    reconstruction_error: f32,
    reconstruction_log_likelihood: f32,
    kl: f32,
    reasons: &'a [Reason],
    latent: f32,
    model: &'a ModelReference,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<Reference>,
}

/// Stands for a record that did not fit.
#[derive(Debug, Clone, Serialize)]
struct Reference {
    bytes: usize,
    sha256: String,
}

impl Messages {
    pub fn new(
        origin: Origin,
        redaction: Redaction,
        dead_letter_payload: bool,
        episodes: Episodes,
        model: &Model,
        version: &str,
    ) -> Messages {
        Messages {
            origin,
            redaction,
            dead_letter_payload,
            episodes,
            model: ModelReference {
                version: version.to_owned(),
                schema: model.schema_fingerprint(),
            },
        }
    }

    /// Names another model from here on.
    pub(super) fn judged_by(&mut self, model: &Model, version: &str) {
        self.model = ModelReference {
            version: version.to_owned(),
            schema: model.schema_fingerprint(),
        };
    }

    /// The messages for one finding: the whole, and what to publish if the whole is too large.
    pub fn outlier(&mut self, batch: &Batch, finding: &Finding) -> (Outgoing, Outgoing) {
        let record = &batch.records()[finding.record];
        let id = self.origin.id(record.partition, record.offset);
        let episode_key = finding.key.as_deref().unwrap_or_default();
        let episode = self.episodes.assign(episode_key, &id, finding.time_ms);
        let key = finding.key.as_deref().map(|key| self.redaction.key(key));
        let latent = finding.explanation.latent;
        let mut reasons = finding.explanation.reasons.clone();
        reasons.truncate(REASONS);
        reasons.retain(|reason| reason.share >= LEAST_SHARE);
        self.redaction.reasons(&mut reasons);
        let mut message = OutlierMessage {
            schema: SCHEMA,
            id: &id,
            episode,
            cluster: &self.origin.cluster,
            topic: &self.origin.topic,
            partition: record.partition,
            offset: record.offset,
            timestamp: rfc3339(finding.time_ms),
            key: key.as_deref().map(printable),
            summary: sentence(&reasons, latent),
            claim: finding.claim.to_string(),
            p: finding.scored.p,
            severity: finding.scored.severity(),
            threshold_p: finding.threshold_p,
            score: finding.scored.score,
            elbo: finding.scored.elbo(),
            reconstruction_error: finding.scored.reconstruction_error,
            reconstruction_log_likelihood: finding.scored.log_likelihood,
            kl: finding.scored.kl,
            reasons: &reasons,
            latent,
            model: &self.model,
            reference: None,
        };
        let payload = batch.payload(record).unwrap_or_default();
        let kafka_key = batch.key(record).map(|key| self.redaction.key(key));
        let outgoing = |payload| Outgoing {
            to: Destination::Outliers,
            key: kafka_key.clone(),
            payload,
            headers: vec![("outlierd.id", id.clone().into_bytes())],
        };
        let whole = outgoing(with_record(&message, self.redaction.record(payload)));
        message.reference = Some(Reference::of(payload));
        message.reasons = &[];
        (whole, outgoing(with_record(&message, None)))
    }

    /// The messages for one dead letter: the whole, and what to publish if the whole is too large.
    pub fn dead_letter(&self, batch: &Batch, dead: &DeadLetter) -> (Outgoing, Outgoing) {
        let record = &batch.records()[dead.record];
        let payload = batch.payload(record).unwrap_or_default();
        let headers = vec![
            (
                "outlierd.id",
                self.origin.id(record.partition, record.offset).into_bytes(),
            ),
            ("outlierd.class", dead.class.as_str().into()),
            ("outlierd.topic", self.origin.topic.clone().into_bytes()),
            (
                "outlierd.partition",
                record.partition.to_string().into_bytes(),
            ),
            ("outlierd.offset", record.offset.to_string().into_bytes()),
            (
                "outlierd.timestamp",
                rfc3339(record.timestamp_ms)
                    .unwrap_or_default()
                    .into_bytes(),
            ),
            ("outlierd.error", dead.error.clone().into_bytes()),
        ];
        let key = batch.key(record).map(|key| self.redaction.key(key));
        let reference = serde_json::json!({
            "schema": SCHEMA,
            "class": dead.class.as_str(),
            "topic": self.origin.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": rfc3339(record.timestamp_ms),
            "error": dead.error,
            "reference": Reference::of(payload),
        });
        let mut by_reference = headers.clone();
        by_reference.push(("outlierd.reference", b"true".to_vec()));
        let by_reference = Outgoing {
            to: Destination::DeadLetters,
            key: key.clone(),
            payload: reference.to_string().into_bytes(),
            headers: by_reference,
        };
        // What ends this process may end those that read it.
        if !self.dead_letter_payload || dead.class == DeadLetterClass::Crash {
            return (by_reference.clone(), by_reference);
        }
        let whole = Outgoing {
            to: Destination::DeadLetters,
            key,
            payload: payload.to_vec(),
            headers,
        };
        (whole, by_reference)
    }
}

impl Reference {
    fn of(payload: &[u8]) -> Reference {
        Reference {
            bytes: payload.len(),
            sha256: hex(&Sha256::digest(payload)),
        }
    }
}

/// The message with the raw bytes of `record`, which are JSON, as its last member.
fn with_record(message: &OutlierMessage<'_>, record: Option<Vec<u8>>) -> Vec<u8> {
    // Numbers and strings cannot fail to serialise.
    let mut bytes = serde_json::to_vec(message).unwrap_or_default();
    if let Some(record) = record
        && bytes.pop() == Some(b'}')
    {
        bytes.extend_from_slice(b",\"record\":");
        bytes.extend_from_slice(&record);
        bytes.push(b'}');
    }
    bytes
}

fn rfc3339(timestamp_ms: i64) -> Option<String> {
    (timestamp_ms >= 0)
        .then(|| Timestamp::from_millisecond(timestamp_ms).ok())
        .flatten()
        .map(|time| time.to_string())
}

/// Text as it is, other bytes in hexadecimal.
fn printable(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("hex:{}", hex(key)),
    }
}
