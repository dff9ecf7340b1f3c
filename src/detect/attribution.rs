//! What a record's score would be if one field were what the others lead one to expect.
//!
//! Part of a score belongs to no field: the code's. So fields are asked one by one. The field is given other values, and
//! the row is scored again with each. The energies of those rows, code and all, make the distribution of the field
//! given all others, by quadrature. It says what was to be expected, and what the row's energy would be with an
//! expected value: what it has above that is the field's. The decoder's own answer would not do, because it has
//! seen the odd value and follows it.
//!
//! Energies and not scores are compared: a score weighs the members and their terms by how much they vary between
//! rows, which is right between rows and not between the fields of one. What a linear model says is joined to this by
//! [`super::linear`].

use std::ops::Range;

use super::distribution::{Distribution, Expectation, Trial};
use crate::features::{EncodedField, Encoding, Part};

/// Values of a number tried in a round, evenly spaced within the bracket at hand. An even number: the best value of
/// the round before, in the middle of the bracket, is not tried again.
const TRIED: usize = 8;

/// Rounds. Each has 2/9 of the bracket before it: where the training rows span six deviations, the last one has steps of
/// 0.05 of a deviation, finer than the least floor of a variance by default, 0.1. Means of a normal distribution
/// are then right to 0.16 of its deviation, and deviations to 13 %.
const ROUNDS: usize = 3;

/// How far the first bracket of a number reaches past what training saw, as a share of that range: a field that goes
/// with others may be expected there when they are odd.
const PAST: f64 = 0.25;

/// Seconds between the times of a day that are tried.
const BETWEEN_TIMES: f64 = 7200.0;
const TIMES_A_DAY: u32 = 12;

/// What rows score.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// One a row.
    pub scores: Vec<f32>,
    /// Rows x members: -ln of the row's density but for a constant, nats.
    pub energies: Vec<f32>,
}

/// One field given all others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Conditional {
    /// Its number in the encoding.
    pub field: usize,
    /// The likeliest of the cells tried.
    pub replacement: f64,
    /// The row's score with it.
    pub score: f32,
    /// The row's energy with a cell drawn from what is expected, mean over members, nats. For a missing cell, the
    /// energy of the rest of the row.
    pub energy: f32,
    pub expectation: Expectation,
}

/// The conditionals of those `fields` of `row` that the network sees. `score` scores whole rows of cells and writes
/// their marks.
///
/// # Errors
/// Those of `score`.
pub(super) fn conditionals<E>(
    encoding: &Encoding,
    fields: Range<usize>,
    row: &[f64],
    mut score: impl FnMut(&[f64], &mut Marks) -> Result<(), E>,
) -> Result<Vec<Conditional>, E> {
    let seen = fields.filter(|&index| !encoding.fields[index].parts.is_empty());
    let mut searches: Vec<Search<'_>> = seen
        .map(|index| Search::new(index, &encoding.fields[index], row[index]))
        .collect();
    let (mut cells, mut marks) = (Vec::new(), Marks::default());
    for round in 0..ROUNDS {
        cells.clear();
        for search in &mut searches {
            for cell in search.next(round) {
                let start = cells.len();
                cells.extend_from_slice(row);
                cells[start + search.index] = cell;
            }
        }
        if cells.is_empty() {
            break;
        }
        score(&cells, &mut marks)?;
        let members = marks.energies.len() / marks.scores.len().max(1);
        let mut rows = marks
            .scores
            .iter()
            .zip(marks.energies.chunks_exact(members.max(1)));
        for search in &mut searches {
            search.take(&mut rows);
        }
    }
    Ok(searches.iter().filter_map(Search::conclude).collect())
}

/// The values of one field that were tried.
struct Search<'a> {
    index: usize,
    field: &'a EncodedField,
    observed: f64,
    /// Where the best value of a number lies.
    bracket: (f64, f64),
    tried: Vec<Trial>,
    /// Trials that have their marks.
    known: usize,
}

