//! The network where everything about it is known: with silent hidden layers and constant variances it
//! is factor analysis, and with equal variances probabilistic PCA (Tipping and Bishop 1999).
//!
//! The bound is quadratic in the noise then, so that its expectation is exact over 2 L codes at plus
//! and minus sqrt(L) along each of the L axes: they have the mean and the variances of the normal law.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::num::NonZeroUsize;

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::batches::Batch;
use super::likelihood::SPREAD_AT_ONE;
use super::loss::Loss;
use super::{Head, Member, Recipe, Rows, Scorer, Scores, Shape};
use crate::config::TrainingData;

const FLOOR: f32 = 0.3;
const COLUMNS: usize = 5;
const LATENT: usize = 2;

const LOADINGS: &str = "decoder.skip";
const MEAN: &str = "decoder.mean.bias";
const SPREAD: &str = "decoder.spread.bias";
const ENCODER: &str = "encoder.skip";
const CODE: &str = "encoder.code.bias";

/// The weights that are not zero, by name, row-major as the network has them.
type Weights = BTreeMap<&'static str, Vec<f64>>;

fn shape() -> Shape {
    Shape {
        heads: vec![Head::Gaussian; COLUMNS],
        hidden: 3,
        latent: LATENT,
    }
}

fn normals(count: usize, seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|_| StandardNormal.sample(&mut random))
        .collect()
}

/// Some point: no optimum of anything.
fn anywhere(seed: u64) -> Weights {
    let counts = [
        (LOADINGS, LATENT * COLUMNS),
        (MEAN, COLUMNS),
        (SPREAD, COLUMNS),
        (ENCODER, COLUMNS * LATENT),
        (CODE, 2 * LATENT),
    ];
    let named = counts.into_iter().zip(seed..);
    named
        .map(|((name, count), seed)| (name, normals(count, seed).iter().map(|x| 0.6 * x).collect()))
        .collect()
}

fn member(weights: &Weights) -> Member {
    let start = Member::untrained(&shape(), FLOOR, &mut ChaCha8Rng::seed_from_u64(0));
    Member::from_tensors(&shape(), FLOOR, |name| {
        let (_, dims, values) = start.tensors().find(|(found, ..)| *found == name)?;
        let values = match weights.get(name) {
            Some(values) => values.iter().map(|&value| value as f32).collect(),
            None => vec![0.0; values.len()],
        };
        Some((dims.to_vec(), values))
    })
    .unwrap()
}

fn floor() -> f64 {
    f64::from(FLOOR) * f64::from(FLOOR)
}

fn variances(weights: &Weights) -> Vec<f64> {
    let softplus = |x: f64| (x + SPREAD_AT_ONE).exp().ln_1p();
    weights[SPREAD]
        .iter()
        .map(|&x| softplus(x) + floor())
        .collect()
}

/// The evidence lower bound of one row, in nats, in double precision.
fn bound(weights: &Weights, row: &[f64], present: &[f64]) -> f64 {
    let (loadings, code) = (&weights[LOADINGS], &weights[CODE]);
    let posterior: Vec<(f64, f64)> = (0..LATENT)
        .map(|i| {
            let seen = (0..COLUMNS).map(|j| row[j] * weights[ENCODER][j * LATENT + i]);
            (code[i] + seen.sum::<f64>(), code[LATENT + i])
        })
        .collect();
    let divergence = posterior
        .iter()
        .map(|(mean, log_variance)| 0.5 * (mean * mean + log_variance.exp() - 1.0 - log_variance));
    let cells = variances(weights).into_iter().enumerate().map(|(j, v)| {
        let (mut error, mut spread) = (row[j] - weights[MEAN][j], 0.0);
        for (i, (mean, log_variance)) in posterior.iter().enumerate() {
            let loading = loadings[i * COLUMNS + j];
            error -= loading * mean;
            spread += loading * loading * log_variance.exp();
        }
        -0.5 * present[j] * ((TAU * v).ln() + (error * error + spread) / v)
    });
    cells.sum::<f64>() - divergence.sum::<f64>()
}

/// ln p(x): the normal law of covariance W W' + V.
fn log_likelihood(weights: &Weights, row: &[f64]) -> f64 {
    let loadings = DMatrix::from_row_slice(LATENT, COLUMNS, &weights[LOADINGS]);
    let noise = DMatrix::from_diagonal(&DVector::from_vec(variances(weights)));
    let covariance = loadings.transpose() * loadings + noise;
    let error = DVector::from_row_slice(row) - DVector::from_row_slice(&weights[MEAN]);
    let factor = covariance.cholesky().unwrap();
    let distance = error.dot(&factor.solve(&error));
    -0.5 * (COLUMNS as f64 * TAU.ln() + factor.determinant().ln() + distance)
}

