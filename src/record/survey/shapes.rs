//! Which sorts of records share the topic, and what tells them apart.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::column::share;
use super::flatten::leaves;
use super::{Survey, names};

/// Records whose paths overlap less than this (Jaccard's index) have different shapes.
const ALIKE: f64 = 0.7;
/// Shapes with a smaller share of the records are noise.
const SMALLEST_SHARE: f64 = 0.01;
const MAX_SHAPES: usize = 64;
/// Words of a field that may tell shapes apart.
const MAX_WORDS: usize = 64;
/// How clean a condition must be: it holds for this share of the shape, and fails for this share of
/// the others.
const CLEAN: f64 = 0.99;

/// Records with about the same paths.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Share of the records, 0 to 1.
    pub share: f64,
    /// The paths of its most frequent form.
    pub paths: Vec<String>,
}

/// The shapes of a survey, the most frequent one first.
pub(super) struct Shapes {
    /// Which shape each row has; `None` beyond [`MAX_SHAPES`].
    pub of_row: Vec<Option<usize>>,
    /// Path numbers of each shape, and its records.
    shapes: Vec<(Vec<usize>, usize)>,
}

impl Shapes {
    pub fn of(survey: &Survey) -> Self {
        let mut counts = vec![0; survey.shapes.len()];
        for row in &survey.rows {
            counts[row.shape] += 1;
        }
        let mut forms: Vec<_> = survey
            .shapes
            .iter()
            .map(|(paths, &form)| (paths, form))
            .collect();
        forms.sort_by_key(|&(_, form)| (std::cmp::Reverse(counts[form]), form));
        let mut shapes: Vec<(Vec<usize>, usize)> = Vec::new();
        let mut of_form = vec![None; counts.len()];
        for (paths, form) in forms {
            let alike = shapes
                .iter()
                .position(|(other, _)| likeness(paths, other) >= ALIKE);
            let shape = match alike {
                Some(shape) => shape,
                None if shapes.len() < MAX_SHAPES => {
                    shapes.push((paths.clone(), 0));
                    shapes.len() - 1
                }
                None => continue,
            };
            shapes[shape].1 += counts[form];
            of_form[form] = Some(shape);
        }
        let mut order: Vec<usize> = (0..shapes.len()).collect();
        order.sort_by_key(|&shape| std::cmp::Reverse(shapes[shape].1));
        let mut rank = vec![0; shapes.len()];
        for (place, &shape) in order.iter().enumerate() {
            rank[shape] = place;
        }
        let rows = survey.rows.iter();
        Self {
            of_row: rows
                .map(|row| of_form[row.shape].map(|shape| rank[shape]))
                .collect(),
            shapes: order
                .into_iter()
                .map(|shape| std::mem::take(&mut shapes[shape]))
                .collect(),
        }
    }

    /// The shapes that are more than noise.
    pub fn listed(&self, survey: &Survey) -> Vec<Shape> {
        let name = |&path: &usize| survey.paths[path].clone();
        let shapes = self.shapes.iter().map(|(paths, rows)| Shape {
            share: share(*rows, survey.rows.len()),
            paths: paths.iter().map(name).collect(),
        });
        shapes
            .filter(|shape| shape.share >= SMALLEST_SHARE)
            .collect()
    }

    /// A `where` that holds for the most frequent shape and no other, if one condition can say so.
    pub fn filter(&self, survey: &Survey) -> Option<String> {
        let mut tally = Tally::default();
        for (row, shape) in survey.rows.iter().zip(&self.of_row) {
            tally.add(&row.value(), *shape == Some(0));
        }
        tally.by_word().or_else(|| tally.by_path())
    }
}

/// Jaccard's index of two sorted lists.
fn likeness(a: &[usize], b: &[usize]) -> f64 {
    let common = a
        .iter()
        .filter(|path| b.binary_search(path).is_ok())
        .count();
    match a.len() + b.len() - common {
        0 => 1.0,
        all => share(common, all),
    }
}

/// Counts inside (first) and outside of the most frequent shape.
type InAndOut = [usize; 2];

#[derive(Default)]
struct Tally {
    rows: InAndOut,
    paths: BTreeMap<String, InAndOut>,
    words: BTreeMap<String, HashMap<String, InAndOut>>,
}

impl Tally {
    fn add(&mut self, record: &Value, inside: bool) {
        let side = usize::from(!inside);
        self.rows[side] += 1;
        for (path, value) in leaves(record) {
            if let Value::String(word) = value {
                let words = self.words.entry(path.clone()).or_default();
                // One word too many stays, as the sign that the field has many.
                if words.len() <= MAX_WORDS {
                    words.entry(word.clone()).or_default()[side] += 1;
                }
            }
            if !value.is_null() {
                self.paths.entry(path).or_default()[side] += 1;
            }
        }
    }

    fn is_clean(&self, [inside, outside]: InAndOut) -> bool {
        share(inside, self.rows[0]) >= CLEAN && share(outside, self.rows[1]) <= 1.0 - CLEAN
    }

    fn by_word(&self) -> Option<String> {
        let mut best: Option<(bool, String)> = None;
        for (path, words) in &self.words {
            if words.len() > MAX_WORDS {
                continue;
            }
            let clean = words.iter().find(|(_, counts)| self.is_clean(**counts));
            let telling = names::is_type(path);
            if let Some((word, _)) = clean
                && best.as_ref().is_none_or(|(other, _)| telling && !other)
            {
                best = Some((telling, equals(path, word)));
            }
        }
        best.map(|(_, condition)| condition)
    }

    fn by_path(&self) -> Option<String> {
        let mut clean = self
            .paths
            .iter()
            .filter(|(_, counts)| self.is_clean(**counts));
        clean
            .next()
            .map(|(path, _)| format!("{} exists", plain_or_quoted(path)))
    }
}

/// The condition that `path` reads `word`, as `where` spells it.
pub(super) fn equals(path: &str, word: &str) -> String {
    format!("{} = {}", plain_or_quoted(path), quoted('"', word))
}

fn plain_or_quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-.$@/:".contains(c);
    match path.chars().all(is_plain) {
        true => path.to_owned(),
        false => quoted('`', path),
    }
}

fn quoted(mark: char, text: &str) -> String {
    let mut quoted = String::from(mark);
    for character in text.chars() {
        if character == mark || character == '\\' {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push(mark);
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_quote_what_is_not_plain() {
        assert_eq!(equals("type", "a \"b\""), r#"type = "a \"b\"""#);
        assert_eq!(equals("a b", "c"), "`a b` = \"c\"");
        assert_eq!(plain_or_quoted("a\\.b"), "`a\\\\.b`");
    }

    #[test]
    fn likeness_is_the_share_of_common_paths() {
        assert_eq!(likeness(&[1, 2, 3], &[2, 3, 4]), 0.5);
        assert_eq!(likeness(&[], &[]), 1.0);
    }
}