impl<'a> Search<'a> {
    fn new(index: usize, field: &'a EncodedField, observed: f64) -> Search<'a> {
        let bracket = match field.parts[0] {
            Part::Scaled {
                mean,
                deviation,
                low,
                high,
                ..
            } => {
                // A constant with a scale, by a least deviation, has a range of nothing.
                let past = (PAST * (high - low)).max(deviation);
                (low.min(mean) - past, high.max(mean) + past)
            }
            _ => (0.0, 0.0),
        };
        Search {
            index,
            field,
            observed,
            bracket,
            tried: Vec::new(),
            known: 0,
        }
    }

    fn is_number(&self) -> bool {
        matches!(self.field.parts[0], Part::Scaled { .. })
    }

    /// The cells to try in this round.
    fn next(&mut self, round: usize) -> Vec<f64> {
        let cells: Vec<f64> = match &self.field.parts[0] {
            Part::Scaled { .. } => {
                let (low, high) = self.bracket;
                let step = (high - low) / (TRIED + 1) as f64;
                (1..=TRIED).map(|at| low + step * at as f64).collect()
            }
            _ if round > 0 => vec![],
            Part::Flag => vec![0.0, 1.0],
            Part::OneHot { classes } => (0..*classes).map(|class| class as f64).collect(),
            Part::Cycle { .. } => {
                let from = if self.observed.is_nan() {
                    0.0
                } else {
                    self.observed
                };
                // More than two parts: the week as well as the day.
                let days = if self.field.parts.len() > 2 { 7 } else { 1 };
                let times = 0..TIMES_A_DAY * days;
                times
                    .map(|at| from + BETWEEN_TIMES * f64::from(at))
                    .collect()
            }
        };
        self.tried.extend(cells.iter().map(|&cell| Trial {
            cell,
            score: 0.0,
            energies: vec![],
        }));
        cells
    }

    /// Takes the marks of this round's cells, and narrows the bracket to the neighbours of the best.
    fn take<'m>(&mut self, marks: &mut impl Iterator<Item = (&'m f32, &'m [f32])>) {
        let open = self.tried.iter_mut().skip(self.known);
        for (trial, (score, energies)) in open.zip(marks) {
            trial.score = *score;
            trial.energies = energies.to_vec();
        }
        self.known = self.tried.len();
        if let Some(best) = self.best().map(|trial| trial.cell)
            && self.is_number()
        {
            let (mut below, mut above) = self.bracket;
            for Trial { cell, .. } in &self.tried {
                if *cell < best {
                    below = below.max(*cell);
                } else if *cell > best {
                    above = above.min(*cell);
                }
            }
            self.bracket = (below, above);
        }
    }

    fn best(&self) -> Option<&Trial> {
        self.tried
            .iter()
            .min_by(|a, b| a.energy().total_cmp(&b.energy()))
    }

