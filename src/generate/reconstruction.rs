//! What the way through the network and back costs.

use std::sync::Arc;

use crate::config::Kind;
use crate::detect::Model;
use crate::features::EncodedField;

/// Errors of rows that were encoded and decoded again, summed up.
#[derive(Debug, Clone)]
pub struct Reconstruction {
    model: Arc<Model>,
    field_of_head: Vec<usize>,
    rows: usize,
    /// Over rows and present heads, scaled units.
    squared: f64,
    heads: usize,
    fields: Vec<Sums>,
    present: Vec<f32>,
    decoded: Vec<f64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    cells: usize,
    absolute: f64,
    squared: f64,
}

/// The error of one field over the rows that have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FieldError {
    /// The network does not see the field, or no row has it.
    None,
    /// Of a number, in its own units: the mean of the errors' sizes, and the root of the mean of
    /// their squares.
    Number { absolute: f64, root_square: f64 },
    /// Of a boolean or a word: the share of other values than the record's.
    Wrong(f64),
    /// Of the place of a time in its day or week, seconds.
    Seconds(f64),
}

impl Reconstruction {
    pub fn new(model: Arc<Model>) -> Reconstruction {
        let fields = model.encoding.fields.len();
        let field_of_head = model.encoding.field_of_head();
        Reconstruction {
            rows: 0,
            squared: 0.0,
            heads: 0,
            fields: vec![Sums::default(); fields],
            present: vec![0.0; field_of_head.len()],
            decoded: vec![f64::NAN; fields],
            field_of_head,
            model,
        }
    }

    /// Adds a row: its `cells`, and what one member said of it, the expectation of each column and
    /// the squared error of each head.
    pub fn add(&mut self, cells: &[f64], expected: &[f32], head_squared: &[f32]) {
        self.rows += 1;
        self.squared += head_squared.iter().copied().map(f64::from).sum::<f64>();
        for (mark, &field) in self.present.iter_mut().zip(&self.field_of_head) {
            let there = !cells[field].is_nan();
            *mark = f32::from(u8::from(there));
            self.heads += usize::from(there);
        }
        let encoding = &self.model.encoding;
        encoding.decode(expected, &self.present, &mut self.decoded);
        let fields = encoding.fields.iter().zip(cells).zip(&self.decoded);
        for (sums, ((field, &cell), &decoded)) in self.fields.iter_mut().zip(fields) {
            if cell.is_nan() || decoded.is_nan() {
                continue;
            }
            let error = error(field, cell, decoded);
            sums.cells += 1;
            sums.absolute += error;
            sums.squared += error * error;
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Mean of the squared errors' sum a row, in scaled units.
    pub fn a_row(&self) -> f64 {
        self.squared / self.rows.max(1) as f64
    }

    /// Mean of the squared error a head that is present, in scaled units.
    pub fn a_head(&self) -> f64 {
        self.squared / self.heads.max(1) as f64
    }

    /// Path and error of each field.
    pub fn fields(&self) -> impl Iterator<Item = (&str, FieldError)> {
        let fields = self.model.encoding.fields.iter().zip(&self.fields);
        fields.map(|(field, sums)| (field.path.as_str(), sums.error(field.kind)))
    }
}

impl Sums {
    fn error(self, kind: Kind) -> FieldError {
        if self.cells == 0 {
            return FieldError::None;
        }
        let mean = self.absolute / self.cells as f64;
        match kind {
            Kind::Numeric => FieldError::Number {
                absolute: mean,
                root_square: (self.squared / self.cells as f64).sqrt(),
            },
            Kind::Boolean | Kind::Categorical => FieldError::Wrong(mean),
            Kind::Timestamp => FieldError::Seconds(mean),
        }
    }
}

/// The size of the error: units of the field, seconds around the period, or 1 for another value.
fn error(field: &EncodedField, cell: f64, decoded: f64) -> f64 {
    match field.period() {
        Some(period) => {
            let off = (cell - decoded).rem_euclid(period);
            off.min(period - off)
        }
        None if field.kind == Kind::Numeric => (field.rounded(decoded) - cell).abs(),
        None => f64::from(u8::from(decoded != cell)),
    }
}
