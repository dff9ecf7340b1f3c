//! The codes of the training rows as a density: the aggregated posterior.
//!
//! Training pulls codes towards the standard normal prior, but where they come to lie is another
//! distribution, the aggregated posterior: the mean of the rows' posteriors. A record whose code lies between
//! the learnt ones is odd, even if the prior thinks nothing of it. Put in the prior's place after training, it is
//! ex-post density estimation (Ghosh et al. 2020); as a trained prior it would be a VampPrior (Tomczak and Welling
//! 2018). A mixture of a few Gaussians stands for the thousands of posteriors.

use rand::seq::index;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::config::TrainingData;

/// Codes that a mixture is fitted to at most; more move it no further.
const MOST_CODES: usize = 20_000;

/// Rounds of Lloyd's algorithm at most.
const ROUNDS: usize = 30;

/// Fewer codes than this do not support a component.
const CODES_A_COMPONENT: usize = 8;

/// A mixture of axis-parallel Gaussians over codes.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    latent: usize,
    /// One a component, sum 1.
    weights: Vec<f32>,
    /// Components x latent.
    means: Vec<f32>,
    /// Components x latent, above 0.
    variances: Vec<f32>,
}

/// How fine a mixture is.
struct Grain {
    components: usize,
    /// Components with a smaller share of the codes are left out.
    least_share: f64,
}

impl Grain {
    /// Clean rows are followed closely. Among unlabelled ones a small group of codes is taken for a
    /// group of outliers, and left out. Figures: `docs/detection.md`.
    fn of(data: TrainingData) -> Grain {
        match data {
            TrainingData::Clean => Grain {
                components: 64,
                least_share: 0.0,
            },
            TrainingData::Unlabelled => Grain {
                components: 16,
                least_share: 0.03,
            },
        }
    }
}

impl Mixture {
    /// The mixture for the `codes` of training rows and the `variances` of their posteriors, both
    /// rows x latent: k-means clusters, each a Gaussian with the spread of its codes plus the mean
    /// variance of a posterior.
    pub fn fit(
        codes: &[f32],
        variances: &[f32],
        latent: usize,
        data: TrainingData,
        seed: u64,
    ) -> Mixture {
        let grain = Grain::of(data);
        let rows = codes.len() / latent;
        // Evenly thinned: the rows stand in the order of time.
        let every = rows.div_ceil(MOST_CODES).max(1);
        let codes: Vec<&[f32]> = codes.chunks_exact(latent).step_by(every).collect();
        let components = grain.components.min(codes.len() / CODES_A_COMPONENT).max(1);
        let clusters = Clusters::find(&codes, components, seed);
        let least = (grain.least_share * codes.len() as f64) as usize;
        clusters.mixture(&codes, &mean_row(variances, latent), least)
    }

    /// A mixture from its stored parts; `None` if they are not one.
    pub fn from_parts(
        latent: usize,
        weights: Vec<f32>,
        means: Vec<f32>,
        variances: Vec<f32>,
    ) -> Option<Mixture> {
        let cells = weights.len().checked_mul(latent)?;
        let sound = !weights.is_empty()
            && (means.len(), variances.len()) == (cells, cells)
            && means.iter().all(|mean| mean.is_finite())
            && [&weights, &variances]
                .into_iter()
                .flatten()
                .all(|value| value.is_finite() && *value > 0.0);
        sound.then_some(Mixture {
            latent,
            weights,
            means,
            variances,
        })
    }

    pub fn latent(&self) -> usize {
        self.latent
    }

    /// Fills `code`, as long as [`Mixture::latent`], with a code drawn from the mixture. Takes one
    /// uniform number and one normal number a unit from `random`.
    pub fn draw(&self, random: &mut impl Rng, code: &mut [f32]) {
        let mut left = random.random::<f32>();
        let drawn = self.weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        // Rounded weights may sum to a little less than 1.
        let component = drawn.unwrap_or(self.weights.len() - 1);
        let at = component * self.latent..(component + 1) * self.latent;
        let units = self.means[at.clone()].iter().zip(&self.variances[at]);
        for (value, (mean, variance)) in code.iter_mut().zip(units) {
            let normal: f32 = StandardNormal.sample(random);
            *value = mean + variance.sqrt() * normal;
        }
    }

    /// The components as one dense layer over a code and its squares, since the exponent of a Gaussian is linear in both:
    /// weights, 2 latent x components, and biases. Its outputs are logarithms of weighted densities.
    pub(super) fn layer(&self) -> (Vec<f32>, Vec<f32>) {
        let (latent, count) = (self.latent, self.weights.len());
        let mut weights = vec![0.0; 2 * latent * count];
        let mut bias = Vec::with_capacity(count);
        for component in 0..count {
            let mut constant = f64::from(self.weights[component]).ln();
            for unit in 0..latent {
                let mean = self.means[component * latent + unit];
                let variance = self.variances[component * latent + unit];
                weights[unit * count + component] = mean / variance;
                weights[(latent + unit) * count + component] = -0.5 / variance;
                let (mean, variance) = (f64::from(mean), f64::from(variance));
                constant -=
                    0.5 * (mean * mean / variance + (std::f64::consts::TAU * variance).ln());
            }
            bias.push(constant as f32);
        }
        (weights, bias)
    }

