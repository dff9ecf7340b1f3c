//! Fits one network to rows.

use std::ops::ControlFlow;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::batches::Batches;
use super::descent::Descent;
use super::loss::Loss;
use super::member::Member;
use super::parallel::side_by_side;
use super::recipe::Recipe;
use super::rows::{Rows, RowsError};
use super::shape::{Head, Shape, ShapeError};
use crate::planted::{self, Defect};

/// The fewest rows that a network is fitted to.
const LEAST_ROWS: usize = 20;

/// Where a training run stands after a step. Losses are means over the step's rows, in nats; with
/// [`Objective::SquaredError`](super::Objective::SquaredError) the surprise is the squared error in scaled units instead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps done, 1 or more.
    pub step: usize,
    /// Steps in the whole run, by the recipe.
    pub steps: usize,
    /// What the step descended: surprise + the divergence as it is weighed at this step.
    pub loss: f32,
    /// Evidence lower bound by one sample: -(surprise + the whole divergence).
    pub elbo: f32,
    /// Divergence of the code from its prior.
    pub divergence: f32,
}

/// Fits a network of `shape` to `rows`. `progress` is called after every step and may stop the run.
/// The same rows, recipe and machine give the same bits when candle runs on one thread.
///
/// # Errors
/// The rows are too few, not finite, of another shape or have no class where one belongs; the shape or the recipe cannot
/// be used; the loss is no longer finite; `progress` stopped the run; candle failed.
pub fn train(
    rows: Rows<'_>,
    shape: &Shape,
    recipe: &Recipe,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Member, TrainError> {
    let mut run = Training::new(rows, shape, recipe)?;
    for step in 0..recipe.steps {
        let along = step as f64 / recipe.steps as f64;
        if progress(run.step(along)?).is_break() {
            return Err(TrainError::Stopped { step: step + 1 });
        }
    }
    run.member()
}

/// A training run step by step, for a caller that ends it by other means than a number of steps.
pub struct Training<'a> {
    shape: &'a Shape,
    recipe: &'a Recipe,
    random: ChaCha8Rng,
    batches: Batches<'a>,
    loss: Loss<'a>,
    descent: Descent,
    done: usize,
}

impl<'a> Training<'a> {
    /// Starts from untrained weights.
    ///
    /// # Errors
    /// As [`train`], before its first step.
    pub fn new(
        rows: Rows<'a>,
        shape: &'a Shape,
        recipe: &'a Recipe,
    ) -> Result<Training<'a>, TrainError> {
        check(rows, shape, recipe)?;
        let mut random = ChaCha8Rng::seed_from_u64(recipe.seed);
        let untrained = Member::untrained(shape, recipe.floor, &mut random);
        let batches = Batches::new(rows, shape, recipe.batch);
        let loss = Loss::new(shape, recipe, &untrained)?;
        Ok(Training {
            descent: Descent::new(loss.network.variables(), recipe.clip, recipe.parts)?,
            batches: if recipe.drawn {
                batches.drawing_two_valued(shape)
            } else {
                batches
            },
            shape,
            recipe,
            random,
            loss,
            done: 0,
        })
    }

    /// One step, where `along` of the run is done, 0 to 1: it decides the step size and the weight
    /// of the divergence.
    ///
    /// # Errors
    /// The loss or its gradient is no longer finite; candle failed.
    pub fn step(&mut self, along: f64) -> Result<Progress, TrainError> {
        let along = along.clamp(0.0, 1.0);
        let step = self.done + 1;
        let batch = self.batches.draw(&mut self.random);
        let (rows, beta) = (batch.rows, self.recipe.beta(along));
        let parts = batch.split(self.recipe.parts, self.shape);
        let parts = side_by_side(parts, |part| self.loss.part(part, rows, beta));
        let (mut loss, mut surprise, mut divergence) = (0.0, 0.0, 0.0);
        let mut gradients = Vec::with_capacity(parts.len());
        for part in parts {
            let part = part?;
            loss += part.loss;
            surprise += part.surprise;
            divergence += part.divergence;
            gradients.push(part.gradients);
        }
        if planted::has(&Defect::NanLoss) {
            loss = f32::NAN;
        }
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step });
        }
        let norm = self.descent.step(gradients, self.recipe.rate(along))?;
        if !norm.is_finite() {
            return Err(TrainError::Diverged { step });
        }
        self.done = step;
        Ok(Progress {
            step,
            steps: self.recipe.steps,
            loss,
            elbo: -(surprise + divergence),
            divergence,
        })
    }

    /// The weights as they are now.
    ///
    /// # Errors
    /// They are no longer finite; candle failed.
    pub fn member(&self) -> Result<Member, TrainError> {
        Ok(self.loss.network.member()?)
    }
}

