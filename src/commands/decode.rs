//! `outlierd decode`: codes as records.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::printer::{Records, lacking, note};
use crate::cli;
use crate::files;
use crate::generate::{Generator, member};
use crate::registry;

/// Codes decoded at a time; a row does not depend on it.
const ROWS: usize = 256;

pub(super) fn run(arguments: &cli::Decode) -> anyhow::Result<()> {
    let model = registry::load(&arguments.member.model)?.model;
    let member = member(&model, arguments.member.member)?;
    let mut generator = Generator::new(Arc::clone(&model), member)?;
    let path = match arguments.file.to_str() {
        Some("-") => Path::new("/dev/stdin"),
        _ => &arguments.file,
    };
    let mut rows = files::open(path)?;
    let mut records = Records::new(&model, arguments.format)?;
    let (mut codes, mut cells, mut line) = (Vec::new(), Vec::new(), Vec::new());
    let (mut count, mut rejected) = (0_u64, 0_u64);
    loop {
        let more = rows.next(&mut line)?;
        if more {
            let place = || format!("{} at line {}", path.display(), rows.line());
            match code(&line, model.shape.latent, member + 1).with_context(place)? {
                Some(code) => codes.extend(code),
                None => rejected += 1,
            }
        }
        if !more || codes.len() >= ROWS * model.shape.latent {
            cells.clear();
            let decoded = generator.decode(&codes, &mut cells);
            decoded.map_err(|error| error.after(count as usize))?;
            records.print(&cells)?;
            count += (codes.len() / model.shape.latent) as u64;
            codes.clear();
        }
        if !more {
            break;
        }
    }
    records.finish()?;
    let left_out = match rejected {
        0 => String::new(),
        _ => format!("; {rejected} rows had no code"),
    };
    note(format_args!(
        "{count} records by member {} of {}{left_out}{}",
        member + 1,
        model.members.len(),
        lacking(&model)
    ));
    Ok(())
}

/// The code of one line of `encode`: the list `code`, or the columns `code_1`, `code_2`, and so on.
/// None for a row that `encode` could not read.
fn code(line: &[u8], latent: usize, member: usize) -> anyhow::Result<Option<Vec<f32>>> {
    let row: Value = serde_json::from_slice(line).context("this is no JSON object")?;
    if row.get("rejected").is_some() {
        return Ok(None);
    }
    if let Some(other) = row.get("member").and_then(Value::as_u64)
        && other != member as u64
    {
        bail!(
            "this is a code of member {other}, to be decoded by member {member}: give --member {other}"
        );
    }
    let numbers: Vec<&Value> = match row.get("code") {
        Some(Value::Array(numbers)) => numbers.iter().collect(),
        Some(_) => bail!("`code` is no list: a list of {latent} numbers is wanted"),
        None => (1..)
            .map_while(|unit| row.get(format!("code_{unit}")))
            .collect(),
    };
    ensure!(
        !numbers.is_empty(),
        "there is no `code` here: lines as `outlierd encode` prints them are wanted"
    );
    ensure!(
        numbers.len() == latent,
        "the code has {} numbers, and those of this model have {latent}: is it another model's?",
        numbers.len()
    );
    let number = |value: &Value| {
        let number = value.as_f64().map(|number| number as f32);
        number
            .filter(|number| number.is_finite())
            .with_context(|| format!("{value} in the code is no number"))
    };
    numbers
        .into_iter()
        .map(number)
        .collect::<Result<_, _>>()
        .map(Some)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_from_lists_and_from_columns() {
        let read = |line: &str| code(line.as_bytes(), 2, 1).unwrap();
        assert_eq!(read(r#"{"code":[0.5,-2]}"#), Some(vec![0.5, -2.0]));
        let columns = r#"{"row":7,"member":1,"code_1":0.5,"code_2":-2,"deviation_1":1}"#;
        assert_eq!(read(columns), Some(vec![0.5, -2.0]));
        assert_eq!(read(r#"{"row":3,"rejected":"syntax"}"#), None);
    }

    #[test]
    fn what_is_no_code_of_this_member_is_refused_with_the_reason() {
        for (line, reason) in [
            ("1,2", "no JSON object"),
            (r#"{"amount":3}"#, "no `code`"),
            (r#"{"code":7}"#, "a list of 2 numbers"),
            (r#"{"code":[]}"#, "no `code`"),
            (
                r#"{"code":[1]}"#,
                "has 1 numbers, and those of this model have 2",
            ),
            (r#"{"code":[1,"x"]}"#, r#""x" in the code is no number"#),
            (r#"{"code":[1,1e39]}"#, "is no number"),
            (r#"{"code":[1,null]}"#, "null in the code"),
            (r#"{"member":2,"code":[1,2]}"#, "--member 2"),
        ] {
            let refused = format!("{:#}", code(line.as_bytes(), 2, 1).unwrap_err());
            assert!(refused.contains(reason), "{line}: {refused}");
        }
    }
}
