//! Readings of a pump, generated: what is odd about one is known.

use serde_json::Value;

/// The fields of a reading.
pub const FIELDS: &str = r#"
[[fields]]
path = "pressure"
[[fields]]
path = "flow"
[[fields]]
path = "temperature"
[[fields]]
path = "mode"
kind = "categorical"
[[fields]]
path = "open"
kind = "boolean"
"#;

/// A splitmix64 stream: the same seed, the same readings.
pub struct Pump(u64);

impl Pump {
    pub fn new(seed: u64) -> Pump {
        Pump(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Nearly normal, mean 0, deviation 1: the sum of twelve uniform numbers less six.
    fn noise(&mut self) -> f64 {
        let uniform = |bits: u64| (bits >> 11) as f64 / (1_u64 << 53) as f64;
        (0..12).map(|_| uniform(self.next())).sum::<f64>() - 6.0
    }

    /// Members of a reading without the braces: a pump that works as it should.
    pub fn ordinary(&mut self) -> String {
        let (mode, pressure) =
            [("idle", 1.0), ("run", 4.0), ("boost", 7.0)][(self.next() % 3) as usize];
        let pressure = pressure + 0.2 * self.noise();
        let flow = 2.0 * pressure + 0.2 * self.noise();
        let temperature = 20.0 + 3.0 * pressure + 0.5 * self.noise();
        members(pressure, flow, temperature, mode, flow > 5.0)
    }

    /// Members of a reading that any model flags.
    pub fn odd(&mut self) -> String {
        let pressure = 40.0 + self.noise();
        members(pressure, -3.0, -60.0, "idle", true)
    }
}

fn members(pressure: f64, flow: f64, temperature: f64, mode: &str, open: bool) -> String {
    format!(
        r#""pressure":{pressure:.4},"flow":{flow:.4},"temperature":{temperature:.4},"mode":"{mode}","open":{open}"#
    )
}

/// `count` readings; every `one_in`th is odd, the first one too.
pub fn readings(seed: u64, count: usize, one_in: usize) -> Vec<String> {
    let mut pump = Pump::new(seed);
    let reading = |number: usize| {
        let members = if number.is_multiple_of(one_in) {
            pump.odd()
        } else {
            pump.ordinary()
        };
        format!("{{{members}}}")
    };
    (0..count).map(reading).collect()
}

/// `count` readings without an odd one.
pub fn ordinary(seed: u64, count: usize) -> Vec<String> {
    let mut pump = Pump::new(seed);
    (0..count)
        .map(|_| format!("{{{}}}", pump.ordinary()))
        .collect()
}

/// Rows as of a machine that has broken: one reading is far off in all of them.
pub fn broken(rows: &[String]) -> Vec<String> {
    rows.iter()
        .map(|row| {
            let mut record: Value = serde_json::from_str(row).unwrap();
            let value = record["pressure"].as_f64().unwrap();
            record["pressure"] = (value + 40.0).into();
            record.to_string()
        })
        .collect()
}
