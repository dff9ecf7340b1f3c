//! Outputs and offsets as one transaction (KIP-98 and KIP-447).
//!
//! One producer an instance. Whatever goes wrong with a transaction, this producer is not used again: a commit whose
//! answer was lost may still come into force, and would then be that of a later transaction of the same producer.
//! Whoever starts over makes a new one, which ends what the old one left open before it reads where to go on.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;
use rdkafka::topic_partition_list::Offset;

use super::group::lock;
use super::outlet::Client;
use super::{Intake, Outlet, Position};
use crate::planted::{self, Defect};

/// How long the cluster may take to end what an earlier producer left open.
const PATIENCE: Duration = Duration::from_secs(30);

/// Shares of the time that a transaction may be open, for its steps. Together less than all of it: where the cluster is
/// slow or gone, the line gives up and starts over before the cluster does, and would take its producer for a stranger's.
const FOR_MESSAGES: f64 = 0.4;
const FOR_OFFSETS: f64 = 0.2;
const FOR_COMMIT: f64 = 0.3;
const FOR_ITS_RETURN: f64 = 0.05;

/// Why a transaction came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// Both causes look alike from here. Never answered by a new producer: two instances of one id would fence each
    /// other for ever.
    #[error(
        "another producer took over the transactional id {id} ({reason}). Either another instance runs with the same \
         delivery.instance: give each its own; or this one stood still for longer than transaction.timeout.ms: start \
         it again, nothing is lost"
    )]
    Fenced { id: String, reason: KafkaError },
    #[error(
        "the cluster refuses transactions of {id}: {source}; grant WRITE on this transactional id and READ on the \
         group, or set delivery.mode = \"at_least_once\""
    )]
    Refused { id: String, source: KafkaError },
    /// The group has a new generation since its membership was asked for, so that its offsets were not taken. It is not
    /// committed for sure.
    #[error("the group was rebalanced while offsets were added to a transaction: {0}")]
    Stale(KafkaError),
    /// Nothing of it is visible, or nobody knows yet.
    #[error("the transaction was given up: {0}")]
    GivenUp(String),
}

impl TransactionError {
    pub(super) fn of(id: &str, doing: &str, source: KafkaError) -> TransactionError {
        use RDKafkaErrorCode as E;
        let id = id.to_owned();
        match source.rdkafka_error_code() {
            Some(E::Fenced | E::ProducerFenced | E::InvalidProducerEpoch) => {
                TransactionError::Fenced { id, reason: source }
            }
            Some(
                E::TransactionalIdAuthorizationFailed
                | E::GroupAuthorizationFailed
                | E::UnsupportedFeature
                | E::InvalidTransactionTimeout,
            ) => TransactionError::Refused { id, source },
            Some(E::IllegalGeneration | E::RebalanceInProgress | E::StaleMemberEpoch) => {
                TransactionError::Stale(source)
            }
            _ => TransactionError::GivenUp(format!("{doing}: {source}")),
        }
    }
}

/// Offsets, and the membership by which the cluster checks that they are ours.
pub struct Claim {
    offsets: TopicPartitionList,
    member: ConsumerGroupMetadata,
}

impl Intake {
    /// What a transaction commits for `positions`.
    ///
    /// # Errors
    /// When one of them is no longer ours: its outputs are in the transaction, so that all of it must be given up.
    pub fn claim(&self, positions: &[Position]) -> Result<Claim, TransactionError> {
        let given_up = |why: String| Err(TransactionError::GivenUp(why));
        // Asked for first: if partitions go in between, the cluster knows this membership to be of the past.
        let Some(member) = self.consumer.group_metadata() else {
            return given_up("this consumer is no member of its group".into());
        };
        let owned = lock(&self.consumer.context().owned);
        let mut offsets = TopicPartitionList::new();
        for position in positions {
            let partition = position.partition;
            if !owned.contains(&partition) && !planted::has(&Defect::KeepRevoked) {
                return given_up(format!(
                    "partition {partition} was taken away with outputs not yet committed"
                ));
            }
            let mut element = offsets.add_partition(&self.topic, partition);
            if let Err(error) = element.set_offset(Offset::Offset(position.next)) {
                return given_up(error.to_string());
            }
            element.set_metadata(position.note.to_string());
        }
        Ok(Claim { offsets, member })
    }
}

impl Outlet {
    /// Whether outputs and offsets are one transaction.
    pub fn is_transactional(&self) -> bool {
        self.transactional_id.is_some()
    }

