//! The stages of the line, one by one, on one thread.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use outlierd::config::Config;
use outlierd::daemon;
use outlierd::detect::{Detector, Episodes, Policy};
use outlierd::kafka::Origin;
use outlierd::metrics::Metrics;
use outlierd::pipeline::{Batch, Judge, Judged, Messages, Redaction};
use outlierd::record::{Decoder, Vocabularies};
use outlierd::registry::Stored;
use outlierd::vae::{Rows, Scorer, Scores};

use super::Wanted;
use super::measure::{Stage, stage};
use super::stream::{self, Record};

/// Different records, in full batches of [`BATCH`].
const RECORDS: usize = 20 * BATCH;
const BATCH: usize = 1024;

/// What the stages need.
struct Material<'a> {
    config: Config,
    stored: &'a Stored,
    policy: Arc<Policy>,
    records: Vec<Record>,
    /// The cells of all records, row-major.
    cells: Vec<f64>,
}

pub fn measure(wanted: &Wanted, folder: &Path, stored: &Stored) -> anyhow::Result<Vec<Stage>> {
    let config = stream::config(folder, "nowhere:1")?;
    let mut material = Material {
        policy: Arc::new(daemon::policy(&config, &stored.model)?),
        records: stream::records(3, RECORDS),
        cells: Vec::new(),
        config,
        stored,
    };
    material.decode()?;
    let mut stages = Vec::new();
    if wanted.has("parse") {
        stages.push(material.parse()?);
    }
    if wanted.has("features") {
        stages.push(material.features());
    }
    for (name, rows) in [
        ("vae, 1 row", 1),
        ("vae, 64 rows", 64),
        ("vae, 1024 rows", 1024),
    ] {
        if wanted.has(name) {
            stages.push(material.vae(name, rows)?);
        }
    }
    if wanted.has("verdict") {
        stages.extend(material.verdict()?);
    }
    if wanted.has("judge") {
        stages.extend(material.judge()?);
    }
    if wanted.has("serialise") {
        stages.push(material.serialise()?);
    }
    Ok(stages)
}

