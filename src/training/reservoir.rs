//! An even sample of bounded size from rows of unknown number.

use std::collections::BinaryHeap;

use crate::features::Table;

/// Where a row stands in its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// 0 in a file.
    pub partition: i32,
    /// In a file, the number of the row.
    pub offset: i64,
}

/// Keeps `most` of the rows that it is given, each set of rows as likely as any other.
///
/// Every row draws a lot, and the lowest lots stay: a reservoir sample (Vitter 1985) whose lots are
/// a hash of seed and place instead of the next random number. So the sample does not depend on the
/// order in which the partitions of a topic happen to be read.
pub(super) struct Reservoir {
    most: usize,
    seed: u64,
    table: Table,
    places: Vec<Place>,
    /// Epoch seconds, one a row; NaN if it has none.
    times: Vec<f64>,
    /// Lot and index of the rows kept, the highest lot first.
    lots: BinaryHeap<(u64, usize)>,
}

impl Reservoir {
    pub(super) fn new(fields: usize, most: usize, seed: u64) -> Reservoir {
        Reservoir {
            most: most.max(1),
            seed,
            table: Table::new(fields),
            places: Vec::new(),
            times: Vec::new(),
            lots: BinaryHeap::new(),
        }
    }

    /// `time`: epoch seconds, NaN if it has none. `cells`: one a field.
    pub(super) fn add(&mut self, place: Place, time: f64, cells: &[f64]) {
        let lot = mix(mix(self.seed) ^ number(place));
        if self.rows() < self.most {
            self.lots.push((lot, self.rows()));
            self.table.push(cells);
            self.places.push(place);
            self.times.push(time);
            return;
        }
        if let Some(mut highest) = self.lots.peek_mut()
            && lot < highest.0
        {
            let row = highest.1;
            *highest = (lot, row);
            self.table.replace(row, cells);
            self.places[row] = place;
            self.times[row] = time;
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.places.len()
    }

    /// The rows in the order of time, those of one instant in the order of their places. If some
    /// row has no time, all stand in the order of their places.
    pub(super) fn into_table(self) -> Table {
        let mut order: Vec<usize> = (0..self.rows()).collect();
        let timed = !self.times.iter().any(|time| time.is_nan());
        order.sort_unstable_by(|&a, &b| {
            let by_time = self.times[a].total_cmp(&self.times[b]);
            let by_place = self.places[a].cmp(&self.places[b]);
            if timed {
                by_time.then(by_place)
            } else {
                by_place
            }
        });
        if order.is_sorted() {
            return self.table;
        }
        self.table.select(order.into_iter())
    }
}

/// A number for each place, no two the same below 2^16 partitions and 2^48 offsets.
fn number(place: Place) -> u64 {
    let partition = place.partition as u64;
    partition.rotate_right(16) ^ place.offset as u64
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014): one to one, and every bit of the
/// input moves every bit of the output.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(partition: i32, offset: i64) -> Place {
        Place { partition, offset }
    }

    /// The one cell of each row that is kept, of rows that hold their own number.
    fn kept(reservoir: Reservoir) -> Vec<f64> {
        reservoir.into_table().present(0).collect()
    }

    fn sample(rows: i64, most: usize, seed: u64) -> Vec<f64> {
        let mut reservoir = Reservoir::new(1, most, seed);
        for row in 0..rows {
            reservoir.add(place(0, row), row as f64, &[row as f64]);
        }
        kept(reservoir)
    }

    #[test]
    fn every_row_is_as_likely_to_stay_as_any_other() {
        // 400 samples of 25 out of 100: each row stays 100 times, with a deviation of 8.7.
        let mut stayed = [0_u32; 100];
        for seed in 0..400 {
            for row in sample(100, 25, seed) {
                stayed[row as usize] += 1;
            }
        }
        assert_eq!(stayed.iter().sum::<u32>(), 400 * 25);
        let chi_squared: f64 = stayed
            .iter()
            .map(|&count| (f64::from(count) - 100.0).powi(2) / 75.0)
            .sum();
        // 99 degrees of freedom, deviation 14: four deviations.
        assert!((43.0..155.0).contains(&chi_squared), "{chi_squared}");
    }

    #[test]
    fn few_rows_stay_whole_and_in_the_order_of_time() {
        let mut reservoir = Reservoir::new(1, 10, 1);
        for (offset, time) in [(0, 30.0), (1, 10.0), (2, 20.0), (3, 10.0)] {
            reservoir.add(place(0, offset), time, &[offset as f64]);
        }
        assert_eq!(kept(reservoir), [1.0, 3.0, 2.0, 0.0]);
    }

    #[test]
    fn a_row_without_a_time_leaves_all_in_the_order_of_their_places() {
        let mut reservoir = Reservoir::new(1, 10, 1);
        for (partition, time) in [(2, 1.0), (0, f64::NAN), (1, 0.0)] {
            reservoir.add(place(partition, 7), time, &[f64::from(partition)]);
        }
        assert_eq!(kept(reservoir), [0.0, 1.0, 2.0]);
    }

    proptest! {
        #[test]
        fn the_order_of_reading_does_not_change_the_sample(
            rows in 1_i64..300, most in 1_usize..80, seed: u64, turn in 0_usize..300,
        ) {
            let mut read: Vec<i64> = (0..rows).collect();
            read.rotate_left(turn % rows as usize);
            let mut reservoir = Reservoir::new(1, most, seed);
            for row in read {
                reservoir.add(place((row % 3) as i32, row / 3), (row / 7) as f64, &[row as f64]);
            }
            let mut in_order = Reservoir::new(1, most, seed);
            for row in 0..rows {
                in_order.add(place((row % 3) as i32, row / 3), (row / 7) as f64, &[row as f64]);
            }
            let (first, second) = (kept(reservoir), kept(in_order));
            prop_assert_eq!(first.len(), most.min(rows as usize));
            prop_assert_eq!(first, second);
        }
    }
}
