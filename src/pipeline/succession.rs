//! What a line serves with, and how another model takes its place between two batches.

use std::sync::{Arc, Mutex, PoisonError};

use super::judge::{Judge, JudgeError};
use crate::config::{Budget, Config};
use crate::detect::{DailyBudget, Model, Policy};
use crate::metrics::{Metrics, ScoreHistograms};
use crate::vae::Device;

/// A model and what follows from it.
#[derive(Debug, Clone)]
pub struct Serving {
    pub model: Arc<Model>,
    /// The model's version, as messages name it.
    pub version: String,
    pub policy: Arc<Policy>,
    /// What scores.
    pub device: Device,
}

/// A model that takes over, made ready beforehand: a judge for each score thread, and what the publish thread needs.
///
/// Every batch says by which one it is judged. A score thread that meets a new one takes a judge of it; the publish
/// thread, which meets batches in order, finishes what came before and goes on with it. So the model changes between two
/// batches, nobody waits, and a rebalance at the same time changes nothing about it.
pub(super) struct Succession {
    /// Counts up from 1; 0 is what the line began with.
    pub(super) number: u64,
    pub(super) serving: Arc<Serving>,
    judges: Mutex<Vec<Judge>>,
    verdicts: Mutex<Option<(DailyBudget, Judge)>>,
}

/// By which model a batch is judged: none, what the line began with.
pub(super) type By = Option<Arc<Succession>>;

/// The number of a succession, or 0.
pub(super) fn number(by: &By) -> u64 {
    by.as_ref().map_or(0, |succession| succession.number)
}

impl Succession {
    pub(super) fn prepare(
        number: u64,
        judging: &Judging<'_>,
        threads: usize,
    ) -> Result<Succession, JudgeError> {
        let judges = (0..threads)
            .map(|_| judging.scoring())
            .collect::<Result<_, _>>()?;
        Ok(Succession {
            number,
            serving: Arc::clone(judging.serving),
            judges: Mutex::new(judges),
            verdicts: Mutex::new(judging.deciding()?),
        })
    }

    /// A judge for one score thread; there is one for each.
    pub(super) fn judge(&self) -> Option<Judge> {
        let mut judges = self.judges.lock().unwrap_or_else(PoisonError::into_inner);
        judges.pop()
    }

    /// What makes the verdicts, where the budget is one a day.
    pub(super) fn verdicts(&self) -> Option<(DailyBudget, Judge)> {
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        verdicts.take()
    }
}

/// What judges are made from.
pub(super) struct Judging<'a> {
    pub(super) config: &'a Config,
    pub(super) serving: &'a Arc<Serving>,
    pub(super) metrics: &'a Arc<Metrics>,
}

impl Judging<'_> {
    /// A judge for a score thread.
    pub(super) fn scoring(&self) -> Result<Judge, JudgeError> {
        let mut judge = self
            .judge(Some(self.metrics.scores()))?
            .on(&self.serving.device)?;
        if matches!(self.config.detect.budget, Budget::PerDay(_)) {
            judge = judge.without_verdicts();
        }
        if self.config.audit.topic.is_some() {
            judge = judge.audited();
        }
        Ok(judge)
    }

    /// What makes the verdicts in the publish thread, if the budget is one a day.
    pub(super) fn deciding(&self) -> Result<Option<(DailyBudget, Judge)>, JudgeError> {
        let (budget, topic) = (self.config.detect.budget, &self.config.input.topic);
        let Some(budget) = DailyBudget::new(budget, &self.serving.model, topic) else {
            return Ok(None);
        };
        // Its scores are in the histograms already. Single rows are no work for a GPU.
        Ok(Some((budget, self.judge(None)?)))
    }

    fn judge(&self, histograms: Option<ScoreHistograms>) -> Result<Judge, JudgeError> {
        Judge::new(
            &self.config.fields,
            &self.config.input,
            &self.serving.model,
            &self.serving.policy,
            histograms,
        )
    }
}