impl Material<'_> {
    fn decode(&mut self) -> anyhow::Result<()> {
        let fields = self.config.fields.len();
        let mut decoder = Decoder::new(&self.config.fields, &self.config.input)?;
        let mut words = Vocabularies::frozen(Vec::new());
        self.cells = vec![0.0; fields * RECORDS];
        for (record, cells) in self.records.iter().zip(self.cells.chunks_exact_mut(fields)) {
            decoder.decode(record.payload.as_bytes(), &mut words, cells)?;
        }
        Ok(())
    }

    /// Bytes to cells.
    fn parse(&self) -> anyhow::Result<Stage> {
        let mut decoder = Decoder::new(&self.config.fields, &self.config.input)?;
        let mut words = Vocabularies::frozen(Vec::new());
        let mut cells = vec![0.0; self.config.fields.len()];
        Ok(stage("parse", RECORDS, || {
            for record in &self.records {
                let decoded = decoder.decode(record.payload.as_bytes(), &mut words, &mut cells);
                black_box((&decoded, &cells));
            }
        }))
    }

    /// Cells to columns.
    fn features(&self) -> Stage {
        let encoding = &self.stored.model.encoding;
        let mut values = vec![0.0; encoding.width()];
        let mut present = vec![0.0; encoding.heads().len()];
        stage("features", RECORDS, || {
            for cells in self.cells.chunks_exact(encoding.fields.len()) {
                encoding.encode(cells, &mut values, &mut present);
                black_box((&values, &present));
            }
        })
    }

    /// The columns and presence flags of all records, row-major.
    fn encoded(&self) -> (Vec<f32>, Vec<f32>) {
        let encoding = &self.stored.model.encoding;
        let (width, heads) = (encoding.width(), encoding.heads().len());
        let (mut values, mut present) = (vec![0.0; RECORDS * width], vec![0.0; RECORDS * heads]);
        let rows = values
            .chunks_exact_mut(width)
            .zip(present.chunks_exact_mut(heads));
        for (cells, (values, present)) in self.cells.chunks_exact(encoding.fields.len()).zip(rows) {
            encoding.encode(cells, values, present);
        }
        (values, present)
    }

    /// Columns to the terms of one network.
    fn vae(&self, name: &'static str, rows: usize) -> anyhow::Result<Stage> {
        let model = &self.stored.model;
        let (width, heads) = (model.encoding.width(), model.encoding.heads().len());
        let (values, present) = self.encoded();
        let batches: Vec<Rows<'_>> = values
            .chunks_exact(rows * width)
            .zip(present.chunks_exact(rows * heads))
            .map(|(values, present)| Rows::new(&model.shape, values, present))
            .collect::<Result<_, _>>()?;
        let network = Scorer::new(&model.shape, &model.members[0].member)?;
        let mut scores = Scores::new();
        Ok(stage(name, RECORDS, || {
            for rows in &batches {
                black_box(network.score(*rows, &mut scores).is_ok());
            }
        }))
    }

    /// Cells to verdicts, the network included, and of that the p-values alone.
    fn verdict(&self) -> anyhow::Result<[Stage; 2]> {
        let model = &self.stored.model;
        let fields = self.config.fields.len();
        let mut detector = Detector::new(Arc::clone(model), Arc::clone(&self.policy))?;
        let mut scores = Vec::with_capacity(RECORDS);
        for cells in self.cells.chunks_exact(BATCH * fields) {
            scores.extend(detector.score(cells)?.iter().map(|scored| scored.score));
        }
        let p_values = stage("verdict, its p-value alone", RECORDS, || {
            for &score in &scores {
                black_box(model.calibration.p_value(score));
            }
        });
        let whole = stage("verdict, features and vae", RECORDS, || {
            for cells in self.cells.chunks_exact(BATCH * fields) {
                black_box(detector.score(cells).is_ok());
                for (row, cells) in cells.chunks_exact(fields).enumerate() {
                    black_box(detector.verdict(row, cells));
                }
            }
        });
        Ok([p_values, whole])
    }

    fn judge_of_line(&self) -> anyhow::Result<Judge> {
        let metrics = Metrics::new(prometheus::Registry::new(), &[])?;
        let (fields, input) = (&self.config.fields, &self.config.input);
        let histograms = Some(metrics.scores());
        Ok(Judge::new(
            fields,
            input,
            &self.stored.model,
            &self.policy,
            histograms,
        )?)
    }

    fn batches(&self, keep: impl Fn(usize) -> bool) -> Vec<Batch> {
        let kept = self
            .records
            .iter()
            .enumerate()
            .filter(|(index, _)| keep(*index));
        let kept: Vec<(usize, &Record)> = kept.collect();
        let batch = |records: &[(usize, &Record)]| {
            let mut batch = Batch::default();
            for (index, Record { key, payload }) in records {
                let (key, payload) = (Some(key.as_bytes()), Some(payload.as_bytes()));
                batch.push(0, *index as i64, 1_700_000_000_000, key, payload);
            }
            batch
        };
        kept.chunks_exact(BATCH).map(batch).collect()
    }

    /// Full batches to dispositions: all records, and the normal ones alone.
    fn judge(&self) -> anyhow::Result<[Stage; 2]> {
        let mut judge = self.judge_of_line()?;
        let all = self.batches(|_| true);
        let mut odd = std::collections::BTreeSet::new();
        for batch in &all {
            let outliers = judge.judge(batch).outliers;
            odd.extend(
                outliers
                    .iter()
                    .map(|found| batch.records()[found.record].offset),
            );
        }
        let normal = self.batches(|index| !odd.contains(&(index as i64)));
        let mut judge_all = |name, batches: &[Batch]| {
            stage(name, batches.len() * BATCH, || {
                for batch in batches {
                    black_box(judge.judge(batch));
                }
            })
        };
        Ok([
            judge_all("judge", &all),
            judge_all("judge, normal records only", &normal),
        ])
    }

    /// Findings to messages.
    fn serialise(&self) -> anyhow::Result<Stage> {
        let config = &self.config;
        let mut judge = self.judge_of_line()?;
        let judged: Vec<(Batch, Judged)> = self
            .batches(|_| true)
            .into_iter()
            .map(|batch| {
                let judged = judge.judge(&batch);
                (batch, judged)
            })
            .collect();
        let mut messages = Messages::new(
            Origin {
                cluster: "bench".into(),
                topic: stream::TOPIC.into(),
                topic_id: None,
            },
            Redaction::new(&config.output, &config.input, &config.fields),
            config.dead_letter.payload,
            Episodes::new(config.detect.episode_gap),
            &self.stored.model,
            &self.stored.version,
        );
        let outliers = judged.iter().map(|(_, judged)| judged.outliers.len()).sum();
        anyhow::ensure!(
            outliers > 0,
            "no record was odd, so no message can be measured"
        );
        Ok(stage("serialise, an outlier", outliers, || {
            for (batch, judged) in &judged {
                for finding in &judged.outliers {
                    black_box(messages.outlier(batch, finding));
                }
            }
        }))
    }
}
