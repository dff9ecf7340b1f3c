//! Pictures of how well detection works, and of what a model makes of records: plain numbers in,
//! a self-contained SVG out, and one HTML page to put them on.
//!
//! No function here panics on any number. Values that are not finite are left out, and the picture
//! says how many. Every text is stripped of what XML forbids, shortened where room is short, and
//! escaped. The same input gives the same bytes.

mod axis;
mod calibration;
mod contribution;
mod curve;
mod error;
mod frame;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod gallery;
mod histogram;
mod interval;
mod latent_map;
mod legend;
mod page;
mod palette;
mod projection;
mod text;
mod topic;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod well_formed;

pub use calibration::{Calibration, calibration};
pub use contribution::{Bar, Contributions, contributions};
pub use curve::{Curve, precision_recall, roc};
pub use error::PlotError;
pub use histogram::{Histogram, ScoreGroup, histogram};
pub use interval::false_alarm_interval;
pub use latent_map::{LatentMap, MapGroup, latent_map};
pub use page::{Page, Section, Table, page};
pub use palette::Role;
pub use projection::{Projection, project};
pub use topic::Topic;
