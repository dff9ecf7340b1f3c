//! A model of JSON lines, and what it says of others.

use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::Context;
use outlierd::config::{self, Config};
use outlierd::detect::{Detector, Model, Policy, Scored};
use outlierd::evaluate::baselines::{self, Kind, Matrix};
use outlierd::record::{Decoder, Vocabularies};
use outlierd::training::{Collection, Source, learn};

pub struct Learnt {
    decoder: Decoder,
    vocabularies: Vocabularies,
    detector: Detector,
    pub model: Arc<Model>,
}

/// `fields`: path and kind of each. `settings`: lines of `[train]`.
pub fn configuration(fields: &[(String, &str)], settings: &str) -> anyhow::Result<Config> {
    let mut text =
        format!("[kafka]\nbrokers = 'nowhere:1'\n[input]\ntopic = 'made'\n[train]\n{settings}\n");
    for (path, kind) in fields {
        text += &format!("[[fields]]\npath = '{path}'\nkind = '{kind}'\n");
    }
    Ok(config::Config::parse(&text, [])?)
}

impl Learnt {
    pub fn from(config: &Config, rows: &[String]) -> anyhow::Result<Learnt> {
        let mut collection =
            Collection::new(&config.fields, &config.input, rows.len())?.seeded(config.train.seed);
        rows.iter()
            .for_each(|row| collection.add(row.as_bytes(), -1));
        let model = learn(collection, Source::default(), &config.train, &mut |_| {
            ControlFlow::Continue(())
        })?;
        let model = Arc::new(model);
        let policy = Arc::new(Policy::open(config.fields.len()));
        Ok(Learnt {
            decoder: Decoder::new(&config.fields, &config.input)?,
            vocabularies: Vocabularies::frozen(model.encoding.vocabularies()),
            detector: Detector::new(Arc::clone(&model), policy)?,
            model,
        })
    }

    fn cells(&mut self, row: &str) -> anyhow::Result<Vec<f64>> {
        let mut cells = vec![f64::NAN; self.model.encoding.fields.len()];
        self.decoder
            .decode(row.as_bytes(), &mut self.vocabularies, &mut cells)
            .ok()
            .with_context(|| format!("{row} cannot be read"))?;
        Ok(cells)
    }

    pub fn score(&mut self, rows: &[String]) -> anyhow::Result<Vec<Scored>> {
        let mut cells = Vec::new();
        for row in rows {
            cells.extend(self.cells(row)?);
        }
        Ok(self.detector.score(&cells)?.to_vec())
    }

    /// Sums of squared z-scores of `rows`, with means and deviations of `training` rows: the columns
    /// that the network sees.
    pub fn squared_z(&mut self, training: &[String], rows: &[String]) -> anyhow::Result<Vec<f32>> {
        let (fit, score) = (self.columns(training)?, self.columns(rows)?);
        Ok(baselines::fit(Kind::SquaredZ, &fit, 0)?.scores(&score))
    }

    fn columns(&mut self, rows: &[String]) -> anyhow::Result<Matrix> {
        let model = Arc::clone(&self.model);
        let (width, heads) = (model.encoding.width(), model.encoding.heads().len());
        let (mut values, mut present) = (vec![0.0; rows.len() * width], vec![0.0; heads]);
        for (row, values) in rows.iter().zip(values.chunks_exact_mut(width)) {
            let cells = self.cells(row)?;
            model.encoding.encode(&cells, values, &mut present);
        }
        Ok(Matrix::new(values, width)?)
    }
}
