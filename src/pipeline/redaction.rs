//! What of a record may be shown, in messages, on the terminal and in explanations.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::config::{self, Copied};
use crate::detect::{Expected, Observed, Reason, hex};
use crate::record::split_path;

/// The name of the Kafka key in `output.redact`.
const KAFKA_KEY: &str = "$key";

/// Copies records as `[output]` says: what is redacted becomes a keyed hash, the same for the same
/// value, so that readers can still group by it.
#[derive(Clone)]
pub struct Redaction {
    copied: Copied,
    /// Redacted paths.
    paths: Vec<String>,
    /// Paths of the configured fields, for `Copied::Fields`.
    fields: Vec<String>,
    /// Whether keys are redacted. Producers take the Kafka key from the record and an episode's
    /// key is one or the other: where one is hidden, both are.
    key: bool,
    mac: Option<Hmac<Sha256>>,
}

impl Redaction {
    pub fn new(
        output: &config::Output,
        input: &config::Input,
        fields: &[config::Field],
    ) -> Redaction {
        let redacts = |path: &str| output.redact.iter().any(|redacted| covers(redacted, path));
        Redaction {
            copied: output.record,
            key: redacts(KAFKA_KEY) || input.key.as_deref().is_some_and(redacts),
            paths: output.redact.clone(),
            fields: fields.iter().map(|field| field.path.clone()).collect(),
            mac: output
                .redact_key
                .as_ref()
                .and_then(|key| Hmac::new_from_slice(key.expose().as_bytes()).ok()),
        }
    }

    /// The record as an outlier message carries it; `None` if it carries none.
    pub fn record(&self, payload: &[u8]) -> Option<Vec<u8>> {
        match self.copied {
            Copied::None => None,
            // The decoder has checked that it is JSON.
            Copied::Full if self.paths.is_empty() => Some(payload.to_vec()),
            Copied::Full => {
                let mut record = serde_json::from_slice(payload).ok()?;
                for path in &self.paths {
                    self.redact(&mut record, path);
                }
                serde_json::to_vec(&record).ok()
            }
            Copied::Fields => {
                let record: Value = serde_json::from_slice(payload).ok()?;
                let mut copy = serde_json::Map::new();
                for path in &self.fields {
                    let value = look_up(&record, path).cloned();
                    let value = value.map(|value| {
                        if self.hides(path) {
                            self.hash_value(&value)
                        } else {
                            value
                        }
                    });
                    copy.insert(path.clone(), value.unwrap_or(Value::Null));
                }
                serde_json::to_vec(&copy).ok()
            }
        }
    }

    /// A key, Kafka's or an episode's, as it may be shown.
    pub fn key(&self, key: &[u8]) -> Vec<u8> {
        if self.key {
            self.hash(key).into_bytes()
        } else {
            key.to_vec()
        }
    }

    /// Hides what reasons say of redacted fields.
    pub fn reasons(&self, reasons: &mut [Reason]) {
        for reason in reasons
            .iter_mut()
            .filter(|reason| self.hides(&reason.field))
        {
            // The same text as in the record, so that both hashes agree.
            let text = match &reason.observed {
                Observed::Missing => continue,
                Observed::Word(word) => word.clone(),
                Observed::Number(number) => number.to_string(),
                Observed::Flag(flag) => flag.to_string(),
            };
            reason.observed = Observed::Word(self.hash(text.as_bytes()));
            reason.expected = Expected::Withheld;
        }
    }

    fn hides(&self, path: &str) -> bool {
        self.paths.iter().any(|redacted| covers(redacted, path))
    }

    fn redact(&self, record: &mut Value, path: &str) {
        // A key may itself hold dots: it is tried whole at every level.
        if let Value::Object(object) = record {
            if let Some(value) = object.get_mut(path) {
                *value = self.hash_value(value);
            } else if let [part] = split_path(path).as_slice()
                && let Some(value) = object.get_mut(part)
            {
                *value = self.hash_value(value);
            }
            for (at, _) in path.match_indices('.') {
                if let Some(inner) = object.get_mut(&path[..at]) {
                    self.redact(inner, &path[at + 1..]);
                }
            }
        } else if let Value::Array(items) = record {
            for item in items {
                self.redact(item, path);
            }
        }
    }

    fn hash_value(&self, value: &Value) -> Value {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Value::String(self.hash(text.as_bytes()))
    }

    /// The first half of HMAC-SHA-256; without a key nothing at all.
    fn hash(&self, value: &[u8]) -> String {
        let Some(mac) = &self.mac else {
            return "redacted".into();
        };
        let mut mac = mac.clone();
        mac.update(value);
        format!("redacted:{}", hex(&mac.finalize().into_bytes()[..16]))
    }
}

/// Whether `path` is `redacted` or lies within it.
fn covers(redacted: &str, path: &str) -> bool {
    path.strip_prefix(redacted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn look_up<'a>(record: &'a Value, path: &str) -> Option<&'a Value> {
    split_path(path)
        .into_iter()
        .try_fold(record, |value, part| match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            other => other.get(&part),
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn redaction(copied: Copied, redact: &[&str], fields: &[&str]) -> Redaction {
        Redaction {
            copied,
            paths: redact.iter().map(ToString::to_string).collect(),
            fields: fields.iter().map(ToString::to_string).collect(),
            key: redact.contains(&KAFKA_KEY),
            mac: Hmac::new_from_slice(b"pepper").ok(),
        }
    }

    #[test]
    fn a_redacted_value_is_a_stable_hash_and_never_the_value() {
        let full = redaction(Copied::Full, &["card.number"], &[]);
        let shown = full
            .record(br#"{"card":{"number":"4111111111111111","kind":"x"}}"#)
            .unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert!(
            !shown.contains("4111") && shown.contains("redacted:"),
            "{shown}"
        );
        assert_eq!(
            full.hash(b"4111111111111111"),
            full.hash(b"4111111111111111")
        );
        assert_ne!(
            full.hash(b"4111111111111111"),
            full.hash(b"4111111111111112")
        );
    }

    #[test]
    fn redacting_an_object_hides_all_within_and_a_number_is_hidden_like_a_string() {
        let full = redaction(Copied::Full, &["card"], &[]);
        let shown = full
            .record(br#"{"card":{"number":4111111111111111}}"#)
            .unwrap();
        assert!(!String::from_utf8(shown).unwrap().contains("4111"));
        assert!(full.hides("card.number") && !full.hides("cards"));
    }

    #[test]
    fn fields_alone_are_copied_by_path() {
        let fields = redaction(Copied::Fields, &["b"], &["a.x", "b", "c"]);
        let shown = fields
            .record(br#"{"a":{"x":1,"y":2},"b":"secret","d":3}"#)
            .unwrap();
        let shown: Value = serde_json::from_slice(&shown).unwrap();
        assert_eq!(shown["a.x"], 1);
        assert_eq!(shown["c"], Value::Null);
        assert!(shown["b"].as_str().unwrap().starts_with("redacted:"));
        assert!(shown.get("d").is_none());
    }

    #[test]
    fn the_key_is_hidden_when_asked_for() {
        assert_eq!(redaction(Copied::None, &[], &[]).key(b"4111"), b"4111");
        assert_ne!(
            redaction(Copied::None, &["$key"], &[]).key(b"4111"),
            b"4111"
        );
    }
}
