//! A producer that says where each of its records came to stand.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use super::client::{ClientError, Connection};

/// How long a full queue is waited for: brokers that take nothing for so long are not there.
const FULL_AT_MOST: Duration = Duration::from_secs(60);

/// A record to be written as it is.
#[derive(Debug, Clone, Copy)]
pub struct Again<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, String)],
}

/// Writes numbered records, and knows what became of each.
pub struct Replayer {
    producer: ThreadedProducer<Outcomes>,
}

/// Partition and offset of each record by its number, or why it was refused.
type Places = BTreeMap<usize, KafkaResult<(i32, i64)>>;

#[derive(Default)]
struct Outcomes(Mutex<Places>);

impl ClientContext for Outcomes {}

impl ProducerContext for Outcomes {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let place = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.insert(number, place);
    }
}

impl Replayer {
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(connection: &Connection) -> Result<Replayer, ClientError> {
        let producer = connection
            .producer(None)
            .create_with_context(Outcomes::default())
            .map_err(ClientError::Settings)?;
        Ok(Replayer { producer })
    }

    /// Queues a record; waits while the queue is full.
    ///
    /// # Errors
    /// When it can never be produced, as one that is too large, or no broker has taken anything for a minute.
    pub fn send(&self, number: usize, again: Again<'_>) -> Result<(), ClientError> {
        let mut headers = OwnedHeaders::new_with_capacity(again.headers.len());
        for (key, value) in again.headers {
            let value = Some(value.as_str());
            headers = headers.insert(Header { key, value });
        }
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(again.topic, number)
            .partition(again.partition)
            .headers(headers);
        record.key = again.key;
        record.payload = again.payload;
        let deadline = Instant::now() + FULL_AT_MOST;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    record = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((source, _)) => {
                    let what = format!("to produce to {}", again.topic);
                    return Err(ClientError::Request { what, source });
                }
            }
        }
    }

    /// Waits until every record has its outcome, and hands the outcomes out.
    ///
    /// # Errors
    /// When some have none after `patience`.
    pub fn finish(&self, patience: Duration) -> Result<Places, ClientError> {
        let deadline = Instant::now() + patience;
        while self.producer.in_flight_count() > 0 {
            if Instant::now() > deadline {
                return Err(ClientError::Request {
                    what: "to acknowledge what was produced".into(),
                    source: KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut),
                });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let places = &self.producer.client().context().0;
        Ok(std::mem::take(
            &mut *places.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}
