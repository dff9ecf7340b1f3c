//! Words that are safe and short enough, and numbers as people write them.

/// A name without what XML forbids, with its middle left out if it has more than `limit`
/// characters: of a dotted path the first and the last part tell most.
pub(super) fn shortened(name: &str, limit: usize) -> String {
    let name = readable(name);
    let length = name.chars().count();
    if length <= limit {
        return name;
    }
    let kept = limit.saturating_sub(1);
    let head: String = name.chars().take(kept.div_ceil(2)).collect();
    let tail: String = name.chars().skip(length - kept / 2).collect();
    format!("{head}…{tail}")
}

/// A sentence without what XML forbids, with its end left out if it has more than `limit` characters.
pub(super) fn cut(sentence: &str, limit: usize) -> String {
    let sentence = readable(sentence);
    if sentence.chars().count() <= limit {
        return sentence;
    }
    let head: String = sentence.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", head.trim_end())
}

/// `text` without controls, U+FFFE and U+FFFF, and with runs of white space as one space.
fn readable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut gap = false;
    for character in text.chars() {
        if character.is_whitespace() || !is_allowed(character) {
            gap = true;
            continue;
        }
        if gap && !clean.is_empty() {
            clean.push(' ');
        }
        gap = false;
        clean.push(character);
    }
    clean
}

/// `text` as it may stand between tags and within quotation marks. What XML forbids becomes U+FFFD.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\t' | '\n' => safe.push(character),
            _ if is_allowed(character) => safe.push(character),
            _ => safe.push('\u{FFFD}'),
        }
    }
    safe
}

/// XML 1.0 without the controls, which it allows in part and nobody can read.
fn is_allowed(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{FFFE}' | '\u{FFFF}')
}

/// A whole number with commas between thousands.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with about three digits that count.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.1e}")
    } else {
        let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
        trimmed(format!("{value:.decimals$}"))
    }
}

/// A share as per cent, with two digits that count; a dash for what is no share.
pub(super) fn percent(share: f64) -> String {
    let value = share * 100.0;
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0 %".to_owned();
    }
    if value.abs() >= 1e5 {
        return format!("{} %", number(value));
    }
    let decimals = (1 - value.abs().log10().floor() as i32).clamp(0, 6) as usize;
    format!("{} %", trimmed(format!("{value:.decimals$}")))
}

/// Without zeros at the end of the decimals.
pub(super) fn trimmed(number: String) -> String {
    if !number.contains('.') {
        return number;
    }
    let short = number.trim_end_matches('0').trim_end_matches('.');
    short.to_owned()
}

/// What a picture says of values that it cannot show; `None` if there are none.
pub(super) fn left_out(count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some("1 value is not a finite number and is left out".to_owned()),
        _ => Some(format!(
            "{} values are not finite numbers and are left out",
            grouped(count)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_its_beginning_and_its_end() {
        assert_eq!(
            shortened("payload.customer.address.zip", 13),
            "payloa…ss.zip"
        );
        assert_eq!(shortened("amount", 6), "amount");
        assert_eq!(shortened("amounts", 6), "amo…ts");
        assert_eq!(shortened("äöüßé", 4), "äö…é");
    }

    #[test]
    fn a_long_sentence_keeps_its_beginning() {
        assert_eq!(cut("observed 3, expected 1", 13), "observed 3,…");
        assert_eq!(cut("observed 3", 10), "observed 3");
    }

    #[test]
    fn controls_and_line_breaks_become_one_space() {
        assert_eq!(shortened(" a\u{0}\n\tb\u{FFFF}", 9), "a b");
        assert_eq!(
            escaped("<a b='\u{1}'>&"),
            "&lt;a b=&#39;\u{FFFD}&#39;&gt;&amp;"
        );
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
        assert_eq!(number(0.25), "0.25");
        assert_eq!(number(1234.5), "1234");
        assert_eq!(number(-3.0e8), "-3.0e8");
        assert_eq!(percent(0.01), "1 %");
        assert_eq!(percent(0.0123), "1.2 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.0001), "0.01 %");
        assert_eq!(percent(f64::NAN), "–");
        assert_eq!(percent(f64::MAX), "–");
        assert_eq!(percent(1e9), "1.0e11 %");
    }
}
