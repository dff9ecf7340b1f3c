//! Outliers of one key close in time are one episode.

use std::collections::HashMap;

/// Keys remembered at most; the one silent for longest is forgotten first.
const MAX_KEYS: usize = 100_000;

/// The open episodes by key.
#[derive(Debug)]
pub struct Episodes {
    /// Longest pause within an episode, milliseconds.
    gap_ms: i64,
    open: HashMap<Box<[u8]>, Open>,
}

#[derive(Debug)]
struct Open {
    id: String,
    latest_ms: i64,
}

/// The episode of one outlier.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Episode {
    /// The id of the episode's first outlier.
    pub id: String,
    /// Whether this outlier began it.
    pub first: bool,
}

impl Episodes {
    pub fn new(gap: std::time::Duration) -> Episodes {
        Episodes {
            gap_ms: i64::try_from(gap.as_millis()).unwrap_or(i64::MAX),
            open: HashMap::new(),
        }
    }

    /// Assigns the outlier `id` of `key` at `time_ms` (epoch milliseconds) to an episode.
    pub fn assign(&mut self, key: &[u8], id: &str, time_ms: i64) -> Episode {
        if let Some(open) = self.open.get_mut(key) {
            let pause = time_ms.saturating_sub(open.latest_ms);
            open.latest_ms = open.latest_ms.max(time_ms);
            let first = pause > self.gap_ms;
            if first {
                open.id = id.to_owned();
            }
            return Episode {
                id: open.id.clone(),
                first,
            };
        }
        if self.open.len() >= MAX_KEYS {
            self.forget_the_oldest();
        }
        let open = Open {
            id: id.to_owned(),
            latest_ms: time_ms,
        };
        self.open.insert(key.into(), open);
        Episode {
            id: id.to_owned(),
            first: true,
        }
    }

    /// Drops the older half: seldom, and linear in the keys when it happens.
    fn forget_the_oldest(&mut self) {
        let mut times: Vec<i64> = self.open.values().map(|open| open.latest_ms).collect();
        let (_, &mut median, _) = times.select_nth_unstable(MAX_KEYS / 2);
        self.open.retain(|_, open| open.latest_ms > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn outliers_within_the_gap_share_the_first_ones_id() {
        let mut episodes = Episodes::new(Duration::from_secs(60));
        let first = episodes.assign(b"pump", "a", 0);
        let later = episodes.assign(b"pump", "b", 60_000);
        let other = episodes.assign(b"fan", "c", 61_000);
        let much_later = episodes.assign(b"pump", "d", 120_001);
        assert_eq!((first.id.as_str(), first.first), ("a", true));
        assert_eq!((later.id.as_str(), later.first), ("a", false));
        assert_eq!((other.id.as_str(), other.first), ("c", true));
        assert_eq!((much_later.id.as_str(), much_later.first), ("d", true));
    }

    #[test]
    fn memory_is_bounded_when_keys_explode() {
        let mut episodes = Episodes::new(Duration::from_secs(1));
        for key in 0..250_000_u32 {
            episodes.assign(&key.to_le_bytes(), "x", i64::from(key));
        }
        assert!(episodes.open.len() <= MAX_KEYS);
        assert!(
            !episodes
                .assign(&249_999_u32.to_le_bytes(), "y", 250_000)
                .first
        );
    }
}
