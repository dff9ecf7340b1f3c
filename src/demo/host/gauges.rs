//! Readings that cost too much for every sample: taken once a second and held in between.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use sysinfo::{Components, ProcessRefreshKind, ProcessesToUpdate, System};

const INTERVAL: Duration = Duration::from_secs(1);

/// The number of processes, and the temperature of each part that has a sensor.
pub(super) struct Gauges {
    components: Option<Components>,
    read: Option<Instant>,
    pub(super) processes: Option<usize>,
    /// Degrees Celsius by the sensor's name.
    pub(super) temperatures: BTreeMap<String, f64>,
}

impl Gauges {
    pub(super) fn new() -> Self {
        Self {
            components: Components::new().ok(),
            read: None,
            processes: None,
            temperatures: BTreeMap::new(),
        }
    }

    /// Reads anew when the last reading is a second old at `now`.
    pub(super) fn refresh(&mut self, now: Instant, system: &mut System) {
        if self.read.is_some_and(|read| now - read < INTERVAL) {
            return;
        }
        self.read = Some(now);
        self.processes = count_processes(system);
        if let Some(components) = self.components.as_mut() {
            components.refresh(true);
            self.temperatures = temperatures(
                components
                    .iter()
                    .map(|component| (component.label(), component.temperature())),
            );
        }
    }
}

/// Listing `/proc` is far cheaper than sysinfo's walk, which opens files of every process.
fn count_processes(system: &mut System) -> Option<usize> {
    let listed = fs::read_dir("/proc").ok().map(|entries| {
        entries
            .flatten()
            .filter(|entry| {
                let name = entry.file_name();
                name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
            })
            .count()
    });
    if listed.is_some_and(|count| count > 0) {
        return listed;
    }
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, ProcessRefreshKind::nothing());
    let count = system.processes().len();
    (count > 0).then_some(count)
}

/// Sensors by a name that can stand in a dotted path. Of several with one name the hottest counts.
fn temperatures<'a>(
    sensors: impl Iterator<Item = (&'a str, Option<f32>)>,
) -> BTreeMap<String, f64> {
    let mut by_name: BTreeMap<String, f64> = BTreeMap::new();
    for (label, degrees) in sensors {
        let Some(degrees) = degrees.map(f64::from).filter(|degrees| degrees.is_finite()) else {
            continue;
        };
        let hottest = by_name.entry(path_part(label)).or_insert(degrees);
        *hottest = hottest.max(degrees);
    }
    by_name
}

/// `label` in lower case, with `_` for everything but ASCII letters and digits.
fn path_part(label: &str) -> String {
    let words: Vec<String> = label
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    if words.is_empty() {
        "sensor".to_owned()
    } else {
        words.join("_")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn sensors_of_one_name_are_one_reading_the_hottest() {
        let sensors = [
            ("coretemp Core 0", Some(41.0)),
            ("coretemp.core-0", Some(55.0)),
            ("nvme", None),
            ("acpi", Some(f32::NAN)),
        ];
        let expected = BTreeMap::from([("coretemp_core_0".to_owned(), 55.0)]);
        assert_eq!(temperatures(sensors.into_iter()), expected);
    }

    proptest::proptest! {
        #[test]
        fn a_sensor_name_never_breaks_a_path(label in ".{0,30}") {
            let part = path_part(&label);
            proptest::prop_assert!(!part.is_empty() && !part.contains(['.', ' ', '$']));
        }
    }
}
