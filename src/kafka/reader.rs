//! A bounded consumer without a group: reads what a topic holds, commits nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedHeaders, Headers, Message};
use rdkafka::topic_partition_list::Offset;

use super::Origin;
use super::client::{ClientError, Connection, PATIENCE, cluster_id};
use super::topic_id::topic_id;
use super::topics::{self, TopicFault};

/// How long a read may stand still before it is given up.
const STALL: Duration = Duration::from_secs(30);

/// Which records to read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds {
    /// Records from this time on, epoch milliseconds, by the topic's time index.
    pub from_ms: Option<i64>,
    /// Records before this time.
    pub to_ms: Option<i64>,
    /// The newest records that are read, over all partitions; those that hold few give all.
    pub newest: Option<usize>,
    /// The only partition that is read; it is there.
    pub only: Option<i32>,
}

impl Bounds {
    /// Times need not rise with the offsets: each record is asked.
    fn hold(&self, time_ms: i64) -> bool {
        let from = self
            .from_ms
            .is_none_or(|from| time_ms < 0 || time_ms >= from);
        from && self.to_ms.is_none_or(|to| time_ms < to)
    }
}

/// The offsets of one partition that are read: `first` inclusive, `next` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub partition: i32,
    pub first: i64,
    pub next: i64,
}

/// A record as the client holds it.
#[derive(Clone, Copy)]
pub struct Read<'a> {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    headers: Option<&'a BorrowedHeaders>,
    /// Epoch milliseconds; -1 if it has none.
    pub time_ms: i64,
}

impl<'a> Read<'a> {
    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let headers = self.headers?;
        headers.iter().find(|header| header.key == name)?.value
    }
}

/// Reads fixed spans of a topic.
pub struct Reader {
    consumer: BaseConsumer,
    topic: String,
    bounds: Bounds,
    spans: Vec<Span>,
}

impl Reader {
    /// Fixes the spans within `bounds` as they are now.
    ///
    /// # Errors
    /// When no broker answers or the topic is missing.
    pub fn open(
        connection: &Connection,
        topic: &str,
        bounds: Bounds,
    ) -> Result<Reader, TopicFault> {
        let mut config = connection.consumer("outlierd-reader");
        // A reader wants no statistics, and its group is never joined.
        config.set("statistics.interval.ms", "0");
        config.set("enable.partition.eof", "true");
        // Where a transaction's marker stands last, the end is only known once a fetch has come back with nothing.
        config.set("fetch.wait.max.ms", "10");
        let consumer: BaseConsumer = config.create().map_err(ClientError::Settings)?;
        let partitions = match bounds.only {
            Some(only) => only..only + 1,
            None => 0..topics::partitions(connection, topic)?,
        };
        let mut reader = Reader {
            consumer,
            topic: topic.to_owned(),
            bounds,
            spans: Vec::new(),
        };
        for partition in partitions {
            let span = reader.span(partition).map_err(|source| {
                ClientError::request(connection, format!("for the range of {topic}"), source)
            })?;
            reader.spans.push(span);
        }
        if let Some(newest) = bounds.newest {
            keep_newest(&mut reader.spans, newest);
        }
        Ok(reader)
    }

    fn span(&self, partition: i32) -> KafkaResult<Span> {
        let (low, high) = self
            .consumer
            .fetch_watermarks(&self.topic, partition, PATIENCE)?;
        let first = match self.bounds.from_ms {
            Some(time) => match self.offset_at(partition, time)? {
                Some(offset) => offset,
                // "Nothing so late": some brokers say so of every time, the last record tells.
                None if self.ends_before(partition, low, high, time)? => high,
                None => low,
            },
            None => low,
        };
        let next = match self.bounds.to_ms {
            Some(time) => self.offset_at(partition, time)?.unwrap_or(high),
            None => high,
        };
        let next = next.clamp(low, high);
        Ok(Span {
            partition,
            first: first.clamp(low, next),
            next,
        })
    }

