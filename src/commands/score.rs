//! `outlierd score`: the line's scoring, offline.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use serde_json::json;

use crate::cli;
use crate::config::{Budget, Field, Input};
use crate::detect::{Detector, FieldPolicy, Policy, Threshold, Verdict, sentence};
use crate::features::EncodedField;
use crate::files;
use crate::record::{Decoder, Vocabularies};
use crate::registry;

/// Rows scored at a time; a row's bits do not depend on it.
const ROWS: usize = 256;

pub(super) fn run(arguments: &cli::Score) -> anyhow::Result<()> {
    let budget = budget(&arguments.budget)?;
    let stored = registry::load(&arguments.model)?;
    let model = &stored.model;
    let fields: Vec<Field> = model.encoding.fields.iter().map(open_field).collect();
    let rate = model.provenance.records_per_day;
    let policy = Policy {
        threshold: Threshold::new(budget, &model.calibration, rate).map_err(anyhow::Error::msg)?,
        fields: fields.iter().map(FieldPolicy::of).collect(),
    };
    let mut scoring = Scoring {
        decoder: Decoder::new(&fields, &Input::of_records())?,
        vocabularies: Vocabularies::frozen(model.encoding.vocabularies()),
        detector: Detector::new(Arc::clone(model), Arc::new(policy))?,
        fields: fields.len(),
        outliers_only: arguments.outliers,
        output: BufWriter::new(std::io::stdout().lock()),
        cells: Vec::new(),
        rows: Vec::new(),
    };
    let mut rows = files::open(&arguments.file)?;
    let mut record = Vec::new();
    let mut row = 0;
    while rows.next(&mut record)? {
        row += 1;
        scoring.add(row, &record)?;
    }
    scoring.flush()?;
    Ok(scoring.output.flush()?)
}

struct Scoring<W: Write> {
    decoder: Decoder,
    vocabularies: Vocabularies,
    detector: Detector,
    fields: usize,
    outliers_only: bool,
    output: W,
    cells: Vec<f64>,
    /// Numbers of the decoded rows, from 1.
    rows: Vec<u64>,
}

impl<W: Write> Scoring<W> {
    fn add(&mut self, row: u64, record: &[u8]) -> anyhow::Result<()> {
        let start = self.cells.len();
        self.cells.resize(start + self.fields, f64::NAN);
        let cells = &mut self.cells[start..];
        match self.decoder.decode(record, &mut self.vocabularies, cells) {
            Ok(_) => self.rows.push(row),
            Err(rejection) => {
                self.cells.truncate(start);
                self.flush()?;
                let rejected = json!({
                    "row": row,
                    "rejected": rejection.class.as_str(),
                    "error": rejection.to_string(),
                });
                writeln!(self.output, "{rejected}")?;
            }
        }
        if self.rows.len() >= ROWS {
            self.flush()?;
        }
        Ok(())
    }

    /// Scores and prints what was added, in the file's order.
    fn flush(&mut self) -> anyhow::Result<()> {
        let scored = self.detector.score(&self.cells)?.to_vec();
        for (index, (row, scored)) in self.rows.iter().zip(scored).enumerate() {
            let cells = &self.cells[index * self.fields..][..self.fields];
            let flagged = self.detector.verdict(index, cells) == Verdict::Outlier;
            if self.outliers_only && !flagged {
                continue;
            }
            let mut shown = json!({
                "row": row,
                "flagged": flagged,
                "p": scored.p,
                "severity": scored.severity(),
                "score": scored.score,
                "elbo": scored.elbo(),
                "reconstruction_error": scored.reconstruction_error,
                "reconstruction_log_likelihood": scored.log_likelihood,
                "kl": scored.kl,
            });
            if flagged {
                let explanation = self.detector.explanation(index, cells);
                let (mut reasons, latent) = (explanation.reasons, explanation.latent);
                reasons.retain(|reason| reason.share >= 0.01);
                shown["claim"] = self
                    .detector
                    .model()
                    .calibration
                    .claim(scored.score)
                    .to_string()
                    .into();
                shown["summary"] = sentence(&reasons, latent).into();
                shown["reasons"] = json!(reasons);
                shown["latent"] = json!(latent);
            }
            writeln!(self.output, "{shown}")?;
        }
        self.cells.clear();
        self.rows.clear();
        Ok(())
    }
}

pub(super) fn budget(text: &str) -> anyhow::Result<Budget> {
    text.parse()
        .map_err(|error| anyhow::anyhow!("--budget {text:?}: {error}"))
}

pub(super) fn open_field(field: &EncodedField) -> Field {
    Field::open(&field.path, field.kind)
}
