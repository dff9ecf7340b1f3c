//! The only folder that names rdkafka.
//!
//! * [`Intake`]: the consumer of the line. Its rebalance callback answers only two questions (where
//!   does a new partition start, and has the line let go of a revoked one) and tells the loop the
//!   rest as [`Change`]s.
//! * [`Outlet`]: the producer of the line, with a report for every message.
//! * [`Reader`]: a bounded consumer without a group, for training, `init` and tests.
//! * [`Follower`]: reads a topic as it grows, without a group.
//! * [`Feeder`]: a producer for `feed` and the demo.
//! * [`Replayer`]: a producer that says where its records came to stand, for `dlq replay`.
//! * [`EmbeddedBroker`]: librdkafka's in-process cluster.

mod access;
mod assignment;
mod client;
mod embedded;
mod feeder;
mod follower;
mod group;
#[cfg(feature = "tls")]
mod handshake;
mod intake;
mod keyed;
mod loss;
mod note;
mod notes;
mod origin;
mod outlet;
mod reader;
mod refusals;
mod replayer;
mod reporting;
mod requests;
mod topic_id;
mod topic_watch;
mod topics;
mod transaction;

pub use access::AccessFault;
pub use assignment::{Change, Position};
pub use client::{ClientError, Connection};
pub use embedded::EmbeddedBroker;
pub use feeder::Feeder;
pub use follower::{Followed, Follower};
pub use intake::{Intake, IntakeError, Polled, Received};
pub use keyed::{Keyed, KeyedError, Pair, Tail, Turn};
pub use loss::{Cause, Loss, Trail};
pub use note::{JudgedBy, Note};
pub use notes::Notes;
pub use origin::Origin;
pub use outlet::{Destination, Outgoing, Outlet, OutletError, Refusal, Report, Sent, Topics};
pub use reader::{Bounds, Read, Reader, Span};
pub use replayer::{Again, Replayer};
pub use topic_id::TopicId;
pub use topics::{TopicFault, partitions};
pub use transaction::{Claim, TransactionError};
