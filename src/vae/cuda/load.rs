//! Loading the libraries of CUDA, once.

use std::ffi::{CStr, c_char};
use std::ptr::null;
use std::sync::OnceLock;

use crate::vae::device::DeviceError;

#[allow(unsafe_code)]
mod c {
    use super::c_char;

    // SAFETY: as `loader.c` has it.
    unsafe extern "C" {
        pub fn outlierd_cuda_load(error: *mut *const c_char) -> *const c_char;
    }
}

/// Loads them at the first call; every call says the same.
///
/// # Errors
/// Which one cannot be loaded, and why.
pub(super) fn libraries() -> Result<(), DeviceError> {
    static LOADED: OnceLock<Result<(), DeviceError>> = OnceLock::new();
    LOADED.get_or_init(load).clone()
}

#[allow(unsafe_code)]
fn load() -> Result<(), DeviceError> {
    let mut error = null();
    // SAFETY: called once, and nothing of CUDA before it; what it returns are strings that live on, or null.
    let (library, why) = unsafe {
        let library = c::outlierd_cuda_load(&mut error);
        (text(library), text(error))
    };
    match library {
        None => Ok(()),
        Some(library) => Err(DeviceError::Library {
            library,
            why: why.unwrap_or_else(|| "no reason given".to_owned()),
        }),
    }
}

/// # Safety
/// `string` is null or ends with a zero.
#[allow(unsafe_code)]
unsafe fn text(string: *const c_char) -> Option<String> {
    if string.is_null() {
        return None;
    }
    // SAFETY: as promised.
    let string = unsafe { CStr::from_ptr(string) };
    Some(string.to_string_lossy().into_owned())
}