fn check(rows: Rows<'_>, shape: &Shape, recipe: &Recipe) -> Result<(), TrainError> {
    shape.check()?;
    rows.fit(shape)?;
    if let Some(fault) = recipe.fault() {
        return Err(TrainError::Recipe { fault });
    }
    if rows.len() < LEAST_ROWS {
        return Err(TrainError::TooFewRows { rows: rows.len() });
    }
    let bad = |numbers: &[f32]| numbers.iter().position(|value| !value.is_finite());
    if let Some(index) = bad(rows.values()) {
        let (row, column) = (index / shape.width(), index % shape.width());
        return Err(TrainError::NotFinite { row, column });
    }
    check_classes(rows, shape, recipe.drawn)?;
    Ok(())
}

/// Two-valued heads and classes are 0 or 1, or, where two-valued ones are `drawn`, their probabilities.
fn check_classes(rows: Rows<'_>, shape: &Shape, drawn: bool) -> Result<(), TrainError> {
    for (row, values) in rows.values().chunks_exact(shape.width()).enumerate() {
        for (first, head) in shape.columns().filter(|(_, head)| *head != Head::Gaussian) {
            let cells = &values[first..][..head.width()];
            let sound = |cell: &f32| match head {
                Head::Bernoulli if drawn => (0.0..=1.0).contains(cell),
                _ => *cell == 0.0 || *cell == 1.0,
            };
            if let Some(offset) = cells.iter().position(|cell| !sound(cell)) {
                return Err(TrainError::NotAClass {
                    row,
                    column: first + offset,
                });
            }
        }
    }
    Ok(())
}

