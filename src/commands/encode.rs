//! `outlierd encode`: records as codes.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::latent_map::Points;
use super::printer::{Printer, note};
use super::score::{budget, open_field};
use crate::cli::{self, RowFormat};
use crate::config::{Field, Input};
use crate::detect::{Detector, Model, Policy, Scored, Threshold};
use crate::files;
use crate::generate::{FieldError, Reconstruction, member};
use crate::record::{Decoder, Rejection, Vocabularies};
use crate::registry;

/// Rows scored at a time; a row's bits do not depend on it.
const ROWS: usize = 256;

/// One row of what is printed.
#[derive(Debug, Serialize)]
struct Code<'a> {
    /// Counted from 1.
    row: u64,
    /// Counted from 1.
    member: usize,
    /// Of the whole ensemble, as the next.
    p: f64,
    score: f32,
    /// The mean of the code's posterior.
    code: &'a [f32],
    /// Its deviation.
    deviation: Vec<f32>,
}

pub(super) fn run(arguments: &cli::Encode) -> anyhow::Result<()> {
    let model = registry::load(&arguments.member.model)?.model;
    let member = member(&model, arguments.member.member)?;
    let mut rows = files::open(&arguments.file)?;
    let mut encoding = Encoding::new(model, member, arguments)?;
    let mut record = Vec::new();
    let mut row = 0;
    while rows.next(&mut record)? {
        row += 1;
        encoding.add(row, &record)?;
    }
    encoding.flush()?;
    encoding.printer.finish()?;
    report(&encoding.errors, member, arguments.errors);
    if let (Some(file), Some(points)) = (&arguments.map, &encoding.points) {
        let title = format!("Codes of {} rows by member {}", points.rows(), member + 1);
        points.draw(&title, file)?;
    }
    Ok(())
}

struct Encoding {
    decoder: Decoder,
    vocabularies: Vocabularies,
    detector: Detector,
    member: usize,
    format: RowFormat,
    printer: Printer,
    fields: usize,
    cells: Vec<f64>,
    /// Numbers of the decoded rows, from 1.
    rows: Vec<u64>,
    errors: Reconstruction,
    /// The p-value at or below which a row is flagged.
    threshold: f64,
    /// What is drawn, if anything is.
    points: Option<Points>,
}

impl Encoding {
    fn new(model: Arc<Model>, member: usize, arguments: &cli::Encode) -> anyhow::Result<Encoding> {
        let format = arguments.format;
        let (calibration, rate) = (&model.calibration, model.provenance.records_per_day);
        let threshold = Threshold::new(budget(&arguments.budget)?, calibration, rate)
            .map_err(anyhow::Error::msg)?;
        let latent = model.shape.latent;
        let fields: Vec<Field> = model.encoding.fields.iter().map(open_field).collect();
        let mut printer = Printer::new();
        if format == RowFormat::Csv {
            let units = 1..=model.shape.latent;
            let names = ["row", "member", "p", "score"].map(ToOwned::to_owned);
            let codes = units.clone().map(|unit| format!("code_{unit}"));
            let deviations = units.map(|unit| format!("deviation_{unit}"));
            printer.row(names.into_iter().chain(codes).chain(deviations))?;
        }
        Ok(Encoding {
            decoder: Decoder::new(&fields, &Input::of_records())?,
            vocabularies: Vocabularies::frozen(model.encoding.vocabularies()),
            errors: Reconstruction::new(Arc::clone(&model)),
            detector: Detector::new(model, Arc::new(Policy::open(fields.len())))?,
            member,
            format,
            printer,
            fields: fields.len(),
            cells: Vec::new(),
            rows: Vec::new(),
            threshold: threshold.p,
            points: arguments.map.as_ref().map(|_| Points::new(latent)),
        })
    }

    fn add(&mut self, row: u64, record: &[u8]) -> anyhow::Result<()> {
        let start = self.cells.len();
        self.cells.resize(start + self.fields, f64::NAN);
        let cells = &mut self.cells[start..];
        match self.decoder.decode(record, &mut self.vocabularies, cells) {
            Ok(_) => self.rows.push(row),
            Err(rejection) => {
                self.cells.truncate(start);
                self.flush()?;
                self.reject(row, &rejection)?;
            }
        }
        if self.rows.len() >= ROWS {
            self.flush()?;
        }
        Ok(())
    }

    /// A row that has no code. CSV has no place for it.
    fn reject(&mut self, row: u64, rejection: &Rejection) -> anyhow::Result<()> {
        let error = rejection.to_string();
        match self.format {
            RowFormat::Csv => note(format_args!("row {row} is left out: {error}")),
            RowFormat::Ndjson => {
                let class = rejection.class.as_str();
                let rejected = json!({"row": row, "rejected": class, "error": error});
                self.printer.line(&rejected.to_string())?;
            }
        }
        Ok(())
    }

    /// Encodes and prints what was added, in the file's order.
    fn flush(&mut self) -> anyhow::Result<()> {
        let scored = self.detector.score(&self.cells)?.to_vec();
        let shape = &self.detector.model().shape;
        let (width, heads, latent) = (shape.width(), shape.heads.len(), shape.latent);
        let Some(output) = self.detector.output(self.member) else {
            return Ok(());
        };
        for (index, (&row, Scored { p, score, .. })) in self.rows.iter().zip(scored).enumerate() {
            let variance = output.code_variance[index * latent..][..latent].iter();
            let code = Code {
                row,
                member: self.member + 1,
                p,
                score,
                code: &output.code[index * latent..][..latent],
                deviation: variance.map(|variance| variance.sqrt()).collect(),
            };
            if let Some(points) = &mut self.points {
                points.add(code.code, p <= self.threshold);
            }
            match self.format {
                RowFormat::Ndjson => self.printer.line(&serde_json::to_string(&code)?)?,
                RowFormat::Csv => self.printer.row(code.texts())?,
            }
            self.errors.add(
                &self.cells[index * self.fields..][..self.fields],
                &output.expected[index * width..][..width],
                &output.head_squared[index * heads..][..heads],
            );
        }
        self.cells.clear();
        self.rows.clear();
        Ok(())
    }
}

impl Code<'_> {
    fn texts(&self) -> Vec<String> {
        let mut texts = vec![
            self.row.to_string(),
            self.member.to_string(),
            self.p.to_string(),
            self.score.to_string(),
        ];
        let numbers = self.code.iter().chain(&self.deviation);
        texts.extend(numbers.map(ToString::to_string));
        texts
    }
}

/// Says what the way there and back costs.
fn report(errors: &Reconstruction, member: usize, by_field: bool) {
    let (rows, number) = (errors.rows(), member + 1);
    note(format_args!(
        "{rows} rows by member {number}; there and back, the squared error is {:.4} a row and {:.4} \
         a value, in scaled units",
        errors.a_row(),
        errors.a_head()
    ));
    if !by_field {
        return;
    }
    for (path, error) in errors.fields() {
        match error {
            FieldError::None => note(format_args!("  {path}: not seen")),
            FieldError::Number {
                absolute,
                root_square,
            } => note(format_args!(
                "  {path}: off by {absolute:.4} on average, root of the mean square {root_square:.4}"
            )),
            FieldError::Wrong(share) => {
                note(format_args!(
                    "  {path}: another value in {:.2} %",
                    100.0 * share
                ));
            }
            FieldError::Seconds(seconds) => {
                note(format_args!("  {path}: off by {seconds:.0} s on average"));
            }
        }
    }
}
