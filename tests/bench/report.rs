//! The figures, for people and for programs.

use serde_json::{Value, json};

use super::measure::{Spread, Stage};

/// One figure of the whole line.
#[derive(Debug, Clone)]
pub struct Figure {
    pub name: String,
    pub unit: &'static str,
    pub spread: Spread,
}

impl Figure {
    pub fn new(name: impl Into<String>, unit: &'static str, measurements: Vec<f64>) -> Figure {
        Figure {
            name: name.into(),
            unit,
            spread: Spread::of(measurements),
        }
    }
}

pub fn print(stages: &[Stage], line: &[Figure], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        println!("{}", serde_json::to_string_pretty(&document(stages, line))?);
        return Ok(());
    }
    if !stages.is_empty() {
        println!(
            "{:28} {:>8} {:>17} {:>8} {:>17} {:>8}",
            "stage, ns a record", "wall", "min..max", "CPU", "min..max", "allocs*"
        );
        for stage in stages {
            println!(
                "{:28} {} {} {:8.2}",
                stage.name,
                columns(stage.wall_ns),
                columns(stage.cpu_ns),
                stage.allocations
            );
        }
        println!("* allocations in a thousand records\n");
    }
    for figure in line {
        println!(
            "{:36} {} {}",
            figure.name,
            columns(figure.spread),
            figure.unit
        );
    }
    Ok(())
}

fn columns(spread: Spread) -> String {
    let places = if spread.most.abs() < 10.0 { 2 } else { 0 };
    let range = format!("{:.*}..{:.*}", places, spread.least, places, spread.most);
    format!("{:8.*} {range:>17}", places, spread.median)
}

fn document(stages: &[Stage], line: &[Figure]) -> Value {
    let spread =
        |spread: Spread| json!({"median": spread.median, "min": spread.least, "max": spread.most});
    let stages = stages.iter().map(|stage| {
        json!({
            "name": stage.name,
            "wall_ns": spread(stage.wall_ns),
            "cpu_ns": spread(stage.cpu_ns),
            "allocations_per_1000": stage.allocations,
        })
    });
    let line = line.iter().map(
        |figure| json!({"name": figure.name, "unit": figure.unit, "value": spread(figure.spread)}),
    );
    json!({"stages": stages.collect::<Vec<_>>(), "line": line.collect::<Vec<_>>()})
}
