//! The model as `run` serves it, and its networks alone.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use super::cells::{collect, decode};
use super::findings::{ModelFindings, TOP_ROWS, TopRow};
use super::lineup::OURS;
use super::{EvaluationError, Run, Trial};
use crate::config::{Budget, Train};
use crate::detect::{Detector, Model, Policy, Scored, Threshold, sentence};
use crate::training::{Source, learn};

/// Rows scored at a time; a row's bits do not depend on it.
const ROWS: usize = 1024;

/// The model's run, those of its networks, and what a report shows of it.
pub(super) struct Ours {
    pub whole: Run,
    pub members: Vec<Run>,
    pub findings: ModelFindings,
}

/// Trains a model as `train` does, unless the trial brings one, and scores the rows.
pub(super) fn run(trial: &Trial, seed: u64) -> Result<Ours, EvaluationError> {
    let (model, train_s) = match &trial.model {
        Some(model) => (Arc::clone(model), None),
        None => {
            let began = Instant::now();
            let model = train(trial, seed)?;
            (Arc::new(model), Some(began.elapsed().as_secs_f64()))
        }
    };
    let rate = model.provenance.records_per_day;
    let threshold = threshold(trial.budget, &model, rate)?;
    let policy = Policy {
        threshold,
        ..Policy::open(model.encoding.fields.len())
    };
    let mut detector = Detector::new(Arc::clone(&model), Arc::new(policy))?;
    let cells = decode(&model.encoding, &trial.fields, &trial.input, trial.tested())?;
    let mut scoring = Scoring::default();
    scoring.run(&mut detector, &cells)?;
    let mut whole = Run {
        name: OURS.into(),
        scores: scoring.scored.iter().map(|scored| scored.score).collect(),
        flagged: Some(scoring.flags(threshold.p)),
        train_s,
        score_us: Some(scoring.seconds * 1e6 / scoring.scored.len() as f64),
        capped_at: None,
    };
    if trial.model.is_none() && trial.split.train.len() > trial.train.max_rows {
        whole.capped_at = Some(trial.train.max_rows);
    }
    let members = model.members.iter().zip(scoring.members.drain(..));
    let members = members.map(|(fitted, scores)| Run {
        name: format!("member f={}", fitted.member.floor),
        scores,
        flagged: None,
        train_s: None,
        score_us: None,
        capped_at: None,
    });
    Ok(Ours {
        members: members.collect(),
        findings: findings(trial, &mut detector, &cells, scoring)?,
        whole,
    })
}

fn train(trial: &Trial, seed: u64) -> Result<Model, EvaluationError> {
    let rows = trial.trained();
    let collection = collect(&trial.fields, &trial.input, trial.train.max_rows, rows)?;
    let source = Source {
        name: format!("file {}", trial.name),
        offsets: vec![],
    };
    let settings = Train {
        seed,
        ..trial.train.clone()
    };
    let go_on = &mut |_| ControlFlow::Continue(());
    Ok(learn(collection, source, &settings, go_on)?)
}

fn threshold(
    budget: Budget,
    model: &Model,
    rate: Option<f64>,
) -> Result<Threshold, EvaluationError> {
    Threshold::new(budget, &model.calibration, rate).map_err(|why| {
        EvaluationError::Usage(format!("--budget {budget}: {why}; for a file name --time"))
    })
}

#[derive(Default)]
struct Scoring {
    scored: Vec<Scored>,
    /// By member, one a row.
    members: Vec<Vec<f32>>,
    /// Rows x latent, of the first member.
    codes: Vec<f32>,
    seconds: f64,
}

impl Scoring {
    fn run(&mut self, detector: &mut Detector, cells: &[f64]) -> Result<(), EvaluationError> {
        let fields = detector.model().encoding.fields.len();
        self.members = vec![Vec::new(); detector.model().members.len()];
        for block in cells.chunks(ROWS * fields) {
            let began = Instant::now();
            detector.score(block)?;
            self.seconds += began.elapsed().as_secs_f64();
            self.scored.extend_from_slice(detector.scored());
            for row in 0..detector.scored().len() {
                let scores = detector.member_scores(row);
                for (member, score) in self.members.iter_mut().zip(scores) {
                    member.push(score);
                }
                self.codes.extend_from_slice(detector.code(0, row));
            }
        }
        Ok(())
    }

    fn flags(&self, threshold: f64) -> Vec<bool> {
        let scored = self.scored.iter();
        scored.map(|scored| scored.p <= threshold).collect()
    }
}

fn findings(
    trial: &Trial,
    detector: &mut Detector,
    cells: &[f64],
    scoring: Scoring,
) -> Result<ModelFindings, EvaluationError> {
    let Scoring { scored, codes, .. } = scoring;
    let anomalous: Vec<bool> = trial.tested().map(|record| record.anomalous).collect();
    let mut order: Vec<usize> = (0..scored.len()).collect();
    order.sort_by(|&a, &b| scored[b].score.total_cmp(&scored[a].score));
    order.truncate(TOP_ROWS);
    let fields = detector.model().encoding.fields.len();
    let mut top = Vec::with_capacity(order.len());
    for row in order {
        let cells = &cells[row * fields..][..fields];
        detector.score(cells)?;
        let explanation = detector.explanation(0, cells);
        let sentence = sentence(&explanation.reasons, explanation.latent);
        let reasons = explanation.reasons.into_iter();
        top.push(TopRow {
            row,
            score: scored[row].score,
            p: scored[row].p,
            anomalous: anomalous[row],
            shares: reasons.map(|reason| (reason.field, reason.share)).collect(),
            latent: explanation.latent,
            sentence,
        });
    }
    let normal = scored.iter().zip(&anomalous).filter(|(_, odd)| !**odd);
    let threshold_p = detector.policy().threshold.p;
    Ok(ModelFindings {
        threshold: detector.model().calibration.score_at(threshold_p),
        calibration_rows: detector.model().calibration.rows(),
        threshold_p,
        normal_p: normal.map(|(scored, _)| scored.p).collect(),
        scores: scored.iter().map(|scored| scored.score).collect(),
        latent: detector.model().shape.latent,
        codes,
        top,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::evaluate::Protocol;
    use crate::evaluate::contest::tests::trial;

    #[test]
    fn the_score_is_the_mean_of_its_members_and_a_model_brings_its_own_training() {
        let mut trial = trial(Protocol::Contaminated, "outlierd,members");
        let ours = run(&trial, 7).unwrap();
        assert_eq!(ours.members.len(), 2);
        for (row, score) in ours.whole.scores.iter().enumerate() {
            let mean = (ours.members[0].scores[row] + ours.members[1].scores[row]) / 2.0;
            assert!(
                (mean - score).abs() <= 1e-4 * score.abs().max(1.0),
                "{mean} {score}"
            );
        }
        assert_ne!(ours.members[0].scores, ours.members[1].scores);
        let same = run(&trial, 7).unwrap();
        assert_eq!(ours.whole.scores, same.whole.scores);
        assert_eq!(ours.whole.flagged, same.whole.flagged);
        assert_ne!(ours.whole.scores, run(&trial, 8).unwrap().whole.scores);

        trial.model = Some(Arc::new(train(&trial, 7).unwrap()));
        let given = run(&trial, 9).unwrap();
        assert_eq!(given.whole.scores, ours.whole.scores);
        assert_eq!(given.whole.train_s, None);
    }
}
