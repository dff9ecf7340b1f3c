//! Trains the networks of an ensemble, each on rows that were cleaned first.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};

use crossbeam_channel::Sender;

use super::encoded::Encoded;
use super::fold::Plan;
use super::quantiles::{quantile, sorted};
use super::{Progress, TrainingError};
use crate::config::{Train, TrainingData};
use crate::detect::Linear;
use crate::vae::{self, Device, Member, Mixture, Recipe, Scorer, Shape, TrainError, WeightError};

/// A network with the density of its codes.
pub(super) struct Trained {
    pub(super) member: Member,
    pub(super) mixture: Mixture,
}

/// The networks of an ensemble, and the linear model of the rows that they were fitted on.
pub(super) struct Ensemble {
    pub(super) members: Vec<Trained>,
    pub(super) linear: Linear,
}

impl Trained {
    pub(super) fn scorer(&self, shape: &Shape) -> Result<Scorer, WeightError> {
        Scorer::new(shape, &self.member)?.with_mixture(&self.mixture)
    }
}

/// Trains ensembles, and keeps count of the steps over all of them.
pub(super) struct Trainer<'a> {
    shape: &'a Shape,
    settings: &'a Train,
    device: &'a Device,
    /// Networks that are trained at the same time.
    pub(super) threads: usize,
    progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    done: usize,
    steps: usize,
}

impl<'a> Trainer<'a> {
    pub(super) fn new(
        shape: &'a Shape,
        settings: &'a Train,
        device: &'a Device,
        rows: usize,
        plan: &Plan,
        progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Trainer<'a> {
        let fits: Vec<usize> = match plan {
            Plan::HoldOut(fold) => vec![fold.fit.len()],
            Plan::CrossFit(folds) => folds
                .iter()
                .map(|fold| fold.fit.len())
                .chain([rows])
                .collect(),
        };
        let mut trainer = Trainer {
            shape,
            settings,
            device,
            threads: 1,
            progress,
            done: 0,
            steps: 0,
        };
        let an_ensemble = |&rows: &usize| {
            let members = settings.floors.iter().enumerate();
            members
                .map(|(index, &floor)| trainer.recipe(rows, floor, index).steps)
                .sum::<usize>()
                + trainer.cleaning(rows).map_or(0, |recipe| recipe.steps)
        };
        trainer.steps = fits.iter().map(an_ensemble).sum();
        trainer
    }

    fn recipe(&self, rows: usize, floor: f64, index: usize) -> Recipe {
        let recipe = Recipe::new(
            rows,
            floor as f32,
            self.settings.data,
            self.settings.max_steps,
            self.settings.seed.wrapping_add(index as u64),
        );
        Recipe {
            device: self.device.clone(),
            ..recipe
        }
    }

    /// One stiff network that is trained first on unlabelled rows, to find those that are not of
    /// their kind.
    fn cleaning(&self, rows: usize) -> Option<Recipe> {
        (self.settings.data == TrainingData::Unlabelled).then(|| {
            let mut recipe = self.recipe(rows, 1.0, usize::MAX);
            recipe.steps = (100 * rows / recipe.batch)
                .clamp(300, 1000)
                .min(self.settings.max_steps);
            recipe
        })
    }

    pub(super) fn ensemble(&mut self, rows: &Encoded) -> Result<Ensemble, TrainingError> {
        let cleaned = match self.cleaning(rows.count) {
            Some(recipe) => {
                let stiff = self.train(rows, &[recipe])?;
                &rows.select(&ordinary_rows(self.shape, &stiff[0], rows)?)
            }
            None => rows,
        };
        let floors = self.settings.floors.iter().enumerate();
        let recipes: Vec<Recipe> = floors
            .map(|(index, &floor)| self.recipe(rows.count, floor, index))
            .collect();
        let members = self.train(cleaned, &recipes)?;
        let members = members.into_iter().zip(&recipes).map(|(member, recipe)| {
            let mixture = self.mixture(&member, cleaned, recipe.seed)?;
            Ok(Trained { member, mixture })
        });
        Ok(Ensemble {
            members: members.collect::<Result<_, TrainingError>>()?,
            linear: cleaned.linear(self.shape),
        })
    }

