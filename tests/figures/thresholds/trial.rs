//! One model, trained as a user would, and what it says of rows that it has not seen.

use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::Context;
use outlierd::config::{self, Config};
use outlierd::detect::{Calibration, Detector, Policy};
use outlierd::record::{Decoder, Vocabularies};
use outlierd::training::{Collection, Source, learn};

use super::material::Material;
use super::split::{Order, Protocol, Split};

/// Rows scored at a time; a row's bits do not depend on it.
const ROWS: usize = 1024;

/// A calibration and the scores of unseen rows.
pub struct Trial {
    pub calibration: Calibration,
    pub normal: Vec<f32>,
    pub anomalous: Vec<f32>,
}

impl Trial {
    /// Trains by the default configuration, but for what is known of the rows, and scores the
    /// unseen ones.
    pub fn run(
        material: &Material,
        protocol: Protocol,
        order: Order,
        most: usize,
    ) -> anyhow::Result<Trial> {
        let Split { train, unseen } = protocol.split(material, order, most);
        let mut config = defaults()?;
        config.train.data = protocol.data();
        if let Order::Shuffled { seed } = order {
            config.train.seed = seed;
        }
        let mut collection =
            Collection::new(&material.fields, &config.input, config.train.max_rows)?;
        for &row in &train {
            collection.add(&material.records[row], -1);
        }
        let source = Source::default();
        let model = learn(collection, source, &config.train, &mut |_| {
            ControlFlow::Continue(())
        })?;
        let calibration = model.calibration.clone();
        let fields = material.fields.len();
        let mut vocabularies = Vocabularies::frozen(model.encoding.vocabularies());
        let mut decoder = Decoder::new(&material.fields, &config.input)?;
        let mut detector = Detector::new(Arc::new(model), Arc::new(Policy::open(fields)))?;
        let (mut normal, mut anomalous) = (Vec::new(), Vec::new());
        for rows in unseen.chunks(ROWS) {
            let mut cells = vec![f64::NAN; rows.len() * fields];
            for (&row, cells) in rows.iter().zip(cells.chunks_exact_mut(fields)) {
                decoder.decode(&material.records[row], &mut vocabularies, cells)?;
            }
            for (&row, scored) in rows.iter().zip(detector.score(&cells)?) {
                match material.anomalous[row] {
                    true => anomalous.push(scored.score),
                    false => normal.push(scored.score),
                }
            }
        }
        Ok(Trial {
            calibration,
            normal,
            anomalous,
        })
    }
}

/// What a user gets who sets nothing.
fn defaults() -> anyhow::Result<Config> {
    let least = "
        [kafka]
        brokers = 'localhost:9092'
        [input]
        topic = 'rows'
        [[fields]]
        path = 'f0'
    ";
    Config::parse(least, [])
        .map_err(|errors: config::Errors| anyhow::anyhow!("{errors}"))
        .context("the least configuration")
}
