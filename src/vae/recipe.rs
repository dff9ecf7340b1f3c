//! How one network is trained: the numbers, and where they come from.

use super::device::Device;
use crate::config::TrainingData;

/// From this floor on the likelihood is so flat that the whole divergence would cost more than a
/// code can earn, and the code would be given up. Where the rows are clean it is priced lower there
/// (figures: `docs/detection.md`). Among unlabelled rows a code given up is a guard: what is not
/// coded cannot be the outliers.
const STIFF: f32 = 0.4;

/// What a training run descends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// The evidence lower bound of Kingma and Welling, by one sample of the code.
    Elbo,
    /// The squared error of what is present, at the mean of the code and without a divergence: an
    /// ordinary autoencoder, to compare with. Variances are not learnt.
    SquaredError,
}

/// The settings of one training run. The defaults were found on thirteen tabular benchmark sets (ADBench,
/// Han et al. 2022) and are flat: none of them is worth more than about a point of AUROC within a factor of two.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    pub objective: Objective,
    /// Least standard deviation of a Gaussian head, in scaled units. Ensemble members differ in it:
    /// the larger it is, the more global the model.
    pub floor: f32,
    /// Share of contaminated cells that the likelihood of numbers allows for, 0 or more and below 1.
    pub epsilon: f32,
    /// Adam's step size at the start; it falls along a cosine to `last_rate` of it.
    pub learning_rate: f64,
    /// Share of the step size that is left at the end, 0 to 1.
    pub last_rate: f64,
    /// Rows a step; fewer where there are fewer rows.
    pub batch: usize,
    /// Parts of a batch that are computed side by side, each on a thread of its own. The bits of the
    /// weights depend on it.
    pub parts: usize,
    /// The values of two-valued heads are probabilities, and every batch draws 0 or 1 anew: so grey
    /// images are taken (Salakhutdinov and Murray 2008).
    pub drawn: bool,
    pub steps: usize,
    /// The weight of the divergence (beta of Higgins et al. 2017); 1 is the evidence lower bound.
    pub beta: f64,
    /// Share of the steps over which the weight of the divergence rises from 0, so that the code is
    /// in use before it is priced.
    pub warmup: f32,
    /// Longest gradient (Euclidean norm over all weights) that is followed unshortened.
    pub clip: f64,
    /// Where the network is trained. The bits of the weights depend on it too.
    pub device: Device,
    /// Decides the initial weights, the noise and the order of the rows.
    pub seed: u64,
}

impl Recipe {
    /// The settings for `rows` training rows: about 200 passes over them, yet no fewer than 400
    /// steps and no more than `max_steps`. Few rows seen thousands of times would be memorised, the
    /// outliers among them too.
    #[must_use]
    pub fn new(rows: usize, floor: f32, data: TrainingData, max_steps: usize, seed: u64) -> Self {
        let batch = 128;
        let passes = 200;
        Recipe {
            objective: Objective::Elbo,
            floor,
            epsilon: match data {
                TrainingData::Clean => 0.0,
                TrainingData::Unlabelled => 0.1,
            },
            learning_rate: 3e-3,
            last_rate: 0.05,
            batch,
            parts: 1,
            drawn: false,
            steps: rows
                .saturating_mul(passes)
                .div_ceil(batch)
                .max(400)
                .min(max_steps.max(1)),
            beta: match data {
                TrainingData::Clean if floor >= STIFF => 0.3,
                _ => 1.0,
            },
            warmup: 0.30,
            clip: 20.0,
            device: Device::cpu(),
            seed,
        }
    }

    /// The step size where `along` of the run is done, 0 to 1.
    pub(super) fn rate(&self, along: f64) -> f64 {
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * along).cos());
        self.learning_rate * (self.last_rate + (1.0 - self.last_rate) * cosine)
    }

    /// The weight of the divergence where `along` of the run is done, 0 to 1.
    pub(super) fn beta(&self, along: f64) -> f64 {
        let warmup = f64::from(self.warmup);
        match self.objective {
            Objective::SquaredError => 0.0,
            Objective::Elbo if along < warmup => self.beta * along / warmup,
            Objective::Elbo => self.beta,
        }
    }

    /// The first setting that no run can use, in words.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if !positive(f64::from(self.floor)) {
            return Some("floor must be above 0");
        }
        if !(0.0..1.0).contains(&self.epsilon) {
            return Some("epsilon must be 0 or more and below 1");
        }
        if !positive(self.learning_rate) || !positive(self.clip) {
            return Some("learning rate and clip must be above 0");
        }
        if !(self.beta.is_finite() && self.beta >= 0.0) {
            return Some("beta must be 0 or more");
        }
        if !(0.0..=1.0).contains(&self.warmup) {
            return Some("warmup must be between 0 and 1");
        }
        if !(0.0..=1.0).contains(&self.last_rate) {
            return Some("last rate must be between 0 and 1");
        }
        let counts = [self.batch, self.steps, self.parts];
        counts
            .contains(&0)
            .then_some("batch, parts and steps must be at least 1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(rows: usize, max_steps: usize) -> usize {
        Recipe::new(rows, 0.1, TrainingData::Clean, max_steps, 0).steps
    }

    #[test]
    fn the_steps_follow_the_rows_within_bounds() {
        assert_eq!(steps(20, 2000), 400);
        assert_eq!(steps(640, 2000), 1000);
        assert_eq!(steps(11_000, 2000), 2000);
        assert_eq!(steps(11_000, 50), 50);
        assert_eq!(steps(0, 0), 1);
    }

    #[test]
    fn the_rate_falls_to_a_twentieth_and_the_divergence_rises_to_its_whole_weight() {
        let recipe = Recipe::new(11_000, 1.0, TrainingData::Unlabelled, 1000, 0);
        assert!((recipe.rate(0.0) - 3e-3).abs() < 1e-9);
        assert!((recipe.rate(1.0) - 1.5e-4).abs() < 1e-9);
        assert!(recipe.beta(0.0).abs() < f64::EPSILON);
        assert!((recipe.beta(0.15) - 0.5).abs() < 1e-6);
        assert!((recipe.beta(0.3) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn only_stiff_networks_of_clean_rows_price_the_code_lower() {
        let whole = |floor, data| Recipe::new(11_000, floor, data, 1000, 0).beta(1.0);
        assert_eq!(whole(0.4, TrainingData::Clean), 0.3);
        assert_eq!(whole(0.2, TrainingData::Clean), 1.0);
        assert_eq!(whole(1.0, TrainingData::Unlabelled), 1.0);
    }

    #[test]
    fn settings_without_a_meaning_are_named() {
        let recipe = Recipe::new(100, 0.1, TrainingData::Clean, 10, 0);
        assert_eq!(recipe.fault(), None);
        assert!(
            Recipe {
                floor: 0.0,
                ..recipe.clone()
            }
            .fault()
            .is_some()
        );
        assert!(
            Recipe {
                epsilon: 1.0,
                ..recipe.clone()
            }
            .fault()
            .is_some()
        );
        assert!(
            Recipe {
                learning_rate: f64::NAN,
                ..recipe.clone()
            }
            .fault()
            .is_some()
        );
        assert!(Recipe { batch: 0, ..recipe }.fault().is_some());
    }
}