    /// The aggregated posterior of `member` over the rows that it was fitted on.
    fn mixture(
        &self,
        member: &Member,
        rows: &Encoded,
        seed: u64,
    ) -> Result<Mixture, TrainingError> {
        let scores = rows.scores(self.shape, &Scorer::new(self.shape, member)?)?;
        Ok(Mixture::fit(
            &scores.code,
            &scores.code_variance,
            self.shape.latent,
            self.settings.data,
            seed,
        ))
    }

    /// One network for each recipe, some at a time. Each is trained by one
    /// thread alone, so that how many there are changes no bit.
    fn train(&mut self, rows: &Encoded, recipes: &[Recipe]) -> Result<Vec<Member>, TrainingError> {
        let (steps, input) = (self.steps, rows.rows(self.shape)?);
        let (shape, stopped, next) = (self.shape, AtomicBool::new(false), AtomicUsize::new(0));
        let threads = self.threads;
        // A step takes milliseconds: the threads never wait for room.
        let (losses, seen) = crossbeam_channel::bounded(64);
        let mut trained = thread::scope(|scope| {
            let work = |losses: Sender<f32>| {
                let mut trained = Vec::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(recipe) = recipes.get(index) else {
                        return trained;
                    };
                    let mut hear = |at: vae::Progress| {
                        let heard = losses.send(at.loss).is_ok();
                        if heard && !stopped.load(Ordering::Relaxed) {
                            ControlFlow::Continue(())
                        } else {
                            ControlFlow::Break(())
                        }
                    };
                    let mut member = vae::train(input, shape, recipe, &mut hear);
                    if let (Err(TrainError::Backend(why)), true) = (&member, recipe.device.is_gpu())
                    {
                        let first = why.to_string();
                        tracing::warn!(
                            "{} failed while it trained ({}): the CPU starts over",
                            recipe.device,
                            first.lines().next().unwrap_or_default()
                        );
                        let recipe = Recipe {
                            device: Device::cpu(),
                            ..recipe.clone()
                        };
                        member = vae::train(input, shape, &recipe, &mut hear);
                    }
                    trained.push((index, member));
                }
            };
            let workers: Vec<_> = (0..threads.min(recipes.len()))
                .map(|_| {
                    let losses = losses.clone();
                    scope.spawn(move || work(losses))
                })
                .collect();
            drop(losses);
            for loss in seen {
                self.done += 1;
                let step = self.done;
                if (self.progress)(Progress { step, steps, loss }).is_break() {
                    stopped.store(true, Ordering::Relaxed);
                }
            }
            let results = workers.into_iter().map(ScopedJoinHandle::join);
            results
                .flat_map(|trained| trained.unwrap_or_else(|panic| resume_unwind(panic)))
                .collect::<Vec<_>>()
        });
        trained.sort_unstable_by_key(|(index, _)| *index);
        let members = trained.into_iter().map(|(_, member)| Ok(member?));
        members.collect()
    }
}

/// All rows but the tenth at most whose NLL + 2 KL under `member` lies beyond
/// max(q50 + 2 (q90 - q50), q90).
fn ordinary_rows(
    shape: &Shape,
    member: &Member,
    rows: &Encoded,
) -> Result<Vec<usize>, TrainingError> {
    let scores = rows.scores(shape, &Scorer::new(shape, member)?)?;
    let oddness: Vec<f32> = (0..rows.count)
        .map(|row| scores.nll[row] + 2.0 * scores.kl[row])
        .collect();
    let sorted = sorted(&oddness);
    let (median, upper) = (quantile(&sorted, 0.5), quantile(&sorted, 0.9));
    let limit = (median + 2.0 * (upper - median)).max(upper);
    Ok((0..rows.count)
        .filter(|&row| oddness[row] <= limit)
        .collect())
}