/// Why no network was fitted.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Shape(#[from] ShapeError),
    #[error(transparent)]
    Rows(#[from] RowsError),
    #[error("the training recipe cannot be used: {fault}")]
    Recipe { fault: &'static str },
    #[error(
        "{rows} training rows are too few, at least {LEAST_ROWS} are needed: reach further back"
    )]
    TooFewRows { rows: usize },
    #[error("training row {row} is not finite in column {column}")]
    NotFinite { row: usize, column: usize },
    #[error(
        "training row {row} is neither 0 nor 1 in column {column}, which belongs to a class, nor a probability where \
         values are drawn"
    )]
    NotAClass { row: usize, column: usize },
    #[error(
        "training diverged at step {step}: check the scaling of the fields or try another seed"
    )]
    Diverged { step: usize },
    #[error("training was stopped at step {step}")]
    Stopped { step: usize },
    #[error("the tensor library failed")]
    Backend(#[from] candle_core::Error),
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::num::NonZeroUsize;

    use rand::Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::config::TrainingData;
    use crate::vae::{Scorer, Scores};

    const CONTINUE: ControlFlow<()> = ControlFlow::Continue(());

    fn small(columns: usize) -> Shape {
        Shape {
            heads: vec![Head::Gaussian; columns],
            hidden: 16,
            latent: 2,
        }
    }

    fn recipe(steps: usize, data: TrainingData) -> Recipe {
        Recipe {
            steps,
            batch: 64,
            ..Recipe::new(500, 0.2, data, steps, 7)
        }
    }

    fn normal(random: &mut impl Rng) -> f32 {
        StandardNormal.sample(random)
    }

    /// Points near the parabola y = x^2 - 1.
    fn parabola(rows: usize, seed: u64) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut values = Vec::new();
        for _ in 0..rows {
            let x = normal(&mut random);
            values.extend([x, x * x - 1.0 + 0.1 * normal(&mut random)]);
        }
        values
    }

    fn fit(values: &[f32], recipe: &Recipe) -> (Member, Vec<Progress>) {
        let present = vec![1.0; values.len()];
        let rows = Rows::new(&small(2), values, &present).unwrap();
        let mut seen = Vec::new();
        let member = train(rows, &small(2), recipe, &mut |progress| {
            seen.push(progress);
            CONTINUE
        });
        (member.unwrap(), seen)
    }

    /// NLL + KL / 2 by row.
    fn oddness(member: &Member, values: &[f32]) -> Vec<f32> {
        let present = vec![1.0; values.len()];
        let mut scores = Scores::new();
        let scorer = Scorer::new(&small(2), member).unwrap();
        scorer
            .score(Rows::new(&small(2), values, &present).unwrap(), &mut scores)
            .unwrap();
        scores
            .nll
            .iter()
            .zip(&scores.kl)
            .map(|(nll, kl)| nll + kl / 2.0)
            .collect()
    }

    fn mean(values: &[f32]) -> f32 {
        values.iter().sum::<f32>() / values.len() as f32
    }

    #[test]
    fn training_learns_a_curve_and_finds_what_is_off_it() {
        let (member, seen) = fit(&parabola(500, 1), &recipe(300, TrainingData::Clean));
        let elbo = |range: &[Progress]| mean(&range.iter().map(|p| p.elbo).collect::<Vec<_>>());
        assert_eq!(
            seen.last().map(|last| (last.step, last.steps)),
            Some((300, 300))
        );
        assert!(elbo(&seen[280..]) > elbo(&seen[..20]) + 0.5);
        let on = oddness(&member, &parabola(100, 2));
        let off = oddness(&member, &[0.0, 1.5, 1.0, 1.8, -1.0, 1.8, 0.3, 2.5]);
        let mut ranked = on;
        ranked.sort_by(f32::total_cmp);
        assert!(
            off.iter().all(|&odd| odd > ranked[90]),
            "{off:?} against {}",
            ranked[90]
        );
    }

    #[test]
    fn the_robust_mixture_limits_the_pull_of_contaminants() {
        let mut values = parabola(450, 1);
        for _ in 0..50 {
            values.extend([0.0, 6.0]);
        }
        let contaminant = |data| oddness(&fit(&values, &recipe(300, data)).0, &[0.0, 6.0])[0];
        let (robust, plain) = (
            contaminant(TrainingData::Unlabelled),
            contaminant(TrainingData::Clean),
        );
        assert!(robust > plain + 2.0, "{robust} against {plain}");
    }

    #[test]
    fn the_same_seed_gives_the_same_bits_and_another_seed_others() {
        let values = parabola(100, 1);
        let recipe = recipe(10, TrainingData::Unlabelled);
        let (first, _) = fit(&values, &recipe);
        assert_eq!(fit(&values, &recipe).0, first);
        assert_ne!(fit(&values, &Recipe { seed: 8, ..recipe }).0, first);
    }

    #[test]
    fn a_batch_in_parts_is_the_batch_but_for_rounding() {
        let values = parabola(130, 1);
        let recipe = recipe(10, TrainingData::Unlabelled);
        let (_, whole) = fit(&values, &recipe);
        let (again, parts) = fit(
            &values,
            &Recipe {
                parts: 3,
                ..recipe.clone()
            },
        );
        for (whole, parts) in whole.iter().zip(&parts) {
            assert!(
                (whole.loss - parts.loss).abs() < 1e-4 * whole.loss,
                "{whole:?} {parts:?}"
            );
            assert!(
                (whole.elbo - parts.elbo).abs() < 1e-4 * whole.loss,
                "{whole:?} {parts:?}"
            );
        }
        assert_eq!(fit(&values, &Recipe { parts: 3, ..recipe }).0, again);
    }

    #[test]
    fn grey_values_are_learnt_as_probabilities() {
        let shape = Shape {
            heads: vec![Head::Bernoulli; 3],
            ..small(1)
        };
        let (values, present) = ([0.1, 0.5, 0.95].repeat(64), [1.0; 192]);
        let mut values = values;
        // Not all alike, or training would refuse them.
        values[0] = 0.2;
        let rows = Rows::new(&shape, &values, &present).unwrap();
        let recipe = Recipe {
            drawn: true,
            learning_rate: 1e-2,
            ..recipe(400, TrainingData::Clean)
        };
        let member = train(rows, &shape, &recipe, &mut |_| CONTINUE).unwrap();
        let scorer = Scorer::new(&shape, &member).unwrap();
        let found = scorer.log_likelihood(
            Rows::new(&shape, &[0.0, 1.0, 1.0, 1.0, 1.0, 1.0], &[1.0; 6]).unwrap(),
            NonZeroUsize::new(500).unwrap(),
            &mut ChaCha8Rng::seed_from_u64(0),
            &mut Scores::new(),
        );
        let expected = [0.9, 0.1].map(|first: f64| (first * 0.5 * 0.95).ln());
        for (found, expected) in found.unwrap().iter().zip(expected) {
            assert!((found - expected).abs() < 0.5, "{found} against {expected}");
        }
    }

    #[test]
    fn every_kind_of_head_is_learnt() {
        let heads = vec![
            Head::Gaussian,
            Head::Bernoulli,
            Head::Categorical { classes: 3 },
        ];
        let shape = Shape { heads, ..small(1) };
        let (mut values, mut present) = (Vec::new(), Vec::new());
        for row in 0..240u16 {
            let x = f32::from(row % 3) - 1.0;
            values.extend([x, f32::from(u8::from(x > 0.0))]);
            values.extend([-1.0, 0.0, 1.0].map(|class: f32| f32::from(u8::from(class == x))));
            present.extend([1.0, f32::from(u8::from(row % 5 != 0)), 1.0]);
        }
        let rows = Rows::new(&shape, &values, &present).unwrap();
        let recipe = recipe(200, TrainingData::Clean);
        let member = train(rows, &shape, &recipe, &mut |_| CONTINUE).unwrap();
        let mut scores = Scores::new();
        let scorer = Scorer::new(&shape, &member).unwrap();
        let questions = [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0];
        let rows = Rows::new(&shape, &questions, &[1.0; 6]).unwrap();
        scorer.score(rows, &mut scores).unwrap();
        assert!(scores.nll[0] + 2.0 < scores.nll[1], "{:?}", scores.nll);
    }

    #[test]
    fn a_run_can_be_stopped() {
        let values = parabola(100, 1);
        let present = vec![1.0; values.len()];
        let rows = Rows::new(&small(2), &values, &present).unwrap();
        let stopped = train(
            rows,
            &small(2),
            &recipe(50, TrainingData::Clean),
            &mut |progress| {
                if progress.step == 3 {
                    ControlFlow::Break(())
                } else {
                    CONTINUE
                }
            },
        );
        assert!(matches!(stopped, Err(TrainError::Stopped { step: 3 })));
    }

    #[test]
    fn rows_that_cannot_be_learnt_from_are_refused() {
        let recipe = recipe(5, TrainingData::Clean);
        let attempt = |values: &[f32]| {
            let present = vec![1.0; values.len()];
            let rows = Rows::new(&small(2), values, &present).unwrap();
            train(rows, &small(2), &recipe, &mut |_| CONTINUE)
        };
        assert!(matches!(
            attempt(&parabola(19, 1)),
            Err(TrainError::TooFewRows { rows: 19 })
        ));
        // Rows that are all alike can: a part of a time in which nothing happened.
        assert!(attempt(&[1.0; 60]).is_ok());
        let mut values = parabola(30, 1);
        values[9] = f32::NAN;
        assert!(matches!(
            attempt(&values),
            Err(TrainError::NotFinite { row: 4, column: 1 })
        ));
    }

    #[test]
    fn a_probability_is_refused_where_nothing_is_drawn() {
        let shape = Shape {
            heads: vec![Head::Bernoulli],
            ..small(1)
        };
        let (mut values, present) = ([0.0, 1.0].repeat(15), [1.0; 30]);
        values[7] = 0.5;
        let rows = Rows::new(&shape, &values, &present).unwrap();
        let attempt = |drawn| {
            let recipe = Recipe {
                drawn,
                ..recipe(1, TrainingData::Clean)
            };
            train(rows, &shape, &recipe, &mut |_| CONTINUE)
        };
        assert!(matches!(
            attempt(false),
            Err(TrainError::NotAClass { row: 7, column: 0 })
        ));
        assert!(attempt(true).is_ok());
    }

    #[test]
    fn a_loss_that_is_not_finite_names_its_step() {
        let values: Vec<f32> = parabola(30, 1).iter().map(|value| value * 1e25).collect();
        let present = vec![1.0; values.len()];
        let rows = Rows::new(&small(2), &values, &present).unwrap();
        let outcome = train(
            rows,
            &small(2),
            &recipe(5, TrainingData::Clean),
            &mut |_| CONTINUE,
        );
        assert!(matches!(outcome, Err(TrainError::Diverged { step: 1 })));
    }
}
