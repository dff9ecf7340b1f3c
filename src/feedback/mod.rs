//! What people say of outliers: by a topic, under the outlier's id.

mod follow;

use std::collections::HashMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::Config;
use crate::kafka::{Bounds, Connection, Reader, TopicFault};

pub use follow::follow;

/// An id is this many hexadecimal digits.
const ID: usize = 32;

pub use crate::metrics::FeedbackLabel as Label;

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Label, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut known = Label::ALL.iter().filter(|known| known.as_str() == text);
        let label = known.next().copied();
        label.ok_or_else(|| D::Error::custom(format!("{text:?} is no label")))
    }
}

/// A message of the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    /// Of the outlier's message.
    pub id: String,
    pub label: Label,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Whether a text is the id of an outlier.
pub fn is_id(text: &str) -> bool {
    text.len() == ID && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The last word on each outlier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    by_id: HashMap<String, Label>,
    /// Messages that are no feedback.
    unreadable: usize,
}

impl Labels {
    /// Takes a message in; none withdraws what was said under its key.
    pub fn take(&mut self, key: Option<&[u8]>, payload: Option<&[u8]>) {
        let Some(payload) = payload else {
            let key = key.and_then(|key| std::str::from_utf8(key).ok());
            self.by_id.remove(key.unwrap_or_default());
            return;
        };
        match serde_json::from_slice::<Feedback>(payload) {
            Ok(told) if is_id(&told.id) => {
                self.by_id.insert(told.id, told.label);
            }
            _ => self.unreadable += 1,
        }
    }

    pub fn get(&self, id: &str) -> Option<Label> {
        self.by_id.get(id).copied()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Outliers with this label.
    pub fn count(&self, label: Label) -> usize {
        self.by_id.values().filter(|given| **given == label).count()
    }

    /// Messages that are no feedback.
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// All that stands in the topic of the configuration; nothing without one.
    ///
    /// # Errors
    /// When the topic cannot be read.
    pub fn read(config: &Config) -> Result<Labels, TopicFault> {
        let mut labels = Labels::default();
        let Some(topic) = &config.feedback.topic else {
            return Ok(labels);
        };
        let reader = Reader::open(&Connection::new(&config.kafka), topic, Bounds::default())?;
        reader.read(|record| labels.take(record.key, record.payload))?;
        if labels.unreadable > 0 {
            tracing::warn!(
                "{} messages of {topic} are no feedback, and are passed over",
                labels.unreadable
            );
        }
        Ok(labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_and_what_is_no_feedback_is_passed_over() {
        let id = "0123456789abcdef0123456789abcdef";
        let mut labels = Labels::default();
        let told = |label: &str| format!("{{\"id\":\"{id}\",\"label\":\"{label}\"}}");
        labels.take(None, Some(told("confirmed").as_bytes()));
        labels.take(None, Some(told("false_alarm").as_bytes()));
        for wrong in [
            "",
            "{}",
            "7",
            "{\"id\":\"x\",\"label\":\"confirmed\"}",
            &told("odd"),
        ] {
            labels.take(None, Some(wrong.as_bytes()));
        }
        assert_eq!(labels.get(id), Some(Label::FalseAlarm));
        assert_eq!(
            (labels.count(Label::FalseAlarm), labels.unreadable()),
            (1, 5)
        );
        labels.take(Some(id.as_bytes()), None);
        assert!(labels.is_empty());
    }
}
