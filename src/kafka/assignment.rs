//! Where a newly assigned partition starts, and what the loop is told about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::Offset;
use serde::{Deserialize, Serialize};

use super::client::PATIENCE;
use crate::config::Start;

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
    pub note: Arc<str>,
}

/// Committed beside every offset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Note {
    v: u8,
    /// How many partitions the topic had when the group began: one with a higher number was added
    /// later and is read from its start, whatever `input.start` says, so that no record of it is
    /// missed.
    partitions: i32,
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
    /// The positions from which `partitions` go on. `known` is the topic's number of partitions.
    pub(super) fn positions<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partitions: &[i32],
        known: i32,
    ) -> KafkaResult<Vec<Position>> {
        let committed = self.committed(consumer, partitions, known)?;
        let began_with = committed
            .values()
            .filter_map(|(_, note)| serde_json::from_str::<Note>(note).ok())
            .map(|note| note.partitions)
            .min()
            .unwrap_or(known);
        let note: Arc<str> = format!(r#"{{"v":1,"partitions":{began_with}}}"#).into();
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
            Ok(Position {
                partition,
                next,
                committed: is_committed,
                note: Arc::clone(&note),
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
    ) -> KafkaResult<BTreeMap<i32, (i64, String)>> {
        let mut asked = TopicPartitionList::new();
        let last = partitions.iter().copied().max().unwrap_or(0).max(known - 1);
        asked.add_partition_range(&self.topic, 0, last);
        let answered = consumer.committed_offsets(asked, PATIENCE)?;
        Ok(answered
            .elements()
            .iter()
            .filter_map(|element| match element.offset() {
                Offset::Offset(next) => {
                    Some((element.partition(), (next, element.metadata().to_owned())))
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
