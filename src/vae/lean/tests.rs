//! Scoring against candle, and against itself.
#![allow(clippy::unwrap_used)]

use candle_core::Device;
use proptest::prelude::*;
use pulp::Arch;

use super::score::BLOCK;
use super::{Scorer, Scores};
use crate::vae::likelihood::{Likelihood, variance};
use crate::vae::network::{Input, Network};
use crate::vae::samples::{Table, member};
use crate::vae::{Head, Member, Mixture, Rows, Shape};

fn shape(heads: Vec<Head>) -> Shape {
    Shape {
        heads,
        hidden: 11,
        latent: 3,
    }
}

/// All that is said of row `row`, in bits.
fn bits(scores: &Scores, row: usize) -> Vec<u32> {
    let rows = scores.rows();
    let arrays = [
        &scores.nll,
        &scores.kl,
        &scores.squared_error,
        &scores.head_nll,
        &scores.head_squared,
        &scores.expected,
        &scores.variance,
    ];
    let of_row = arrays.into_iter().flat_map(|array| {
        let width = array.len() / rows;
        &array[row * width..][..width]
    });
    of_row.map(|value| value.to_bits()).collect()
}

fn heads() -> impl Strategy<Value = Vec<Head>> {
    let head = prop_oneof![
        4 => Just(Head::Gaussian),
        2 => Just(Head::Bernoulli),
        1 => (2usize..9).prop_map(|classes| Head::Categorical { classes }),
    ];
    proptest::collection::vec(head, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_row_alone_is_the_row_in_any_batch_at_any_position(
        heads in heads(), rows in 1usize..2 * BLOCK + 5, offset in 0usize..BLOCK, seed: u64,
    ) {
        let shape = shape(heads);
        let scorer = Scorer::new(&shape, &member(&shape, seed)).unwrap();
        let table = Table::new(&shape, rows, seed);
        let mut batch = Scores::new();
        scorer.score(table.rows(&shape), &mut batch).unwrap();
        let (width, count) = (shape.width(), shape.heads.len());
        let moved = offset.min(rows - 1);
        let tail = Rows::new(&shape, &table.values[moved * width..], &table.present[moved * count..]);
        let (mut shifted, mut alone) = (Scores::new(), Scores::new());
        scorer.score(tail.unwrap(), &mut shifted).unwrap();
        for row in (0..rows).step_by(7) {
            let values = &table.values[row * width..][..width];
            let present = &table.present[row * count..][..count];
            scorer.score(Rows::new(&shape, values, present).unwrap(), &mut alone).unwrap();
            prop_assert_eq!(bits(&alone, 0), bits(&batch, row));
            if row >= moved {
                prop_assert_eq!(bits(&alone, 0), bits(&shifted, row - moved));
            }
        }
    }

    #[test]
    fn scores_are_finite_and_not_negative_where_they_cannot_be(heads in heads(), seed: u64) {
        let shape = shape(heads);
        let scorer = Scorer::new(&shape, &member(&shape, seed)).unwrap();
        let mut table = Table::new(&shape, 5, seed);
        let mut scores = Scores::new();
        for value in &mut table.values {
            *value = if *value < 0.0 { -50.0 } else { value.signum() * 50.0 * value.abs().min(1.0) };
        }
        scorer.score(table.rows(&shape), &mut scores).unwrap();
        for row in 0..5 {
            prop_assert!(bits(&scores, row).into_iter().all(|bits| f32::from_bits(bits).is_finite()));
            prop_assert!(scores.kl[row] >= -1e-5 && scores.squared_error[row] >= 0.0);
        }
        prop_assert!(scores.variance.iter().all(|&variance| variance > 0.0));
    }
}

/// nll, kl, squared error by row, and expected, variance by column, from candle.
struct Oracle {
    nll: Vec<f32>,
    kl: Vec<f32>,
    squared_error: Vec<f32>,
    expected: Vec<f32>,
    variance: Vec<f32>,
}

impl Oracle {
    fn new(shape: &Shape, member: &Member, table: &Table) -> Self {
        let device = Device::Cpu;
        let rows = table.rows(shape).len();
        let input = Input::of(shape, rows, &table.values, &table.present, &device).unwrap();
        let network = Network::new(shape, member, &device).unwrap();
        let code = network.encode(&input).unwrap();
        let output = network.decode(&code.mean).unwrap();
        let likelihood = Likelihood::new(shape, member.floor, 0.0, &device).unwrap();
        let nll = likelihood
            .surprise(&input.values, &input.present, &output)
            .unwrap();
        let mean: Vec<Vec<f32>> = output.mean.to_vec2().unwrap();
        let floor = f64::from(member.floor);
        let spread = output
            .spread
            .map(|s| variance(&s, floor).unwrap().to_vec2::<f32>().unwrap());
        let mut oracle = Oracle {
            nll: nll.to_vec1().unwrap(),
            kl: code.divergence().unwrap().to_vec1().unwrap(),
            squared_error: vec![0.0; rows],
            expected: Vec::new(),
            variance: Vec::new(),
        };
        for row in 0..rows {
            let mut gaussians = spread.iter().flat_map(|all| all[row].iter().copied());
            for (head, (first, kind)) in shape.columns().enumerate() {
                let numbers = &mean[row][first..first + kind.width()];
                let expected = expected(kind, numbers);
                let values = &table.values[row * shape.width() + first..];
                let present = table.present[row * shape.heads.len() + head];
                for (value, expected) in values.iter().zip(&expected) {
                    oracle.squared_error[row] += present * (value - expected).powi(2);
                    oracle.variance.push(match kind {
                        Head::Gaussian => gaussians.next().unwrap(),
                        Head::Bernoulli | Head::Categorical { .. } => expected * (1.0 - expected),
                    });
                }
                oracle.expected.extend(expected);
            }
        }
        oracle
    }
}

fn expected(kind: Head, numbers: &[f32]) -> Vec<f32> {
    let floor = kind.probability_floor() as f32;
    match kind {
        Head::Gaussian => numbers.to_vec(),
        Head::Bernoulli => vec![(1.0 - 2.0 * floor) / (1.0 + (-numbers[0]).exp()) + floor],
        Head::Categorical { classes } => {
            let sum: f32 = numbers.iter().map(|logit| logit.exp()).sum();
            let room = 1.0 - classes as f32 * floor;
            numbers
                .iter()
                .map(|logit| room * logit.exp() / sum + floor)
                .collect()
        }
    }
}

fn close(found: &[f32], wanted: &[f32], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (index, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let allowed = 1e-4 * wanted.abs().max(1.0);
        assert!(
            (found - wanted).abs() <= allowed,
            "{what} {index}: {found} against {wanted}"
        );
    }
}

fn agree(heads: Vec<Head>, arch: Arch) {
    let shape = shape(heads);
    let member = member(&shape, 5);
    let table = Table::new(&shape, BLOCK + 9, 6);
    let oracle = Oracle::new(&shape, &member, &table);
    let mut scores = Scores::new();
    let scorer = Scorer::new(&shape, &member).unwrap().on(arch);
    scorer.score(table.rows(&shape), &mut scores).unwrap();
    close(&scores.nll, &oracle.nll, "nll");
    close(&scores.kl, &oracle.kl, "kl");
    close(
        &scores.squared_error,
        &oracle.squared_error,
        "squared error",
    );
    close(&scores.expected, &oracle.expected, "expected");
    close(&scores.variance, &oracle.variance, "variance");
    let sums = |terms: &[f32]| -> Vec<f32> {
        terms
            .chunks_exact(shape.heads.len())
            .map(|row| row.iter().sum())
            .collect()
    };
    close(&sums(&scores.head_nll), &oracle.nll, "sum of head nll");
    close(
        &sums(&scores.head_squared),
        &oracle.squared_error,
        "sum of head squared",
    );
}

#[test]
fn scores_agree_with_candle_for_every_kind_of_head() {
    let classes = |classes| Head::Categorical { classes };
    for arch in [Arch::new(), Arch::Scalar] {
        agree(vec![Head::Gaussian; 19], arch);
        agree(vec![Head::Bernoulli; 3], arch);
        agree(vec![classes(2), classes(20)], arch);
        let mixed = [
            Head::Gaussian,
            classes(5),
            Head::Bernoulli,
            Head::Gaussian,
            Head::Bernoulli,
        ];
        agree([mixed, mixed].concat(), arch);
    }
}

#[test]
fn a_code_decodes_as_it_did_when_its_row_was_scored() {
    let classes = Head::Categorical { classes: 4 };
    let shape = shape(vec![
        Head::Gaussian,
        classes,
        Head::Bernoulli,
        Head::Gaussian,
    ]);
    let member = member(&shape, 8);
    let mixture = Mixture::from_parts(3, vec![1.0], vec![0.1; 3], vec![0.7; 3]).unwrap();
    let scorer = Scorer::new(&shape, &member).unwrap().with_mixture(&mixture);
    let scorer = scorer.unwrap();
    let table = Table::new(&shape, 2 * BLOCK + 7, 9);
    let (mut scored, mut decoded) = (Scores::new(), Scores::new());
    scorer.score(table.rows(&shape), &mut scored).unwrap();
    // What another batch has left behind must not show.
    scorer.score(table.rows(&shape), &mut decoded).unwrap();
    scorer.decode(&scored.code, &mut decoded).unwrap();
    assert_eq!(decoded.rows(), scored.rows());
    assert_eq!(decoded.expected, scored.expected);
    assert_eq!(decoded.variance, scored.variance);
    assert_eq!(decoded.code_nll, scored.code_nll);
    let nothing = [&decoded.nll, &decoded.kl, &decoded.squared_error];
    assert!(nothing.into_iter().flatten().all(|&term| term == 0.0));
    assert!(
        decoded
            .code_variance
            .iter()
            .all(|&variance| variance == 0.0)
    );
    // One code in the middle, alone.
    let mut alone = Scores::new();
    let middle = BLOCK + 3;
    scorer
        .decode(&scored.code[middle * 3..][..3], &mut alone)
        .unwrap();
    let width = shape.width();
    assert_eq!(alone.expected, &scored.expected[middle * width..][..width]);
}

#[test]
fn half_a_code_is_refused() {
    let shape = shape(vec![Head::Gaussian]);
    let scorer = Scorer::new(&shape, &member(&shape, 1)).unwrap();
    let refused = scorer.decode(&[0.0; 4], &mut Scores::new()).unwrap_err();
    assert!(refused.to_string().contains("a code of this model has 3"));
}

#[test]
fn missing_heads_have_no_terms() {
    let shape = shape(vec![
        Head::Gaussian,
        Head::Categorical { classes: 3 },
        Head::Bernoulli,
    ]);
    let scorer = Scorer::new(&shape, &member(&shape, 1)).unwrap();
    let mut scores = Scores::new();
    scorer
        .score(
            Rows::new(&shape, &[0.0; 5], &[0.0; 3]).unwrap(),
            &mut scores,
        )
        .unwrap();
    assert_eq!(scores.head_nll, [0.0; 3]);
    assert_eq!((scores.nll[0], scores.squared_error[0]), (0.0, 0.0));
}

#[test]
fn one_set_of_scores_serves_networks_of_different_shapes() {
    let wide = shape(vec![Head::Gaussian; 9]);
    let narrow = shape(vec![Head::Gaussian; 4]);
    let mut reused = Scores::new();
    for shape in [&wide, &narrow] {
        let scorer = Scorer::new(shape, &member(shape, 2)).unwrap();
        let table = Table::new(shape, 7, 3);
        let mut fresh = Scores::new();
        scorer.score(table.rows(shape), &mut fresh).unwrap();
        scorer.score(table.rows(shape), &mut reused).unwrap();
        assert_eq!(reused.rows(), 7);
        assert!((0..7).all(|row| bits(&reused, row) == bits(&fresh, row)));
    }
}

#[test]
fn rows_and_weights_of_another_shape_are_refused() {
    let (one, other) = (
        shape(vec![Head::Gaussian; 2]),
        shape(vec![Head::Gaussian; 3]),
    );
    let member = member(&one, 1);
    assert!(Scorer::new(&other, &member).is_err());
    let scorer = Scorer::new(&one, &member).unwrap();
    let rows = Rows::new(&other, &[0.0; 3], &[1.0; 3]).unwrap();
    assert!(scorer.score(rows, &mut Scores::new()).is_err());
}
