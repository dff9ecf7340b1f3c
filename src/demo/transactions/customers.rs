//! Who pays where: customers, their habits and the terminals in their reach.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, Poisson};

/// The side of the square on which everybody lives, and how far a customer goes to pay.
const SIDE: f64 = 100.0;
const REACH: f64 = 5.0;

/// Fewer payments a day than this and a small population would wait for ever for its next one.
const LEAST_DAILY: f64 = 0.01;

/// How often a customer pays in the way that he likes best.
const HABIT: f64 = 0.8;

/// How a card is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Channel {
    Chip,
    Contactless,
    Online,
}

impl Channel {
    const ALL: [Self; 3] = [Self::Chip, Self::Contactless, Self::Online];

    fn any(rng: &mut ChaCha8Rng) -> Self {
        Self::ALL[rng.random_range(0..Self::ALL.len())]
    }
}

/// One customer with one card.
#[derive(Debug, Clone)]
pub(super) struct Customer {
    pub(super) card_number: String,
    /// Indexes of terminals, at least one.
    reach: Vec<u32>,
    mean_amount: f64,
    amount: Option<Normal<f64>>,
    daily: Option<Poisson<f64>>,
    favourite: Channel,
}

impl Customer {
    /// Payments on one day.
    pub(super) fn payments(&self, rng: &mut ChaCha8Rng) -> u32 {
        self.daily.map_or(0, |daily| daily.sample(rng) as u32)
    }

    /// An amount in cents, above 0. The handbook draws anew from U(0, 2 m) when the normal
    /// distribution gives a negative one.
    pub(super) fn cents(&self, rng: &mut ChaCha8Rng) -> i64 {
        let drawn = self.amount.map_or(0.0, |amount| amount.sample(rng));
        let amount = if drawn > 0.0 {
            drawn
        } else {
            rng.random_range(0.0..2.0 * self.mean_amount)
        };
        ((amount * 100.0).round() as i64).max(1)
    }

    pub(super) fn terminal(&self, rng: &mut ChaCha8Rng) -> u32 {
        self.reach[rng.random_range(0..self.reach.len())]
    }

    pub(super) fn channel(&self, rng: &mut ChaCha8Rng) -> Channel {
        if rng.random_bool(HABIT) {
            self.favourite
        } else {
            Channel::any(rng)
        }
    }
}

/// A population of `count` customers among `terminals` terminals.
pub(super) fn populate(count: u32, terminals: u32, rng: &mut ChaCha8Rng) -> Vec<Customer> {
    let places: Vec<[f64; 2]> = (0..terminals).map(|_| place(rng)).collect();
    (0..count)
        .map(|index| {
            let reach = in_reach(place(rng), &places);
            let mean_amount = rng.random_range(5.0..100.0);
            let daily = rng.random_range(0.0_f64..4.0).max(LEAST_DAILY);
            Customer {
                card_number: card_number(index),
                reach,
                mean_amount,
                amount: Normal::new(mean_amount, mean_amount / 2.0).ok(),
                daily: Poisson::new(daily).ok(),
                favourite: Channel::any(rng),
            }
        })
        .collect()
}

fn place(rng: &mut ChaCha8Rng) -> [f64; 2] {
    [rng.random_range(0.0..SIDE), rng.random_range(0.0..SIDE)]
}

/// The terminals nearer than [`REACH`], or the nearest one.
fn in_reach(home: [f64; 2], places: &[[f64; 2]]) -> Vec<u32> {
    let squared = |place: &[f64; 2]| (place[0] - home[0]).powi(2) + (place[1] - home[1]).powi(2);
    let near: Vec<u32> = (0..)
        .zip(places)
        .filter(|(_, place)| squared(place) < REACH * REACH)
        .map(|(index, _)| index)
        .collect();
    if !near.is_empty() {
        return near;
    }
    (0..)
        .zip(places)
        .min_by(|(_, a), (_, b)| squared(a).total_cmp(&squared(b)))
        .map(|(index, _)| index)
        .into_iter()
        .collect()
}

/// Sixteen digits with a valid check digit (Luhn, ISO/IEC 7812-1), different for each index below
/// 10^9. They begin with 9, after which a country's number follows, and no country is 999: nobody
/// issues them.
fn card_number(index: u32) -> String {
    let scattered = u64::from(index) * 618_033_989 % 1_000_000_000;
    let payload = format!("999999{scattered:09}");
    let check = (10 - luhn_sum(&payload) % 10) % 10;
    format!("{payload}{check}")
}

/// The sum over `payload` when a check digit is to follow: every second digit from the right, the
/// last one first, counts double.
fn luhn_sum(payload: &str) -> u32 {
    payload
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0');
            let weighted = if place % 2 == 0 { 2 * digit } else { digit };
            weighted / 10 + weighted % 10
        })
        .sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_check_digit_is_the_one_of_the_standard() {
        // The customary example: 7992739871 is completed by 3.
        assert_eq!((10 - luhn_sum("7992739871") % 10) % 10, 3);
    }

    #[test]
    fn card_numbers_differ_and_have_sixteen_digits() {
        let numbers: BTreeSet<String> = (0..5000).map(card_number).collect();
        assert_eq!(numbers.len(), 5000);
        assert!(numbers.iter().all(|number| number.len() == 16));
    }

    #[test]
    fn a_lonely_customer_goes_to_the_nearest_terminal() {
        let places = [[90.0, 90.0], [40.0, 40.0], [60.0, 60.0]];
        assert_eq!(in_reach([10.0, 10.0], &places), [1]);
        assert_eq!(in_reach([41.0, 40.0], &places), [1]);
    }

    #[test]
    fn amounts_are_positive_and_near_the_customers_mean() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let customer = populate(1, 10, &mut rng).remove(0);
        let amounts: Vec<i64> = (0..20_000).map(|_| customer.cents(&mut rng)).collect();
        assert!(amounts.iter().all(|cents| *cents > 0));
        let mean = amounts.iter().sum::<i64>() as f64 / amounts.len() as f64 / 100.0;
        // Negative draws (2.3%) come again from U(0, 2 m), which lifts the mean by some percent.
        assert!((mean / customer.mean_amount - 1.03).abs() < 0.03, "{mean}");
    }
}
