//! From the bytes of one JSON record to a row of cells, one `f64` a configured field.
//!
//! One scanner reads the whole of RFC 8259 in a single pass. It builds no tree of values: it walks
//! the configured paths along with the text, writes their cells, and checks the rest as it passes
//! over it. A record is accepted only when all of it is well formed, so that the same bytes have
//! the same fate whatever fields are configured.
//!
//! **Architecture invariant:** nothing here allocates for a normal record, and nothing here reads
//! a clock or a file.

mod cells;
mod decoder;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod fixtures;
mod instant;
mod keys;
mod number;
mod paths;
mod rejection;
mod scanner;
mod scratch;
pub mod survey;
mod text;
mod vocabulary;
mod walk;
mod writer;

pub use decoder::{Decoded, Decoder};
pub use instant::of_text as parse_time;
pub use number::is_number;
pub use paths::{PathError, join_path, split_path};
pub use rejection::Rejection;
pub use vocabulary::Vocabularies;
pub use writer::Writer;
