//! The alert budget: how many outliers a user wants to see.

use std::fmt;

use super::error::Wrong;

/// The largest share: beyond half of the records an outlier is no outlier.
const LARGEST_SHARE: f64 = 0.5;

/// How many outliers the whole topic may yield, whatever the number of instances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// `"0.1%"`: this share of the records, above 0 and at most 0.5.
    Share(f64),
    /// `"20/day"`: so many a day of record time, at the rate that the records have.
    PerDay(f64),
}

impl Budget {
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let wrong = |problem: &str| {
            let remedy = "write a share, \"0.1%\" (above 0%, at most 50%), or a rate, \"20/day\"";
            Wrong::new(problem, remedy)
        };
        let text = text.trim();
        let (digits, a_day) = match (text.strip_suffix('%'), text.strip_suffix("day")) {
            (Some(percent), _) => (percent, None),
            (None, Some(rate)) => (rate, rate.trim_end().strip_suffix('/')),
            (None, None) => return Err(wrong("is neither a share nor a rate")),
        };
        let number = |digits: &str| {
            let number = digits.trim().parse::<f64>();
            let number = number.map_err(|_| wrong("does not start with a number"))?;
            let positive = number.is_finite() && number > 0.0;
            positive
                .then_some(number)
                .ok_or_else(|| wrong("is out of range"))
        };
        if text.ends_with("day") {
            let digits = a_day.ok_or_else(|| wrong("is neither a share nor a rate"))?;
            return number(digits).map(Self::PerDay);
        }
        let share = number(digits)? / 100.0;
        let inside = share > 0.0 && share <= LARGEST_SHARE;
        inside
            .then_some(Self::Share(share))
            .ok_or_else(|| wrong("is out of range"))
    }
}

/// As the configuration writes it; the error names the remedy.
impl std::str::FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|wrong| format!("{}: {}", wrong.problem, wrong.remedy))
    }
}

/// As the configuration writes it.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "{}%", share * 100.0),
            Self::PerDay(count) => write!(f, "{count}/day"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_budget_is_a_share_or_a_rate() {
        assert_eq!(Budget::parse("0.1%"), Ok(Budget::Share(0.001)));
        assert_eq!(Budget::parse(" 50 % "), Ok(Budget::Share(0.5)));
        assert_eq!(Budget::parse("20/day"), Ok(Budget::PerDay(20.0)));
        assert_eq!(Budget::parse("0.5 / day"), Ok(Budget::PerDay(0.5)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "", "0.1", "20/hour", "20 day", "day", "%", "/day", "0%", "51%", "-1/day", "NaN%",
            "inf/day", "0.1%/day",
        ] {
            assert!(Budget::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_share_survives_its_text(share in 1e-9..0.49f64) {
            let Ok(Budget::Share(again)) = Budget::parse(&Budget::Share(share).to_string()) else {
                panic!("not a share");
            };
            prop_assert!((again / share - 1.0).abs() < 1e-12);
        }

        #[test]
        fn a_rate_survives_its_text(count in 1e-9..1e9f64) {
            let rate = Budget::PerDay(count);
            prop_assert_eq!(Budget::parse(&rate.to_string()), Ok(rate));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}(%|/day|day)?") {
            drop(Budget::parse(&text));
        }
    }
}