    fn conclude(&self) -> Option<Conditional> {
        let best = self.best()?;
        let unit = match self.field.parts[0] {
            Part::Scaled { deviation, .. } => Some(deviation),
            _ => None,
        };
        let distribution = Distribution::of(self.tried.iter().collect(), unit);
        let expectation = match self.field.parts[0] {
            Part::Scaled { .. } => distribution.number(best.cell),
            Part::Cycle { .. } => Expectation::Time,
            Part::Flag | Part::OneHot { .. } => distribution.class()?,
        };
        let energy = if self.observed.is_nan() {
            distribution.free_energy
        } else {
            distribution.mean(|trial, member| f64::from(trial.energies[member]))
        };
        Some(Conditional {
            field: self.index,
            replacement: best.cell,
            score: best.score,
            energy: energy as f32,
            expectation,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::config::Kind;

    fn field(kind: Kind, part: Part) -> EncodedField {
        EncodedField {
            path: "f".into(),
            kind,
            vocabulary: vec![],
            parts: vec![part],
        }
    }

    fn number() -> EncodedField {
        let part = Part::Scaled {
            mean: 0.0,
            deviation: 1.0,
            low: -3.0,
            high: 3.0,
            decimals: None,
        };
        field(Kind::Numeric, part)
    }

    /// Marks of one member, whose energy is also the score.
    fn by(
        energy: impl Fn(&[f64]) -> f64,
        fields: usize,
    ) -> impl FnMut(&[f64], &mut Marks) -> Result<(), Infallible> {
        move |cells, marks| {
            marks.scores = cells
                .chunks_exact(fields)
                .map(|row| energy(row) as f32)
                .collect();
            marks.energies.clone_from(&marks.scores);
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn a_number_is_expected_where_a_gaussian_of_two_says(r in -0.99..0.99_f64, x in -4.0..4.0_f64, y in -2.0..2.0_f64) {
            let encoding = Encoding { fields: vec![number(), number()] };
            let energy = move |row: &[f64]| {
                (row[0] * row[0] - 2.0 * r * row[0] * row[1] + row[1] * row[1]) / (1.0 - r * r) / 2.0
            };
            let found = conditionals(&encoding, 0..2, &[x, y], by(energy, 2)).unwrap();
            let Expectation::Number { mean, deviation } = found[0].expectation else { unreachable!() };
            let spread = (1.0 - r * r).sqrt();
            prop_assert!((mean - r * y).abs() < 0.2 * spread, "{mean} for {}", r * y);
            prop_assert!((deviation / spread - 1.0).abs() < 0.15, "{deviation} for {spread}");
            prop_assert!((found[0].replacement - r * y).abs() < 0.03);
        }
    }

    #[test]
    fn members_that_expect_different_values_leave_room_for_both() {
        let encoding = Encoding {
            fields: vec![number()],
        };
        let two = |cells: &[f64], marks: &mut Marks| -> Result<(), Infallible> {
            marks.scores = cells.iter().map(|cell| (cell * cell) as f32).collect();
            let energies = cells
                .iter()
                .flat_map(|cell| [-0.3, 0.3].map(|at| 50.0 * (cell - at).powi(2) as f32));
            marks.energies = energies.collect();
            Ok(())
        };
        let found = conditionals(&encoding, 0..1, &[2.0], two).unwrap();
        let Expectation::Number { mean, deviation } = found[0].expectation else {
            unreachable!()
        };
        assert!(
            mean.abs() < 0.1 && (deviation - 0.32).abs() < 0.06,
            "{mean} {deviation}"
        );
    }

    #[test]
    fn the_likeliest_class_is_expected_with_its_probability() {
        let encoding = Encoding {
            fields: vec![field(Kind::Categorical, Part::OneHot { classes: 3 })],
        };
        let energy = |row: &[f64]| -[0.1_f64, 0.2, 0.7][row[0] as usize].ln();
        let found = conditionals(&encoding, 0..1, &[0.0], by(energy, 1)).unwrap();
        let Expectation::Class { cell, probability } = found[0].expectation else {
            unreachable!()
        };
        assert!(cell == 2.0 && (probability - 0.7).abs() < 1e-4);
        assert_eq!(found[0].replacement, 2.0);
    }

    #[test]
    fn a_missing_cell_is_replaced_as_any_other() {
        let encoding = Encoding {
            fields: vec![number(), number()],
        };
        let energy = |row: &[f64]| {
            if row[0].is_nan() {
                9.0
            } else {
                row[0] * row[0]
            }
        };
        let found = conditionals(&encoding, 0..2, &[f64::NAN, 1.0], by(energy, 2)).unwrap();
        // All of the nine nats are the missing cell's, and the integral of exp(-x^2).
        let free = -std::f32::consts::PI.sqrt().ln();
        assert!((found[0].energy - free).abs() < 0.13, "{found:?}");
        assert!((found[1].energy - 9.0).abs() < 1e-3 && found[0].score < 0.01);
    }

    #[test]
    fn a_field_without_a_column_is_not_asked() {
        let mut unused = number();
        unused.parts.clear();
        let encoding = Encoding {
            fields: vec![unused, number()],
        };
        let found = conditionals(&encoding, 0..2, &[1.0, 1.0], by(|row| row[1], 2)).unwrap();
        assert_eq!(found.iter().map(|c| c.field).collect::<Vec<_>>(), [1]);
    }
}
