//! What a report shows of one run of the model, beyond the figures.

use super::{Ranking, RankingError, Run};

/// The odd rows that are kept with their reasons.
pub(super) const TOP_ROWS: usize = 20;

/// What a report needs: every detector's ranking, and what the model made of the scored rows. All
/// of the first seed; lists of rows are in the order in which rows were scored.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Which of the scored rows are anomalies.
    pub anomalous: Vec<bool>,
    /// By detector, in the order of the outcomes: name and ranking.
    pub rankings: Vec<(String, Ranking)>,
    /// What the model made of the rows; `None` if it did not take part.
    pub model: Option<ModelFindings>,
}

/// What the model made of the scored rows.
#[derive(Debug, Clone, Default)]
pub struct ModelFindings {
    pub scores: Vec<f32>,
    /// The least score that is flagged.
    pub threshold: f32,
    /// The p-value that was promised: the budget, or what the calibration rows attest.
    pub threshold_p: f64,
    /// Rows that calibrate the model.
    pub calibration_rows: usize,
    /// p-values of the normal rows among the scored ones. Unseen in training, unless the protocol is
    /// `contaminated`.
    pub normal_p: Vec<f64>,
    /// Rows x `latent`: the mean code of the first member.
    pub codes: Vec<f32>,
    pub latent: usize,
    /// The rows with the highest scores, the highest first.
    pub top: Vec<TopRow>,
}

/// One of the oddest rows.
#[derive(Debug, Clone, PartialEq)]
pub struct TopRow {
    /// Place among the scored rows, from 0.
    pub row: usize,
    pub score: f32,
    pub p: f64,
    pub anomalous: bool,
    /// Fields and their shares of the oddness, the largest first.
    pub shares: Vec<(String, f32)>,
    /// The share that no single field explains.
    pub latent: f32,
    /// The reasons as a sentence.
    pub sentence: String,
}

impl Findings {
    pub(super) fn add(&mut self, run: &Run) -> Result<(), RankingError> {
        let ranking = Ranking::new(&run.scores, &self.anomalous)?;
        self.rankings.push((run.name.clone(), ranking));
        Ok(())
    }
}
