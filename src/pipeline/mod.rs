//! The straight line from Kafka bytes to a committed offset.
//!
//! ```text
//!          consume thread              score threads                 publish thread
//! Kafka ──▶ Batch ──────────▶ decode ▸ encode ▸ VAE ▸ ─────▶ produce outliers and dead letters,
//! input                       calibrate ▸ verdicts           await reports, commit the offsets
//! ```
//!
//! * A [`Batch`] is the unit of work, and a commit covers whole batches.
//! * The consume thread deals batches to the score threads in turn, and the publish thread takes
//!   them back in the same turn: batches leave the line in the order in which they entered, so
//!   "commit only what is durable" needs no ledger.
//! * Where the budget is one a day, the threshold follows the rate of each partition: verdicts are
//!   then made by the publish thread, which sees the rows in order.
//! * Every channel is bounded, and back-pressure is a full channel.
//! * Another model takes over between two batches: each batch says by which one it is judged.
//! * A rebalance is a message with an acknowledgement, in line with the batches.

mod audit;
mod batch;
mod commit;
mod consume;
mod dealer;
mod delivery;
mod error;
mod flight;
mod judge;
mod judged;
mod letter;
mod line;
mod losses;
mod message;
mod outbox;
mod probe;
mod publish;
mod redaction;
mod report;
mod sandbox;
mod score;
mod succession;
mod thresholds;
mod watch;

pub use batch::{Batch, Record};
pub use delivery::Oversize;
pub use error::LineError;
pub use judge::{Judge, JudgeError};
pub use judged::{DeadLetter, Finding, Judged, Pending};
pub use letter::{Filter, Letter, Letters, REPLAY_OF, REPLAYED, REPLAYED_AS, REPLAYS, place};
pub use line::{Line, Parts};
pub use message::Messages;
pub use probe::probe;
pub use redaction::Redaction;
pub use sandbox::Probe;
pub use succession::Serving;
