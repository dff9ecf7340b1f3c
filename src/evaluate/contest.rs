//! All detectors on the same rows, in one run.

use super::findings::Findings;
use super::ours;
use super::plain::{Plain, Which};
use super::{EvaluationError, Figures, Outcome, Run, Trial, Truth};

/// What came of a trial.
#[derive(Debug, Clone)]
pub struct Contest {
    /// By detector, ours first.
    pub outcomes: Vec<Outcome>,
    pub findings: Findings,
}

/// Runs every detector of the trial, each with every seed unless chance has no part in it. The model
/// that `run` serves is trained exactly as `train` does it. `progress` hears what comes next.
///
/// # Errors
/// A detector cannot be fitted to the rows.
pub fn contest(trial: &Trial, progress: &mut dyn FnMut(&str)) -> Result<Contest, EvaluationError> {
    let truth = trial.truth();
    let mut running = Running {
        outcomes: Vec::new(),
        findings: Findings {
            anomalous: truth.anomalous.clone(),
            ..Findings::default()
        },
        truth,
    };
    let seeds = || (0..trial.seeds).map(|index| trial.train.seed.wrapping_add(index));
    if trial.lineup.needs_the_model() {
        // A model that is given is the same whatever the seed.
        let once = if trial.model.is_some() { 1 } else { usize::MAX };
        for seed in seeds().take(once) {
            progress(&format!("outlierd, seed {seed}"));
            let ours = ours::run(trial, seed)?;
            running.findings.model.get_or_insert(ours.findings);
            let whole = trial.lineup.ours.then_some(ours.whole);
            let members = ours.members.into_iter().filter(|_| trial.lineup.members);
            for run in whole.into_iter().chain(members) {
                running.add(&run)?;
            }
        }
    }
    let kinds = trial.lineup.plain.iter().map(|&kind| Which::Kind(kind));
    let autoencoder = trial.lineup.autoencoder.then_some(Which::Autoencoder);
    if trial.lineup.needs_training_rows() {
        let plain = Plain::new(trial)?;
        for which in autoencoder.into_iter().chain(kinds) {
            let chance = plain.depends_on_chance(which);
            for seed in seeds().take(if chance { usize::MAX } else { 1 }) {
                progress(&format!("{}, seed {seed}", which.name()));
                running.add(&plain.run(which, trial, seed)?)?;
            }
        }
    }
    Ok(Contest {
        outcomes: running.outcomes,
        findings: running.findings,
    })
}

struct Running {
    truth: Truth,
    outcomes: Vec<Outcome>,
    findings: Findings,
}

