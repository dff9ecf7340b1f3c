//! How far a realised false-alarm rate may stray from the budget by chance alone.
//!
//! With n calibration scores, a row is flagged if its rank p-value is at most the budget, which is
//! if it scores above the k-th largest of them, k = floor(budget (n + 1)). For continuous scores the
//! share of normal rows above that one is Beta(k, n + 1 - k), whatever their distribution: it is an
//! order statistic of uniforms. So the count among m unseen rows is beta-binomial (Vovk 2012,
//! "Conditional validity of inductive conformal predictors", proposition 2a).

use crate::detect::Exceedances;

/// The interval that holds the realised false-alarm rate of `test` unseen normal rows with
/// probability `level` (0 to 1, such as 0.99) or a little more, if the budget is kept, with as much
/// outside on either side. `calibration` is the number of calibration rows. Both ends are shares of
/// `test`. `None` if there are no rows to test, the level is none, or the budget is finer than the
/// calibration rows attest or is everything.
#[must_use]
pub fn false_alarm_interval(
    calibration: usize,
    test: usize,
    budget: f64,
    level: f64,
) -> Option<(f64, f64)> {
    if test == 0 || !(level > 0.0 && level < 1.0) || !(budget > 0.0 && budget < 1.0) {
        return None;
    }
    // The budget may be a rank over n + 1, which division makes a little too small.
    let rank = (budget * (calibration as f64 + 1.0) * (1.0 + 1e-9)).floor() as usize;
    let (least, most) = Exceedances::new(rank, calibration, test)?.interval(level);
    let share = |count: usize| count as f64 / test as f64;
    Some((share(least), share(most)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Reference: scipy.stats.betabinom(m, k, n + 1 - k).ppf([.005, .995]), scipy 1.17.1.
    #[test]
    fn the_ends_are_those_of_scipy() {
        for (n, m, budget, low, high) in [
            (99, 100, 0.01, 0, 7),
            (999, 2000, 0.01, 5, 44),
            (499, 300, 0.05, 5, 29),
            (50000, 20000, 0.001, 8, 35),
            (5000, 1, 0.2, 0, 1),
            (200, 5000, 0.5, 2028, 2948),
            (1, 10, 0.5, 0, 10),
        ] {
            let (a, b) = false_alarm_interval(n, m, budget, 0.99).unwrap();
            assert_eq!((a * m as f64).round() as usize, low, "{n} {m} {budget}");
            assert_eq!((b * m as f64).round() as usize, high, "{n} {m} {budget}");
        }
    }

    #[test]
    fn a_budget_that_is_not_attested_has_no_interval() {
        assert_eq!(false_alarm_interval(98, 100, 0.01, 0.99), None);
        assert!(false_alarm_interval(99, 100, 0.01, 0.99).is_some());
        assert_eq!(false_alarm_interval(99, 0, 0.01, 0.99), None);
        assert_eq!(false_alarm_interval(0, 10, 0.5, 0.99), None);
        assert_eq!(false_alarm_interval(99, 10, f64::NAN, 0.99), None);
        assert_eq!(false_alarm_interval(99, 10, 1.0, 0.99), None);
    }

    /// The claim itself: of splits at random, 99 in 100 or more realise a rate inside.
    #[test]
    fn rates_of_random_splits_lie_inside() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let (n, m, budget) = (199, 300, 0.05);
        let (low, high) = false_alarm_interval(n, m, budget, 0.99).unwrap();
        let (trials, mut outside, mut near) = (4000, 0, 0);
        for _ in 0..trials {
            let mut scores: Vec<f64> = (0..n).map(|_| random.random()).collect();
            scores.sort_unstable_by(|a, b| b.total_cmp(a));
            let flagged = (0..m)
                .filter(|_| random.random::<f64>() > scores[9])
                .count();
            let rate = flagged as f64 / m as f64;
            outside += usize::from(rate < low || rate > high);
            near += usize::from(rate <= low || rate >= high);
        }
        // 40 are expected at most, with a deviation of 6.3; and the ends are no further than they
        // need be.
        assert!(outside <= 60, "{outside} of {trials}");
        assert!(near >= 25, "{near} of {trials}");
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_mean(
            n in 1_usize..5000, m in 1_usize..20_000, budget in 1e-4_f64..0.999,
        ) {
            if let Some((low, high)) = false_alarm_interval(n, m, budget, 0.99) {
                let mean = (budget * (n + 1) as f64).floor() / (n + 1) as f64;
                let one = 1.0 / m as f64;
                prop_assert!(0.0 <= low && low <= high && high <= 1.0);
                prop_assert!(low <= mean + one && mean <= high + one, "{low} {mean} {high}");
            }
        }
    }
}
