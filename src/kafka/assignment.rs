//! Where a newly assigned partition starts, and what the loop is told about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::Offset;

use super::client::PATIENCE;
use super::loss::{Known, Log};
use super::topic_id::topic_id;
use super::{Cause, JudgedBy, Loss, Note, TopicId, Trail};
use crate::config::{OnDataLoss, Start};

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
    /// Whether the group has this very offset and note committed, or is not to have them.
    pub committed: bool,
    /// What is committed beside the offset.
    pub note: Note,
    /// How many partitions the topic had when this one was assigned.
    pub partitions: i32,
    /// What was lost before the partition was assigned.
    pub loss: Option<Loss>,
    /// Records below this offset may have ended its last owner.
    pub suspect_until: Option<i64>,
    /// Whether nothing of it is read until a person decides what to do about the loss.
    pub halted: bool,
}

impl Position {
    /// Notes by which model what comes next is judged: since now, if it was another one before.
    pub fn judged_by(&mut self, version: &str) {
        let before = self.note.model.as_ref();
        if before.is_none_or(|model| model.version != version) {
            self.note.model = Some(JudgedBy {
                version: version.to_owned(),
                since: self.next,
            });
            self.committed = false;
        }
    }
}

/// What decides where partitions start.
#[derive(Debug, Clone)]
pub(super) struct StartRule {
    pub(super) topic: String,
    pub(super) start: Start,
    pub(super) on_data_loss: OnDataLoss,
    /// The offsets right after those that the model was trained on.
    pub(super) after_training: BTreeMap<i32, i64>,
    pub(super) trail: Arc<Trail>,
}

/// What the group has committed of the topic as it is now.
struct Committed {
    offsets: BTreeMap<i32, (i64, Option<Note>)>,
    /// The number of partitions when the group began.
    began_with: i32,
    /// Whether each of those had an offset once.
    all: bool,
    topic: Option<TopicId>,
    /// The number of partitions now.
    partitions: i32,
}

impl Committed {
    fn note(&self, partition: i32) -> Option<&Note> {
        self.offsets.get(&partition)?.1.as_ref()
    }

    /// What to commit beside the offsets of a partition from now on. One that halts is left as its last owner had it;
    /// `then` is the topic that its offset belongs to.
    fn note_of(&self, partition: i32, then: Option<TopicId>, halted: bool) -> Note {
        let before = self.note(partition);
        Note {
            partitions: self.began_with,
            topic: match halted {
                true => then,
                false => self.topic.clone().or(then),
            },
            all: self.all,
            open: !halted || before.is_some_and(|note| note.open),
            pace: before.and_then(|note| note.pace.clone()),
            model: before.and_then(|note| note.model.clone()),
        }
    }
}

impl StartRule {
    /// The positions from which `partitions` go on.
    pub(super) fn positions<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partitions: &[i32],
    ) -> KafkaResult<Vec<Position>> {
        let metadata = consumer.fetch_metadata(Some(&self.topic), PATIENCE)?;
        let present = metadata.topics().first();
        let present = present.map_or(0, |topic| topic.partitions().len() as i32);
        let offsets = self.committed(consumer, partitions, present)?;
        let notes = || offsets.values().filter_map(|(_, note)| note.as_ref());
        let began_with = notes().map(|note| note.partitions).min().unwrap_or(present);
        let committed = Committed {
            began_with,
            all: notes().any(|note| note.all)
                || (0..began_with).all(|partition| offsets.contains_key(&partition)),
            topic: topic_id(consumer.client(), &self.topic, PATIENCE)?,
            partitions: present,
            offsets,
        };
        // A partition without a leader keeps whoever asks for it waiting: after the first, nobody is asked any more.
        let mut asks = true;
        let position = |&partition: &i32| {
            let ends = asks.then(|| self.ends(consumer, partition)).flatten();
            asks = ends.is_some();
            self.position(consumer, partition, &committed, ends)
        };
        partitions.iter().map(position).collect()
    }

    fn position<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partition: i32,
        committed: &Committed,
        ends: Option<(i64, i64)>,
    ) -> KafkaResult<Position> {
        let beside = committed.note(partition);
        let known = match committed.offsets.get(&partition) {
            Some((next, _)) => Some(Known {
                next: *next,
                topic: beside.and_then(|note| note.topic.clone()),
            }),
            None => self.trail.known(partition),
        };
        let has_offset = committed.offsets.contains_key(&partition);
        let loss = match (has_offset, &known) {
            (true, Some(known)) => ends.and_then(|(low, high)| {
                let topic = committed.topic.as_ref();
                known.lost_in(Log { topic, low, high })
            }),
            (_, known) => self.forgotten(consumer, partition, known.as_ref(), committed)?,
        };
        let halted = loss.is_some() && self.on_data_loss == OnDataLoss::Halt;
        let next = match (&loss, &known) {
            (Some(loss), known) if halted => known.as_ref().map_or(loss.to, |known| known.next),
            (Some(loss), _) => said(partition, loss.to, "the first record after a loss"),
            (None, Some(known)) => said(partition, known.next, "the committed offset"),
            (None, None) => {
                let first = self.first_offset(consumer, partition, committed.began_with)?;
                let why = self.reason(partition, committed.began_with);
                said(partition, first, why)
            }
        };
        // Of a topic made anew the old offset is committed beside the old id, which tells the next owner; no other halted
        // partition is to have any.
        let anew = matches!(&loss, Some(loss) if loss.cause == Cause::MadeAnew);
        let open = beside.is_some_and(|note| note.open);
        // This very process left it so, and lives.
        let ours = self
            .trail
            .known(partition)
            .is_some_and(|known| known.next == next);
        Ok(Position {
            partition,
            next,
            // A note that says already what it is to say need not be written before anything is judged.
            committed: match halted {
                true => has_offset || !anew,
                false => loss.is_none() && open,
            },
            note: committed.note_of(partition, known.and_then(|known| known.topic), halted),
            // At least what is known in other ways, if the cluster did not say.
            partitions: committed
                .partitions
                .max(committed.began_with)
                .max(partition + 1),
            loss,
            suspect_until: (open && !ours).then(|| ends.map_or(i64::MAX, |(_, high)| high)),
            halted,
        })
    }

    /// The ends of the log. Where they cannot be asked for, the first fetch tells what is lost.
    fn ends<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partition: i32,
    ) -> Option<(i64, i64)> {
        consumer
            .fetch_watermarks(&self.topic, partition, PATIENCE)
            .map_err(|error| {
                tracing::warn!(partition, "asking for the ends of the log: {error}");
            })
            .ok()
    }

    /// Whether a partition without a committed offset had one.
    fn forgotten<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partition: i32,
        known: Option<&Known>,
        committed: &Committed,
    ) -> KafkaResult<Option<Loss>> {
        if known.is_none() && !(committed.all && partition < committed.began_with) {
            return Ok(None);
        }
        let (low, high) = consumer.fetch_watermarks(&self.topic, partition, PATIENCE)?;
        let topic = committed.topic.as_ref();
        let lost = known.and_then(|known| known.lost_in(Log { topic, low, high }));
        Ok(lost
            .filter(|loss| loss.cause == Cause::MadeAnew)
            .or(Some(Loss {
                cause: Cause::Forgotten,
                from: known.map(|known| known.next),
                to: low,
            })))
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

/// `offset`, once it is said.
fn said(partition: i32, offset: i64, from: &str) -> i64 {
    tracing::info!(partition, offset, from, "partition starts");
    offset
}