/// The bound of the network, and its gradient by the name of the weight, both means over the rows and
/// exact in expectation over the noise.
fn by_the_network(weights: &Weights, rows: &[f64], present: &[f64]) -> (f64, Weights) {
    let shape = shape();
    let recipe = Recipe::new(100, FLOOR, TrainingData::Clean, 1, 0);
    let loss = Loss::new(&shape, &recipe, &member(weights)).unwrap();
    let mut batch = Batch::default();
    for (row, present) in rows.chunks(COLUMNS).zip(present.chunks(COLUMNS)) {
        for axis in 0..2 * LATENT {
            let mut noise = [0.0; LATENT];
            noise[axis / 2] = (LATENT as f32).sqrt() * [1.0, -1.0][axis % 2];
            batch.noise.extend(noise);
            batch.values.extend(row.iter().map(|&value| value as f32));
            batch
                .present
                .extend(present.iter().map(|&mark| mark as f32));
            batch.rows += 1;
        }
    }
    let count = batch.rows;
    let part = loss.part(batch, count, 1.0).unwrap();
    let mut names: Vec<&str> = shape.parameters().iter().map(|found| found.name).collect();
    names.sort_unstable();
    let gradients = names
        .iter()
        .zip(loss.network.variables())
        .filter_map(|(name, variable)| {
            let (name, _) = weights.get_key_value(name)?;
            let descent = part.gradients.get(&variable)?.flatten_all().unwrap();
            let descent = descent.to_vec1::<f32>().unwrap();
            Some((
                *name,
                descent.iter().map(|&slope| -f64::from(slope)).collect(),
            ))
        });
    (-f64::from(part.loss), gradients.collect())
}

/// The maximum likelihood fit of probabilistic PCA to `rows`, with the exact posterior as encoder.
fn principal_components(rows: &[f64]) -> Weights {
    let count = rows.len() / COLUMNS;
    let table = DMatrix::from_row_slice(count, COLUMNS, rows);
    let mean = table.row_mean();
    let centred = DMatrix::from_fn(count, COLUMNS, |i, j| table[(i, j)] - mean[j]);
    let eigen = SymmetricEigen::new(centred.transpose() * &centred / count as f64);
    let mut order: Vec<usize> = (0..COLUMNS).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let (kept, left) = order.split_at(LATENT);
    let noise = left.iter().map(|&k| eigen.eigenvalues[k]).sum::<f64>() / left.len() as f64;
    let (mut loadings, mut code) = (Vec::new(), vec![0.0; 2 * LATENT]);
    let mut encoder = vec![0.0; COLUMNS * LATENT];
    for (i, &k) in kept.iter().enumerate() {
        let whole = eigen.eigenvalues[k];
        for j in 0..COLUMNS {
            let loading = (whole - noise).sqrt() * eigen.eigenvectors[(j, k)];
            loadings.push(loading);
            // M = W'W + v is the eigenvalue here.
            encoder[j * LATENT + i] = loading / whole;
            code[i] -= loading / whole * mean[j];
        }
        code[LATENT + i] = (noise / whole).ln();
    }
    let spread = (noise - floor()).exp_m1().ln() - SPREAD_AT_ONE;
    BTreeMap::from([
        (LOADINGS, loadings),
        (MEAN, mean.iter().copied().collect()),
        (SPREAD, vec![spread; COLUMNS]),
        (ENCODER, encoder),
        (CODE, code),
    ])
}

/// Rows with correlated columns.
fn rows(count: usize) -> Vec<f64> {
    let (mixing, sources) = (normals(COLUMNS * COLUMNS, 11), normals(COLUMNS * count, 12));
    let mut rows = Vec::new();
    for source in sources.chunks(COLUMNS) {
        for j in 0..COLUMNS {
            let mixed = (0..COLUMNS).map(|i| source[i] * mixing[i * COLUMNS + j]);
            rows.push(0.7 * j as f64 - 1.0 + mixed.sum::<f64>());
        }
    }
    rows
}

fn mean(weights: &Weights, rows: &[f64], of: impl Fn(&Weights, &[f64]) -> f64) -> f64 {
    let count = (rows.len() / COLUMNS) as f64;
    rows.chunks(COLUMNS)
        .map(|row| of(weights, row))
        .sum::<f64>()
        / count
}

