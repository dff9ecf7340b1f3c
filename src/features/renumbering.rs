//! Cells of one vocabulary in the numbers of another.

use super::{Encoding, FieldSpec};
use crate::config::Kind;

/// Says which number a word of the rows has for a model.
#[derive(Debug)]
pub struct Renumbering {
    /// By field; none where cells are numbers already.
    fields: Vec<Option<Vec<f64>>>,
}

impl Renumbering {
    /// From the cells of rows to those of `encoding`, which has the same fields in the same order.
    pub fn of_rows(rows: &[FieldSpec], encoding: &Encoding) -> Renumbering {
        let words = rows.iter().map(|field| (field.kind, &field.words[..]));
        Renumbering::new(words, encoding)
    }

    /// From the cells of one model to those of another, which has the same fields in the same order.
    pub fn between(from: &Encoding, to: &Encoding) -> Renumbering {
        let fields = from.fields.iter();
        Renumbering::new(fields.map(|field| (field.kind, &field.vocabulary[..])), to)
    }

    fn new<'a>(
        from: impl Iterator<Item = (Kind, &'a [String])>,
        encoding: &Encoding,
    ) -> Renumbering {
        let fields = from.zip(&encoding.fields).map(|((kind, words), to)| {
            let number = |word| {
                let known = to.vocabulary.iter().position(|known| known == word);
                known.map_or(0.0, |index| (index + 1) as f64)
            };
            (kind == Kind::Categorical).then(|| {
                let numbers = words.iter().map(number);
                std::iter::once(0.0).chain(numbers).collect()
            })
        });
        Renumbering {
            fields: fields.collect(),
        }
    }

    /// Renumbers a row.
    pub fn apply(&self, row: &mut [f64]) {
        for (numbers, cell) in self.fields.iter().zip(row) {
            if let Some(numbers) = numbers
                && !cell.is_nan()
            {
                *cell = numbers.get(*cell as usize).copied().unwrap_or(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::EncodedField;

    #[test]
    fn words_get_the_numbers_that_the_model_has_for_them() {
        let rows = FieldSpec {
            path: "mode".into(),
            kind: Kind::Categorical,
            words: ["new", "a", "b"].map(String::from).to_vec(),
            least_deviation: 0.0,
        };
        let number = FieldSpec {
            path: "x".into(),
            kind: Kind::Numeric,
            words: vec![],
            ..rows.clone()
        };
        let field = |path: &str, kind, vocabulary: &[&str]| EncodedField {
            path: path.into(),
            kind,
            vocabulary: vocabulary.iter().map(ToString::to_string).collect(),
            parts: vec![],
        };
        let encoding = Encoding {
            fields: vec![
                field("mode", Kind::Categorical, &["b", "a"]),
                field("x", Kind::Numeric, &[]),
            ],
        };
        let renumbering = Renumbering::of_rows(&[rows, number], &encoding);
        for (word, expected) in [(0.0, 0.0), (1.0, 0.0), (2.0, 2.0), (3.0, 1.0), (9.0, 0.0)] {
            let mut row = [word, 7.5];
            renumbering.apply(&mut row);
            assert_eq!(row, [expected, 7.5]);
        }
        let mut row = [f64::NAN, f64::NAN];
        renumbering.apply(&mut row);
        assert!(row.iter().all(|cell| cell.is_nan()));
    }
}
