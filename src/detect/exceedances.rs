//! How many unseen rows a conformal threshold flags, by chance alone.

/// The number of rows at or beyond a threshold, among rows that are exchangeable with those that
/// set it.
///
/// With the threshold at the `rank`th highest of `calibration` scores, the share of further rows
/// beyond it is Beta(rank, calibration + 1 - rank), and their number among `unseen` rows is
/// beta-binomial (Vovk 2012, "Conditional validity of inductive conformal predictors"). So both
/// samplings are in it, that of the calibration and that of the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceedances {
    rank: usize,
    calibration: usize,
    unseen: usize,
}

impl Exceedances {
    /// `None` unless `rank` is at least 1 and at most `calibration`.
    #[must_use]
    pub fn new(rank: usize, calibration: usize, unseen: usize) -> Option<Exceedances> {
        (1..=calibration).contains(&rank).then_some(Exceedances {
            rank,
            calibration,
            unseen,
        })
    }

    /// The probabilities of 0, 1 .. `unseen` exceedances.
    #[must_use]
    pub fn probabilities(&self) -> Vec<f64> {
        let (a, b) = (self.rank as f64, (self.calibration + 1 - self.rank) as f64);
        let rows = self.unseen as f64;
        // Steps from one to the next, in logarithms: the first may be too small for a number.
        let none: f64 = (0..self.unseen)
            .map(|row| ((b + row as f64) / (a + b + row as f64)).ln())
            .sum();
        let mut logarithm = none;
        let mut all = Vec::with_capacity(self.unseen + 1);
        for count in 0..=self.unseen {
            all.push(logarithm.exp());
            let j = count as f64;
            logarithm += ((rows - j) * (j + a) / ((j + 1.0) * (rows - j - 1.0 + b))).ln();
        }
        all
    }

    /// The least and the most exceedances, inclusive, such that no more than (1 - `level`) / 2 of
    /// the probability lies below and no more above.
    #[must_use]
    pub fn interval(&self, level: f64) -> (usize, usize) {
        let tail = (1.0 - level) / 2.0;
        let probabilities = self.probabilities();
        let first_beyond = |probabilities: &mut dyn Iterator<Item = &f64>| {
            let mut sum = 0.0;
            probabilities
                .take_while(|&&probability| {
                    sum += probability;
                    sum <= tail
                })
                .count()
        };
        let least = first_beyond(&mut probabilities.iter());
        let most = self.unseen - first_beyond(&mut probabilities.iter().rev()).min(self.unseen);
        (least, most)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rank, calibration rows, unseen rows; a count and its probability; the interval of 99 %.
    type Reference = (usize, usize, usize, usize, f64, (usize, usize));

    const SCIPY: [Reference; 6] = [
        (1, 99, 50, 0, 0.664_429_530_201_342_1, (0, 4)),
        (5, 500, 2000, 20, 0.039_400_448_433_015_8, (3, 54)),
        (15, 1565, 3277, 30, 0.041_537_624_129_339_94, (11, 61)),
        (7, 703, 703, 3, 0.081_854_340_249_779_08, (0, 19)),
        (2, 271, 380, 0, 0.172_917_405_175_476, (0, 13)),
        (60, 6000, 30_000, 300, 0.009_436_976_328_064_62, (201, 419)),
    ];

    #[test]
    fn probabilities_and_intervals_agree_with_scipy() {
        // scipy 1.17.1, stats.betabinom(m, k, n + 1 - k): pmf, and the interval by cdf and sf.
        for (rank, calibration, unseen, at, probability, interval) in SCIPY {
            let found = Exceedances::new(rank, calibration, unseen).unwrap();
            let difference = found.probabilities()[at] / probability - 1.0;
            assert!(difference.abs() < 1e-9, "{found:?}: {difference}");
            assert_eq!(found.interval(0.99), interval, "{found:?}");
        }
    }

    #[test]
    fn a_rank_outside_the_calibration_rows_is_no_threshold() {
        assert_eq!(Exceedances::new(0, 100, 10), None);
        assert_eq!(Exceedances::new(101, 100, 10), None);
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_level_and_no_shorter_one_does(
            rank in 1_usize..40, more in 0_usize..500, unseen in 0_usize..400, level in 0.5_f64..0.999,
        ) {
            let exceedances = Exceedances::new(rank, rank + more, unseen).unwrap();
            let probabilities = exceedances.probabilities();
            prop_assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let (least, most) = exceedances.interval(level);
            prop_assert!(least <= most && most <= unseen);
            let tail = (1.0 - level) / 2.0;
            let below: f64 = probabilities[..least].iter().sum();
            let above: f64 = probabilities[most + 1..].iter().sum();
            prop_assert!(below <= tail + 1e-12 && above <= tail + 1e-12);
            prop_assert!(below + probabilities[least] > tail && above + probabilities[most] > tail);
        }
    }
}
