//! The fitted map from cells to columns.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

use crate::config::Kind;
use crate::vae::Head;

/// Scaled numbers beyond this are clipped, so that one absurd reading stays finite in `f32` and in
/// the network; 20 to 50 make no difference to detection.
pub const CLIP: f64 = 50.0;

const DAY: f64 = 86_400.0;
const WEEK: f64 = 7.0 * DAY;

/// The fitted map from a record's cells to the network's columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoding {
    pub fields: Vec<EncodedField>,
}

/// One configured field and the heads that it feeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncodedField {
    /// Dotted path in the record.
    pub path: String,
    pub kind: Kind,
    /// Words of a categorical field; a cell's value is 1 + the index here, 0 is any other word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vocabulary: Vec<String>,
    /// Heads of this field; none if it was constant or absent in training.
    pub parts: Vec<Part>,
}

/// What one head's columns are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// (value - mean) / deviation. `low` and `high` are the ends of what training saw, less the
    /// outermost thousandth: what a record may be expected to be.
    Scaled {
        mean: f64,
        deviation: f64,
        low: f64,
        high: f64,
        /// Digits after the point that the values in training had at most: 0 are whole numbers.
        /// None if there were more than six, or if it is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decimals: Option<u8>,
    },
    /// A boolean as it is.
    Flag,
    /// One column a class; class 0 is every word that is not in the vocabulary.
    OneHot { classes: usize },
    /// sin or cos of the time's place in a period, times the square root of two (unit variance).
    Cycle { seconds: f64, cosine: bool },
}

impl Part {
    pub(super) fn head(&self) -> Head {
        match self {
            Part::Scaled { .. } | Part::Cycle { .. } => Head::Gaussian,
            Part::Flag => Head::Bernoulli,
            Part::OneHot { classes } => Head::Categorical { classes: *classes },
        }
    }

    /// The cyclical parts that `span` seconds of training data can carry: two periods or more.
    pub(super) fn cycles(span: f64) -> Vec<Part> {
        [DAY, WEEK]
            .into_iter()
            .filter(|period| span >= 2.0 * period)
            .flat_map(|seconds| [false, true].map(|cosine| Part::Cycle { seconds, cosine }))
            .collect()
    }
}

impl Encoding {
    /// The likelihood's heads, in column order.
    pub fn heads(&self) -> Vec<Head> {
        self.fields
            .iter()
            .flat_map(|field| field.parts.iter().map(Part::head))
            .collect()
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.heads().into_iter().map(Head::width).sum()
    }

    /// The field that each head belongs to.
    pub fn field_of_head(&self) -> Vec<usize> {
        self.fields
            .iter()
            .enumerate()
            .flat_map(|(index, field)| field.parts.iter().map(move |_| index))
            .collect()
    }

    /// Turns one record's `cells` (one a field) into `values` (one a column) and `present` (one a
    /// head, 1 or 0).
    pub fn encode(&self, cells: &[f64], values: &mut [f32], present: &mut [f32]) {
        let (mut column, mut head) = (0, 0);
        for (field, &cell) in self.fields.iter().zip(cells) {
            let there = !cell.is_nan();
            // Most fields are numbers, and their one column costs no loop.
            if let [
                Part::Scaled {
                    mean, deviation, ..
                },
            ] = &field.parts[..]
            {
                present[head] = f32::from(u8::from(there));
                values[column] = if there {
                    scale(cell, *mean, *deviation)
                } else {
                    0.0
                };
                (column, head) = (column + 1, head + 1);
                continue;
            }
            for part in &field.parts {
                present[head] = if there { 1.0 } else { 0.0 };
                head += 1;
                column += match part {
                    Part::OneHot { classes } => {
                        let slots = &mut values[column..column + classes];
                        slots.fill(0.0);
                        if there {
                            // An index past the classes was cut from the vocabulary: unknown.
                            let class = (cell as usize).min(*classes);
                            slots[if class == *classes { 0 } else { class }] = 1.0;
                        }
                        *classes
                    }
                    single => {
                        values[column] = if there { single.scale(cell) } else { 0.0 };
                        1
                    }
                };
            }
        }
    }

    /// The words of the categorical fields, in their order: what a decoder numbers cells by.
    pub fn vocabularies(&self) -> Vec<Vec<String>> {
        self.fields
            .iter()
            .filter(|field| field.kind == Kind::Categorical)
            .map(|field| field.vocabulary.clone())
            .collect()
    }

    /// Hash-ready text of everything that decides how bytes become columns.
    pub fn fingerprint_text(&self) -> String {
        self.fields
            .iter()
            .map(|field| format!("{}\u{1f}{:?}\u{1e}", field.path, field.kind))
            .collect()
    }
}

impl Part {
    /// One cell in the units of its column.
    fn scale(&self, cell: f64) -> f32 {
        match self {
            Part::Scaled {
                mean, deviation, ..
            } => scale(cell, *mean, *deviation),
            Part::Cycle { seconds, cosine } => {
                let angle = cell.rem_euclid(*seconds) / seconds * TAU;
                (std::f64::consts::SQRT_2 * if *cosine { angle.cos() } else { angle.sin() }) as f32
            }
            Part::Flag | Part::OneHot { .. } => cell as f32,
        }
    }
}

#[inline(always)]
fn scale(cell: f64, mean: f64, deviation: f64) -> f32 {
    ((cell - mean) / deviation).clamp(-CLIP, CLIP) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: Kind, parts: Vec<Part>) -> EncodedField {
        EncodedField {
            path: "f".into(),
            kind,
            vocabulary: vec![],
            parts,
        }
    }

    fn mixed() -> Encoding {
        Encoding {
            fields: vec![
                field(
                    Kind::Numeric,
                    vec![Part::Scaled {
                        mean: 10.0,
                        deviation: 2.0,
                        low: 5.0,
                        high: 15.0,
                        decimals: None,
                    }],
                ),
                field(Kind::Categorical, vec![Part::OneHot { classes: 3 }]),
                field(Kind::Boolean, vec![Part::Flag]),
            ],
        }
    }

    #[test]
    fn cells_become_scaled_one_hot_and_flag_columns() {
        let (mut values, mut present) = ([9.0; 5], [9.0; 3]);
        mixed().encode(&[14.0, 2.0, 1.0], &mut values, &mut present);
        assert_eq!(values, [2.0, 0.0, 0.0, 1.0, 1.0]);
        assert_eq!(present, [1.0; 3]);
    }

    #[test]
    fn a_missing_cell_is_masked_and_zero() {
        let (mut values, mut present) = ([9.0; 5], [9.0; 3]);
        mixed().encode(&[f64::NAN; 3], &mut values, &mut present);
        assert_eq!(values, [0.0; 5]);
        assert_eq!(present, [0.0; 3]);
    }

    #[test]
    fn a_category_cut_from_the_vocabulary_is_unknown_and_an_absurd_number_is_clipped() {
        let (mut values, mut present) = ([9.0; 5], [9.0; 3]);
        mixed().encode(&[1e300, 7.0, 0.0], &mut values, &mut present);
        assert_eq!(values, [CLIP as f32, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn midnight_and_the_next_midnight_are_the_same_time_of_day() {
        let part = &Part::cycles(3.0 * DAY)[0];
        assert!((part.scale(0.0) - part.scale(5.0 * DAY)).abs() < 1e-6);
        assert!(Part::cycles(1.9 * DAY).is_empty());
        assert_eq!(Part::cycles(15.0 * DAY).len(), 4);
    }
}
