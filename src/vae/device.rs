//! What networks run on: the one place that knows which devices there are.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::networks::{Accelerator, Weighed};
use super::shape::Shape;
use crate::config::{self, Compute};

#[cfg(feature = "cuda")]
use super::cuda::{Gpu, Lanes};

/// Multiplications of one row, over all networks, from which on `auto` takes a GPU. Four networks of 32 numbers have
/// about so many, and a GPU then scores batches of the line at four times the rate of a core; where they are fewer, one
/// core does what Kafka's client, the parser and the network together let through (figures: `docs/gpu.md`).
const WORTH_A_GPU: usize = 80_000;

/// The CPU, or a GPU with the CPU behind it. Clones are the same device.
#[derive(Debug, Clone)]
pub struct Device {
    kind: Kind,
    wanted: config::Device,
    /// Why it is the CPU, where a GPU was considered.
    reason: Option<Arc<str>>,
    standing: Arc<watch::Sender<Standing>>,
}

#[derive(Debug, Clone)]
enum Kind {
    Cpu,
    #[cfg(feature = "cuda")]
    Cuda(Gpu),
}

/// How the device does, as its users found. It only ever gets worse.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// As when it was opened.
    #[default]
    Works,
    /// Its memory was too small for whole batches.
    Smaller { why: String },
    /// The CPU does its work, at least of some threads.
    Lost { why: String },
}

/// Why a device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    #[error(
        "this outlierd was built without CUDA: build it with `cargo build --release --features cuda`, or set \
         compute.device = \"cpu\""
    )]
    NotBuilt,
    #[error(
        "{library} cannot be loaded ({why}): install the NVIDIA driver (libcuda) and the CUDA runtime libraries \
         (libcublas, libcurand), or name their folder in LD_LIBRARY_PATH"
    )]
    Library { library: String, why: String },
    #[error(
        "the NVIDIA driver does not start ({why}): look at `nvidia-smi`, and at what the container may see"
    )]
    Driver { why: String },
    #[error(
        "there is no GPU {wanted}: the driver shows {count} (CUDA_VISIBLE_DEVICES may hide others)"
    )]
    NoDevice { wanted: usize, count: usize },
    #[error("GPU {number} cannot be used ({why})")]
    Unusable { number: usize, why: String },
}

impl Device {
    #[must_use]
    pub fn cpu() -> Device {
        Device {
            kind: Kind::Cpu,
            wanted: config::Device::Cpu,
            reason: None,
            standing: Arc::default(),
        }
    }

    /// Opens what `wanted` says. `auto` becomes the first GPU or else the CPU, which then says why if the program could
    /// have used one.
    ///
    /// # Errors
    /// The GPU that was asked for cannot be used.
    pub fn open(wanted: &Compute) -> Result<Device, DeviceError> {
        let asked_for = Device {
            wanted: wanted.device,
            ..Device::cpu()
        };
        let rows = wanted.batch_rows;
        match wanted.device {
            config::Device::Cpu => Ok(asked_for),
            config::Device::Cuda(number) => asked_for.with_gpu(number, rows),
            config::Device::Auto => Ok(match asked_for.clone().with_gpu(0, rows) {
                Ok(gpu) => gpu,
                // Whoever builds it so knows, and whoever wants a GPU asks for one.
                Err(DeviceError::NotBuilt) => asked_for,
                Err(error) => asked_for.because(&error.to_string()),
            }),
        }
    }

    #[cfg(feature = "cuda")]
    fn with_gpu(self, number: usize, rows: usize) -> Result<Device, DeviceError> {
        let kind = Kind::Cuda(Gpu::open(number, rows)?);
        Ok(Device { kind, ..self })
    }

    #[cfg(not(feature = "cuda"))]
    fn with_gpu(self, _: usize, _: usize) -> Result<Device, DeviceError> {
        Err(DeviceError::NotBuilt)
    }

    fn because(self, reason: &str) -> Device {
        Device {
            kind: Kind::Cpu,
            reason: Some(reason.into()),
            ..self
        }
    }

    /// The device for an ensemble of `members` networks of `shape`: where `auto` has found a GPU, still the CPU if the
    /// networks are small.
    #[must_use]
    pub fn for_networks(self, shape: &Shape, members: usize) -> Device {
        let work = shape.multiplications() * members;
        if self.wanted != config::Device::Auto || !self.is_gpu() || work >= WORTH_A_GPU {
            return self;
        }
        let gpu = self.to_string();
        self.because(&format!(
            "a row costs {work} multiplications, and {gpu} pays from about {WORTH_A_GPU} on"
        ))
    }