impl Running {
    /// Adds a run to its detector's outcome; the first one of each is kept for a report.
    fn add(&mut self, run: &Run) -> Result<(), EvaluationError> {
        let figures = Figures::of(run, &self.truth)?;
        match self
            .outcomes
            .iter_mut()
            .find(|known| known.name == run.name)
        {
            Some(outcome) => outcome.runs.push(figures),
            None => {
                self.findings.add(run)?;
                self.outcomes.push(Outcome {
                    name: run.name.clone(),
                    capped_at: run.capped_at,
                    runs: vec![figures],
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::config::Budget;
    use crate::evaluate::{Lineup, Protocol, Request, Roles};

    /// 300 rows on a noisy circle, and every tenth one, the label says it, in its middle; with a key,
    /// a time and a constant.
    fn circle() -> String {
        let mut text = "x,y,same,card,at,label\n".to_owned();
        for row in 0..300 {
            let odd = row % 10 == 9;
            let angle = f64::from(row * 37 % 101) / 101.0 * std::f64::consts::TAU;
            let radius = if odd { 0.1 } else { 5.0 } + f64::from(row * 31 % 17) / 40.0;
            let (x, y) = (radius * angle.cos(), radius * angle.sin());
            let (card, at) = (row % 7, 1_767_225_600 + row * 600);
            writeln!(text, "{x:.4},{y:.4},3,c{card},{at},{}", u8::from(odd)).unwrap();
        }
        text
    }

    pub(in crate::evaluate) fn trial(protocol: Protocol, detectors: &str) -> Trial {
        prepare(&circle(), protocol, detectors).unwrap()
    }

    fn prepare(text: &str, protocol: Protocol, detectors: &str) -> Result<Trial, EvaluationError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("circle.csv");
        std::fs::write(&file, text).unwrap();
        let mut trial = Trial::prepare(Request {
            file,
            test: None,
            roles: Roles {
                label: "label".into(),
                key: Some("card".into()),
                time: Some("at".into()),
            },
            protocol: Some(protocol),
            clean: false,
            seeds: 2,
            lineup: Some(Lineup::parse(detectors).unwrap()),
            budget: Budget::Share(0.05),
            model: None,
            config: None,
        })?;
        (
            trial.train.hidden,
            trial.train.latent,
            trial.train.max_steps,
        ) = (16, 2, 60);
        trial.train.floors = vec![0.1, 0.4];
        Ok(trial)
    }

    #[test]
    fn every_detector_has_an_outcome_and_those_without_chance_run_once() {
        let trial = trial(Protocol::Contaminated, "all");
        let mut said = Vec::new();
        let contest = contest(&trial, &mut |what| said.push(what.to_owned())).unwrap();
        let runs: Vec<(&str, usize)> = contest
            .outcomes
            .iter()
            .map(|outcome| (outcome.name.as_str(), outcome.runs.len()))
            .collect();
        let expected = [
            ("outlierd", 2),
            ("member f=0.1", 2),
            ("member f=0.4", 2),
            ("autoencoder", 2),
            ("pca", 1),
            ("mcd", 2),
            ("iforest", 2),
            ("knn", 1),
            ("z2", 1),
            ("random", 2),
        ];
        assert_eq!(runs, expected);
        assert!(said.contains(&"iforest, seed 2".to_owned()), "{said:?}");
        for outcome in &contest.outcomes {
            let member = outcome.name.starts_with("member");
            for figures in &outcome.runs {
                assert!(figures.auroc.is_some() && figures.key_auroc.is_some());
                assert!(figures.card_precision.is_some());
                assert_eq!(figures.recall.is_none(), member);
                assert_eq!(figures.train_s.is_none(), member);
            }
        }
    }

    #[test]
    fn a_report_finds_what_it_needs() {
        let trial = trial(Protocol::Forward, "outlierd,random");
        assert_eq!((trial.split.train.len(), trial.split.test.len()), (210, 90));
        let contest = contest(&trial, &mut |_| {}).unwrap();
        let findings = contest.findings;
        assert_eq!((findings.anomalous.len(), findings.rankings.len()), (90, 2));
        let model = findings.model.unwrap();
        assert_eq!((model.scores.len(), model.normal_p.len()), (90, 81));
        assert_eq!((model.codes.len(), model.latent), (180, 2));
        assert_eq!(model.top.len(), 20);
        assert!(model.top.is_sorted_by(|a, b| a.score >= b.score));
        assert_eq!(model.top[0].shares.len(), 2);
        let flagged = |row: &f32| *row >= model.threshold;
        let hits = model.scores.iter().zip(&findings.anomalous);
        let hits = hits.filter(|(row, odd)| **odd && flagged(row)).count();
        let recall = contest.outcomes[0].runs[0].recall.unwrap();
        assert_eq!(hits as f64 / 9.0, recall);
    }

    #[test]
    fn rows_that_compare_nothing_are_refused_with_a_remedy() {
        let refused = |text: &str, protocol| prepare(text, protocol, "z2").unwrap_err().to_string();
        let circle = circle();
        let few: String = circle.split_inclusive('\n').take(40).collect();
        let said = refused(&few, Protocol::Forward);
        assert!(
            said.contains("27 usable rows to train on are too few"),
            "{said}"
        );
        let normal: String = circle
            .split_inclusive('\n')
            .filter(|line| !line.ends_with(",1\n"))
            .collect();
        let said = refused(&normal, Protocol::Forward);
        assert!(
            said.contains("are normal") && said.contains("--label"),
            "{said}"
        );
        let early: String = circle
            .split_inclusive('\n')
            .enumerate()
            .filter(|(row, line)| *row < 200 || !line.ends_with(",1\n"))
            .map(|(_, line)| line)
            .collect();
        let said = refused(&early, Protocol::Forward);
        assert!(said.contains("try another --protocol"), "{said}");
    }
}
