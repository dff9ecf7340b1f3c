//! The real binary against an embedded broker, watched by clients of the tests' own.
//!
//! `harness` holds the broker with its faults, the processes, the clients and the records; every
//! other module is a chapter of what outlierd promises. Each test has its own broker, so that all
//! can run at once. Nothing waits for a fixed time: conditions are waited for, with a deadline.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

mod clocks;
mod commands;
mod configuration;
mod daily;
mod dead_letters;
mod device;
mod dispositions;
mod dlq;
mod drift;
mod evaluate;
mod feedback;
mod floors;
mod generate;
mod health;
mod kinds;
mod loss;
mod models;
mod outliers;
mod output;
mod rebalance;
mod restart;
mod retrain;
mod retrain_faults;
mod shared_store;
mod start;
mod stop;
mod training;
