//! Colours. Those of data are of middle brightness, so that they read on white and on black.

use plotters::style::RGBColor;

/// The ground. The page turns it dark where the reader's screen is.
pub(super) const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
/// Words and axes.
pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// Words of less weight.
pub(super) const FAINT: RGBColor = RGBColor(0x6B, 0x6B, 0x6B);
/// Lines of the grid.
pub(super) const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xDD);

/// The curve to look at first.
pub(super) const EMPHASIS: RGBColor = RGBColor(0xD6, 0x2F, 0x4B);

/// Colours for things without an order: after Okabe and Ito (2008), without the reds, which would
/// be taken for the emphasis, and with some more hues in between.
const SERIES: [RGBColor; 11] = [
    RGBColor(0x1F, 0x77, 0xB4),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0x8C, 0x64, 0xC8),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x9C, 0x6B, 0x3F),
    RGBColor(0x7F, 0x9F, 0x1F),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0x17, 0xA8, 0xB8),
    RGBColor(0x8A, 0x8A, 0x8A),
    RGBColor(0x4B, 0x5F, 0xD0),
];

/// The colour of the thing with this number, counted from 0. They repeat after eleven.
pub(super) fn series(number: usize) -> RGBColor {
    SERIES[number % SERIES.len()]
}

/// What the rows of a group are. It gives them their colour, and says who stands in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Known to be normal, or not flagged.
    Normal,
    /// Nothing is known of them.
    Unlabelled,
    /// One class of several; the colour follows from the place of its group.
    Category,
    /// Above the threshold.
    Flagged,
    /// Known to be anomalies.
    Anomaly,
}

impl Role {
    /// The colour of group `number`, counted from 0.
    pub(super) fn colour(self, number: usize) -> RGBColor {
        match self {
            Role::Normal | Role::Unlabelled => series(0),
            Role::Category => series(number),
            Role::Flagged => series(1),
            Role::Anomaly => EMPHASIS,
        }
    }

    /// Whether there are few of them and each one matters.
    pub(super) fn is_rare(self) -> bool {
        matches!(self, Role::Flagged | Role::Anomaly)
    }
}