    /// Ends what an earlier producer of the same id left open. Before anything is read or produced.
    pub(super) fn take_over(&self) -> Result<(), TransactionError> {
        match &self.transactional_id {
            Some(_) => self
                .producer
                .init_transactions(PATIENCE)
                .map_err(|error| self.failed("taking over the transactional id", error)),
            None => Ok(()),
        }
    }

    /// How long the messages of a transaction may take to be acknowledged, from its opening on.
    pub fn for_messages(&self) -> Duration {
        self.open_at_most.mul_f64(FOR_MESSAGES)
    }

    /// Opens a transaction: what is sent from here on belongs to it.
    ///
    /// # Errors
    /// When the producer cannot go on: also if the one before may end twice.
    pub fn begin(&self) -> Result<(), TransactionError> {
        let requests = &self.producer.context().requests;
        if self.has_ended && requests.may_come_again() && !planted::has(&Defect::ReuseProducer) {
            let why = "the end of the one before was asked for twice, and the other request may still come";
            return Err(TransactionError::GivenUp(why.into()));
        }
        requests.reset();
        self.producer
            .begin_transaction()
            .map_err(|error| self.failed("opening a transaction", error))
    }

    /// Commits the open transaction with the offsets of `claim`. Everything in it must have its report.
    ///
    /// # Errors
    /// When it is not certain that it was committed.
    pub fn commit(&mut self, claim: Claim) -> Result<(), TransactionError> {
        // A transaction without anything in it is not ended on the cluster.
        let was_open = claim.offsets.count() > 0;
        self.in_time(move |producer, open_at_most| {
            let Claim { offsets, member } = claim;
            producer
                .send_offsets_to_transaction(&offsets, &member, open_at_most.mul_f64(FOR_OFFSETS))
                .map_err(|error| ("adding offsets to a transaction", error))?;
            producer
                .commit_transaction(open_at_most.mul_f64(FOR_COMMIT))
                .map_err(|error| ("committing a transaction", error))
        })?;
        self.has_ended = was_open;
        Ok(())
    }

    /// Does `work` with the producer on a thread of its own, which is left alone if it does not come back: librdkafka 2.12
    /// keeps no time while it looks for the coordinator of a group on a broker that is gone
    /// (`creq_ts_timeout` of rdkafka_coord.c is set and never asked for), and waits until that broker is back.
    fn in_time(
        &mut self,
        work: impl FnOnce(&Client, Duration) -> Result<(), (&'static str, KafkaError)> + Send + 'static,
    ) -> Result<(), TransactionError> {
        let open_at_most = self.open_at_most;
        let patience = open_at_most.mul_f64(FOR_OFFSETS + FOR_COMMIT + FOR_ITS_RETURN);
        let producer = Arc::clone(&self.producer);
        let (told, outcome) = bounded(1);
        let thread = std::thread::Builder::new().name("commit".into());
        let given_up = |why: String| TransactionError::GivenUp(why);
        thread
            .spawn(move || told.send(work(&producer, open_at_most)).ok())
            .map_err(|error| given_up(format!("no thread to commit it: {error}")))?;
        match outcome.recv_timeout(patience) {
            Ok(outcome) => outcome.map_err(|(doing, error)| self.failed(doing, error)),
            Err(_) => {
                self.is_stuck = true;
                Err(given_up(format!(
                    "its commit has not come back within {patience:.1?}, as when the group's coordinator is gone"
                )))
            }
        }
    }

    /// Ends an open transaction so that nothing of it is ever visible. Readers would else wait for the cluster to end it.
    ///
    /// # Errors
    /// When it is not certain that it has ended.
    pub fn abort(&mut self, patience: Duration) -> Result<(), TransactionError> {
        if self.is_stuck {
            // The next producer of this id ends it.
            return Ok(());
        }
        self.producer
            .abort_transaction(patience)
            .map_err(|error| self.failed("ending a transaction", error))?;
        self.has_ended = true;
        Ok(())
    }

    fn failed(&self, doing: &str, error: KafkaError) -> TransactionError {
        let id = self.transactional_id.as_deref().unwrap_or_default();
        TransactionError::of(id, doing, error)
    }

    /// What the producer's end for good means, if it has come to one.
    pub fn fatal_error(&self) -> Option<super::OutletError> {
        let (code, reason) = self.producer.client().fatal_error()?;
        Some(match &self.transactional_id {
            None if code == RDKafkaErrorCode::ClusterAuthorizationFailed => {
                super::OutletError::Forbidden {
                    reason,
                    topics: self.topics.told(),
                }
            }
            Some(id) => {
                let source = KafkaError::Global(code);
                TransactionError::of(id, &reason, source).into()
            }
            None => super::OutletError::Fatal(reason),
        })
    }
}
