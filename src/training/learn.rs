//! From collected rows to a model.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::collection::{Collection, Source};
use super::fold::{Fold, Plan, plan};
use crate::config::{Train, TrainingData};
use crate::detect::{Calibration, Detector, Fitted, Golden, HeldOut, Model, Policy, Provenance};
use crate::features::{Encoding, FitError, Table};
use crate::vae::{
    self, Member, Recipe, Rows, RowsError, Scorer, Scores, Shape, TrainError, WeightError,
};

/// Fewer rows than this make no model.
const LEAST_ROWS: usize = 50;

/// Rows kept in the model with their scores, to check it by.
const GOLDEN_ROWS: usize = 8;

/// Calibration scores kept at most: beyond, their quantiles do not move.
const MOST_SCORES: usize = 50_000;

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    #[error(
        "{rows} usable rows are too few to learn from, {LEAST_ROWS} are the least ({rejected} \
         records were unusable{first}): give a longer time range or check the fields"
    )]
    TooFewRows {
        rows: usize,
        rejected: usize,
        first: String,
    },
    #[error(transparent)]
    Fit(#[from] FitError),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error("the trained network cannot be used: {0}; this is a defect, please report it")]
    Weights(#[from] WeightError),
    #[error("the encoded rows cannot be used: {0}; this is a defect, please report it")]
    Rows(#[from] RowsError),
}

/// How far the training is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Optimiser steps done and to do, over all networks.
    pub step: usize,
    pub steps: usize,
    /// Of the network at hand.
    pub loss: f32,
}

/// Learns a model from what was collected. `created`: now, RFC 3339. `progress` may end the
/// training.
///
/// # Errors
/// When the rows are too few or do not vary, or the training diverges or is ended.
pub fn learn(
    collection: Collection,
    source: Source,
    settings: &Train,
    created: String,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Model, TrainingError> {
    let rejected = collection.rejected().values().sum();
    let first = collection
        .first_error()
        .map(|error| format!(", the first: {error}"));
    let (specs, table, times) = collection.into_rows();
    if table.rows() < LEAST_ROWS {
        return Err(TrainingError::TooFewRows {
            rows: table.rows(),
            rejected,
            first: first.unwrap_or_default(),
        });
    }
    let plan = plan(table.rows(), settings.calibration_share);
    let (encoding, table) = Encoding::fit(&specs, table)?;
    let shape = Shape {
        heads: encoding.heads(),
        hidden: settings.hidden,
        latent: settings.latent,
    };
    let rows = Encoded::new(&encoding, &table);
    let mut trainer = Trainer::new(&shape, settings, rows.count, &plan, progress);
    let (members, terms) = match &plan {
        Plan::HoldOut(fold) => {
            let members = trainer.ensemble(&rows.select(fold.fit()))?;
            let terms = Terms::of(&shape, &members, &rows.select(fold.block.clone()))?;
            (members, terms)
        }
        Plan::CrossFit(folds) => {
            let mut terms = Terms::default();
            for fold in folds {
                let members = trainer.ensemble(&rows.select(fold.fit()))?;
                let block = rows.select(fold.block.clone());
                terms.append(Terms::of(&shape, &members, &block)?);
            }
            (trainer.ensemble(&rows)?, terms)
        }
    };
    let provenance = provenance(source, settings, created, &times, rejected);
    let cross_fitted = matches!(plan, Plan::CrossFit(_));
    let mut model = assemble(encoding, shape, members, &terms, cross_fitted, provenance);
    model.golden = golden_rows(&model, &table)?;
    Ok(model)
}

/// Encoded rows: values and presence, row-major.
struct Encoded {
    values: Vec<f32>,
    present: Vec<f32>,
    width: usize,
    heads: usize,
    count: usize,
}

impl Encoded {
    fn new(encoding: &Encoding, table: &Table) -> Encoded {
        let (width, heads, count) = (encoding.width(), encoding.heads().len(), table.rows());
        let mut values = vec![0.0; count * width];
        let mut present = vec![0.0; count * heads];
        for (row, cells) in table.iter().enumerate() {
            encoding.encode(
                cells,
                &mut values[row * width..][..width],
                &mut present[row * heads..][..heads],
            );
        }
        Encoded {
            values,
            present,
            width,
            heads,
            count,
        }
    }

    fn rows(&self, shape: &Shape) -> Result<Rows<'_>, RowsError> {
        Rows::new(shape, &self.values, &self.present)
    }

    /// What `member` says of every row.
    fn scores(&self, shape: &Shape, member: &Member) -> Result<Scores, TrainingError> {
        let mut scores = Scores::default();
        Scorer::new(shape, member)?.score(self.rows(shape)?, &mut scores)?;
        Ok(scores)
    }

    fn select(&self, at: impl Iterator<Item = usize>) -> Encoded {
        let mut selected = Encoded {
            values: Vec::new(),
            present: Vec::new(),
            count: 0,
            ..*self
        };
        for row in at {
            selected
                .values
                .extend_from_slice(&self.values[row * self.width..][..self.width]);
            selected
                .present
                .extend_from_slice(&self.present[row * self.heads..][..self.heads]);
            selected.count += 1;
        }
        selected
    }
}

/// Trains ensembles, and keeps count of the steps over all of them.
struct Trainer<'a> {
    shape: &'a Shape,
    settings: &'a Train,
    progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    done: usize,
    steps: usize,
}

