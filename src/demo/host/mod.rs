//! This host's own sensors as JSON records: processor, load, memory, disk, network, processes and
//! temperatures.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use sysinfo::System;

use crate::config::Field;

mod counters;
mod fields;
mod gauges;
mod kernel;
mod reading;

use counters::{Counters, Sources};
use gauges::Gauges;
use reading::Reading;

/// Four samples a second. sysinfo renews the processor shares at most once in 200 ms
/// ([`sysinfo::MINIMUM_CPU_UPDATE_INTERVAL`]); right at that limit every other sample would repeat
/// the one before, so this keeps 50 ms away from it.
const INTERVAL: Duration = Duration::from_millis(250);

/// Why this host cannot be sampled.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("cannot read the sensors of this host: {source}; try the demo on card transactions")]
    Sensors {
        #[source]
        source: sysinfo::Error,
    },
}

/// Reads this host's sensors.
///
/// Rates are means over the time since the sample before. What this host does not have is left out
/// of the record. How fresh a reading is:
///
/// | reading | renewed |
/// | --- | --- |
/// | processor shares | every sample; Linux counts them in ticks of 1 to 10 ms |
/// | load averages | by Linux every 5 s |
/// | memory, swap | every sample |
/// | disk | every sample, when a request is complete: buffered writes show when the kernel writes them out |
/// | network, loopback, faults, switches, forks | every sample |
/// | process count, temperatures | once a second, as they cost more |
pub struct HostSampler {
    host: String,
    system: System,
    sources: Sources,
    gauges: Gauges,
    before: Counters,
    sampled: Instant,
}

impl HostSampler {
    /// Takes the first readings, against which the first sample's rates are measured; wait
    /// [`HostSampler::interval`] before that sample.
    ///
    /// # Errors
    ///
    /// When the operating system gives no readings at all.
    pub fn new() -> Result<Self, HostError> {
        let mut system = System::new().map_err(|source| HostError::Sensors { source })?;
        system.refresh_cpu_usage();
        system.refresh_memory();
        let mut sources = Sources::new();
        let before = sources.read();
        Ok(Self {
            host: System::host_name().unwrap_or_else(|_| "this-host".to_owned()),
            system,
            sources,
            gauges: Gauges::new(),
            before,
            sampled: Instant::now(),
        })
    }

    /// The shortest time between two samples that gives new readings each time.
    pub fn interval() -> Duration {
        INTERVAL
    }

    /// Replaces `out` by one JSON object: `host`, `time` and nested numbers. Shares are 0 to 1,
    /// rates are per second, sizes are bytes, temperatures are degrees Celsius.
    pub fn sample(&mut self, out: &mut Vec<u8>) {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        let now = Instant::now();
        let counters = self.sources.read();
        let rates = counters.rates_since(&self.before, now - self.sampled);
        self.gauges.refresh(now, &mut self.system);
        let reading = Reading::new(
            &self.host,
            Timestamp::now(),
            &self.system,
            rates,
            &self.gauges,
        );
        self.before = counters;
        self.sampled = now;
        reading.write(out);
    }

    /// The fields of the records that a model should see on this host: numbers that are in every
    /// one of `samples`, less those that only drift (the slow load averages) or repeat another.
    pub fn fields(samples: &[Vec<u8>]) -> Vec<Field> {
        fields::of_samples(samples)
    }

    /// Path of the event time in the records.
    pub const TIME: &'static str = "time";
    /// Path of the key in the records.
    pub const KEY: &'static str = "host";
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn assert_finite(value: &serde_json::Value, path: &str) {
        match value {
            serde_json::Value::Object(members) => {
                for (name, member) in members {
                    assert_finite(member, &format!("{path}.{name}"));
                }
            }
            serde_json::Value::Number(number) => {
                assert!(number.as_f64().unwrap().is_finite(), "{path} is {number}");
            }
            serde_json::Value::String(_) => assert!(matches!(path, ".host" | ".time"), "{path}"),
            other => panic!("{path} is {other}"),
        }
    }

    #[test]
    fn two_samples_are_json_objects_of_finite_numbers() {
        let mut sampler = HostSampler::new().unwrap();
        let mut samples = Vec::new();
        for _ in 0..2 {
            std::thread::sleep(HostSampler::interval());
            let mut out = Vec::new();
            sampler.sample(&mut out);
            samples.push(out);
        }
        for sample in &samples {
            let value: serde_json::Value = serde_json::from_slice(sample).unwrap();
            assert_finite(&value, "");
            let mean = value["cpu"]["mean"].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&mean), "{mean}");
            assert!(value["memory"]["available_bytes"].as_f64().unwrap() > 0.0);
        }
        let fields = HostSampler::fields(&samples);
        assert!(fields.iter().any(|field| field.path == "cpu.mean"));
    }
}