    /// The first offset whose record is not before `time`, by the topic's time index.
    fn offset_at(&self, partition: i32, time: i64) -> KafkaResult<Option<i64>> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(&self.topic, partition, Offset::Offset(time))?;
        let answered = self.consumer.offsets_for_times(asked, PATIENCE)?;
        let offset = answered.elements().first().map(|element| element.offset());
        Ok(match offset {
            Some(Offset::Offset(offset)) => Some(offset),
            _ => None,
        })
    }

    /// Whether the last record of the partition is before `time`.
    fn ends_before(&self, partition: i32, low: i64, high: i64, time: i64) -> KafkaResult<bool> {
        if low >= high {
            return Ok(true);
        }
        let mut last = TopicPartitionList::new();
        last.add_partition_offset(&self.topic, partition, Offset::Offset(high - 1))?;
        self.consumer.assign(&last)?;
        let deadline = Instant::now() + PATIENCE;
        let mut before = false;
        while Instant::now() < deadline {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    before = message.timestamp().to_millis().is_some_and(|at| at < time);
                    break;
                }
                // A transaction's marker stands there.
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                _ => {}
            }
        }
        self.consumer.unassign()?;
        Ok(before)
    }

    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Which log it reads.
    ///
    /// # Errors
    /// When the cluster does not say.
    pub fn origin(&self, connection: &Connection) -> Result<Origin, ClientError> {
        let client = self.consumer.client();
        let topic_id = topic_id(client, &self.topic, PATIENCE).map_err(|source| {
            ClientError::request(connection, format!("for the id of {}", self.topic), source)
        })?;
        Ok(Origin {
            cluster: cluster_id(client, connection)?,
            topic: self.topic.clone(),
            topic_id,
        })
    }

    /// Number of offsets in the spans; compaction may have left fewer records.
    pub fn offsets(&self) -> u64 {
        self.spans
            .iter()
            .map(|span| u64::try_from(span.next - span.first).unwrap_or(0))
            .sum()
    }

    /// Hands every record of the spans to `visit`: in order within a partition, partitions
    /// interleaved as they come.
    ///
    /// # Errors
    /// When a broker refuses, or nothing comes for half a minute.
    pub fn read(&self, mut visit: impl FnMut(Read<'_>)) -> Result<(), ClientError> {
        let failed = |source| ClientError::Request {
            what: format!("for the records of {}", self.topic),
            source,
        };
        let mut open: BTreeMap<i32, i64> = BTreeMap::new();
        let mut starts = TopicPartitionList::new();
        for span in self.spans.iter().filter(|span| span.first < span.next) {
            let first = Offset::Offset(span.first);
            starts
                .add_partition_offset(&self.topic, span.partition, first)
                .map_err(failed)?;
            open.insert(span.partition, span.next);
        }
        self.consumer.assign(&starts).map_err(failed)?;
        let mut moved = Instant::now();
        while !open.is_empty() {
            match self.consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => {
                    moved = Instant::now();
                    let Some(&next) = open.get(&message.partition()) else {
                        continue;
                    };
                    let time = message.timestamp().to_millis().unwrap_or(-1);
                    if message.offset() < next && self.bounds.hold(time) {
                        visit(Read {
                            partition: message.partition(),
                            offset: message.offset(),
                            key: message.key(),
                            payload: message.payload(),
                            headers: message.headers(),
                            time_ms: time,
                        });
                    }
                    if message.offset() + 1 >= next {
                        open.remove(&message.partition());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                Some(Err(error))
                    if matches!(
                        error.rdkafka_error_code(),
                        Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::Fatal)
                    ) =>
                {
                    return Err(failed(error));
                }
                Some(Err(error)) => tracing::debug!("reader: {error}"),
                None if moved.elapsed() > STALL => {
                    return Err(failed(KafkaError::MessageConsumption(
                        RDKafkaErrorCode::OperationTimedOut,
                    )));
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// Shortens the longest spans, at their old ends, until they hold `newest` offsets together.
fn keep_newest(spans: &mut [Span], newest: usize) {
    let newest = i64::try_from(newest).unwrap_or(i64::MAX);
    let held = |spans: &[Span], most: i64| -> i64 {
        spans
            .iter()
            .map(|span| (span.next - span.first).min(most))
            .fold(0, i64::saturating_add)
    };
    // The largest length at which they hold no more than that.
    let (mut low, mut high) = (
        0,
        spans
            .iter()
            .map(|span| span.next - span.first)
            .max()
            .unwrap_or(0),
    );
    while low < high {
        let middle = low + (high - low + 1) / 2;
        if held(spans, middle) <= newest {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    for span in spans {
        span.first = span.first.max(span.next - low.max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(lengths: &[i64]) -> Vec<Span> {
        let span = |(partition, &next)| Span {
            partition,
            first: 0,
            next,
        };
        (0..).zip(lengths).map(span).collect()
    }

    #[test]
    fn the_longest_spans_give_way_and_short_ones_stay_whole() {
        let mut some = spans(&[1000, 10, 500]);
        keep_newest(&mut some, 410);
        let lengths: Vec<i64> = some.iter().map(|span| span.next - span.first).collect();
        assert_eq!(lengths, [200, 10, 200]);
        let mut enough = spans(&[5, 0]);
        keep_newest(&mut enough, 100);
        assert_eq!(enough, spans(&[5, 0]));
    }

    #[test]
    fn a_record_without_a_time_is_not_before_anything() {
        let bounds = Bounds {
            from_ms: Some(10),
            to_ms: Some(20),
            newest: None,
            only: None,
        };
        assert!(bounds.hold(10) && !bounds.hold(9) && !bounds.hold(20) && bounds.hold(-1));
    }
}
