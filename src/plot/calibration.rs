//! Calibration plot: the false-alarm rate that is promised against the one that is realised.

use plotters::element::{Circle, PathElement, Polygon};
use plotters::series::LineSeries;
use plotters::style::Color;

use super::axis::Axis;
use super::error::PlotError;
use super::frame::{Frame, line};
use super::interval::false_alarm_interval;
use super::legend::{Entry, Mark};
use super::palette::{EMPHASIS, FAINT, INK, series};
use super::text::{grouped, left_out, percent};

/// Budgets that the curve is taken at, about.
const BUDGETS: i32 = 120;

/// Probability of the interval.
const LEVEL: f64 = 0.99;

/// P-values of normal rows that neither fitted nor calibrated the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration<'a> {
    pub title: &'a str,
    /// One a row, 0 to 1.
    pub p_values: &'a [f64],
    /// Rows that the p-values were made from.
    pub calibration_rows: usize,
    /// A budget to mark, 0 to 1.
    pub budget: Option<f64>,
}

/// Draws realised against promised rates on logarithmic axes, with the diagonal, the band from half
/// to twice the budget, and the interval that chance alone explains in 99 cases of 100
/// ([`false_alarm_interval`]), where the calibration rows attest the budget.
///
/// # Errors
/// Only by a defect in drawing.
pub fn calibration(calibration: &Calibration<'_>) -> Result<String, PlotError> {
    let rates = Rates::new(calibration);
    let low = rates.lowest();
    let x = Axis::rates(low, "promised false-alarm rate (budget)");
    // Half the budget has to be seen at the left end too.
    let y = Axis::rates(low / 3.0, "realised rate on unseen normal rows");
    let mut notes = vec![format!(
        "{} normal rows that the model had not seen, {} calibration rows",
        grouped(rates.sorted.len()),
        grouped(calibration.calibration_rows)
    )];
    let missing = calibration.p_values.len() - rates.sorted.len();
    notes.extend(left_out(missing).map(|note| note.replace("finite numbers", "from 0 to 1")));
    let marked = calibration
        .budget
        .filter(|budget| *budget > 0.0 && *budget <= 1.0);
    let frame = Frame {
        title: calibration.title,
        width: 760,
        height: 460,
        legend_width: 250,
        legend: legend(&rates, marked),
        notes,
    };
    let place = |(promised, realised): (f64, f64)| {
        let least = 10_f64.powf(y.low);
        let promised = x.clamped(promised.max(least).log10());
        (promised, y.clamped(realised.max(least).log10()))
    };
    frame.draw(&x, &y, |chart| {
        let start = 10_f64.powf(x.low);
        let band = [
            (start, start * 2.0),
            (0.5, 1.0),
            (1.0, 1.0),
            (1.0, 0.5),
            (start, start / 2.0),
        ];
        let band = band.map(place).to_vec();
        chart.draw_series([Polygon::new(band, series(2).mix(0.18).filled())])?;
        let interval = rates.interval();
        if interval.len() > 1 {
            let lower = interval
                .iter()
                .map(|(budget, (low, _))| place((*budget, *low)));
            let upper = interval
                .iter()
                .rev()
                .map(|(budget, (_, high))| place((*budget, *high)));
            let outline: Vec<(f64, f64)> = lower.chain(upper).collect();
            chart.draw_series([Polygon::new(outline, series(0).mix(0.25).filled())])?;
        }
        let diagonal = [place((start, start)), place((1.0, 1.0))];
        chart.draw_series(LineSeries::new(diagonal, line(FAINT, 2)))?;
        if let Some(budget) = marked {
            let at = x.clamped(budget.log10());
            chart.draw_series([PathElement::new([(at, y.low), (at, y.high)], line(INK, 1))])?;
        }
        let curve = rates.curve().into_iter().map(place);
        chart.draw_series(LineSeries::new(curve, line(EMPHASIS, 4)))?;
        if let Some((budget, realised)) = marked.zip(marked.and_then(|b| rates.realised(b))) {
            let dot = Circle::new(place((budget, realised)), 9, EMPHASIS.filled());
            chart.draw_series([dot])?;
        }
        Ok(())
    })
}

/// P-values in order, and how many calibration rows they come from.
struct Rates {
    sorted: Vec<f64>,
    calibration_rows: usize,
}

impl Rates {
    fn new(calibration: &Calibration<'_>) -> Rates {
        let kept = calibration.p_values.iter().copied();
        let mut sorted: Vec<f64> = kept.filter(|p| (0.0..=1.0).contains(p)).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Rates {
            sorted,
            calibration_rows: calibration.calibration_rows,
        }
    }

    /// The share of rows that `budget` flags; `None` without rows.
    fn realised(&self, budget: f64) -> Option<f64> {
        // A p-value of single precision may lie a little above the budget that it is equal to.
        let flagged = self.sorted.partition_point(|p| *p <= budget * (1.0 + 1e-6));
        (!self.sorted.is_empty()).then(|| flagged as f64 / self.sorted.len() as f64)
    }