    /// One a component, sum 1.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Components x latent.
    pub fn means(&self) -> &[f32] {
        &self.means
    }

    /// Components x latent.
    pub fn variances(&self) -> &[f32] {
        &self.variances
    }
}

/// Clusters of codes, by their centres (clusters x latent) and each code's cluster.
struct Clusters {
    centres: Vec<f32>,
    latent: usize,
    of: Vec<usize>,
}

impl Clusters {
    /// Lloyd's algorithm (1982) from the seeds of k-means++ (Arthur and Vassilvitskii 2007).
    fn find(codes: &[&[f32]], count: usize, seed: u64) -> Clusters {
        let latent = codes.first().map_or(0, |code| code.len());
        let mut clusters = Clusters {
            centres: seeds(codes, count, &mut ChaCha8Rng::seed_from_u64(seed)),
            latent,
            of: vec![0; codes.len()],
        };
        for round in 0..ROUNDS {
            if !clusters.assign(codes) && round > 0 {
                break;
            }
            clusters.move_centres(codes);
        }
        clusters
    }

    /// Gives each code to the nearest centre; says whether any moved.
    fn assign(&mut self, codes: &[&[f32]]) -> bool {
        let mut moved = false;
        for (code, of) in codes.iter().zip(&mut self.of) {
            let mut nearest = (f32::INFINITY, 0);
            for (cluster, centre) in self.centres.chunks_exact(self.latent).enumerate() {
                let distance = squared_distance(code, centre);
                if distance < nearest.0 {
                    nearest = (distance, cluster);
                }
            }
            moved |= *of != nearest.1;
            *of = nearest.1;
        }
        moved
    }

    /// Centres become the means of their codes; an empty cluster stays where it is.
    fn move_centres(&mut self, codes: &[&[f32]]) {
        let mut sums = vec![0.0_f64; self.centres.len()];
        let counts = self.counts();
        for (code, &of) in codes.iter().zip(&self.of) {
            for (sum, value) in sums[of * self.latent..].iter_mut().zip(*code) {
                *sum += f64::from(*value);
            }
        }
        for (cluster, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let at = cluster * self.latent..(cluster + 1) * self.latent;
            for (centre, sum) in self.centres[at.clone()].iter_mut().zip(&sums[at]) {
                *centre = (sum / count as f64) as f32;
            }
        }
    }

    fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.centres.len() / self.latent.max(1)];
        for &of in &self.of {
            counts[of] += 1;
        }
        counts
    }

    /// The clusters of `least` codes or more as Gaussians; the largest, if all are smaller.
    fn mixture(&self, codes: &[&[f32]], posterior: &[f32], least: usize) -> Mixture {
        let counts = self.counts();
        let largest = counts.iter().copied().max().unwrap_or(0);
        let mut spreads = vec![0.0_f64; self.centres.len()];
        for (code, &of) in codes.iter().zip(&self.of) {
            let at = of * self.latent..(of + 1) * self.latent;
            for ((spread, centre), value) in spreads[at.clone()]
                .iter_mut()
                .zip(&self.centres[at])
                .zip(*code)
            {
                *spread += f64::from(value - centre).powi(2);
            }
        }
        let kept = |count: usize| count > 0 && count >= least.min(largest);
        let total: usize = counts.iter().filter(|&&count| kept(count)).sum();
        let mut mixture = Mixture {
            latent: self.latent,
            weights: Vec::new(),
            means: Vec::new(),
            variances: Vec::new(),
        };
        for (cluster, &count) in counts.iter().enumerate().filter(|(_, count)| kept(**count)) {
            let at = cluster * self.latent..(cluster + 1) * self.latent;
            mixture.weights.push(count as f32 / total as f32);
            mixture.means.extend_from_slice(&self.centres[at.clone()]);
            let spreads = spreads[at].iter().zip(posterior);
            let variances = spreads.map(|(spread, own)| (spread / count as f64) as f32 + own);
            mixture.variances.extend(variances);
        }
        mixture
    }
}

