//! The other uses of a model: new rows from nothing but a seed, and rows from codes.
//!
//! A [`Generator`] works with one member of the ensemble: the members are models of the same rows
//! with other floors, and a mean of records that they make would be a record of none. Everything
//! here is pure: a seed or a code in, cells out.

mod generator;
mod reconstruction;
mod stretch;

pub use generator::{GenerateError, Generator, member};
pub use reconstruction::{FieldError, Reconstruction};
