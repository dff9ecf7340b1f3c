//! What is committed beside every offset.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::TopicId;
use crate::detect::Pace;

/// Committed beside every offset, as JSON with the version in front: 2 if it has a pace, else 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// How many partitions the topic had when the group began: one with a higher number was added
    /// later and is read from its start, whatever `input.start` says, so that no record of it is
    /// missed.
    pub partitions: i32,
    /// The topic that the offset belongs to, if the cluster says.
    pub topic: Option<TopicId>,
    /// Whether every one of those partitions had a committed offset already: one that has none now has lost it.
    pub all: bool,
    /// Whether the partition's owner had not let go of it when it committed this. Where it stands in the last note, the
    /// owner was killed, maybe by a record.
    pub open: bool,
    /// The partition's pace up to the offset, if the budget is one a day.
    pub pace: Option<Pace>,
    /// By which model the record at the offset is judged.
    pub model: Option<JudgedBy>,
}

/// A model, and since when it judges a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedBy {
    pub version: String,
    /// The first offset that it judged.
    pub since: i64,
}

/// A note as it is written.
#[derive(Serialize)]
struct Written<'a> {
    v: u8,
    partitions: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a TopicId>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    all: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    open: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pace: Option<&'a Pace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a JudgedBy>,
}

/// A note as it is read: what is wrong with one part does not spoil the other. Later versions may
/// have more parts.
#[derive(Deserialize)]
struct Found {
    partitions: i32,
    topic: Option<serde_json::Value>,
    #[serde(default)]
    all: serde_json::Value,
    #[serde(default)]
    open: serde_json::Value,
    pace: Option<serde_json::Value>,
    model: Option<serde_json::Value>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = Written {
            v: if self.pace.is_some() { 2 } else { 1 },
            partitions: self.partitions,
            topic: self.topic.as_ref(),
            all: self.all,
            open: self.open,
            pace: self.pace.as_ref(),
            model: self.model.as_ref(),
        };
        f.write_str(&serde_json::to_string(&written).map_err(|_| fmt::Error)?)
    }
}

impl Note {
    /// Reads what stands beside the committed offset of `partition`. What cannot be read is said
    /// and left out.
    pub(super) fn read(partition: i32, text: &str) -> Option<Note> {
        let unreadable = |what: &str, error: serde_json::Error| {
            tracing::warn!(
                partition,
                "{what} beside the committed offset cannot be read ({error}): going on without it; \
                 a budget a day goes by the training rate until the rate is known again"
            );
        };
        if text.is_empty() {
            return None;
        }
        let found: Found = serde_json::from_str(text)
            .map_err(|error| unreadable("the note", error))
            .ok()?;
        let pace = found.pace.and_then(|pace| {
            serde_json::from_value(pace)
                .map_err(|error| unreadable("the pace in the note", error))
                .ok()
        });
        let topic = found.topic.and_then(|topic| {
            serde_json::from_value(topic)
                .map_err(|error| unreadable("the topic's id in the note", error))
                .ok()
        });
        let model = found.model.and_then(|model| {
            serde_json::from_value(model)
                .map_err(|error| unreadable("the model in the note", error))
                .ok()
        });
        Some(Note {
            model,
            partitions: found.partitions,
            topic,
            all: found.all == true,
            open: found.open == true,
            pace,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn note(pace: Option<Pace>) -> Note {
        Note {
            partitions: 12,
            topic: None,
            all: false,
            open: false,
            pace,
            model: None,
        }
    }

    #[test]
    fn a_note_comes_back_as_it_was_written() {
        let mut pace = Pace::default();
        for second in 0..400_000 {
            pace.observe(1_767_225_600_000 + second * 1000, second);
        }
        let whole = Note {
            topic: Some(TopicId::of("b3V0bGllcmQtZmF1bHRzIQ")),
            all: true,
            open: true,
            model: Some(JudgedBy {
                version: "3fa9c1d2".into(),
                since: 77,
            }),
            ..note(Some(pace.clone()))
        };
        for note in [note(None), note(Some(pace)), whole] {
            assert_eq!(Note::read(3, &note.to_string()), Some(note));
        }
    }

    #[test]
    fn a_topic_that_is_no_text_is_left_out() {
        let text = r#"{"v":1,"partitions":12,"topic":7,"all":"yes"}"#;
        assert_eq!(Note::read(0, text), Some(note(None)));
    }

    #[test]
    fn a_note_without_a_pace_is_that_of_version_one() {
        let text = r#"{"v":1,"partitions":12}"#;
        assert_eq!(note(None).to_string(), text);
        assert_eq!(Note::read(0, text), Some(note(None)));
    }

    #[test]
    fn a_broken_pace_does_not_spoil_the_number_of_partitions() {
        for pace in [
            "7",
            "{}",
            r#"{"hour":null,"count":1,"whole":false,"ahead":200,"later":0,"behind":0,"closed":[],"since":0}"#,
        ] {
            let text = format!(r#"{{"v":2,"partitions":12,"pace":{pace},"more":1}}"#);
            assert_eq!(Note::read(0, &text), Some(note(None)), "{text}");
        }
        assert_eq!(Note::read(0, "of another tool"), None);
        assert_eq!(Note::read(0, ""), None);
    }
}
