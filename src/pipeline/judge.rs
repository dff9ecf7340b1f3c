//! Every record of a batch gets exactly one disposition.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::Batch;
use super::judged::{DeadLetter, Finding, Judged, Pending};
use crate::config;
use crate::detect::{Detector, Model, Policy, Scored, Tally, Verdict};
use crate::metrics::{DeadLetterClass, ScoreFigures, ScoreHistograms};
use crate::record::{Decoder, PathError, Vocabularies};
use crate::vae::{Device, WeightError};

/// Judges batches with one model. One a score thread; its buffers grow once.
pub struct Judge {
    decoder: Decoder,
    vocabularies: Vocabularies,
    detector: Detector,
    histograms: Option<ScoreHistograms>,
    /// The p-value at or below which a record is flagged; `None` leaves the verdicts to the publish
    /// thread.
    threshold: Option<f64>,
    /// Whether the score of every record is kept.
    audited: bool,
    /// Whether each field is categorical: its cell is then 0 for an unknown word.
    categorical: Vec<bool>,
    fields: usize,
    /// Cells of the decoded rows, row-major.
    cells: Vec<f64>,
    rows: Vec<Row>,
}

/// Rows of a batch that are counted to notice drift by: some are enough, and all would cost as much as parsing.
const TALLIED: usize = 64;

/// A decoded row.
struct Row {
    /// Its record in the batch.
    record: usize,
    /// Where its key lies in the payload.
    key: Option<Range<usize>>,
    /// Its time, epoch seconds.
    time: Option<f64>,
}

