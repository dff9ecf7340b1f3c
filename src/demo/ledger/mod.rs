//! The demo's account of itself: which disturbances were caught, and which frauds.

mod chance;
mod frauds;
mod windows;

pub use frauds::{Caught, Frauds, Visibility};
pub use windows::{Account, Finding, RECOVERY_SECONDS, Window, account};
