//! Fitting an [`Encoding`] on training rows.

use crate::config::Kind;

use super::decoding::round;
use super::{EncodedField, Encoding, Part, Table};

/// Mean and deviation are taken of values clipped to these quantiles, so that a few absurd readings
/// in the training rows do not set the scale.
const CLIPPED_SHARE: f64 = 0.001;

/// Words that a categorical field keeps; the others share one class. Each word costs a column.
pub const MAX_WORDS: usize = 63;

/// Values with more digits after the point than this are taken for real numbers.
const MOST_DECIMALS: u8 = 6;

/// A value counts as rounded if it is so but for this part of it: sums and products in `f64` leave
/// a few units of 1e-16 behind, as in 282.90000000000003.
const ROUNDING: f64 = 1e-13;

/// A word that came less often than this in training is no better known than one that never came: it
/// shares their class. So the class is learnt to be as likely as words that come once are, which is
/// the estimate of Good (1953) and Turing for words that never came.
const LEAST_COUNT: usize = 2;

/// A field to encode, and the words seen in it.
#[derive(Debug, Clone)]
pub struct FieldSpec {
    pub path: String,
    pub kind: Kind,
    /// Of a categorical field, the words by their cell value less one.
    pub words: Vec<String>,
    /// Of a number, the least deviation that means anything, in its own units; 0 if unknown.
    pub least_deviation: f64,
}

/// Why training rows cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    #[error("there are no training rows")]
    NoRows,
    #[error(
        "no field varies in the training rows: {still}: there is nothing to learn; name other fields \
         or a longer time range"
    )]
    NothingVaries {
        /// Which fields are how.
        still: String,
    },
}

impl Encoding {
    /// Fits scales and vocabularies on `rows`, whose categorical cells are 1 + an index into the
    /// field's `words`. Also returns the rows with those cells renumbered to the kept words.
    pub fn fit(fields: &[FieldSpec], mut rows: Table) -> Result<(Encoding, Table), FitError> {
        if rows.rows() == 0 {
            return Err(FitError::NoRows);
        }
        if let Some(still) = still_fields(fields, &rows) {
            return Err(FitError::NothingVaries { still });
        }
        let fields: Vec<_> = fields
            .iter()
            .enumerate()
            .map(|(index, spec)| fit_field(spec, index, &mut rows))
            .collect();
        if fields.iter().all(|field| field.parts.is_empty()) {
            let paths: Vec<_> = fields.iter().map(|field| field.path.as_str()).collect();
            let still = format!(
                "{} have no scale and no word that repeats",
                paths.join(", ")
            );
            return Err(FitError::NothingVaries { still });
        }
        Ok((Encoding { fields }, rows))
    }
}

/// What to say of fields that are all constant or absent; `None` if one varies.
fn still_fields(fields: &[FieldSpec], rows: &Table) -> Option<String> {
    let (mut constant, mut absent) = (Vec::new(), Vec::new());
    for (index, spec) in fields.iter().enumerate() {
        let values = rows.present(index);
        let (low, high, count) = values
            .fold((f64::MAX, f64::MIN, 0), |(low, high, count), value| {
                (value.min(low), value.max(high), count + 1)
            });
        match count {
            0 => absent.push(spec.path.as_str()),
            _ if low < high || spec.least_deviation > 0.0 => return None,
            _ => constant.push(spec.path.as_str()),
        }
    }
    let say = |paths: &[&str], one: &str, many: &str| match paths {
        [] => None,
        [path] => Some(format!("{path} {one}")),
        _ => Some(format!("{} {many}", paths.join(", "))),
    };
    let constant = say(&constant, "is constant", "are constant");
    let absent = say(&absent, "is in no row", "are in no row");
    let still: Vec<String> = constant.into_iter().chain(absent).collect();
    Some(still.join("; "))
}

