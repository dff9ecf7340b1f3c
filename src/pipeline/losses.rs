//! What the consume thread does about records that are gone: says so, and halts the partition or has the line start over.

use std::time::Instant;

use super::LineError;
use super::consume::Consume;
use super::score::{Control, Work};
use crate::config::OnDataLoss;
use crate::health::Condition;
use crate::kafka::{Cause, Intake, Loss, TopicId};

impl Consume {
    /// Some partition's next offset is no longer, or not any more, in its log.
    pub(super) fn find_out_of_range(&mut self, intake: &Intake) -> Result<(), LineError> {
        if let Some(now) = intake.ask_topic() {
            self.made_anew(intake, &now)?;
        }
        let (mut found, mut unanswered) = (Vec::new(), false);
        for (&partition, &expected) in &self.expected {
            match intake.watermarks(partition) {
                Ok((low, high)) => {
                    let loss = Loss::between(expected, low, high);
                    found.extend(loss.map(|loss| (partition, loss)));
                }
                Err(error) => {
                    tracing::warn!(partition, "asking for the ends of the log: {error}");
                    // Each of the others could take as long as this one did.
                    unanswered = true;
                    break;
                }
            }
        }
        if found.is_empty() {
            // Every partition says so once, and all were halted with the first word of it.
            if !self.halted.is_empty() && !unanswered {
                return Ok(());
            }
            // The client has stopped fetching some partition, and does not say which.
            let why = "the next offset of some partition is not in its log, and which one it is cannot be told";
            return Err(LineError::Loss(why.into()));
        }
        self.lose(intake, found)
    }

    /// A topic that was deleted and made anew has other records at the same offsets.
    pub(super) fn check_topic(&mut self, intake: &Intake) -> Result<(), LineError> {
        let Some(now) = intake.watch_topic(Instant::now()) else {
            return Ok(());
        };
        self.made_anew(intake, &now)
    }

    /// Once `now` is not the id of the topic that this line reads, all its offsets are of other records.
    fn made_anew(&mut self, intake: &Intake, now: &TopicId) -> Result<(), LineError> {
        if intake.topic_id().is_none_or(|then| then == now) || self.is_anew {
            return Ok(());
        }
        self.is_anew = true;
        let lost = |(&partition, &expected): (&i32, &i64)| {
            let to = intake.watermarks(partition).map_or(0, |(low, _)| low);
            let loss = Loss {
                cause: Cause::MadeAnew,
                from: Some(expected),
                to,
            };
            (partition, loss)
        };
        let found: Vec<(i32, Loss)> = self.expected.iter().map(lost).collect();
        self.lose(intake, found)?;
        let partitions = self.halted.iter().copied().collect();
        self.deal(intake, Work::Control(Control::Halted(partitions)))
    }

    /// Halts the partitions that lost records; or has the line start over, which goes on behind the losses.
    fn lose(&mut self, intake: &Intake, found: Vec<(i32, Loss)>) -> Result<(), LineError> {
        if self.on_data_loss == OnDataLoss::Continue {
            let all: Vec<String> = found
                .iter()
                .map(|(partition, loss)| format!("partition {partition}: {loss}"))
                .collect();
            return Err(LineError::Loss(all.join("; ")));
        }
        for (partition, loss) in found {
            self.report_loss(partition, &loss);
            self.halt(intake, partition);
        }
        Ok(())
    }

    pub(super) fn report_loss(&self, partition: i32, loss: &Loss) {
        self.metrics.records_lost.inc_by(loss.records());
        let then = match self.on_data_loss {
            OnDataLoss::Halt => {
                "the partition halts; to go on, stop outlierd and set the group's offset with \
                 kafka-consumer-groups.sh, or start it with input.on_data_loss = \"continue\""
            }
            OnDataLoss::Continue => "going on there (input.on_data_loss = \"continue\")",
        };
        let (from, to) = (loss.from, loss.to);
        tracing::error!(partition, from, to, "{loss}: {then}");
    }

    pub(super) fn halt(&mut self, intake: &Intake, partition: i32) {
        self.expected.remove(&partition);
        self.halted.insert(partition);
        self.report_halted();
        if let Err(error) = intake.halt(partition) {
            tracing::warn!(partition, "pausing: {error}");
        }
    }

    pub(super) fn report_halted(&self) {
        self.metrics.halted_partitions.set(self.halted.len() as i64);
        let halted: Vec<String> = self.halted.iter().map(ToString::to_string).collect();
        let state = if halted.is_empty() {
            Ok(())
        } else {
            let halted = halted.join(", ");
            Err(format!(
                "partitions halted because records were lost: {halted}"
            ))
        };
        self.health.set(Condition::HaltedPartitions, state);
    }
}
