//! A topic's id, by which a topic that was deleted and made anew is told from the one before it.
//!
//! rdkafka has no DescribeTopics, so librdkafka's own is called here: this is the only unsafe code that deals with Kafka.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use serde::{Deserialize, Serialize};

/// The id that the cluster gave a topic when it was made: 22 characters of base 64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicId(String);

impl TopicId {
    #[cfg(test)]
    pub(super) fn of(text: &str) -> TopicId {
        TopicId(text.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A question for a topic's id that is under way. Its client lives as long as it does.
pub(super) struct Inquiry<C: ConsumerContext + 'static> {
    queue: *mut rd::rd_kafka_queue_t,
    _client: Arc<BaseConsumer<C>>,
}

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl<C: ConsumerContext + Send + Sync + 'static> Send for Inquiry<C> {}

impl<C: ConsumerContext + 'static> Inquiry<C> {
    /// Asks; the answer is waited for at most `patience` by librdkafka itself.
    pub(super) fn start(
        client: &Arc<BaseConsumer<C>>,
        topic: &str,
        patience: Duration,
    ) -> Option<Inquiry<C>> {
        let queue = ask(client.client(), topic, patience)?;
        Some(Inquiry {
            queue,
            _client: Arc::clone(client),
        })
    }

    /// The answer, if it has come.
    pub(super) fn answer(&self) -> Option<KafkaResult<Option<TopicId>>> {
        receive(self.queue, Duration::ZERO)
    }
}

impl<C: ConsumerContext + 'static> Drop for Inquiry<C> {
    fn drop(&mut self) {
        // SAFETY: made by `ask`, destroyed once, before the client that it belongs to.
        unsafe { rd::rd_kafka_queue_destroy(self.queue) };
    }
}

/// The id of `topic`, waited for; none where the cluster gives none, as one older than 2.8, or does not know the topic.
///
/// # Errors
/// When nobody answers within `patience`, or the question is refused.
pub(super) fn topic_id<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    patience: Duration,
) -> KafkaResult<Option<TopicId>> {
    if !can_answer(client, topic, patience)? {
        return Ok(None);
    }
    let Some(queue) = ask(client, topic, patience) else {
        return Ok(None);
    };
    let answer = receive(queue, patience);
    // SAFETY: made by `ask`, destroyed once, while the client is borrowed.
    unsafe { rd::rd_kafka_queue_destroy(queue) };
    answer.unwrap_or(Err(KafkaError::MetadataFetch(
        RDKafkaErrorCode::OperationTimedOut,
    )))
}

/// librdkafka puts such questions to the controller, and waits for one that it does not know. The embedded broker names one
/// that is none of its brokers; a real cluster names any broker that lives.
pub(super) fn can_answer<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    patience: Duration,
) -> KafkaResult<bool> {
    let brokers = client.fetch_metadata(Some(topic), patience)?;
    let milliseconds = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client lives through the call.
    let controller = unsafe { rd::rd_kafka_controllerid(client.native_ptr(), milliseconds) };
    Ok(brokers
        .brokers()
        .iter()
        .any(|broker| broker.id() == controller))
}

/// Sends the question; the answer comes to the queue that is returned, which the caller destroys.
fn ask<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    patience: Duration,
) -> Option<*mut rd::rd_kafka_queue_t> {
    let name = CString::new(topic).ok()?;
    let milliseconds = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    let mut names = [name.as_ptr()];
    // SAFETY: the client lives through the call; names, options and error text are valid for it; librdkafka copies what
    // it keeps of them. An unset timeout (a refused value) leaves the default of the client.
    unsafe {
        let native = client.native_ptr();
        let topics = rd::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = rd::rd_kafka_AdminOptions_new(native, operation);
        let mut refusal = [0; 256];
        rd::rd_kafka_AdminOptions_set_request_timeout(
            options,
            milliseconds,
            refusal.as_mut_ptr(),
            refusal.len(),
        );
        let queue = rd::rd_kafka_queue_new(native);
        rd::rd_kafka_DescribeTopics(native, topics, options, queue);
        rd::rd_kafka_AdminOptions_destroy(options);
        rd::rd_kafka_TopicCollection_destroy(topics);
        Some(queue)
    }
}

/// What has come to `queue` within `patience`, if anything has.
fn receive(
    queue: *mut rd::rd_kafka_queue_t,
    patience: Duration,
) -> Option<KafkaResult<Option<TopicId>>> {
    let milliseconds = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the queue is alive, and the event is destroyed once, after the last use of what it owns.
    unsafe {
        let event = rd::rd_kafka_queue_poll(queue, milliseconds);
        if event.is_null() {
            return None;
        }
        let answer = match RDKafkaErrorCode::from(rd::rd_kafka_event_error(event)) {
            RDKafkaErrorCode::NoError => Ok(described(event)),
            RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion => Ok(None),
            code => Err(KafkaError::MetadataFetch(code)),
        };
        rd::rd_kafka_event_destroy(event);
        Some(answer)
    }
}

/// # Safety
/// `event` is a live event.
unsafe fn described(event: *mut rd::rd_kafka_event_t) -> Option<TopicId> {
    // SAFETY: each pointer belongs to the event, which lives through the call, and is looked at before it is used.
    unsafe {
        let result = rd::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return None;
        }
        let mut count = 0;
        let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if topics.is_null() || count == 0 {
            return None;
        }
        let id = rd::rd_kafka_TopicDescription_topic_id(*topics);
        // Zero stands for "no id".
        if id.is_null()
            || (rd::rd_kafka_Uuid_most_significant_bits(id) == 0
                && rd::rd_kafka_Uuid_least_significant_bits(id) == 0)
        {
            return None;
        }
        let text = rd::rd_kafka_Uuid_base64str(id);
        (!text.is_null()).then(|| TopicId(CStr::from_ptr(text).to_string_lossy().into_owned()))
    }
}
