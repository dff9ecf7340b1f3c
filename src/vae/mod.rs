//! The variational autoencoder: its shape, its training, and the scores of rows under it.
//!
//! Training runs in candle; scoring on the CPU runs in [`lean`](Scorer), a path of its own over the
//! same weights, and on a GPU in candle again. Tests hold the two to a tolerance. [`Device`] says what there is,
//! [`Networks`] is an ensemble on it.
//!
//! **Architecture invariant:** no other folder names candle, and nothing here knows of Kafka, of
//! files or of the meaning of a column. What comes in is rows of numbers, each with a mask.
//!
//! **Architecture invariant:** scoring on the CPU is deterministic, and the bits of a row's scores depend on
//! the row, the weights and the instruction set only; never on the rows it is scored with.
//!
//! Training is reproducible to the bit on one machine when candle runs on one thread: `main` sets
//! `RAYON_NUM_THREADS=1` and `CANDLE_NUM_THREADS=1` before the first operation. Without them candle
//! also spends more time on its thread pool than on products of this size.
//!
//! The network is the one of Kingma and Welling, "Auto-Encoding Variational Bayes" (2014), with
//! linear paths past both halves, so that it contains the principal component solution, and with
//! one likelihood for each kind of column.

#[cfg(any(test, feature = "cuda"))]
mod batched;
mod batches;
#[cfg(test)]
mod closed_form;
#[cfg(feature = "cuda")]
mod cuda;
mod descent;
mod device;
mod lean;
mod likelihood;
mod loss;
mod member;
mod mixture;
mod network;
mod networks;
mod parallel;
#[cfg(test)]
mod parity;
mod product;
mod recipe;
mod rows;
#[cfg(test)]
mod samples;
mod shape;
mod train;
mod two_valued;

pub use device::{Device, DeviceError, Standing};
pub use lean::{Scorer, Scores};
pub use member::{Member, WeightError};
pub use mixture::Mixture;
pub use networks::{Networks, Weighed};
pub use recipe::{Objective, Recipe};
pub use rows::{Rows, RowsError};
pub use shape::{Head, Shape, ShapeError};
pub use train::{Progress, TrainError, Training, train};
