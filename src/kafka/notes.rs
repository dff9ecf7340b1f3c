//! What a group has committed, read by somebody who is no member of it.

use std::collections::BTreeMap;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::client::{ClientError, Connection, PATIENCE};
use super::note::Note;
use super::topics::{self, TopicFault};

/// Reads the notes beside the committed offsets of a group, again and again.
pub struct Notes {
    consumer: BaseConsumer,
    asked: TopicPartitionList,
    group: String,
}

impl Notes {
    /// # Errors
    /// When no broker answers or the topic is missing.
    pub fn of(connection: &Connection, group: &str, topic: &str) -> Result<Notes, TopicFault> {
        let partitions = topics::partitions(connection, topic)?;
        let mut config = connection.consumer(group);
        config.set("statistics.interval.ms", "0");
        let consumer: BaseConsumer = config.create().map_err(ClientError::Settings)?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(topic, 0, partitions - 1);
        Ok(Notes {
            consumer,
            asked,
            group: group.to_owned(),
        })
    }

    /// By partition; those without a note are left out.
    ///
    /// # Errors
    /// When the group's coordinator does not answer.
    pub fn read(&self) -> Result<BTreeMap<i32, Note>, ClientError> {
        let committed = self
            .consumer
            .committed_offsets(self.asked.clone(), PATIENCE)
            .map_err(|source| ClientError::Request {
                what: format!("for what group {} has committed", self.group),
                source,
            })?;
        let elements = committed.elements();
        let notes = elements.iter().filter_map(|element| {
            let partition = element.partition();
            Some((partition, Note::read(partition, element.metadata())?))
        });
        Ok(notes.collect())
    }
}
