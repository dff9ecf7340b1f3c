//! What every chapter stands on.

pub mod broker;
pub mod client;
pub mod clock;
pub mod process;
pub mod records;
pub mod scores;
pub mod setup;
pub mod wait;

pub use broker::Broker;
pub use client::{Client, Message, Record};
pub use process::{Ended, Outlierd, outlierd, outlierd_with};
pub use setup::Setup;
pub use wait::until;
