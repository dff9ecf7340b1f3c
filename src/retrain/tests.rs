//! Streams over weeks, retrained again and again.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Labelled, Taught, Teaching, teach};
use crate::config::{Config, TrainingData};
use crate::detect::{Detector, Policy};
use crate::registry::{Admission, Store, Stored};
use crate::training::{Collection, Source};
use crate::vae::Device;

const BUDGET: f64 = 0.01;

/// Rows that a flag rate is measured on.
const FRESH: usize = 8000;

/// Rows between two retrains.
const ROWS: usize = 2000;

fn config() -> Config {
    let text = r#"
        [kafka]
        brokers = "nowhere:1"
        [input]
        topic = "readings"
        [[fields]]
        path = "x"
        [[fields]]
        path = "twice"
        [[fields]]
        path = "alone"
        [train]
        hidden = 8
        latent = 2
        floors = [0.5]
        max_steps = 120
        [detect]
        budget = "1%"
    "#;
    Config::parse(text, std::iter::empty()).unwrap()
}

/// A number, about its double, and one of its own; all moved by `by`.
fn row(random: &mut ChaCha8Rng, by: f64) -> [f64; 3] {
    let mut draw = || -> f64 { StandardNormal.sample(random) };
    let x = draw();
    [x + by, 2.0 * x + 0.3 * draw() + by, draw() + by]
}

/// One that is odd: its double is not.
fn odd(random: &mut ChaCha8Rng, by: f64) -> [f64; 3] {
    let [x, twice, alone] = row(random, by);
    [x, twice + 6.0, alone]
}

struct Week {
    config: Config,
    store: Store,
    random: ChaCha8Rng,
}

impl Week {
    fn new(folder: &Path) -> Week {
        Week {
            config: config(),
            store: Store::folder(folder),
            random: ChaCha8Rng::seed_from_u64(5),
        }
    }

    fn serving(&self) -> Option<Stored> {
        let ledger = self.store.ledger().unwrap();
        let serving = ledger.serving()?;
        Some(self.store.load(&serving.version).unwrap())
    }

    /// Retrains on `rows`; says whether the new model serves, and what was left out.
    fn retrain(&mut self, rows: &[[f64; 3]]) -> (bool, usize) {
        let fields = &self.config.fields;
        let mut collection = Collection::new(fields, &self.config.input, usize::MAX).unwrap();
        for [x, twice, alone] in rows {
            let text = format!("{{\"x\":{x},\"twice\":{twice},\"alone\":{alone}}}");
            collection.add(text.as_bytes(), -1);
        }
        self.config.train.seed += 1;
        let serving = self.serving();
        let teaching = Teaching {
            config: &self.config,
            store: &self.store,
            labelled: Labelled::default(),
            serving: serving.as_ref(),
            device: Device::cpu(),
            accept: false,
        };
        let go_on = &mut |_| ControlFlow::Continue(());
        let taught = teach(&teaching, collection, Source::default(), go_on).unwrap();
        let Taught {
            packed,
            report,
            left_out,
        } = taught;
        let trainer = self.store.trainer().unwrap().unwrap();
        let admission = Admission {
            report,
            promote: true,
            shadow_until: None,
            keep: 3,
            slot: None,
        };
        let added = self.store.admit(packed, admission, &trainer).unwrap();
        (added.serves, left_out)
    }

    fn rows(&mut self, by: impl Fn(usize) -> f64, odd_one_in: usize) -> Vec<[f64; 3]> {
        self.some_rows(ROWS, by, odd_one_in)
    }

    fn some_rows(
        &mut self,
        count: usize,
        by: impl Fn(usize) -> f64,
        odd_one_in: usize,
    ) -> Vec<[f64; 3]> {
        let rows = 0..count;
        rows.map(|at| match at % odd_one_in {
            0 => odd(&mut self.random, by(at)),
            _ => row(&mut self.random, by(at)),
        })
        .collect()
    }

    /// The share of ordinary rows, moved by `by`, that what serves flags at a budget.
    fn flag_rate(&mut self, by: f64, budget: f64) -> f64 {
        let model = self.serving().unwrap().model;
        let mut detector = Detector::new(Arc::clone(&model), Arc::new(Policy::open(3))).unwrap();
        let rows: Vec<f64> = (0..FRESH).flat_map(|_| row(&mut self.random, by)).collect();
        let scored = detector.score(&rows).unwrap();
        let flagged = scored.iter().filter(|scored| scored.p <= budget).count();
        flagged as f64 / FRESH as f64
    }
}

/// The flag rates of twenty models in a row on a stream that stays as it is.
fn rates(data: TrainingData, budget: f64) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let mut week = Week::new(folder.path());
    week.config.train.data = data;
    // A tenth of the rows is not fitted on: if it did not calibrate either, the rate would rise from model to model.
    week.config.retrain.leave_out_severity = 1.0;
    (0..20)
        .map(|turn| {
            let rows = week.some_rows(5000, |_| 0.0, 1_000_000);
            let (serves, _) = week.retrain(&rows);
            assert!(serves, "the {turn}. was refused");
            week.flag_rate(0.0, budget)
        })
        .collect()
}

#[test]
fn twenty_retrains_on_a_stream_that_stays_keep_the_flag_rate() {
    // So large that on 900 rows of calibration the threshold is no matter of chance.
    let budget = 0.03;
    for data in [TrainingData::Clean, TrainingData::Unlabelled] {
        let rates = rates(data, budget);
        for rate in &rates {
            assert!(
                (0.5 * budget..=2.0 * budget).contains(rate),
                "{data:?}: {rates:?}"
            );
        }
        let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
        let (first, last) = (mean(&rates[..7]), mean(&rates[13..]));
        assert!(
            (0.75..1.33).contains(&(last / first)),
            "{data:?}: {rates:?}"
        );
    }
}

#[test]
fn a_mean_that_creeps_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let mut week = Week::new(folder.path());
    let start = week.rows(|_| 0.0, 200);
    week.retrain(&start);
    let mut by = 0.0;
    for turn in 0..8 {
        // Half a deviation from one retrain to the next.
        let from = by;
        let rows = week.rows(|at| from + 0.5 * at as f64 / ROWS as f64, 200);
        by += 0.5;
        let (serves, _) = week.retrain(&rows);
        assert!(serves, "the {turn}. was refused");
    }
    let rate = week.flag_rate(by, BUDGET);
    assert!(rate < 5.0 * BUDGET, "{rate}");
    // Where it began is far away by now.
    assert!(week.flag_rate(0.0, BUDGET) > 20.0 * BUDGET);
}

#[test]
fn a_machine_that_breaks_is_not_learnt_in_one_retrain() {
    let folder = tempfile::tempdir().unwrap();
    let mut week = Week::new(folder.path());
    let start = week.rows(|_| 0.0, 200);
    week.retrain(&start);
    let before = week.serving().unwrap().version;
    // The last third of the time, everything is twelve deviations off.
    let broken = |at: usize| if at > 2 * ROWS / 3 { 12.0 } else { 0.0 };
    let rows = week.rows(broken, 200);
    let (serves, left_out) = week.retrain(&rows);
    assert!(!serves, "{left_out} were left out");
    assert!(left_out > ROWS / 4, "{left_out}");
    assert_eq!(week.serving().unwrap().version, before);
    assert!(week.flag_rate(12.0, BUDGET) > 0.99);
}