#[test]
fn bound_and_gradients_are_those_of_the_closed_form_at_any_point() {
    for seed in [20, 30, 40] {
        let weights = anywhere(seed);
        let mut values = normals(3 * COLUMNS, seed + 9);
        let mut present = vec![1.0; values.len()];
        (values[7], present[7]) = (0.0, 0.0);
        let bound = |weights: &Weights| {
            let rows = values.chunks(COLUMNS).zip(present.chunks(COLUMNS));
            rows.map(|(row, present)| bound(weights, row, present))
                .sum::<f64>()
                / 3.0
        };
        let (found, gradients) = by_the_network(&weights, &values, &present);
        let expected = bound(&weights);
        assert!(
            (found - expected).abs() < 2e-6 * expected.abs(),
            "{found} against {expected}"
        );
        assert_eq!(gradients.len(), weights.len());
        for (name, gradient) in gradients {
            for (place, &found) in gradient.iter().enumerate() {
                let moved = |by: f64| {
                    let mut weights = weights.clone();
                    weights.get_mut(name).unwrap()[place] += by;
                    bound(&weights)
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                let error = (found - expected).abs();
                assert!(
                    error < 1e-5 * expected.abs().max(1.0),
                    "{name} {place}: {found} against {expected}"
                );
            }
        }
    }
}

#[test]
fn at_the_fit_of_probabilistic_pca_the_bound_is_the_likelihood_and_has_no_slope() {
    let rows = rows(60);
    let present = vec![1.0; rows.len()];
    let fit = principal_components(&rows);
    let likelihood = mean(&fit, &rows, log_likelihood);
    let (found, mut gradients) = by_the_network(&fit, &rows, &present);
    assert!(
        (found - likelihood).abs() < 1e-5 * likelihood.abs(),
        "{found} against {likelihood}"
    );
    // One variance for all columns: what has no slope is their sum.
    let together = gradients[SPREAD].iter().sum();
    gradients.insert(SPREAD, vec![together]);
    let steepest = gradients
        .values()
        .flatten()
        .fold(0.0f64, |most, slope| most.max(slope.abs()));
    assert!(steepest < 2e-4, "{steepest}");
    for name in gradients.keys() {
        let mut moved = fit.clone();
        for value in moved.get_mut(name).unwrap() {
            *value += 0.3;
        }
        let (less, _) = by_the_network(&moved, &rows, &present);
        assert!(
            less < likelihood - 1e-3,
            "{name}: {less} against {likelihood}"
        );
    }
}

/// Both means over the rows: by importance sampling, and exact.
fn sampled_and_exact(weights: &Weights, rows: &[f64], samples: usize) -> (f64, f64) {
    let scorer = Scorer::new(&shape(), &member(weights)).unwrap();
    let values: Vec<f32> = rows.iter().map(|&value| value as f32).collect();
    let present = vec![1.0; values.len()];
    let found = scorer.log_likelihood(
        Rows::new(&shape(), &values, &present).unwrap(),
        NonZeroUsize::new(samples).unwrap(),
        &mut ChaCha8Rng::seed_from_u64(5),
        &mut Scores::new(),
    );
    let found = found.unwrap();
    let sampled = found.iter().sum::<f64>() / found.len() as f64;
    (sampled, mean(weights, rows, log_likelihood))
}

#[test]
fn importance_sampling_needs_one_code_where_the_posterior_is_exact() {
    let rows = rows(60);
    for samples in [1, 49] {
        let (sampled, exact) = sampled_and_exact(&principal_components(&rows), &rows, samples);
        assert!(
            (sampled - exact).abs() < 1e-5 * exact.abs(),
            "{sampled} against {exact}"
        );
    }
}

#[test]
fn importance_sampling_reaches_the_likelihood_from_below_where_it_is_not() {
    let rows = rows(60);
    let mut weights = principal_components(&rows);
    // Means half a deviation off, deviations a fifth too large.
    let code = weights.get_mut(CODE).unwrap();
    for i in 0..LATENT {
        code[i] += 0.5 * (0.5 * code[LATENT + i]).exp();
        code[LATENT + i] += 2.0 * 1.2f64.ln();
    }
    let (few, exact) = sampled_and_exact(&weights, &rows, 1);
    assert!(few < exact - 0.1, "{few} against {exact}");
    let (many, exact) = sampled_and_exact(&weights, &rows, 500);
    // The weights' variance is about 1, over 500 codes and 60 rows: a deviation of 0.006.
    assert!((many - exact).abs() < 0.025, "{many} against {exact}");
}