    /// The same device for any number of rows, however few: to measure with.
    #[must_use]
    pub fn for_any_rows(self) -> Device {
        let kind = match self.kind {
            Kind::Cpu => Kind::Cpu,
            #[cfg(feature = "cuda")]
            Kind::Cuda(gpu) => Kind::Cuda(gpu.for_any_rows()),
        };
        Device { kind, ..self }
    }

    /// The first GPU, for any number of rows; none, and said, where there is none.
    #[cfg(all(test, feature = "cuda"))]
    #[allow(clippy::panic, clippy::print_stderr)]
    pub(crate) fn gpu_of_a_test(batch_rows: usize) -> Option<Device> {
        let opened = Device::open(&Compute {
            device: config::Device::Cuda(0),
            batch_rows,
        });
        match opened {
            Ok(device) => Some(device.for_any_rows()),
            Err(error @ (DeviceError::Library { .. } | DeviceError::NoDevice { .. })) => {
                eprintln!("skipped: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[must_use]
    pub fn is_gpu(&self) -> bool {
        !matches!(self.kind, Kind::Cpu)
    }

    /// `cpu`, or `cuda:0`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.kind {
            Kind::Cpu => config::Device::Cpu.to_string(),
            #[cfg(feature = "cuda")]
            Kind::Cuda(gpu) => config::Device::Cuda(gpu.number()).to_string(),
        }
    }

    /// Why it is the CPU, where a GPU was considered.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The most rows that are worth bringing together; none where any number does.
    #[must_use]
    pub fn batch_rows(&self) -> Option<usize> {
        match &self.kind {
            Kind::Cpu => None,
            #[cfg(feature = "cuda")]
            Kind::Cuda(gpu) => Some(gpu.batch_rows()),
        }
    }

    /// How it does, now and from now on.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Notes that it does worse.
    pub(super) fn worsen(&self, standing: Standing) {
        self.standing.send_if_modified(|now| {
            let worse = standing > *now;
            if worse {
                *now = standing;
            }
            worse
        });
    }

    /// Where the tensors of one thread live: on a GPU, a queue of its own.
    pub(super) fn queue(&self) -> candle_core::Result<candle_core::Device> {
        match &self.kind {
            Kind::Cpu => Ok(candle_core::Device::Cpu),
            #[cfg(feature = "cuda")]
            Kind::Cuda(gpu) => gpu.queue(),
        }
    }

    /// What scores whole batches of these networks, and from how many rows on; none on the CPU.
    pub(super) fn accelerator(
        &self,
        shape: &Shape,
        networks: &[Weighed<'_>],
    ) -> Option<(Box<dyn Accelerator>, usize)> {
        match &self.kind {
            Kind::Cpu => {
                let _ = (shape, networks);
                None
            }
            #[cfg(feature = "cuda")]
            Kind::Cuda(gpu) => {
                let lanes = Lanes::new(gpu.clone(), shape, networks);
                Some((Box::new(lanes), gpu.least_rows(shape)))
            }
        }
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Device) -> bool {
        self.label() == other.label()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Cpu => f.write_str("cpu"),
            #[cfg(feature = "cuda")]
            Kind::Cuda(gpu) => write!(f, "{} ({})", self.label(), gpu.name()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn open(device: config::Device) -> Result<Device, DeviceError> {
        Device::open(&Compute {
            device,
            batch_rows: 4096,
        })
    }

    #[test]
    fn the_cpu_is_always_there_and_auto_says_why_it_is_not_a_gpu() {
        let cpu = open(config::Device::Cpu).unwrap();
        assert_eq!((cpu.label().as_str(), cpu.reason()), ("cpu", None));
        assert_eq!(cpu.batch_rows(), None);
        let auto = open(config::Device::Auto).unwrap();
        let considered = cfg!(feature = "cuda");
        assert_eq!(auto.reason().is_some(), considered && !auto.is_gpu());
    }

    #[test]
    fn a_gpu_that_is_not_there_is_refused_with_what_is_missing() {
        let error = open(config::Device::Cuda(1023)).unwrap_err();
        let said = error.to_string();
        #[cfg(not(feature = "cuda"))]
        assert!(said.contains("--features cuda"), "{said}");
        #[cfg(feature = "cuda")]
        assert!(
            said.contains("libcuda") || said.contains("there is no GPU 1023"),
            "{said}"
        );
    }

    #[test]
    fn a_standing_only_ever_gets_worse() {
        let device = Device::cpu();
        let seen = device.clone().standing();
        let smaller = Standing::Smaller { why: "full".into() };
        let lost = Standing::Lost { why: "gone".into() };
        for (now, expected) in [
            (&Standing::Works, &Standing::Works),
            (&smaller, &smaller),
            (&lost, &lost),
            (&smaller, &lost),
        ] {
            device.worsen(now.clone());
            assert_eq!(*seen.borrow(), *expected);
        }
    }
}
