//! The alert budget: how many outliers a user wants to see.

/// How many outliers the whole topic may yield, whatever the number of instances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// `"0.1%"`: this share of the records, above 0 and at most 0.5.
    Share(f64),
    /// `"20/day"`: so many a day; the rate of records is the one seen in training.
    PerDay(f64),
}
