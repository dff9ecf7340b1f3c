//! Which readings the model sees, and below which deviation they are trifles.

use serde_json::Value;

use crate::config::{Direction, Field, Kind};

/// A field that is worth watching where it exists.
struct Watched {
    /// The path; with `*` at its end, all paths that begin so.
    path: &'static str,
    direction: Direction,
    min_deviation: f64,
}

const fn watched(path: &'static str, direction: Direction, min_deviation: f64) -> Watched {
    Watched {
        path,
        direction,
        min_deviation,
    }
}

/// `load.five` and `load.fifteen` are not watched: they drift for minutes after whatever moved them.
/// `memory.used_share` is not: it is `memory.available_bytes` again. The smallest deviations are a
/// judgement of what nobody would want to hear of (a seventh of a core, some MB/s, 100 MB, ten
/// processes, five degrees), well below what the disturbances do. An idle processor, disk or network
/// is no outlier; processes that are gone are.
const WATCHED: [Watched; 14] = [
    watched("cpu.*", Direction::Above, 0.15),
    watched("load.one", Direction::Above, 1.0),
    watched("memory.available_bytes", Direction::Below, 100e6),
    watched("swap.used_share", Direction::Above, 0.02),
    watched("disk.read_bytes_per_s", Direction::Above, 5e6),
    watched("disk.write_bytes_per_s", Direction::Above, 5e6),
    watched("net.rx_bytes_per_s", Direction::Above, 1e6),
    watched("net.tx_bytes_per_s", Direction::Above, 1e6),
    watched("loopback.bytes_per_s", Direction::Above, 5e6),
    watched("kernel.page_faults_per_s", Direction::Above, 10e3),
    watched("kernel.context_switches_per_s", Direction::Above, 10e3),
    watched("processes.count", Direction::Both, 10.0),
    watched("processes.forks_per_s", Direction::Above, 50.0),
    watched("temperature.*", Direction::Above, 5.0),
];

/// The watched fields that are numbers in every one of `samples`, in the order of the first.
pub(super) fn of_samples(samples: &[Vec<u8>]) -> Vec<Field> {
    let parsed: Vec<Value> = samples
        .iter()
        .filter_map(|sample| serde_json::from_slice(sample).ok())
        .collect();
    let Some(first) = parsed.first() else {
        return Vec::new();
    };
    numeric_paths(first)
        .into_iter()
        .filter(|path| parsed.iter().all(|sample| number_at(sample, path)))
        .filter_map(|path| {
            let watched = WATCHED.iter().find(|watched| covers(watched.path, &path))?;
            Some(Field {
                path,
                kind: Kind::Numeric,
                required: false,
                direction: watched.direction,
                min_deviation: watched.min_deviation,
            })
        })
        .collect()
}

fn covers(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => path.starts_with(beginning),
        None => path == pattern,
    }
}

/// The readings stand two deep: a group and a name.
fn numeric_paths(sample: &Value) -> Vec<String> {
    let groups = sample.as_object().into_iter().flatten();
    groups
        .filter_map(|(group, members)| Some((group, members.as_object()?)))
        .flat_map(|(group, members)| {
            members
                .iter()
                .filter(|(_, value)| value.is_number())
                .map(move |(name, _)| format!("{group}.{name}"))
        })
        .collect()
}

fn number_at(sample: &Value, path: &str) -> bool {
    path.split_once('.')
        .and_then(|(group, name)| sample.get(group)?.get(name))
        .is_some_and(Value::is_number)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn paths(samples: &[&str]) -> Vec<String> {
        let samples: Vec<Vec<u8>> = samples.iter().map(|text| text.as_bytes().into()).collect();
        of_samples(&samples)
            .into_iter()
            .map(|field| field.path)
            .collect()
    }

    #[test]
    fn only_numbers_that_every_sample_has_become_fields() {
        let first = r#"{"host":"h","cpu":{"core0":0.1,"mean":0.1},"swap":{"used_share":0.0},
            "load":{"five":1.0,"one":1.0},"temperature":{"coretemp":41.0}}"#;
        let second = r#"{"host":"h","cpu":{"core0":0.1,"mean":null},"load":{"five":1,"one":2},
            "temperature":{"coretemp":42.0}}"#;
        let mut found = paths(&[first, second]);
        found.sort();
        assert_eq!(found, ["cpu.core0", "load.one", "temperature.coretemp"]);
    }

    #[test]
    fn no_samples_mean_no_fields() {
        assert!(paths(&[]).is_empty());
        assert!(paths(&["not json"]).is_empty());
    }

    #[test]
    fn every_watched_field_mutes_trifles() {
        assert!(WATCHED.iter().all(|watched| watched.min_deviation > 0.0));
    }
}