impl<'a> Trainer<'a> {
    fn new(
        shape: &'a Shape,
        settings: &'a Train,
        rows: usize,
        plan: &Plan,
        progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Trainer<'a> {
        let fits: Vec<usize> = match plan {
            Plan::HoldOut(fold) => vec![fold.fit().count()],
            Plan::CrossFit(folds) => {
                let fits = folds.iter().map(|fold: &Fold| fold.fit().count());
                fits.chain([rows]).collect()
            }
        };
        let mut trainer = Trainer {
            shape,
            settings,
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
        Recipe::new(
            rows,
            floor as f32,
            self.settings.data,
            self.settings.max_steps,
            self.settings.seed.wrapping_add(index as u64),
        )
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

    fn ensemble(&mut self, rows: &Encoded) -> Result<Vec<Member>, TrainingError> {
        let cleaned = match self.cleaning(rows.count) {
            Some(recipe) => {
                let stiff = self.train(rows, &recipe)?;
                &rows.select(ordinary_rows(self.shape, &stiff, rows)?.into_iter())
            }
            None => rows,
        };
        let floors = self.settings.floors.clone();
        floors
            .into_iter()
            .enumerate()
            .map(|(index, floor)| {
                let recipe = self.recipe(rows.count, floor, index);
                self.train(cleaned, &recipe)
            })
            .collect()
    }

    fn train(&mut self, rows: &Encoded, recipe: &Recipe) -> Result<Member, TrainingError> {
        let (before, steps) = (self.done, self.steps);
        let progress = &mut *self.progress;
        let member = vae::train(rows.rows(self.shape)?, self.shape, recipe, &mut |at| {
            progress(Progress {
                step: before + at.step,
                steps,
                loss: at.loss,
            })
        })?;
        self.done += recipe.steps;
        Ok(member)
    }
}

/// All rows but the tenth at most whose NLL + 2 KL under `member` lies beyond
/// max(q50 + 2 (q90 - q50), q90).
fn ordinary_rows(
    shape: &Shape,
    member: &Member,
    rows: &Encoded,
) -> Result<Vec<usize>, TrainingError> {
    let scores = rows.scores(shape, member)?;
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

/// What the networks say of rows that they were not fitted on.
#[derive(Default)]
struct Terms {
    /// By member: NLL + KL / 2 of each row.
    oddness: Vec<Vec<f32>>,
    /// By member and head: the head's NLL of each row.
    heads: Vec<Vec<Vec<f32>>>,
    rows: usize,
    /// Sums over rows, means over members.
    nll: f64,
    kl: f64,
    squared_error: f64,
}

impl Terms {
    fn of(shape: &Shape, members: &[Member], rows: &Encoded) -> Result<Terms, TrainingError> {
        let mut terms = Terms {
            rows: rows.count,
            ..Terms::default()
        };
        for member in members {
            let scores = rows.scores(shape, member)?;
            let oddness = (0..rows.count).map(|row| scores.nll[row] + scores.kl[row] / 2.0);
            terms.oddness.push(oddness.collect());
            let head = |head| (0..rows.count).map(move |row| row * rows.heads + head);
            let heads = 0..rows.heads;
            let heads = heads.map(|index| head(index).map(|at| scores.head_nll[at]).collect());
            terms.heads.push(heads.collect());
            let mean = |of: &[f32]| {
                of[..rows.count]
                    .iter()
                    .map(|&term| f64::from(term))
                    .sum::<f64>()
                    / members.len() as f64
            };
            terms.nll += mean(&scores.nll);
            terms.kl += mean(&scores.kl);
            terms.squared_error += mean(&scores.squared_error);
        }
        Ok(terms)
    }

    fn append(&mut self, other: Terms) {
        if self.rows == 0 {
            *self = other;
            return;
        }
        for (all, more) in self.oddness.iter_mut().zip(other.oddness) {
            all.extend(more);
        }
        for (all, more) in self
            .heads
            .iter_mut()
            .flatten()
            .zip(other.heads.into_iter().flatten())
        {
            all.extend(more);
        }
        self.rows += other.rows;
        self.nll += other.nll;
        self.kl += other.kl;
        self.squared_error += other.squared_error;
    }

    fn held_out(&self) -> HeldOut {
        let rows = self.rows as f64;
        HeldOut {
            rows: self.rows,
            elbo: -(self.nll + self.kl) / rows,
            reconstruction_log_likelihood: -self.nll / rows,
            kl: self.kl / rows,
            reconstruction_error: self.squared_error / rows,
        }
    }
}

fn assemble(
    encoding: Encoding,
    shape: Shape,
    members: Vec<Member>,
    terms: &Terms,
    cross_fitted: bool,
    provenance: Provenance,
) -> Model {
    let mut scores = vec![0.0_f32; terms.rows];
    let mut fitted = Vec::with_capacity(members.len());
    let share = 1.0 / members.len() as f32;
    for (index, member) in members.into_iter().enumerate() {
        let sorted_oddness = sorted(&terms.oddness[index]);
        let center = quantile(&sorted_oddness, 0.5);
        let spread = (quantile(&sorted_oddness, 0.9) - center).max(1e-3);
        for (score, oddness) in scores.iter_mut().zip(&terms.oddness[index]) {
            *score += (oddness - center) / spread * share;
        }
        let heads = terms.heads[index].iter();
        fitted.push(Fitted {
            member,
            center,
            spread,
            head_medians: heads.map(|nll| quantile(&sorted(nll), 0.5)).collect(),
        });
    }
    // Evenly thinned in time, not by size: what remains is a sample of the same distribution.
    let step = scores.len().div_ceil(MOST_SCORES).max(1);
    let scores = scores.into_iter().step_by(step).collect();
    Model {
        encoding,
        shape,
        members: fitted,
        calibration: Calibration::fit(scores, provenance.data, cross_fitted),
        held_out: terms.held_out(),
        provenance,
        golden: Vec::new(),
    }
}

fn golden_rows(model: &Model, table: &Table) -> Result<Vec<Golden>, TrainingError> {
    let every = (table.rows() / GOLDEN_ROWS).max(1);
    let chosen = table.select((0..table.rows()).step_by(every).take(GOLDEN_ROWS));
    let policy = Arc::new(Policy::open(table.fields()));
    let mut detector = Detector::new(Arc::new(model.clone()), policy)?;
    chosen
        .iter()
        .map(|cells| Ok(Golden::new(cells, detector.score(cells)?[0].score)))
        .collect()
}

fn provenance(
    source: Source,
    settings: &Train,
    created: String,
    times: &[f64],
    rejected: usize,
) -> Provenance {
    let known = !times.iter().any(|time| time.is_nan());
    let ends = times.first().zip(times.last()).filter(|_| known);
    let rfc3339 = |&seconds: &f64| {
        jiff::Timestamp::from_millisecond((seconds * 1000.0) as i64)
            .map(|time| time.to_string())
            .ok()
    };
    Provenance {
        created,
        source: source.name,
        offsets: source.offsets,
        rows: times.len(),
        rejected,
        from: ends.and_then(|(first, _)| rfc3339(first)),
        to: ends.and_then(|(_, last)| rfc3339(last)),
        records_per_day: ends
            .map(|(first, last)| (last - first) / 86_400.0)
            .filter(|days| *days > 0.0)
            .map(|days| times.len() as f64 / days),
        data: settings.data,
        seed: settings.seed,
        parent: None,
    }
}

fn sorted(values: &[f32]) -> Vec<f32> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    sorted
}

/// Nearest rank.
fn quantile(sorted: &[f32], share: f64) -> f32 {
    let last = sorted.len().saturating_sub(1) as f64;
    sorted
        .get((share * last).round() as usize)
        .copied()
        .unwrap_or(0.0)
}
