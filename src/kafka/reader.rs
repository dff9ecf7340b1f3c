//! A bounded consumer without a group: reads what a topic holds, commits nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::Offset;

use super::client::{ClientError, Connection, PATIENCE};
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
    /// The newest records that are read, over all partitions in equal parts.
    pub newest: Option<usize>,
}

/// The offsets of one partition that are read: `first` inclusive, `next` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub partition: i32,
    pub first: i64,
    pub next: i64,
}

/// A record as the client holds it.
#[derive(Debug, Clone, Copy)]
pub struct Read<'a> {
    pub partition: i32,
    pub offset: i64,
    /// `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Epoch milliseconds; -1 if it has none.
    pub time_ms: i64,
}

/// Reads fixed spans of a topic.
pub struct Reader {
    consumer: BaseConsumer,
    topic: String,
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
        let consumer: BaseConsumer = config.create().map_err(ClientError::Settings)?;
        let partitions = topics::ask(consumer.client(), connection, topic)?;
        let mut reader = Reader {
            consumer,
            topic: topic.to_owned(),
            spans: Vec::new(),
        };
        let share = bounds.newest.map(|rows| {
            i64::try_from(rows.div_ceil(partitions.max(1) as usize)).unwrap_or(i64::MAX)
        });
        for partition in 0..partitions {
            let span = reader.span(partition, bounds, share).map_err(|source| {
                ClientError::request(connection, format!("for the range of {topic}"), source)
            })?;
            reader.spans.push(span);
        }
        Ok(reader)
    }

    fn span(
        &self,
        partition: i32,
        bounds: Bounds,
        share: Option<i64>,
    ) -> Result<Span, rdkafka::error::KafkaError> {
        let (low, high) = self
            .consumer
            .fetch_watermarks(&self.topic, partition, PATIENCE)?;
        let at = |time: i64| {
            let mut asked = TopicPartitionList::new();
            asked.add_partition_offset(&self.topic, partition, Offset::Offset(time))?;
            let answered = self.consumer.offsets_for_times(asked, PATIENCE)?;
            Ok::<_, rdkafka::error::KafkaError>(match answered.elements().first() {
                Some(element) => match element.offset() {
                    Offset::Offset(offset) => offset,
                    _ => high,
                },
                None => high,
            })
        };
        let mut first = bounds.from_ms.map_or(Ok(low), at)?.max(low);
        let next = bounds.to_ms.map_or(Ok(high), at)?.min(high);
        if let Some(share) = share {
            first = first.max(next.saturating_sub(share));
        }
        Ok(Span {
            partition,
            first: first.min(next),
            next,
        })
    }

    pub fn spans(&self) -> &[Span] {
        &self.spans
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
                    if message.offset() < next {
                        visit(Read {
                            partition: message.partition(),
                            offset: message.offset(),
                            payload: message.payload(),
                            time_ms: message.timestamp().to_millis().unwrap_or(-1),
                        });
                    }
                    if message.offset() + 1 >= next {
                        open.remove(&message.partition());
                    }
                }
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(partition))) => {
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
                    return Err(failed(rdkafka::error::KafkaError::MessageConsumption(
                        RDKafkaErrorCode::OperationTimedOut,
                    )));
                }
                None => {}
            }
        }
        Ok(())
    }
}
