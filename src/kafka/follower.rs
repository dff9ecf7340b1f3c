//! Reads a topic from its start and goes on as it grows.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::Offset;

use super::client::{ClientError, Connection};
use super::topics::{self, TopicFault};

/// Follows one topic without a group; commits nothing.
pub struct Follower {
    consumer: BaseConsumer,
}

/// A record that was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    pub key: Option<Vec<u8>>,
    /// None is a tombstone.
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Follower {
    /// # Errors
    /// When no broker answers or the topic is missing.
    pub fn open(connection: &Connection, topic: &str) -> Result<Follower, TopicFault> {
        let mut config = connection.consumer("outlierd-follower");
        config.set("auto.offset.reset", "earliest");
        config.set("statistics.interval.ms", "0");
        let consumer: BaseConsumer = config.create().map_err(ClientError::Settings)?;
        let partitions = topics::partitions(connection, topic)?;
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, Offset::Beginning)
                .map_err(ClientError::Settings)?;
        }
        consumer.assign(&list).map_err(ClientError::Settings)?;
        Ok(Follower { consumer })
    }

    /// The next record, if one comes within `patience`.
    pub fn next(&self, patience: Duration) -> Option<Followed> {
        match self.consumer.poll(patience)? {
            Ok(message) => Some(Followed {
                key: message.key().map(<[u8]>::to_vec),
                payload: message.payload().map(<[u8]>::to_vec),
                headers: message.headers().map_or(vec![], |headers| {
                    let pair = |header: rdkafka::message::Header<'_, &[u8]>| {
                        (
                            header.key.to_owned(),
                            header.value.unwrap_or_default().to_vec(),
                        )
                    };
                    headers.iter().map(pair).collect()
                }),
            }),
            Err(error) => {
                tracing::debug!("follower: {error}");
                None
            }
        }
    }
}
