//! The generalised Pareto tail beyond a high quantile.
//!
//! Exceedances over a high threshold are close to a generalised Pareto distribution (Pickands
//! 1975). It is fitted by probability-weighted moments (Hosking and Wallis 1987), which need no
//! iteration and stay sane on the tens to hundreds of exceedances that a calibration has.

use serde::{Deserialize, Serialize};

/// The shape is kept within the range in which the estimator is sound (below 1/2) and within which
/// a support that ends right behind the largest calibration score is not believed.
const SHAPES: (f64, f64) = (-0.25, Pareto::HEAVIEST);

/// P(Y > y) = (1 + shape y / scale)^(-1 / shape) for an exceedance y of at least 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pareto {
    pub scale: f64,
    pub shape: f64,
}

impl Pareto {
    /// The largest shape that is believed: that of the heaviest tail.
    pub const HEAVIEST: f64 = 0.5;

    /// Fits the exceedances `sorted` (ascending, at least 0). `None` for fewer than ten, or when
    /// they do not vary.
    pub fn fit(sorted: &[f64]) -> Option<Pareto> {
        let count = sorted.len();
        if count < 10 {
            return None;
        }
        let mean = sorted.iter().sum::<f64>() / count as f64;
        // The estimate of E[Y (1 - F(Y))].
        let weighted = sorted
            .iter()
            .enumerate()
            .map(|(rank, y)| y * (count - 1 - rank) as f64 / (count - 1) as f64)
            .sum::<f64>()
            / count as f64;
        let spread = mean - 2.0 * weighted;
        if !(spread > 0.0 && weighted > 0.0) {
            return None;
        }
        let shape = (2.0 - mean / spread).clamp(SHAPES.0, SHAPES.1);
        // With the shape held, the scale that keeps the mean, scale / (1 - shape).
        let scale = mean * (1.0 - shape);
        Some(Pareto { scale, shape })
    }

    /// P(Y > y).
    pub fn survival(&self, y: f64) -> f64 {
        let y = y.max(0.0) / self.scale;
        if self.shape.abs() < 1e-9 {
            return (-y).exp();
        }
        (1.0 + self.shape * y).max(0.0).powf(-1.0 / self.shape)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Quantiles of the distribution, evenly spaced: a noiseless sample.
    fn ideal(pareto: Pareto, count: u32) -> Vec<f64> {
        (0..count)
            .map(|rank| {
                let upper = 1.0 - (f64::from(rank) + 0.5) / f64::from(count);
                pareto.scale * (upper.powf(-pareto.shape) - 1.0) / pareto.shape
            })
            .collect()
    }

    #[test]
    fn the_fit_finds_the_parameters_of_an_ideal_sample() {
        for shape in [-0.2, 0.1, 0.3] {
            let truth = Pareto { scale: 2.0, shape };
            let fitted = Pareto::fit(&ideal(truth, 2000)).unwrap();
            assert!((fitted.shape - shape).abs() < 0.03, "{fitted:?}");
            assert!((fitted.scale - 2.0).abs() < 0.08, "{fitted:?}");
        }
    }

    #[test]
    fn a_handful_of_exceedances_or_equal_ones_have_no_tail() {
        assert_eq!(Pareto::fit(&[1.0; 9]), None);
        assert_eq!(Pareto::fit(&[0.0; 50]), None);
    }

    proptest! {
        #[test]
        fn survival_falls_from_one_and_stays_within_it(
            scale in 0.01_f64..100.0, shape in -0.25_f64..0.5, y in 0.0_f64..1e6, step in 0.0_f64..1e3,
        ) {
            let pareto = Pareto { scale, shape };
            let (near, far) = (pareto.survival(y), pareto.survival(y + step));
            prop_assert!((0.0..=1.0).contains(&near) && far <= near);
            prop_assert_eq!(pareto.survival(0.0), 1.0);
        }
    }
}
