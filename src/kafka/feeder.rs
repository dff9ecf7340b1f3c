//! A producer that puts records into a topic as fast as it takes them.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use super::client::{ClientError, Connection};
use super::refusals::Refusals;

/// Produces to one topic; delivery is confirmed by [`Feeder::finish`].
pub struct Feeder {
    producer: ThreadedProducer<Refusals>,
    topic: String,
}

impl Feeder {
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(connection: &Connection, topic: &str) -> Result<Feeder, ClientError> {
        let mut config = connection.producer(None);
        // Tiny batches burn CPU on both sides.
        config.set("linger.ms", "20");
        Ok(Feeder {
            producer: config
                .create_with_context(Refusals::default())
                .map_err(ClientError::Settings)?,
            topic: topic.to_owned(),
        })
    }

    /// Queues one record; waits while the queue is full. `time_ms`: epoch milliseconds, now if
    /// `None`. A payload of `None` is a tombstone.
    ///
    /// # Errors
    /// When the record can never be produced, as one that is too large.
    pub fn send(
        &self,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        time_ms: Option<i64>,
    ) -> Result<(), ClientError> {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic);
        record.key = key;
        record.payload = payload;
        record.timestamp = time_ms;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((source, _)) => {
                    return Err(ClientError::Request {
                        what: format!("to produce to {}", self.topic),
                        source,
                    });
                }
            }
        }
    }

    /// Waits until every record is acknowledged.
    ///
    /// # Errors
    /// When one was refused, or some are still not acknowledged after `patience`.
    pub fn finish(&self, patience: Duration) -> Result<(), ClientError> {
        let deadline = Instant::now() + patience;
        // flush() takes 100 ms at least; the queue is usually empty much sooner.
        while self.producer.in_flight_count() > 0 {
            if Instant::now() > deadline {
                return Err(ClientError::Request {
                    what: format!("to acknowledge the records produced to {}", self.topic),
                    source: KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut),
                });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        match self.producer.client().context().take() {
            Some(source) => Err(ClientError::Request {
                what: format!("to take a record for {}", self.topic),
                source,
            }),
            None => Ok(()),
        }
    }
}
