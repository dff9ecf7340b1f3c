//! Explanations of a model that was trained on made rows, where what is wrong is known.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Collection, Lesson, Source};
use crate::config::{Direction, Field, Input, Kind, Train, TrainingData};
use crate::detect::{Detector, Explanation, FieldPolicy, Model, Policy, Side, Verdict, sentence};
use crate::vae::Device;

/// A pair that goes together, a number of its own, four readings of one thing, and a word.
pub(super) const FIELDS: [&str; 8] = ["x", "twice", "alone", "one", "two", "three", "four", "mode"];

pub(super) fn row(random: &mut ChaCha8Rng) -> [f64; 8] {
    let mut draw = || -> f64 { StandardNormal.sample(random) };
    let (x, thing) = (draw(), draw());
    let mut readings = [0.0; 4];
    readings.fill_with(|| thing + 0.2 * draw());
    let [one, two, three, four] = readings;
    let (twice, alone) = (2.0 * x + 0.2 * draw(), draw());
    [
        x,
        twice,
        alone,
        one,
        two,
        three,
        four,
        if draw() > 0.0 { 1.0 } else { 2.0 },
    ]
}

fn record(row: &[f64; 8]) -> Vec<u8> {
    let mut record = serde_json::Map::new();
    for (name, &cell) in FIELDS.iter().zip(row).take(7) {
        record.insert((*name).into(), cell.into());
    }
    let mode = if row[7] == 1.0 { "day" } else { "night" };
    record.insert("mode".into(), mode.into());
    serde_json::to_vec(&record).unwrap()
}

pub(super) fn model() -> &'static Arc<Model> {
    static MODEL: OnceLock<Arc<Model>> = OnceLock::new();
    MODEL.get_or_init(|| trained_on(&Device::cpu()))
}

pub(super) fn trained_on(device: &Device) -> Arc<Model> {
    let kind = |name| {
        if name == "mode" {
            Kind::Categorical
        } else {
            Kind::Numeric
        }
    };
    let fields = FIELDS.map(|name| Field::open(name, kind(name)));
    let input = Input::of_records();
    let mut collection = Collection::new(&fields, &input, usize::MAX).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..1500 {
        collection.add(&record(&row(&mut random)), -1);
    }
    let settings = Train {
        data: TrainingData::Clean,
        since: Duration::ZERO,
        max_rows: usize::MAX,
        calibration_share: 0.2,
        hidden: 32,
        latent: 8,
        floors: vec![0.2, 1.0],
        max_steps: 700,
        seed: 1,
    };
    let source = Source::default();
    let lesson = Lesson::new(collection, source).unwrap().on(device.clone());
    let model = lesson.learn(&settings, &mut |_| ControlFlow::Continue(()));
    Arc::new(model.unwrap())
}

/// Where an ordinary row has its cells.
const ORDINARY: [f64; 8] = [0.3, 0.6, -0.2, 0.4, 0.4, 0.4, 0.4, 1.0];

fn explanation(row: [f64; 8]) -> Explanation {
    let policy = Arc::new(Policy::open(FIELDS.len()));
    let mut detector = Detector::new(Arc::clone(model()), policy).unwrap();
    detector.score(&row).unwrap();
    let explanation = detector.explanation(0, &row);
    let shares: f32 = explanation.reasons.iter().map(|reason| reason.share).sum();
    assert!(
        (shares + explanation.latent - 1.0).abs() < 1e-4,
        "{explanation:?}"
    );
    explanation
}

fn said(explanation: &Explanation) -> String {
    sentence(&explanation.reasons, explanation.latent)
}

#[test]
fn a_field_that_is_off_by_itself_comes_first() {
    let mut odd = ORDINARY;
    odd[2] = 7.0;
    let why = explanation(odd);
    assert!(
        said(&why).starts_with("alone is 7.0, expected "),
        "{}",
        said(&why)
    );
    assert_eq!(why.reasons[0].side, Some(Side::Above));
    assert!(why.reasons[0].share > 0.5, "{why:?}");
}

#[test]
fn a_field_that_is_off_among_its_kind_comes_first_and_is_expected_where_they_are() {
    let mut odd = ORDINARY;
    odd[4] = -1.6;
    let why = explanation(odd);
    assert_eq!(why.reasons[0].field, "two", "{why:?}");
    let expected = serde_json::to_value(&why.reasons[0].expected).unwrap();
    let (low, high) = (
        expected["low"].as_f64().unwrap(),
        expected["high"].as_f64().unwrap(),
    );
    assert!(
        low > -0.9 && high < 1.7 && low < 0.4 && high > 0.4,
        "{expected}"
    );
}

#[test]
fn of_a_pair_that_contradicts_itself_both_are_named() {
    let mut odd = ORDINARY;
    (odd[0], odd[1]) = (1.2, -2.4);
    let why = explanation(odd);
    let sentence = said(&why);
    assert!(
        sentence.contains("x is 1.2") && sentence.contains("twice is -2.4"),
        "{sentence}"
    );
    let share = |field: &str| {
        why.reasons
            .iter()
            .find(|reason| reason.field == field)
            .unwrap()
            .share
    };
    let ratio = share("x") / share("twice");
    assert!((0.33..3.0).contains(&ratio), "{why:?}");
}

#[test]
fn what_is_odd_in_accord_is_latent() {
    let mut odd = ORDINARY;
    odd[3..7].fill(6.0);
    let why = explanation(odd);
    assert!(why.latent > 0.5, "{why:?}");
    assert!(said(&why).contains("combination"), "{}", said(&why));
}

#[test]
fn a_word_that_was_never_seen_is_named() {
    let mut odd = ORDINARY;
    odd[7] = 0.0;
    let why = explanation(odd);
    assert!(
        said(&why).starts_with("mode is \"(another value)\""),
        "{}",
        said(&why)
    );
}

#[test]
fn readings_that_are_low_together_are_muted_where_only_high_ones_count() {
    let mut policy = Policy::open(FIELDS.len());
    policy.threshold.p = 0.01;
    for field in &mut policy.fields[3..7] {
        *field = FieldPolicy {
            direction: Direction::Above,
            min_deviation: 0.0,
        };
    }
    let mut detector = Detector::new(Arc::clone(model()), Arc::new(policy)).unwrap();
    let mut verdict = |reading: f64, alone: f64| {
        let mut odd = ORDINARY;
        odd[3..7].fill(reading);
        odd[2] = alone;
        detector.score(&odd).unwrap();
        detector.verdict(0, &odd)
    };
    assert_eq!(verdict(0.4, 0.0), Verdict::Normal);
    assert_eq!(verdict(-6.0, 0.0), Verdict::Muted);
    assert_eq!(verdict(6.0, 0.0), Verdict::Outlier);
    assert_eq!(verdict(-6.0, 7.0), Verdict::Outlier);
}

#[test]
fn explaining_leaves_the_scores_of_the_batch_as_they_are() {
    let policy = Arc::new(Policy::open(FIELDS.len()));
    let mut detector = Detector::new(Arc::clone(model()), policy).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let rows: Vec<f64> = (0..5).flat_map(|_| row(&mut random)).collect();
    let before = detector.score(&rows).unwrap().to_vec();
    let first = detector.explanation(3, &rows[24..32]);
    assert_eq!(detector.scored(), before);
    assert_eq!(detector.explanation(3, &rows[24..32]), first);
    detector.score(&rows[24..32]).unwrap();
    assert_eq!(detector.explanation(0, &rows[24..32]), first);
}
