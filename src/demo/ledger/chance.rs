//! How likely a number of hits is by chance alone.

/// P(X >= hits) for X of Binomial(`trials`, `share`), summed exactly, in logarithms so that nothing
/// underflows.
pub(super) fn at_least(hits: u64, trials: u64, share: f64) -> f64 {
    if hits == 0 || share >= 1.0 {
        return 1.0;
    }
    if hits > trials || share <= 0.0 {
        return 0.0;
    }
    let (trials, odds) = (trials as f64, share.ln() - (-share).ln_1p());
    let mut log_term = trials * (-share).ln_1p();
    let mut tail = 0.0;
    for count in 0..=trials as u64 {
        if count >= hits {
            tail += log_term.exp();
        }
        let count = count as f64;
        log_term += ((trials - count) / (count + 1.0)).ln() + odds;
    }
    f64::min(tail, 1.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn small_cases_are_those_of_the_formula() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(at_least(1, 1, 0.25), 0.25);
        close(at_least(1, 2, 0.5), 0.75);
        close(at_least(3, 3, 0.1), 0.001);
        close(at_least(0, 10, 0.1), 1.0);
        close(at_least(11, 10, 0.1), 0.0);
        close(at_least(1, 10, 0.0), 0.0);
    }

    #[test]
    fn many_trials_do_not_underflow() {
        let half = at_least(5000, 10_000, 0.5);
        assert!((half - 0.504).abs() < 1e-3, "{half}");
    }

    proptest::proptest! {
        #[test]
        fn more_hits_are_never_likelier(hits in 0u64..60, trials in 0u64..60, share in 0.0f64..1.0) {
            let more = at_least(hits + 1, trials, share);
            proptest::prop_assert!(more <= at_least(hits, trials, share) + 1e-12);
        }
    }
}
