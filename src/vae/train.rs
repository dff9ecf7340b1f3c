//! Fits one network to rows.

use std::ops::ControlFlow;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::batches::{Batch, Batches};
use super::likelihood::Likelihood;
use super::member::Member;
use super::network::{Input, Network, device};
use super::recipe::{Objective, Recipe};
use super::rows::{Rows, RowsError};
use super::shape::{Head, Shape, ShapeError};

/// The fewest rows that a network is fitted to.
const LEAST_ROWS: usize = 20;

/// Where a training run stands after a step. Losses are means over the step's rows, in nats; with
/// [`Objective::SquaredError`] the surprise is the squared error in scaled units instead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps done, 1 or more.
    pub step: usize,
    /// Steps in the whole run.
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
    check(rows, shape, recipe)?;
    let mut random = ChaCha8Rng::seed_from_u64(recipe.seed);
    let untrained = Member::untrained(shape, recipe.floor, &mut random);
    let mut batches = Batches::new(rows, shape, recipe.batch);
    let mut run = Run::new(shape, recipe, &untrained)?;
    for step in 0..recipe.steps {
        let state = run.step(step, batches.draw(&mut random))?;
        if progress(state).is_break() {
            return Err(TrainError::Stopped { step: step + 1 });
        }
    }
    let member = run.network.member()?;
    Ok(member)
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
    check_classes(rows, shape)?;
    Ok(())
}

fn check_classes(rows: Rows<'_>, shape: &Shape) -> Result<(), TrainError> {
    for (row, values) in rows.values().chunks_exact(shape.width()).enumerate() {
        for (first, head) in shape.columns().filter(|(_, head)| *head != Head::Gaussian) {
            let cells = &values[first..][..head.width()];
            if let Some(offset) = cells.iter().position(|cell| !(0.0..=1.0).contains(cell)) {
                return Err(TrainError::NotAClass {
                    row,
                    column: first + offset,
                });
            }
        }
    }
    Ok(())
}

struct Run<'a> {
    shape: &'a Shape,
    recipe: &'a Recipe,
    network: Network,
    likelihood: Likelihood,
    variables: Vec<Var>,
    adam: AdamW,
}

impl<'a> Run<'a> {
    fn new(shape: &'a Shape, recipe: &'a Recipe, member: &Member) -> Result<Self, TrainError> {
        let device = device();
        let network = Network::new(shape, member, &device)?;
        let variables = network.variables();
        let settings = ParamsAdamW {
            weight_decay: 0.0,
            ..ParamsAdamW::default()
        };
        Ok(Run {
            likelihood: Likelihood::new(shape, recipe.floor, recipe.epsilon, &device)?,
            adam: AdamW::new(variables.clone(), settings)?,
            shape,
            recipe,
            network,
            variables,
        })
    }

    fn step(&mut self, step: usize, batch: Batch) -> Result<Progress, TrainError> {
        let input = Input::new(self.shape, batch, &device())?;
        let code = self.network.encode(&input)?;
        let surprise = match self.recipe.objective {
            Objective::Elbo => {
                let output = self.network.decode(&code.sample(&input.noise)?)?;
                self.likelihood
                    .surprise(&input.values, &input.present, &output)?
            }
            Objective::SquaredError => {
                let output = self.network.decode(&code.mean)?;
                self.likelihood
                    .squared_error(&input.values, &input.present, &output)?
            }
        };
        let (surprise, divergence) = (surprise.mean(0)?, code.divergence()?.mean(0)?);
        let loss = (&surprise + (&divergence * self.recipe.beta(step))?)?;
        let state = Progress {
            step: step + 1,
            steps: self.recipe.steps,
            loss: loss.to_scalar()?,
            elbo: -(surprise.to_scalar::<f32>()? + divergence.to_scalar::<f32>()?),
            divergence: divergence.to_scalar()?,
        };
        if !state.loss.is_finite() {
            return Err(TrainError::Diverged { step: step + 1 });
        }
        self.descend(step, &loss)?;
        Ok(state)
    }

    fn descend(&mut self, step: usize, loss: &Tensor) -> Result<(), TrainError> {
        let mut gradients = loss.backward()?;
        let norm = norm(&gradients, &self.variables)?;
        if !norm.is_finite() {
            return Err(TrainError::Diverged { step: step + 1 });
        }
        if norm > self.recipe.clip {
            shorten(&mut gradients, &self.variables, self.recipe.clip / norm)?;
        }
        self.adam.set_learning_rate(self.recipe.rate(step));
        Ok(self.adam.step(&gradients)?)
    }
}

/// Euclidean norm over the gradients of all variables.
fn norm(gradients: &GradStore, variables: &[Var]) -> Result<f64, TrainError> {
    let mut squares = 0.0;
    for gradient in variables
        .iter()
        .filter_map(|variable| gradients.get(variable))
    {
        squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    Ok(squares.sqrt())
}

fn shorten(gradients: &mut GradStore, variables: &[Var], by: f64) -> Result<(), TrainError> {
    for variable in variables {
        if let Some(gradient) = gradients.remove(variable) {
            gradients.insert(variable, (gradient * by)?);
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
        "training row {row} is not between 0 and 1 in column {column}, which belongs to a class"
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