/// Why a judge cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    #[error(transparent)]
    Paths(#[from] PathError),
    #[error(transparent)]
    Weights(#[from] WeightError),
}

impl Judge {
    /// # Errors
    /// When the configured paths contradict each other, or the model's weights its shape.
    pub fn new(
        fields: &[config::Field],
        input: &config::Input,
        model: &Arc<Model>,
        policy: &Arc<Policy>,
        histograms: Option<ScoreHistograms>,
    ) -> Result<Judge, JudgeError> {
        Ok(Judge {
            decoder: Decoder::new(fields, input)?,
            vocabularies: Vocabularies::frozen(model.encoding.vocabularies()),
            detector: Detector::new(Arc::clone(model), Arc::clone(policy))?,
            histograms,
            threshold: Some(policy.threshold.p),
            audited: false,
            categorical: fields
                .iter()
                .map(|field| field.kind == config::Kind::Categorical)
                .collect(),
            fields: fields.len(),
            cells: Vec::new(),
            rows: Vec::new(),
        })
    }

    /// Scores on `device` instead of the CPU.
    ///
    /// # Errors
    /// As [`Judge::new`].
    pub fn on(mut self, device: &Device) -> Result<Judge, JudgeError> {
        self.detector = self.detector.moved(device)?;
        Ok(self)
    }

    /// Leaves the verdicts open: scored rows stand in [`Judged::pending`].
    #[must_use]
    pub fn without_verdicts(mut self) -> Judge {
        self.threshold = None;
        self
    }

    /// Keeps the score of every record: [`Judged::scores`].
    #[must_use]
    pub fn audited(mut self) -> Judge {
        self.audited = true;
        self
    }

    /// Judges every record of `batch`. A panic on the way is caught: each record is then judged
    /// alone, and the one that panics again becomes a dead letter.
    pub fn judge(&mut self, batch: &Batch) -> Judged {
        let everything = 0..batch.len();
        let judged = catch_unwind(AssertUnwindSafe(|| {
            self.judge_some(batch, everything.clone())
        }));
        let judged = judged.unwrap_or_else(|_| {
            tracing::error!("scoring a batch panicked: judging its records one by one");
            isolate(everything, |record| {
                self.judge_some(batch, record..record + 1)
            })
        });
        if let Some(histograms) = &mut self.histograms {
            histograms.flush();
        }
        judged
    }

    /// Judges one record of `batch` by a threshold on p. Its score is the one that it had among
    /// the others, to the bit.
    pub fn judge_at(&mut self, threshold: f64, batch: &Batch, record: usize) -> Judged {
        self.threshold = Some(threshold);
        isolate(record..record + 1, |record| {
            self.judge_some(batch, record..record + 1)
        })
    }

    fn judge_some(&mut self, batch: &Batch, records: Range<usize>) -> Judged {
        let mut judged = Judged {
            missing: vec![0; self.fields],
            unknown_categories: vec![0; self.fields],
            ..Judged::default()
        };
        if self.threshold.is_none() {
            judged.pending.reserve(records.len());
        }
        if self.audited {
            judged.scores.resize(records.len(), f32::NAN);
        }
        let (first, began) = (records.start, Instant::now());
        self.decode(batch, records, &mut judged);
        judged.decoding = began.elapsed();
        match self.detector.score(&self.cells).map(<[Scored]>::len) {
            Ok(rows) => {
                if self.audited {
                    for (row, scored) in self.rows.iter().zip(self.detector.scored()) {
                        judged.scores[row.record - first] = scored.score;
                    }
                }
                judged.tally = self.tally(rows);
                (0..rows).for_each(|row| self.decide(batch, row, &mut judged));
            }
            Err(error) => {
                let dead = self.rows.iter().map(|row| DeadLetter {
                    record: row.record,
                    class: DeadLetterClass::DimMismatch,
                    error: error.to_string(),
                });
                judged.dead_letters.extend(dead);
            }
        }
        judged
    }

    /// Counts some of the rows that were scored, evenly over the batch.
    fn tally(&self, rows: usize) -> Tally {
        let profile = &self.detector.model().profile;
        let mut tally = Tally::new(profile);
        if profile.fields.is_empty() {
            return tally;
        }
        for row in (0..rows).step_by((rows / TALLIED).max(1)) {
            let cells = &self.cells[row * self.fields..][..self.fields];
            tally.add(profile, cells, &self.detector.scored()[row]);
        }
        tally
    }

    /// Bytes to cells; what cannot be scored gets its disposition here.
    fn decode(&mut self, batch: &Batch, records: Range<usize>, judged: &mut Judged) {
        // Each row is overwritten whole: there is nothing to clear.
        self.cells.resize(records.len() * self.fields, f64::NAN);
        self.rows.clear();
        for index in records {
            if batch.records()[index].condemned {
                judged.dead_letters.push(DeadLetter {
                    record: index,
                    class: DeadLetterClass::Crash,
                    error: "judging this record ended a process twice".into(),
                });
                continue;
            }
            let Some(payload) = batch.payload(&batch.records()[index]) else {
                judged.tombstones += 1;
                continue;
            };
            crate::planted::crash_on(payload);
            let cells = &mut self.cells[self.rows.len() * self.fields..][..self.fields];
            match self.decoder.decode(payload, &mut self.vocabularies, cells) {
                Ok(decoded) if decoded.filtered => judged.filtered += 1,
                Ok(decoded) => {
                    judged.count_cells(cells, &decoded, &self.categorical);
                    self.rows.push(Row {
                        record: index,
                        key: decoded.key,
                        time: decoded.time,
                    });
                }
                Err(rejection) => judged.dead_letters.push(DeadLetter {
                    record: index,
                    class: rejection.class,
                    error: rejection.to_string(),
                }),
            }
        }
        self.cells.truncate(self.rows.len() * self.fields);
    }

    /// A scored row to its verdict.
    fn decide(&mut self, batch: &Batch, row: usize, judged: &mut Judged) {
        let scored = self.detector.scored()[row];
        let decoded = &self.rows[row];
        if !scored.score.is_finite() {
            judged.dead_letters.push(DeadLetter {
                record: decoded.record,
                class: DeadLetterClass::Panic,
                error: "the score is not a finite number".into(),
            });
            return;
        }
        if let Some(histograms) = &mut self.histograms {
            histograms.observe(&ScoreFigures {
                score: f64::from(scored.score),
                severity: scored.severity(),
                reconstruction_error: f64::from(scored.reconstruction_error),
                elbo: f64::from(scored.elbo()),
            });
        }
        let Some(threshold) = self.threshold else {
            judged.pending.push(Pending {
                record: decoded.record,
                p: scored.p,
                time_ms: decoded.time_ms(batch),
            });
            return;
        };
        let cells = &self.cells[row * self.fields..][..self.fields];
        match self.detector.verdict_at(threshold, row, cells) {
            Verdict::Normal => judged.normal += 1,
            Verdict::Muted => {
                judged.normal += 1;
                judged.muted += 1;
            }
            Verdict::Outlier => judged.outliers.push(self.finding(threshold, batch, row)),
        }
    }

    fn finding(&mut self, threshold: f64, batch: &Batch, row: usize) -> Finding {
        let cells = &self.cells[row * self.fields..][..self.fields];
        let explanation = self.detector.explanation(row, cells);
        let (decoded, scored) = (&self.rows[row], self.detector.scored()[row]);
        let record = &batch.records()[decoded.record];
        let range = decoded.key.clone();
        let from_payload = range.and_then(|range| batch.payload(record)?.get(range));
        Finding {
            record: decoded.record,
            scored,
            claim: self.detector.model().calibration.claim(scored.score),
            threshold_p: threshold,
            explanation,
            key: from_payload
                .or_else(|| batch.key(record))
                .map(<[u8]>::to_vec),
            time_ms: decoded.time_ms(batch),
        }
    }
}

impl Row {
    fn time_ms(&self, batch: &Batch) -> i64 {
        self.time
            .map_or(batch.records()[self.record].timestamp_ms, |seconds| {
                (seconds * 1000.0) as i64
            })
    }
}

/// Judges records one by one; one that panics becomes a dead letter.
fn isolate(records: Range<usize>, mut judge: impl FnMut(usize) -> Judged) -> Judged {
    let mut all = Judged::default();
    for record in records {
        match catch_unwind(AssertUnwindSafe(|| judge(record))) {
            Ok(judged) => all.add(judged),
            Err(_) => {
                all.scores.push(f32::NAN);
                all.dead_letters.push(DeadLetter {
                    record,
                    class: DeadLetterClass::Panic,
                    error: "scoring this record panicked twice".into(),
                });
            }
        }
    }
    all
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_panics_the_scorer_is_the_only_one_that_dies() {
        let judged = isolate(0..5, |record| {
            assert!(record != 3, "planted");
            Judged {
                normal: 1,
                ..Judged::default()
            }
        });
        assert_eq!(judged.normal, 4);
        assert_eq!(judged.dead_letters.len(), 1);
        assert_eq!(judged.dead_letters[0].record, 3);
        assert_eq!(judged.dead_letters[0].class, DeadLetterClass::Panic);
        assert_eq!(judged.records(), 5);
    }
}
