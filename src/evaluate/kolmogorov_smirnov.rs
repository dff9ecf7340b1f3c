//! Whether two samples come from one distribution.

use std::f64::consts::PI;

/// The two-sample test of Kolmogorov and Smirnov.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KolmogorovSmirnov {
    /// The largest distance between the two empirical distribution functions, in [0, 1].
    pub statistic: f64,
    /// The probability of at least this distance between two samples of one continuous
    /// distribution; with ties it is larger than it should be, so the test errs to the side of
    /// "the same".
    pub p: f64,
}

impl KolmogorovSmirnov {
    /// Compares two samples, in n log n. `None` if one of them is empty or holds a value that is
    /// not a number.
    ///
    /// The p-value is the asymptotic one of Kolmogorov (1933) at the argument that Stephens (1970,
    /// J. R. Stat. Soc. B 32) gives for finite samples; it is close from 4 effective rows on.
    #[must_use]
    pub fn between(one: &[f32], other: &[f32]) -> Option<Self> {
        let empty = one.is_empty() || other.is_empty();
        if empty || one.iter().chain(other).any(|value| value.is_nan()) {
            return None;
        }
        let statistic = distance(&sorted(one), &sorted(other));
        let (n, m) = (one.len() as f64, other.len() as f64);
        let effective = (n * m / (n + m)).sqrt();
        Some(KolmogorovSmirnov {
            statistic,
            p: survival((effective + 0.12 + 0.11 / effective) * statistic),
        })
    }
}

fn sorted(sample: &[f32]) -> Vec<f32> {
    let mut sorted = sample.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    sorted
}

/// The largest distance between the distribution functions of two sorted samples. They are compared
/// only behind all values that are equal.
fn distance(one: &[f32], other: &[f32]) -> f64 {
    let (mut i, mut j) = (0, 0);
    let mut largest: f64 = 0.0;
    while let (Some(&a), Some(&b)) = (one.get(i), other.get(j)) {
        let value = a.min(b);
        i += one[i..].iter().take_while(|&&next| next <= value).count();
        j += other[j..].iter().take_while(|&&next| next <= value).count();
        let gap = i as f64 / one.len() as f64 - j as f64 / other.len() as f64;
        largest = largest.max(gap.abs());
    }
    largest
}

/// P(K > x) of Kolmogorov's distribution, by whichever of its two series converges in a few terms.
fn survival(x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x < 1.0 {
        let terms = [1.0, 3.0, 5.0, 7.0];
        let sum: f64 = terms
            .iter()
            .map(|odd| (-(odd * PI / x).powi(2) / 8.0).exp())
            .sum();
        return (1.0 - (2.0 * PI).sqrt() / x * sum).clamp(0.0, 1.0);
    }
    let terms = [1.0_f64, -2.0, 3.0, -4.0];
    let sum: f64 = terms
        .iter()
        .map(|j| j.signum() * (-2.0 * (j * x).powi(2)).exp())
        .sum();
    (2.0 * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_distribution_agrees_with_scipy() {
        // scipy 1.17.1, stats.kstwobign.sf.
        for (x, expected) in [
            (0.2, 0.999_999_999_999_495),
            (0.5, 0.963_945_243_664_875_1),
            (0.8, 0.544_142_411_574_198_1),
            (0.999, 0.271_073_164_115_063_94),
            (1.0, 0.269_999_671_677_354_56),
            (1.2, 0.112_249_666_670_724_97),
            (1.628, 0.009_975_522_431_181_053),
            (2.5, 7.453_306_344_157_342e-6),
        ] {
            let found = survival(x);
            assert!(
                (found - expected).abs() < 1e-12,
                "{x}: {found} against {expected}"
            );
        }
    }

    #[test]
    fn the_test_agrees_with_scipy() {
        // scipy 1.17.1, stats.ks_2samp(method="exact"); the asymptotic p-value is an approximation.
        let one: Vec<f32> = (0..40u8).map(|i| (f32::from(i) * 0.7).sin()).collect();
        for (shift, statistic, p) in [
            (0.0, 0.1, 0.957_821_316_037_680_4),
            (0.2, 0.25, 0.088_330_767_491_295_48),
            (0.5, 0.316_666_666_666_666_65, 0.013_499_640_047_182_982),
            (1.0, 0.533_333_333_333_333_3, 1.006_348_751_716_979_4e-6),
        ] {
            let other: Vec<f32> = (0..60u8)
                .map(|i| (f32::from(i) * 1.3).cos() + shift)
                .collect();
            let found = KolmogorovSmirnov::between(&one, &other).unwrap();
            assert!((found.statistic - statistic).abs() < 1e-12, "{found:?}");
            assert!((found.p - p).abs() < 0.1 * p, "{found:?} against {p}");
        }
    }

    #[test]
    fn nothing_is_said_of_an_empty_sample_or_of_an_undefined_value() {
        assert_eq!(KolmogorovSmirnov::between(&[], &[1.0]), None);
        assert_eq!(KolmogorovSmirnov::between(&[1.0], &[f32::NAN]), None);
    }

    fn sample() -> impl Strategy<Value = Vec<f32>> {
        proptest::collection::vec((-5_i8..5).prop_map(f32::from), 1..40)
    }

    proptest! {
        #[test]
        fn the_statistic_is_the_largest_gap_at_any_value(one in sample(), other in sample()) {
            let below = |sample: &[f32], value: f32| {
                let count = sample.iter().filter(|&&next| next <= value).count();
                count as f64 / sample.len() as f64
            };
            let gaps = one.iter().chain(&other);
            let expected = gaps
                .map(|&value| (below(&one, value) - below(&other, value)).abs())
                .fold(0.0, f64::max);
            let found = KolmogorovSmirnov::between(&one, &other).unwrap();
            prop_assert!((found.statistic - expected).abs() < 1e-12);
            prop_assert!((0.0..=1.0).contains(&found.p));
        }

        #[test]
        fn the_survival_falls(x in 0.0_f64..4.0, step in 0.0_f64..1.0) {
            prop_assert!(survival(x + step) <= survival(x) + 1e-14);
        }
    }
}