fn fit_field(spec: &FieldSpec, index: usize, rows: &mut Table) -> EncodedField {
    let mut vocabulary = vec![];
    let parts = match spec.kind {
        Kind::Numeric => fit_number(rows.present(index).collect(), spec.least_deviation)
            .into_iter()
            .collect(),
        Kind::Timestamp => fit_time(rows.present(index)),
        Kind::Boolean if rows.present(index).next().is_some() => vec![Part::Flag],
        Kind::Boolean => vec![],
        Kind::Categorical => {
            vocabulary = keep_frequent_words(&spec.words, index, rows);
            let classes = vocabulary.len() + 1;
            if vocabulary.is_empty() {
                vec![]
            } else {
                vec![Part::OneHot { classes }]
            }
        }
    };
    EncodedField {
        path: spec.path.clone(),
        kind: spec.kind,
        vocabulary,
        parts,
    }
}

/// Mean and deviation of the clipped values; `None` when they do not vary.
///
/// Half of the least deviation that means anything is the finest scale: without this floor a
/// reading that hardly moved while it was learnt would make an outlier of every trifle. With it
/// even a constant one has a scale, and is noticed when it moves at last.
fn fit_number(mut values: Vec<f64>, least_deviation: f64) -> Option<Part> {
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (
        quantile(&values, CLIPPED_SHARE)?,
        quantile(&values, 1.0 - CLIPPED_SHARE)?,
    );
    let count = values.len() as f64;
    let clipped = || values.iter().map(|value| value.clamp(low, high));
    let mean = clipped().sum::<f64>() / count;
    let deviation = (clipped().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let varies = deviation > 1e-9 * mean.abs().max(1e-9);
    (varies || least_deviation > 0.0).then_some(Part::Scaled {
        mean,
        deviation: deviation.max(least_deviation / 2.0),
        low,
        high,
        decimals: decimals(&values),
    })
}

/// Digits after the point that `values` have at most; `None` beyond [`MOST_DECIMALS`].
fn decimals(values: &[f64]) -> Option<u8> {
    values.iter().try_fold(0, |digits, &value| {
        (digits..=MOST_DECIMALS)
            .find(|&digits| (round(value, digits.into()) - value).abs() <= ROUNDING * value.abs())
    })
}

/// The value below which the share `q` of the sorted values lies (nearest rank).
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((q * last as f64).round() as usize).copied()
}

fn fit_time(times: impl Iterator<Item = f64>) -> Vec<Part> {
    let (low, high) = times.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), time| {
        (low.min(time), high.max(time))
    });
    Part::cycles(high - low)
}

