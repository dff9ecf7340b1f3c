//! Codes and likelihoods, drawn and decoded.

use std::ops::Range;
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::stretch::Stretch;
use crate::detect::{Fitted, Model};
use crate::vae::{Head, RowsError, Scorer, Scores, WeightError};

/// Why there are no rows.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    #[error("there is no member {wanted}: this model has {members}, numbered from 1")]
    NoSuchMember { wanted: usize, members: usize },
    #[error(transparent)]
    Weights(#[from] WeightError),
    #[error(transparent)]
    Codes(#[from] RowsError),
    #[error(
        "code {0} is so far from all others that the network's numbers overflow: is it a code of \
         this model?"
    )]
    Overflow(usize),
}

impl GenerateError {
    /// The same error where `count` codes came before those at hand.
    #[must_use]
    pub fn after(self, count: usize) -> Self {
        match self {
            GenerateError::Overflow(code) => GenerateError::Overflow(code + count),
            other => other,
        }
    }
}

/// The index of the member that is called `number`, from 1; without a number, of the one with the
/// least floor, whose likelihood is the finest.
///
/// # Errors
/// There is no such member.
pub fn member(model: &Model, number: Option<usize>) -> Result<usize, GenerateError> {
    let members = model.members.len();
    let Some(wanted) = number else {
        let floor = |&index: &usize| model.members[index].member.floor;
        let finest = (0..members).min_by(|a, b| floor(a).total_cmp(&floor(b)));
        return finest.ok_or(GenerateError::NoSuchMember { wanted: 1, members });
    };
    match wanted.checked_sub(1) {
        Some(index) if index < members => Ok(index),
        _ => Err(GenerateError::NoSuchMember { wanted, members }),
    }
}

/// Makes rows of cells with one member of a model.
pub struct Generator {
    model: Arc<Model>,
    member: usize,
    scorer: Scorer,
    stretch: Stretch,
    scores: Scores,
    codes: Vec<f32>,
    columns: Vec<f32>,
    /// Nothing is missing in what is made.
    present: Vec<f32>,
}

impl Generator {
    /// A generator that works with the member at index `member`.
    ///
    /// # Errors
    /// There is no such member, or its weights do not have the model's shape.
    pub fn new(model: Arc<Model>, member: usize) -> Result<Generator, GenerateError> {
        let members = model.members.len();
        let wanted = member + 1;
        let none = GenerateError::NoSuchMember { wanted, members };
        let Fitted {
            member: network,
            mixture,
            ..
        } = model.members.get(member).ok_or(none)?;
        Ok(Generator {
            scorer: Scorer::new(&model.shape, network)?.with_mixture(mixture)?,
            stretch: Stretch::of(&model.provenance),
            scores: Scores::new(),
            codes: Vec::new(),
            columns: vec![0.0; model.encoding.width()],
            present: vec![1.0; model.shape.heads.len()],
            member,
            model,
        })
    }

    /// Draws the rows numbered `rows` of the sample of `seed` and appends their `cells` (rows x
    /// fields). A row is the same in whatever range it is asked for.
    ///
    /// A code is drawn from the member's aggregated posterior, and each cell from the likelihood at
    /// that code: a number from its normal distribution, a boolean or a word by its probability.
    /// Numbers are written as training wrote them and kept in its range, words are those of the
    /// vocabulary, and a time is one of the moments of its place in the day or week within the time
    /// of the training rows. Nothing is missing, but for fields that the network does not see.
    ///
    /// # Errors
    /// The network's numbers overflow.
    pub fn draw(
        &mut self,
        seed: u64,
        rows: Range<u64>,
        cells: &mut Vec<f64>,
    ) -> Result<(), GenerateError> {
        let mixture = &self.model.members[self.member].mixture;
        let latent = mixture.latent();
        self.codes.clear();
        let mut randoms: Vec<ChaCha8Rng> = rows.map(|row| random_of(seed, row)).collect();
        for random in &mut randoms {
            let start = self.codes.len();
            self.codes.resize(start + latent, 0.0);
            mixture.draw(random, &mut self.codes[start..]);
        }
        self.scorer.decode(&self.codes, &mut self.scores)?;
        for (row, mut random) in randoms.into_iter().enumerate() {
            let at = self.row(row)?;
            draw_columns(
                &self.model.shape.heads,
                &self.scores.expected[at.clone()],
                &self.scores.variance[at],
                &mut random,
                &mut self.columns,
            );
            let start = self.push(cells);
            for (cell, field) in cells[start..].iter_mut().zip(&self.model.encoding.fields) {
                *cell = match field.period() {
                    Some(period) => self.stretch.any(*cell, period, random.random()),
                    None => field.plausible(*cell),
                };
            }
        }
        Ok(())
    }