/// The first centre is any code; each further one is drawn by its squared distance to the nearest.
fn seeds(codes: &[&[f32]], count: usize, random: &mut ChaCha8Rng) -> Vec<f32> {
    let mut centres = Vec::new();
    let mut distances = vec![f32::INFINITY; codes.len()];
    let mut chosen = index::sample(random, codes.len(), 1).index(0);
    for _ in 0..count {
        centres.extend_from_slice(codes[chosen]);
        for (distance, code) in distances.iter_mut().zip(codes) {
            *distance = distance.min(squared_distance(code, codes[chosen]));
        }
        let total: f64 = distances.iter().map(|&distance| f64::from(distance)).sum();
        let mut left = random.random::<f64>() * total;
        chosen = distances
            .iter()
            .position(|&distance| {
                left -= f64::from(distance);
                left < 0.0
            })
            .unwrap_or(0);
    }
    centres
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn mean_row(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; width];
    for row in rows.chunks_exact(width) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
    }
    let count = (rows.len() / width).max(1) as f64;
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// `count` codes of two numbers near each of `centres`.
    fn groups(centres: &[(f32, f32, usize)]) -> Vec<f32> {
        let jitter = |i: usize, salt: usize| ((i * 7919 + salt) % 101) as f32 / 100.0 - 0.5;
        let mut codes = Vec::new();
        for &(x, y, count) in centres {
            for i in 0..count {
                codes.extend([x + jitter(i, 13), y + jitter(i, 57)]);
            }
        }
        codes
    }

    fn fit(codes: &[f32], data: TrainingData) -> Mixture {
        Mixture::fit(codes, &vec![0.01; codes.len()], 2, data, 1)
    }

    #[test]
    fn weights_sum_to_one_and_variances_hold_that_of_a_posterior() {
        let mixture = fit(
            &groups(&[(0.0, 0.0, 400), (5.0, 5.0, 100)]),
            TrainingData::Clean,
        );
        assert!((mixture.weights().iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(mixture.variances().iter().all(|&variance| variance >= 0.01));
        assert_eq!(mixture.means().len(), 2 * mixture.weights().len());
    }

    #[test]
    fn a_small_group_among_unlabelled_codes_is_left_out_and_among_clean_ones_is_not() {
        let codes = groups(&[(0.0, 0.0, 900), (8.0, -8.0, 20)]);
        let reaches = |mixture: &Mixture| mixture.means().chunks(2).any(|mean| mean[0] > 7.0);
        assert!(reaches(&fit(&codes, TrainingData::Clean)));
        assert!(!reaches(&fit(&codes, TrainingData::Unlabelled)));
    }

    #[test]
    fn few_or_identical_codes_make_one_component() {
        let few = fit(&groups(&[(1.0, 2.0, 5)]), TrainingData::Unlabelled);
        assert_eq!(few.weights(), [1.0]);
        let alike = fit(&[0.5; 400], TrainingData::Clean);
        assert!((alike.weights().iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(
            alike
                .variances()
                .iter()
                .all(|variance| variance.is_finite())
        );
    }

    #[test]
    fn the_same_codes_and_seed_give_the_same_mixture() {
        let codes = groups(&[(0.0, 0.0, 300), (3.0, 1.0, 300)]);
        assert_eq!(
            fit(&codes, TrainingData::Clean),
            fit(&codes, TrainingData::Clean)
        );
    }

    #[test]
    fn drawn_codes_have_the_shares_means_and_deviations_of_the_components() {
        let (weights, means, variances) =
            ([0.25, 0.75], [-5.0, 2.0, 5.0, 0.0], [1.0, 4.0, 0.25, 9.0]);
        let mixture =
            Mixture::from_parts(2, weights.into(), means.into(), variances.into()).unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let draws = 20_000;
        let mut codes = vec![[0.0; 2]; draws];
        for code in &mut codes {
            mixture.draw(&mut random, code);
        }
        for (component, weight) in weights.map(f64::from).into_iter().enumerate() {
            // Ten and twenty deviations lie between the components along the first unit.
            let own = codes
                .iter()
                .filter(|code| (code[0] > 0.0) == (component == 1));
            let count = own.clone().count() as f64;
            let unit = 2 * component;
            // Five standard errors each: of a share, a mean, and a variance of normal numbers.
            let share_error = (weight * (1.0 - weight) / draws as f64).sqrt();
            assert!((count / draws as f64 - weight).abs() < 5.0 * share_error);
            for axis in 0..2 {
                let mean = own.clone().map(|code| f64::from(code[axis])).sum::<f64>() / count;
                let spread = own
                    .clone()
                    .map(|code| (f64::from(code[axis]) - mean).powi(2));
                let variance = spread.sum::<f64>() / count;
                let wanted = f64::from(variances[unit + axis]);
                let off = (mean - f64::from(means[unit + axis])).abs();
                assert!(
                    off < 5.0 * (wanted / count).sqrt(),
                    "{component} {axis}: {off}"
                );
                let off = (variance / wanted - 1.0).abs();
                assert!(
                    off < 5.0 * (2.0 / count).sqrt(),
                    "{component} {axis}: {variance}"
                );
            }
        }
    }

    #[test]
    fn parts_that_are_no_mixture_are_refused() {
        let parts = |weights: &[f32], means: &[f32], variances: &[f32]| {
            Mixture::from_parts(2, weights.to_vec(), means.to_vec(), variances.to_vec())
        };
        assert!(parts(&[1.0], &[0.0, 0.0], &[1.0, 1.0]).is_some());
        assert!(parts(&[], &[], &[]).is_none());
        assert!(parts(&[1.0], &[0.0], &[1.0, 1.0]).is_none());
        assert!(parts(&[1.0], &[0.0, f32::NAN], &[1.0, 1.0]).is_none());
        assert!(parts(&[1.0], &[0.0, 0.0], &[1.0, 0.0]).is_none());
    }
}