/// Keeps the most frequent words and renumbers the field's cells accordingly.
fn keep_frequent_words(words: &[String], field: usize, rows: &mut Table) -> Vec<String> {
    let mut counts = vec![0_usize; words.len() + 1];
    for cell in rows.present(field) {
        if let Some(count) = counts.get_mut(cell as usize) {
            *count += 1;
        }
    }
    let repeats = |word: &usize| counts[*word] >= LEAST_COUNT;
    let mut order: Vec<usize> = (1..=words.len()).filter(repeats).collect();
    // By their letters where counts are equal: partitions are read in no fixed order.
    order.sort_by_key(|&word| (std::cmp::Reverse(counts[word]), &words[word - 1]));
    order.truncate(MAX_WORDS);
    let mut renumbered = vec![0.0; words.len() + 1];
    for (new, &old) in order.iter().enumerate() {
        renumbered[old] = (new + 1) as f64;
    }
    rows.map_field(field, |cell| {
        renumbered.get(cell as usize).copied().unwrap_or(0.0)
    });
    order.iter().map(|&word| words[word - 1].clone()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn spec(kind: Kind, words: &[&str]) -> FieldSpec {
        FieldSpec {
            path: "f".into(),
            kind,
            words: words.iter().map(ToString::to_string).collect(),
            least_deviation: 0.0,
        }
    }

    fn column(cells: &[f64]) -> Table {
        let mut table = Table::new(1);
        cells.iter().for_each(|&cell| table.push(&[cell]));
        table
    }

    #[test]
    fn the_scale_ignores_one_absurd_reading_in_thousands() {
        let mut cells: Vec<f64> = (0..4000).map(|row| f64::from(row % 10)).collect();
        cells[77] = 1e12;
        let (encoding, _) = Encoding::fit(&[spec(Kind::Numeric, &[])], column(&cells)).unwrap();
        let Part::Scaled {
            mean, deviation, ..
        } = encoding.fields[0].parts[0]
        else {
            unreachable!("a number is scaled")
        };
        assert!((mean - 4.5).abs() < 0.01 && (deviation - 2.872).abs() < 0.01);
    }

    #[test]
    fn a_constant_field_has_no_part_and_a_table_of_them_is_refused() {
        let both = [spec(Kind::Numeric, &[]), spec(Kind::Numeric, &[])];
        let mut rows = Table::new(2);
        (0..10).for_each(|row| rows.push(&[3.0, f64::from(row)]));
        let (encoding, _) = Encoding::fit(&both, rows).unwrap();
        assert_eq!(encoding.field_of_head(), [1]);
        let refused = Encoding::fit(&both[..1], column(&[3.0, 3.0, f64::NAN]));
        assert!(matches!(refused, Err(FitError::NothingVaries { .. })));
    }

    #[test]
    fn a_scale_is_no_finer_than_half_of_what_means_anything() {
        let mut still = spec(Kind::Numeric, &[]);
        still.least_deviation = 5.0;
        let (encoding, _) = Encoding::fit(&[still], column(&[3.0, 3.0])).unwrap();
        let Part::Scaled { deviation, .. } = encoding.fields[0].parts[0] else {
            unreachable!("a number is scaled")
        };
        assert_eq!(deviation, 2.5);
    }

    #[test]
    fn the_digits_after_the_point_are_those_of_the_finest_value() {
        assert_eq!(decimals(&[3.0, -7.0, 1e15]), Some(0));
        assert_eq!(decimals(&[3.0, 0.1, 61.29, 7.0]), Some(2));
        assert_eq!(decimals(&[1e-6, 0.3]), Some(6));
        assert_eq!(decimals(&[0.5, 1.0 / 3.0]), None);
        assert_eq!(decimals(&[0.0, 5.0 * 56.58, 0.1 + 0.2]), Some(1));
    }

    #[test]
    fn words_are_renumbered_by_frequency() {
        let words = spec(Kind::Categorical, &["rare", "often", "never", "as rare"]);
        let cells = [1.0, 2.0, 4.0, 4.0, 2.0, 1.0, 2.0];
        let (encoding, rows) = Encoding::fit(&[words], column(&cells)).unwrap();
        assert_eq!(encoding.fields[0].vocabulary, ["often", "as rare", "rare"]);
        let renumbered: Vec<f64> = rows.present(0).collect();
        assert_eq!(renumbered, [3.0, 1.0, 2.0, 2.0, 1.0, 3.0, 1.0]);
    }

    #[test]
    fn a_word_that_came_once_is_one_of_the_unknown() {
        let words = spec(Kind::Categorical, &["often", "once"]);
        let (encoding, rows) = Encoding::fit(&[words], column(&[1.0, 1.0, 2.0])).unwrap();
        assert_eq!(encoding.fields[0].vocabulary, ["often"]);
        assert_eq!(rows.present(0).collect::<Vec<_>>(), [1.0, 1.0, 0.0]);
    }

    #[test]
    fn fields_that_do_not_vary_are_named_with_what_they_are() {
        let fields = ["a", "b", "c"].map(|path| FieldSpec {
            path: path.into(),
            ..spec(Kind::Numeric, &[])
        });
        let mut rows = Table::new(3);
        (0..9).for_each(|_| rows.push(&[1.0, f64::NAN, 2.0]));
        let refused = Encoding::fit(&fields, rows).err().unwrap().to_string();
        assert!(
            refused.contains("a, c are constant; b is in no row"),
            "{refused}"
        );
    }
}
