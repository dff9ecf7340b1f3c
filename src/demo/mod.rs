//! What `outlierd demo` shows: real readings of this host with real disturbances, and card
//! transactions with labelled fraud.

pub mod disturb;
pub mod host;
pub mod ledger;
pub mod transactions;
