//! How strings, numbers, shares and instants are written into a configuration file.

/// A TOML string; literal where that spares escapes.
pub(super) fn quoted(text: &str) -> String {
    let plain = !text.chars().any(|c| c == '\'' || c.is_control());
    if plain && text.contains(['"', '\\']) {
        return format!("'{text}'");
    }
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Text that is safe inside a comment.
pub(super) fn shown(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

pub(super) fn cut(word: &str) -> String {
    match word.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &word[..end]),
        None => word.to_owned(),
    }
}

/// A share as a percentage; never 0 % for some nor 100 % for less than all.
pub(super) fn percent(share: f64) -> String {
    match 100.0 * share {
        all if all == 0.0 || all == 100.0 => format!("{all:.0} %"),
        little if little < 0.1 => "under 0.1 %".to_owned(),
        much if much > 99.9 => "over 99.9 %".to_owned(),
        other if other < 10.0 => format!("{other:.1} %"),
        other => format!("{other:.0} %"),
    }
}

/// Four significant digits.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e15 {
        return format!("{value}");
    }
    if !(1e-4..1e15).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals = (3 - size.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

pub(super) fn instant(seconds: f64) -> String {
    jiff::Timestamp::from_second(seconds as i64)
        .map_or_else(|_| number(seconds), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_digits_and_shares_do_not_vanish() {
        let numbers = [12345.678, 0.123456, -2.5, 1e20, 3.0, 1234567.8].map(number);
        assert_eq!(
            numbers,
            ["12346", "0.1235", "-2.5", "1.000e20", "3", "1234568"]
        );
        let shares = [0.0, 0.0004, 0.05, 0.5, 0.9999, 1.0].map(percent);
        assert_eq!(
            shares,
            [
                "0 %",
                "under 0.1 %",
                "5.0 %",
                "50 %",
                "over 99.9 %",
                "100 %"
            ]
        );
    }

    #[test]
    fn strings_are_quoted_as_toml_wants() {
        for text in ["a", "a\"b", "it's \"x\"", "C:\\x", "line\nbreak\u{7f}"] {
            let line = format!("x = {}", quoted(text));
            let table: Result<::toml::Table, _> = ::toml::from_str(&line);
            assert_eq!(
                table.ok().as_ref().and_then(|t| t["x"].as_str()),
                Some(text)
            );
        }
    }
}
