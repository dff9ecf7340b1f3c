//! Tests that hold the metrics page and `deploy/` to the declarations.

mod deploy;
mod page;
