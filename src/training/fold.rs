//! Which rows fit and which calibrate.

use std::ops::Range;

/// With fewer calibration rows than this, rows are cross-fitted instead of held out. So many attest a
/// budget of 1 %. Cross-fitted scores come from other networks than the one that serves, and the
/// difference shows: on 700 rows of vowels a Kolmogorov-Smirnov test tells them apart.
const ENOUGH_TO_HOLD_OUT: usize = 99;

/// Held-out rows stand in so many stretches over the whole time, so that they are of every hour and
/// every weekday that was learnt, and neither the fit nor the calibration lacks the newest rows.
const STRETCHES: usize = 20;

/// Blocks of cross-fitting.
const BLOCKS: usize = 4;

/// Rows next to a block that neither fit nor calibrate, as a share of all: neighbours in time look
/// alike, and a network that has seen them has nearly seen the block.
const GUARD: f64 = 0.02;

/// One split of rows that stand in the order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// Rows that the network is fitted on.
    pub fit: Vec<usize>,
    /// Rows that it is not fitted on; they calibrate.
    pub calibrate: Vec<usize>,
}

/// How the rows are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// Some rows calibrate the network that was fitted on the others.
    HoldOut(Fold),
    /// Each block is scored by a network fitted on the other blocks; the network that serves is
    /// fitted on all rows.
    CrossFit(Vec<Fold>),
}

impl Plan {
    /// Has no network fitted on the rows that are marked.
    pub(super) fn leave_out(&mut self, marked: &[bool]) {
        let folds = match self {
            Plan::HoldOut(fold) => std::slice::from_mut(fold),
            Plan::CrossFit(folds) => folds,
        };
        for fold in folds {
            fold.fit.retain(|&row| !marked[row]);
        }
    }
}

pub(super) fn plan(rows: usize, calibration_share: f64) -> Plan {
    let held_out = (rows as f64 * calibration_share).round() as usize;
    if held_out >= ENOUGH_TO_HOLD_OUT {
        return Plan::HoldOut(Fold::stretches(rows, calibration_share));
    }
    let guard = (rows as f64 * GUARD).ceil() as usize;
    let folds = (0..BLOCKS).map(|index| Fold::new(rows, [(part(index, BLOCKS, rows), guard)]));
    Plan::CrossFit(folds.collect())
}

/// The rows of part `index` of `parts` of nearly the same length.
fn part(index: usize, parts: usize, rows: usize) -> Range<usize> {
    index * rows / parts..(index + 1) * rows / parts
}

impl Fold {
    /// Holds out `calibration_share` of `rows` rows, in stretches over the whole time.
    #[must_use]
    pub fn stretches(rows: usize, calibration_share: f64) -> Fold {
        let stretches = (0..STRETCHES).map(|index| {
            let stretch = part(index, STRETCHES, rows);
            let held_out = (stretch.len() as f64 * calibration_share).round() as usize;
            (stretch.end - held_out..stretch.end, 0)
        });
        Fold::new(rows, stretches)
    }

    /// `blocks`: the rows that calibrate, and how many rows on either side are not used at all.
    fn new(rows: usize, blocks: impl IntoIterator<Item = (Range<usize>, usize)>) -> Fold {
        let (mut fit, mut calibrate) = (Vec::new(), Vec::new());
        let mut next = 0;
        for (block, guard) in blocks {
            fit.extend(next..block.start.saturating_sub(guard).max(next));
            next = (block.end + guard).min(rows);
            calibrate.extend(block);
        }
        fit.extend(next..rows);
        Fold { fit, calibrate }
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn many_rows_hold_out_stretches_over_the_whole_time() {
        let Plan::HoldOut(fold) = plan(10_000, 0.2) else {
            panic!("10,000 rows are many")
        };
        assert_eq!((fold.fit.len(), fold.calibrate.len()), (8000, 2000));
        assert_eq!(fold.calibrate[..2], [400, 401]);
        assert_eq!(fold.calibrate.last(), Some(&9999));
        assert_eq!(fold.fit[399..402], [399, 500, 501]);
    }

    proptest! {
        #[test]
        fn stretches_part_the_rows(rows in 50_usize..3000, share in 0.1..0.5_f64) {
            let fold = Fold::stretches(rows, share);
            let mut all = [&fold.fit[..], &fold.calibrate].concat();
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(0..rows));
            prop_assert!(fold.fit.len() >= rows / 3);
            let held_out = fold.calibrate.len() as f64;
            prop_assert!((held_out - rows as f64 * share).abs() <= 10.0 + 1.0);
        }

        #[test]
        fn no_row_calibrates_a_network_that_was_fitted_on_it(
            rows in 8_usize..3000, share in 0.05..0.5_f64,
        ) {
            let (folds, whole) = match plan(rows, share) {
                Plan::HoldOut(fold) => (vec![fold], false),
                Plan::CrossFit(folds) => (folds, true),
            };
            let calibrating: usize = folds.iter().map(|fold| fold.calibrate.len()).sum();
            prop_assert!(!whole || calibrating == rows);
            for fold in folds {
                prop_assert!(fold.fit.iter().all(|row| fold.calibrate.binary_search(row).is_err()));
                prop_assert!(fold.fit.is_sorted() && fold.calibrate.is_sorted());
                prop_assert!(fold.fit.len() >= rows * 2 / 5);
                prop_assert!(whole || fold.fit.len() + fold.calibrate.len() == rows);
            }
        }
    }
}
