//! What an investigator finds who looks at a fixed number of cards a day.

use std::collections::BTreeMap;

/// One scored row of a key (a card, a customer, a machine).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DailyScore<'a> {
    /// Any number that is the same for all rows of a day, as days since an epoch.
    pub day: i64,
    pub key: &'a str,
    pub score: f32,
    pub anomalous: bool,
}

/// A key on one day: its highest score, and whether one of its rows is an anomaly.
#[derive(Debug, Clone, Copy)]
struct Card {
    score: f32,
    compromised: bool,
}

/// Card precision at `top` a day: each day the keys are ranked by their highest score of that day;
/// of the first `top` (of all, if they are fewer) the share with an anomalous row that day; the mean
/// over the days. Where equal scores straddle the last place, the expected share under a random
/// order of them. `None` without rows or with a `top` of 0.
///
/// After the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot, Bontempi 2022), which also takes
/// compromised keys that were found off the days after; here each day stands for itself.
#[must_use]
pub fn card_precision(rows: &[DailyScore<'_>], top: usize) -> Option<f64> {
    let mut days: BTreeMap<i64, BTreeMap<&str, Card>> = BTreeMap::new();
    for row in rows {
        let cards = days.entry(row.day).or_default();
        let card = cards.entry(row.key).or_insert(Card {
            score: row.score,
            compromised: false,
        });
        card.score = card.score.max(row.score);
        card.compromised |= row.anomalous;
    }
    if days.is_empty() || top == 0 {
        return None;
    }
    let found = days.values().map(|cards| {
        let mut cards: Vec<Card> = cards.values().copied().collect();
        share_among_the_first(top, &mut cards)
    });
    Some(found.sum::<f64>() / days.len() as f64)
}

/// The share of compromised cards among the `top` with the highest scores.
fn share_among_the_first(top: usize, cards: &mut [Card]) -> f64 {
    cards.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
    let places = top.min(cards.len());
    let last = cards[places - 1].score;
    let above = cards.iter().take_while(|card| card.score > last).count();
    let tied = cards[above..].iter().take_while(|card| card.score >= last);
    let tied = &cards[above..above + tied.count()];
    let compromised = |cards: &[Card]| cards.iter().filter(|card| card.compromised).count() as f64;
    let drawn = (places - above) as f64 / tied.len() as f64;
    (compromised(&cards[..above]) + drawn * compromised(tied)) / places as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(day: i64, key: &str, score: f32, anomalous: bool) -> DailyScore<'_> {
        DailyScore {
            day,
            key,
            score,
            anomalous,
        }
    }

    #[test]
    fn a_key_counts_once_a_day_with_its_highest_score_and_any_of_its_anomalies() {
        let rows = [
            // The odd row of `a` is not its anomalous one, and it still counts.
            row(1, "a", 9.0, false),
            row(1, "a", 0.0, true),
            row(1, "b", 8.0, false),
            row(1, "c", 1.0, true),
            row(2, "b", 1.0, true),
            row(2, "c", 2.0, false),
        ];
        assert_eq!(card_precision(&rows, 1), Some(0.5));
        assert_eq!(card_precision(&rows, 2), Some(0.5));
        assert_eq!(card_precision(&rows, 100), Some((2.0 / 3.0 + 0.5) / 2.0));
    }

    #[test]
    fn equal_scores_at_the_last_place_count_by_chance() {
        let rows = [
            row(1, "a", 5.0, true),
            row(1, "b", 1.0, true),
            row(1, "c", 1.0, false),
            row(1, "d", 1.0, false),
            row(1, "e", 0.0, true),
        ];
        let found = card_precision(&rows, 2).unwrap_or_default();
        assert!((found - (1.0 + 1.0 / 3.0) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_to_look_at_has_no_precision() {
        assert_eq!(card_precision(&[], 100), None);
        assert_eq!(card_precision(&[row(1, "a", 1.0, true)], 0), None);
    }

    proptest! {
        #[test]
        fn each_place_goes_to_the_best_card_that_is_left(
            rows in proptest::collection::vec((0_i64..3, 0_usize..6, any::<bool>()), 1..60),
            top in 1_usize..8,
        ) {
            let keys = ["a", "b", "c", "d", "e", "f"];
            // All scores differ, so that the order is the only one.
            let rows: Vec<_> = rows.iter().enumerate().map(|(index, &(day, key, anomalous))| {
                row(day, keys[key], (index * 37 % 61) as f32, anomalous)
            }).collect();
            let (mut days, mut sum) = (0.0, 0.0);
            for day in 0..3 {
                let today = || rows.iter().filter(move |row| row.day == day);
                let (mut seen, mut found) = (Vec::new(), 0.0);
                while seen.len() < top {
                    let left = today().filter(|row| !seen.contains(&row.key));
                    let best = left.max_by(|a, b| a.score.total_cmp(&b.score));
                    let Some(best) = best else { break };
                    seen.push(best.key);
                    let bad = today().any(|row| row.key == best.key && row.anomalous);
                    found += f64::from(u8::from(bad));
                }
                if !seen.is_empty() {
                    days += 1.0;
                    sum += found / seen.len() as f64;
                }
            }
            let found = card_precision(&rows, top).unwrap_or_default();
            prop_assert!((found - sum / days).abs() < 1e-12);
        }
    }
}
