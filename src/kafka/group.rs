//! What librdkafka asks and tells from within a poll: rebalances, statistics, errors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaRespErr;

use super::Change;
use super::assignment::StartRule;
use super::reporting::Reporting;

/// Asked to let go of revoked partitions; returns when the line has, or has taken too long.
pub type LetGo = Box<dyn Fn(&[i32]) + Send + Sync>;

/// The consumer's side of the group.
pub(super) struct GroupContext {
    pub(super) rule: StartRule,
    pub(super) reporting: Reporting,
    pub(super) owned: Mutex<BTreeSet<i32>>,
    pub(super) changes: Mutex<Vec<Change>>,
    pub(super) changed: AtomicBool,
    pub(super) high: Mutex<BTreeMap<i32, i64>>,
    pub(super) let_go: LetGo,
    pub(super) closing: AtomicBool,
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.reporting.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.reporting.error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.reporting.stats(&statistics);
        if let Some(topic) = statistics.topics.get(&self.rule.topic) {
            let mut high = lock(&self.high);
            for partition in topic.partitions.values().filter(|p| p.ls_offset >= 0) {
                high.insert(partition.partition, partition.ls_offset);
            }
        }
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let partitions: Vec<i32> = list
            .elements_for_topic(&self.rule.topic)
            .iter()
            .map(|element| element.partition())
            .collect();
        let outcome = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.assigned(consumer, &partitions)
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                self.revoked(consumer, &partitions, list)
            }
            other => {
                tracing::warn!("rebalance: {}", RDKafkaErrorCode::from(other));
                consumer.unassign()
            }
        };
        if let Err(error) = outcome {
            tracing::warn!("rebalance: {error}");
        }
    }
}

impl GroupContext {
    fn tell(&self, change: Change) {
        lock(&self.changes).push(change);
        self.changed.store(true, Ordering::Release);
    }

    fn assigned(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &[i32],
    ) -> Result<(), KafkaError> {
        let positions = loop {
            match self.rule.positions(consumer, partitions) {
                Ok(positions) => break positions,
                Err(_) if self.closing.load(Ordering::SeqCst) => return Ok(()),
                // Starting without knowing where would skip or repeat: ask until told.
                Err(error) => {
                    // Waiting for a broker is not a hang.
                    self.reporting.health.beat(Instant::now());
                    tracing::warn!("asking for partitions and committed offsets: {error}; again");
                }
            }
        };
        let mut starts = TopicPartitionList::new();
        for position in &positions {
            // A halted partition is never read; where it stands may be out of its log, which the client would report.
            let in_log = position.loss.as_ref().map_or(position.next, |loss| loss.to);
            let next = Offset::Offset(in_log);
            starts.add_partition_offset(&self.rule.topic, position.partition, next)?;
        }
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(&starts)?,
            _ => consumer.assign(&starts)?,
        }
        let mut halted = TopicPartitionList::new();
        for position in positions.iter().filter(|position| position.halted) {
            halted.add_partition(&self.rule.topic, position.partition);
        }
        if halted.count() > 0 {
            consumer.pause(&halted)?;
        }
        lock(&self.owned).extend(partitions);
        self.tell(Change::Assigned(positions));
        Ok(())
    }

    fn revoked(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &[i32],
        list: &TopicPartitionList,
    ) -> Result<(), KafkaError> {
        if consumer.assignment_lost() {
            // They are somebody else's already: nothing of them may be committed any more.
            lock(&self.owned).retain(|partition| !partitions.contains(partition));
        }
        if !self.closing.load(Ordering::SeqCst) {
            (self.let_go)(partitions);
        }
        lock(&self.owned).retain(|partition| !partitions.contains(partition));
        self.tell(Change::Revoked(partitions.to_vec()));
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
            _ => consumer.unassign(),
        }
    }
}

/// A poisoned lock means that a thread died, and then the daemon stops anyway.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