    /// The finest budget that is attested; a tenth of it if a fitted tail goes beyond.
    fn lowest(&self) -> f64 {
        let attested = 1.0 / (self.calibration_rows as f64 + 1.0);
        let extends = self.sorted.first().is_some_and(|p| *p < attested * 0.999);
        if extends { attested / 10.0 } else { attested }.clamp(1e-8, 0.1)
    }

    /// Budgets from the lowest to 1, evenly on a logarithmic axis. Those that are attested are ranks
    /// over rows + 1, because nothing changes in between.
    fn budgets(&self) -> Vec<f64> {
        let places = self.calibration_rows as f64 + 1.0;
        let low = self.lowest().log10();
        let mut budgets: Vec<f64> = (0..=BUDGETS)
            .map(|step| {
                let budget = 10_f64.powf(low * (1.0 - f64::from(step) / f64::from(BUDGETS)));
                let rank = (budget * places * (1.0 + 1e-9)).floor();
                if rank < 1.0 { budget } else { rank / places }
            })
            .collect();
        budgets.dedup();
        budgets
    }

    fn curve(&self) -> Vec<(f64, f64)> {
        let budgets = self.budgets().into_iter();
        let points = budgets.filter_map(|budget| Some((budget, self.realised(budget)?)));
        points.collect()
    }

    /// Budget, and the ends of its interval.
    fn interval(&self) -> Vec<(f64, (f64, f64))> {
        let (n, m) = (self.calibration_rows, self.sorted.len());
        let budgets = self.budgets().into_iter();
        let ends =
            budgets.filter_map(|budget| Some((budget, false_alarm_interval(n, m, budget, LEVEL)?)));
        ends.collect()
    }
}

fn legend(rates: &Rates, marked: Option<f64>) -> Vec<Entry> {
    let mut entries = vec![
        Entry::new(Mark::Line(EMPHASIS, 4), "realised"),
        Entry::new(Mark::Line(FAINT, 2), "as promised"),
        Entry::new(Mark::Patch(series(2), 0.3), "half to twice the budget"),
        Entry::new(Mark::Patch(series(0), 0.4), "by chance in 99 of 100"),
    ];
    let Some((budget, realised)) = marked.and_then(|b| Some((b, rates.realised(b)?))) else {
        return entries;
    };
    entries.push(Entry::new(Mark::None, ""));
    let mut line = |text: &str, value: String| {
        entries.push(Entry {
            value,
            ..Entry::new(Mark::None, text)
        });
    };
    line("budget", percent(budget));
    line("realised", percent(realised));
    let interval = false_alarm_interval(rates.calibration_rows, rates.sorted.len(), budget, LEVEL);
    if let Some((low, high)) = interval {
        line(
            "by chance",
            format!("{} to {}", percent(low), percent(high)),
        );
    }
    entries
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::well_formed::{any_number, any_text, check};
    use super::*;

    fn uniform(rows: u32, calibration_rows: usize) -> (Vec<f64>, usize) {
        let places = calibration_rows as f64 + 1.0;
        let rank = |row| (f64::from(row) / f64::from(rows) * places).floor() + 1.0;
        (
            (0..rows).map(|row| rank(row) / places).collect(),
            calibration_rows,
        )
    }

    #[test]
    fn uniform_p_values_realise_what_is_promised_and_lie_in_the_interval() {
        let (p_values, calibration_rows) = uniform(2000, 999);
        let rates = Rates::new(&Calibration {
            title: "",
            p_values: &p_values,
            calibration_rows,
            budget: None,
        });
        for (budget, realised) in rates.curve() {
            assert!((realised - budget).abs() < 0.001, "{budget}: {realised}");
        }
        for ((budget, (low, high)), (_, realised)) in rates.interval().iter().zip(rates.curve()) {
            assert!(*low <= realised && realised <= *high, "{budget}");
        }
    }

    #[test]
    fn p_values_of_single_precision_count_at_their_own_budget() {
        let p_values = [f64::from(0.1_f32); 4];
        let rates = Rates::new(&Calibration {
            title: "",
            p_values: &p_values,
            calibration_rows: 99,
            budget: None,
        });
        assert_eq!(rates.realised(0.1), Some(1.0));
        assert_eq!(rates.realised(0.099), Some(0.0));
    }

    #[test]
    fn the_marked_budget_is_told_with_what_it_realised() {
        let (p_values, calibration_rows) = uniform(1000, 499);
        let picture = calibration(&Calibration {
            title: "calibration",
            p_values: &p_values,
            calibration_rows,
            budget: Some(0.01),
        })
        .unwrap();
        assert!(picture.contains("499 calibration rows"));
        assert!(picture.contains("\n1 %\n"));
        assert!(picture.contains(" to "));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn any_p_values_give_a_picture(
            title in any_text(),
            p_values in prop::collection::vec(any_number(), 0..60),
            calibration_rows in prop_oneof![0_usize..5, 0_usize..100_000],
            budget in prop::option::of(any_number()),
        ) {
            let plot = Calibration { title: &title, p_values: &p_values, calibration_rows, budget };
            check(&calibration(&plot).unwrap())?;
        }
    }
}
