//! Where a newly assigned partition starts, and what the loop is told about it.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::Offset;
use serde::{Deserialize, Serialize};

use super::client::PATIENCE;
use crate::config::Start;
use crate::detect::Pace;

/// A change of the assignment, in the order in which it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Assigned(Vec<Position>),
    Revoked(Vec<i32>),
}

/// Where a partition stands: everything below `next` has a durable disposition.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    pub partition: i32,
    /// The next offset to read: exclusive end of what is done, inclusive start of what is not.
    pub next: i64,
    /// Whether the group has this very offset committed.
    pub committed: bool,
    /// What is committed beside the offset.
    pub note: Note,
    /// How many partitions the topic had when this one was assigned.
    pub partitions: i32,
}

/// Committed beside every offset, as JSON with the version in front: 2 if it has a pace, else 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// How many partitions the topic had when the group began: one with a higher number was added
    /// later and is read from its start, whatever `input.start` says, so that no record of it is
    /// missed.
    pub partitions: i32,
    /// The partition's pace up to the offset, if the budget is one a day.
    pub pace: Option<Pace>,
}

/// A note as it is written.
#[derive(Serialize)]
struct Written<'a> {
    v: u8,
    partitions: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pace: Option<&'a Pace>,
}

/// A note as it is read: what is wrong with one part does not spoil the other. Later versions may
/// have more parts.
#[derive(Deserialize)]
struct Found {
    partitions: i32,
    pace: Option<serde_json::Value>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = Written {
            v: if self.pace.is_some() { 2 } else { 1 },
            partitions: self.partitions,
            pace: self.pace.as_ref(),
        };
        f.write_str(&serde_json::to_string(&written).map_err(|_| fmt::Error)?)
    }
}

impl Note {
    /// Reads what stands beside the committed offset of `partition`. What cannot be read is said
    /// and left out.
    fn read(partition: i32, text: &str) -> Option<Note> {
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
        Some(Note {
            partitions: found.partitions,
            pace,
        })
    }
}

/// What decides where partitions without a committed offset start.
#[derive(Debug, Clone)]
pub(super) struct StartRule {
    pub(super) topic: String,
    pub(super) start: Start,
    /// The offsets right after those that the model was trained on.
    pub(super) after_training: BTreeMap<i32, i64>,
}

impl StartRule {
    /// The positions from which `partitions` go on.
    pub(super) fn positions<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partitions: &[i32],
    ) -> KafkaResult<Vec<Position>> {
        let metadata = consumer.fetch_metadata(Some(&self.topic), PATIENCE)?;
        let known = metadata.topics().first();
        let known = known.map_or(0, |topic| topic.partitions().len() as i32);
        let committed = self.committed(consumer, partitions, known)?;
        let began_with = committed
            .values()
            .filter_map(|(_, note)| Some(note.as_ref()?.partitions))
            .min()
            .unwrap_or(known);
        let position = |&partition: &i32| {
            let (next, is_committed) = match committed.get(&partition) {
                Some((next, _)) => (*next, true),
                None => (self.first_offset(consumer, partition, began_with)?, false),
            };
            tracing::info!(
                partition,
                offset = next,
                from = if is_committed {
                    "the committed offset"
                } else {
                    self.reason(partition, began_with)
                },
                "partition starts"
            );
            let beside = committed
                .get(&partition)
                .and_then(|(_, note)| note.as_ref());
            Ok(Position {
                partition,
                next,
                committed: is_committed,
                note: Note {
                    partitions: began_with,
                    pace: beside.and_then(|note| note.pace.clone()),
                },
                // At least what is known in other ways, if the cluster did not say.
                partitions: known.max(began_with).max(partition + 1),
            })
        };
        partitions.iter().map(position).collect()
    }

    /// Committed offset and note of every partition of the topic that has one.
    fn committed<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partitions: &[i32],
        known: i32,
    ) -> KafkaResult<BTreeMap<i32, (i64, Option<Note>)>> {
        let mut asked = TopicPartitionList::new();
        let last = partitions.iter().copied().max().unwrap_or(0).max(known - 1);
        asked.add_partition_range(&self.topic, 0, last);
        let answered = consumer.committed_offsets(asked, PATIENCE)?;
        Ok(answered
            .elements()
            .iter()
            .filter_map(|element| match element.offset() {
                Offset::Offset(next) => {
                    let partition = element.partition();
                    Some((partition, (next, Note::read(partition, element.metadata()))))
                }
                _ => None,
            })
            .collect())
    }

    fn first_offset<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partition: i32,
        began_with: i32,
    ) -> KafkaResult<i64> {
        let (low, high) = consumer.fetch_watermarks(&self.topic, partition, PATIENCE)?;
        Ok(match self.start {
            _ if partition >= began_with => low,
            Start::Latest => high,
            Start::Earliest => low,
            Start::AfterTraining => self
                .after_training
                .get(&partition)
                .map_or(low, |&next| next.clamp(low, high)),
            Start::Time(time) => {
                let mut asked = TopicPartitionList::new();
                let time = Offset::Offset(time.as_millisecond());
                asked.add_partition_offset(&self.topic, partition, time)?;
                let answered = consumer.offsets_for_times(asked, PATIENCE)?;
                match answered.elements().first().map(|element| element.offset()) {
                    Some(Offset::Offset(first)) => first,
                    _ => high,
                }
            }
        })
    }

    fn reason(&self, partition: i32, began_with: i32) -> &'static str {
        match self.start {
            _ if partition >= began_with => "its start, since it was added later",
            Start::Latest => "its end (input.start = latest)",
            Start::Earliest => "its start (input.start = earliest)",
            Start::AfterTraining => "the end of the training rows (input.start = after_training)",
            Start::Time(_) => "the given time (input.start)",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn note(pace: Option<Pace>) -> Note {
        Note {
            partitions: 12,
            pace,
        }
    }

    #[test]
    fn a_note_comes_back_as_it_was_written() {
        let mut pace = Pace::default();
        for second in 0..400_000 {
            pace.observe(1_767_225_600_000 + second * 1000, second);
        }
        for note in [note(None), note(Some(pace))] {
            assert_eq!(Note::read(3, &note.to_string()), Some(note));
        }
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
