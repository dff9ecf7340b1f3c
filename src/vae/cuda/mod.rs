//! GPUs by NVIDIA: what is there, and scoring on it.
//!
//! The one place with `unsafe` in the library: memory that the GPU copies by itself, and the loading of its libraries.

mod lanes;
mod load;
mod staging;

use std::fmt::Display;
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError, result};
use candle_core::{Device, Result, Tensor};

use super::device::DeviceError;
use super::shape::Shape;

pub(super) use lanes::Lanes;

/// Multiplications of a batch below which its rows are scored on the CPU even beside a GPU: that takes no longer than
/// to start the kernels (measured: `docs/gpu.md`).
const WORTH_THE_START: usize = 32_000_000;

/// One GPU, and how it is to be used.
#[derive(Debug, Clone)]
pub(super) struct Gpu {
    number: usize,
    name: Arc<str>,
    batch_rows: usize,
    worth_the_start: usize,
    /// Keeps its context for as long as the process wants the GPU.
    _context: Arc<CudaContext>,
}

impl Gpu {
    /// Loads the libraries, starts the driver, and multiplies two small matrices. It shall take up to `batch_rows` rows
    /// at once.
    ///
    /// # Errors
    /// What is missing, or does not work.
    pub fn open(number: usize, batch_rows: usize) -> std::result::Result<Gpu, DeviceError> {
        load::libraries()?;
        let driver = |error: DriverError| DeviceError::Driver { why: text(&error) };
        let count = match result::init().and_then(|()| result::device::get_count()) {
            Ok(count) => usize::try_from(count).unwrap_or(0),
            // What the driver answers where it is but no GPU is.
            Err(error) if format!("{error:?}").contains("NO_DEVICE") => 0,
            Err(error) => return Err(driver(error)),
        };
        if number >= count {
            let wanted = number;
            return Err(DeviceError::NoDevice { wanted, count });
        }
        let unusable = |why: String| DeviceError::Unusable { number, why };
        let context = CudaContext::new(number).map_err(|error| unusable(text(&error)))?;
        let name = context.name().map_err(driver)?;
        let gpu = Gpu {
            number,
            name: name.into(),
            batch_rows,
            worth_the_start: WORTH_THE_START,
            _context: context,
        };
        gpu.multiply().map_err(|error| unusable(text(&error)))?;
        Ok(gpu)
    }

    pub fn number(&self) -> usize {
        self.number
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Rows that are worth bringing together, at most.
    pub fn batch_rows(&self) -> usize {
        self.batch_rows
    }

    /// Fewer rows of networks of `shape` are left to the CPU.
    pub fn least_rows(&self, shape: &Shape) -> usize {
        self.worth_the_start / shape.multiplications().max(1)
    }

    pub fn for_any_rows(self) -> Gpu {
        Gpu {
            worth_the_start: 0,
            ..self
        }
    }

    /// A queue of its own, to be used by one thread at a time.
    pub fn queue(&self) -> Result<Device> {
        let queue = Device::new_cuda_with_stream(self.number)?;
        #[allow(unsafe_code)]
        // SAFETY: what lives in this queue is used in this queue alone, one operation after the other.
        unsafe {
            queue.as_cuda_device()?.disable_event_tracking();
        }
        Ok(queue)
    }

    /// Says whether the libraries, the kernels and the GPU belong together.
    fn multiply(&self) -> Result<()> {
        let queue = self.queue()?;
        let ones = Tensor::ones((8, 8), candle_core::DType::F32, &queue)?;
        let eights = ones.matmul(&ones)?.flatten_all()?.to_vec1::<f32>()?;
        if eights.iter().any(|&eight| eight != 8.0) {
            candle_core::bail!("8 ones times 8 ones make {eights:?}");
        }
        Ok(())
    }
}

/// Runs a kernel that traps, which is what the loss of a GPU looks like from here.
#[cfg(test)]
#[allow(unsafe_code, clippy::unwrap_used)]
pub(super) fn trap(queue: &Device) {
    use candle_core::cuda_backend::cudarc::driver::LaunchConfig;

    const TRAP: &str =
        ".version 7.0\n.target sm_52\n.address_size 64\n.visible .entry trap() { trap; }\n";
    let device = queue.as_cuda_device().unwrap();
    let kernel = device
        .get_or_load_custom_func("trap", "trap", TRAP)
        .unwrap();
    // SAFETY: it takes no arguments and touches no memory.
    unsafe { kernel.builder().launch(LaunchConfig::for_num_elems(1)) }.unwrap();
    assert!(queue.synchronize().is_err());
}

/// An error on one line: candle's own carry a backtrace.
fn text(error: &impl Display) -> String {
    let whole = error.to_string();
    let first = whole.lines().find(|line| !line.trim().is_empty());
    first.unwrap_or("no reason given").trim().to_owned()
}
