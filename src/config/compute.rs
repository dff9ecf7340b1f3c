//! `[compute]`: what networks run on.

use std::fmt;

use super::error::Wrong;
use super::quantity::whole;
use super::section::Section;

/// `[compute]`: what networks run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compute {
    pub device: Device,
    /// Rows that a GPU scores at once; `line.batch_rows` stays what the CPU takes.
    pub batch_rows: usize,
}

/// What networks run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// A GPU where there is one and it pays, else the CPU.
    Auto,
    Cpu,
    /// The GPU of this number, as CUDA counts them.
    Cuda(usize),
}

impl Compute {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let device = section.or("device", "auto", device);
        let batch_rows = section.or("batch_rows", "8192", whole(64..=65536));
        section.finish();
        Some(Self {
            device: device?,
            batch_rows: batch_rows?,
        })
    }
}

fn device(text: &str) -> Result<Device, Wrong> {
    let number = |text: &str| text.parse().ok().filter(|number| *number < 1024);
    match text {
        "auto" => Ok(Device::Auto),
        "cpu" => Ok(Device::Cpu),
        "cuda" => Ok(Device::Cuda(0)),
        _ => text
            .strip_prefix("cuda:")
            .and_then(number)
            .map(Device::Cuda)
            .ok_or_else(|| {
                Wrong::new(
                    "is no device",
                    "write \"auto\", \"cpu\", \"cuda\", or \"cuda:1\" for the second GPU",
                )
            }),
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Auto => f.write_str("auto"),
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_by_name_and_number() {
        for (text, expected) in [
            ("auto", Device::Auto),
            ("cpu", Device::Cpu),
            ("cuda", Device::Cuda(0)),
            ("cuda:1", Device::Cuda(1)),
        ] {
            assert_eq!(device(text).unwrap(), expected);
        }
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:4096", "CPU"] {
            assert!(device(text).is_err(), "{text:?}");
        }
        assert_eq!(Device::Cuda(2).to_string(), "cuda:2");
    }
}
