//! Memory of the host that a GPU copies by itself, while the processor does something else.

use std::sync::Arc;

use candle_core::cuda_backend::cudarc::driver::{
    CudaStream, DevicePtr, DevicePtrMut, PinnedHostSlice, result,
};
use candle_core::cuda_backend::{CudaDType, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, Error, Result, Storage, Tensor};

/// Not write-combined, although the processor never reads what it sends: plain memory takes it faster.
const CACHED: u32 = 0;

/// A pinned buffer and the queue that copies from or to it.
pub(super) struct Staging {
    host: PinnedHostSlice<f32>,
    queue: CudaDevice,
    stream: Arc<CudaStream>,
}

impl Staging {
    /// Room for `numbers` numbers, all 0.
    pub fn new(queue: &CudaDevice, numbers: usize) -> Result<Staging> {
        let stream = queue.cuda_stream();
        #[allow(unsafe_code)]
        // SAFETY: filled below, before anything reads it.
        let mut host = unsafe { stream.context().alloc_pinned_with_flags(numbers, CACHED) }.w()?;
        host.as_mut_slice().w()?.fill(0.0);
        Ok(Staging {
            host,
            queue: queue.clone(),
            stream,
        })
    }

    /// Starts to bring `numbers`, at most as many as there is room for, to the device as a tensor of `dims`. The queue
    /// must have been waited for since the last time.
    pub fn bring(&mut self, numbers: &[f32], dims: (usize, usize)) -> Result<Tensor> {
        let count = numbers.len();
        let host = &mut self.host.as_mut_slice().w()?[..count];
        host.copy_from_slice(numbers);
        #[allow(unsafe_code)]
        let slice = {
            // SAFETY: the copy below fills it, and whatever reads it comes later in the same queue.
            let mut slice = unsafe { self.queue.alloc::<f32>(count) }?;
            let (place, _written) = slice.device_ptr_mut(&self.stream);
            // SAFETY: both are `count` numbers long. The host's stay as they are until the queue has been waited for:
            // the caller does so before it writes again, `Drop` before they are freed.
            unsafe { result::memcpy_htod_async(place, host, self.stream.cu_stream()) }.w()?;
            drop(_written);
            slice
        };
        let storage = CudaStorage::wrap_cuda_slice(slice, self.queue.clone());
        Ok(Tensor::from_storage(
            Storage::Cuda(storage),
            dims,
            BackpropOp::none(),
            false,
        ))
    }

    /// Starts to fetch `tensor`, which has at most as many numbers as there is room for and must live until the queue
    /// has been waited for.
    pub fn fetch(&mut self, tensor: &Tensor) -> Result<()> {
        let (storage, layout) = tensor.storage_and_layout();
        let (Storage::Cuda(storage), Some((from, to))) = (&*storage, layout.contiguous_offsets())
        else {
            return Err(Error::Msg("not a contiguous tensor of the GPU".into()).bt());
        };
        let host = &mut self.host.as_mut_slice().w()?[..to - from];
        let numbers = f32::as_cuda_slice(storage)?.slice(from..to);
        let (place, _read) = numbers.device_ptr(&self.stream);
        #[allow(unsafe_code)]
        // SAFETY: both are as long; the tensor and the host's memory live until the queue has been waited for.
        unsafe { result::memcpy_dtoh_async(host, place, self.stream.cu_stream()) }.w()
    }

    /// Waits for the queue, and gives the first `count` numbers.
    pub fn wait(&self, count: usize) -> Result<&[f32]> {
        self.stream.synchronize().w()?;
        Ok(&self.host.as_slice().w()?[..count])
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // A queue that fails copies nothing any more.
        self.stream.synchronize().ok();
    }
}
