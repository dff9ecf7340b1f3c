//! outlierd reads records from Kafka, scores them with a variational autoencoder and publishes
//! explained outliers.
//!
//! The modules stand on floors; a file uses its own folder and lower floors, never higher ones
//! (`tests/line/floors.rs` reads the `use` lines and fails when that breaks):
//!
//! | floor | modules |
//! | --- | --- |
//! | 5 entry | `cli`, `commands` |
//! | 4 composition | `daemon`, `evaluate`, `demo` |
//! | 3 loops | `pipeline`, `training`, `retrain` |
//! | 2.2 | `http`, which hands orders about models on |
//! | 2.1 | `registry` and `feedback`, which may be in topics |
//! | 2 adapters | `kafka`, `files`, `plot` |
//! | 1 domain, pure | `record`, `features`, `vae`, `detect`, `generate` |
//! | 0 ground | `config`, `metrics`, `health`, `planted` |

pub mod cli;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod detect;
pub mod evaluate;
pub mod features;
pub mod feedback;
pub mod files;
pub mod generate;
pub mod health;
pub mod http;
pub mod kafka;
pub mod metrics;
pub mod pipeline;
pub mod planted;
pub mod plot;
pub mod record;
pub mod registry;
pub mod retrain;
pub mod training;
pub mod vae;