    /// Appends the `cells` (rows x fields) that `codes` (rows x latent) stand for: what the member
    /// expects of each number, written as training wrote it, and the likeliest of its words and
    /// booleans. A time is the last moment of its place in the day or week within the time of the
    /// training rows. Fields that the network does not see are missing.
    ///
    /// # Errors
    /// The numbers are not whole codes, or the network's numbers overflow on one.
    pub fn decode(&mut self, codes: &[f32], cells: &mut Vec<f64>) -> Result<(), GenerateError> {
        self.scorer.decode(codes, &mut self.scores)?;
        for row in 0..self.scores.rows() {
            let at = self.row(row)?;
            self.columns.copy_from_slice(&self.scores.expected[at]);
            let start = self.push(cells);
            for (cell, field) in cells[start..].iter_mut().zip(&self.model.encoding.fields) {
                *cell = match field.period() {
                    Some(period) => self.stretch.last(*cell, period),
                    None => field.rounded(*cell),
                };
            }
        }
        Ok(())
    }

    /// Where row `row` stands among the expectations.
    fn row(&self, row: usize) -> Result<Range<usize>, GenerateError> {
        let at = row * self.columns.len()..(row + 1) * self.columns.len();
        let expected = &self.scores.expected[at.clone()];
        match expected.iter().all(|value| value.is_finite()) {
            true => Ok(at),
            false => Err(GenerateError::Overflow(row + 1)),
        }
    }

    /// Appends the cells of the columns at hand; says where they start.
    fn push(&self, cells: &mut Vec<f64>) -> usize {
        let start = cells.len();
        let encoding = &self.model.encoding;
        cells.resize(start + encoding.fields.len(), f64::NAN);
        encoding.decode(&self.columns, &self.present, &mut cells[start..]);
        start
    }
}

/// Each row has a stream of its own.
fn random_of(seed: u64, row: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(row);
    random
}

/// Draws one row of `columns` from the likelihood that `expected` and `variance` describe.
fn draw_columns(
    heads: &[Head],
    expected: &[f32],
    variance: &[f32],
    random: &mut ChaCha8Rng,
    columns: &mut [f32],
) {
    let mut column = 0;
    for head in heads {
        let at = column..column + head.width();
        match head {
            Head::Gaussian => {
                let normal: f32 = StandardNormal.sample(random);
                columns[column] = expected[column] + variance[column].sqrt() * normal;
            }
            Head::Bernoulli => {
                let drawn = random.random::<f32>() < expected[column];
                columns[column] = f32::from(u8::from(drawn));
            }
            Head::Categorical { .. } => {
                let word = draw_word(&expected[at.clone()], random);
                columns[at.clone()].fill(0.0);
                columns[column + word] = 1.0;
            }
        }
        column = at.end;
    }
}

/// A class by its probability. Class 0 is any word that is not in the vocabulary, so that there is
/// none to write: the others share what is its.
fn draw_word(probabilities: &[f32], random: &mut ChaCha8Rng) -> usize {
    let words = probabilities.iter().enumerate().skip(1);
    let total: f32 = words.clone().map(|(_, probability)| probability).sum();
    let mut left = random.random::<f32>() * total;
    let mut last = 0;
    for (class, probability) in words {
        left -= probability;
        last = class;
        if left < 0.0 {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_drawn_from_the_likelihood_and_not_its_mean() {
        let heads = [
            Head::Gaussian,
            Head::Categorical { classes: 4 },
            Head::Bernoulli,
        ];
        let expected = [3.0, 0.5, 0.3, 0.05, 0.15, 0.2];
        let variance = [0.25, 0.0, 0.0, 0.0, 0.0, 0.0];
        let draws: u16 = 20_000;
        let (mut sum, mut squares, mut counts) = (0.0, 0.0, [0.0; 6]);
        let mut columns = [9.0_f32; 6];
        for row in 0..draws {
            let mut random = random_of(7, row.into());
            draw_columns(&heads, &expected, &variance, &mut random, &mut columns);
            sum += f64::from(columns[0]);
            squares += f64::from(columns[0] - 3.0).powi(2);
            assert_eq!(columns[1..5].iter().sum::<f32>(), 1.0);
            for (count, column) in counts.iter_mut().zip(columns) {
                *count += f64::from(column);
            }
        }
        // Five standard errors: 0.5 / sqrt(20,000), 0.25 sqrt(2 / 20,000), sqrt(p(1-p) / 20,000).
        let draws = f64::from(draws);
        assert!((sum / draws - 3.0).abs() < 0.018, "{}", sum / draws);
        assert!(
            (squares / draws - 0.25).abs() < 0.0125,
            "{}",
            squares / draws
        );
        // The unknown word's half goes to the others by their shares.
        for (column, share) in [(1, 0.0), (2, 0.6), (3, 0.1), (4, 0.3), (5, 0.2)] {
            let found = counts[column] / draws;
            assert!((found - share).abs() < 0.018, "column {column}: {found}");
        }
        assert_eq!(counts[1], 0.0);
    }
}
