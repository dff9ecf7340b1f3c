//! Which rows fit and which calibrate.

use std::ops::Range;

/// With fewer calibration rows than this, rows are cross-fitted instead of held out.
const ENOUGH_TO_HOLD_OUT: usize = 200;

/// Blocks of cross-fitting.
const BLOCKS: usize = 4;

/// Rows next to a block that neither fit nor calibrate, as a share of all: neighbours in time look
/// alike, and a network that has seen them has nearly seen the block.
const GUARD: f64 = 0.02;

/// One split of rows that stand in the order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fold {
    /// Rows that the network is not fitted on; they calibrate.
    pub(super) block: Range<usize>,
    /// Rows next to the block that are not used at all, the block included.
    guarded: Range<usize>,
    rows: usize,
}

impl Fold {
    /// Rows that the network is fitted on.
    pub(super) fn fit(&self) -> impl Iterator<Item = usize> {
        (0..self.guarded.start).chain(self.guarded.end..self.rows)
    }
}

/// How the rows are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// The newest rows calibrate the network that was fitted on the others.
    HoldOut(Fold),
    /// Each block is scored by a network fitted on the other blocks; the network that serves is
    /// fitted on all rows.
    CrossFit(Vec<Fold>),
}

pub(super) fn plan(rows: usize, calibration_share: f64) -> Plan {
    let held_out = (rows as f64 * calibration_share).round() as usize;
    if held_out >= ENOUGH_TO_HOLD_OUT {
        let block = rows - held_out..rows;
        return Plan::HoldOut(Fold {
            guarded: block.clone(),
            block,
            rows,
        });
    }
    let guard = (rows as f64 * GUARD).ceil() as usize;
    let folds = (0..BLOCKS).map(|index| {
        let block = index * rows / BLOCKS..(index + 1) * rows / BLOCKS;
        Fold {
            guarded: block.start.saturating_sub(guard)..(block.end + guard).min(rows),
            block,
            rows,
        }
    });
    Plan::CrossFit(folds.collect())
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn many_rows_hold_out_the_newest() {
        let Plan::HoldOut(fold) = plan(10_000, 0.2) else {
            panic!("10,000 rows are many")
        };
        assert_eq!(fold.block, 8000..10_000);
        assert_eq!(fold.fit().count(), 8000);
    }

    proptest! {
        #[test]
        fn no_row_calibrates_a_network_that_was_fitted_on_it(rows in 8_usize..998) {
            let Plan::CrossFit(folds) = plan(rows, 0.2) else {
                panic!("997 rows are few: a fifth of them is less than 200")
            };
            let calibrating: usize = folds.iter().map(|fold| fold.block.len()).sum();
            prop_assert_eq!(calibrating, rows);
            for fold in folds {
                prop_assert!(fold.fit().all(|row| !fold.block.contains(&row)));
                prop_assert!(fold.fit().count() >= rows / 2);
            }
        }
    }
}
