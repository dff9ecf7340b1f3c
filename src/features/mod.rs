//! From a record's cells to the rows that the network sees.
//!
//! A *cell* is one `f64` a field (see [`crate::record`]): a number, 0 or 1, a vocabulary index, or
//! epoch seconds; NaN is missing. An [`Encoding`] is fitted on training rows and turns cells into
//! *columns*: scaled numbers, booleans, one-hot categories, cyclical parts of a time. Columns are
//! grouped into heads, one likelihood term each, and every head has a presence flag, so that a
//! missing field is masked and never silently a zero.

mod decoding;
mod encoding;
mod fit;
mod renumbering;
mod table;

pub use encoding::{EncodedField, Encoding, Part};
pub use fit::{FieldSpec, FitError};
pub use renumbering::Renumbering;
pub use table::Table;
