//! JSON strings: their end, their escapes, their text.

use std::ops::Range;

use super::rejection::Fault;
use super::scanner::Scanner;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// A string as it stands in the record, without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub range: Range<usize>,
    /// Whether it holds escapes, so that its text differs from its bytes.
    pub escaped: bool,
}

impl Scanner<'_> {
    /// Passes a string whose opening quote is behind us.
    #[inline]
    pub fn string(&mut self) -> Result<Text, Fault> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.plain();
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let range = start..self.at;
                    self.at += 1;
                    return Ok(Text { range, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => {
                    let detail = "a control character stands unescaped in a string";
                    return Err(Fault::syntax(self.at, detail));
                }
                None => return Err(Fault::syntax(self.at, "the record ends inside a string")),
            }
        }
    }

    /// Moves to the next quote, backslash or control character.
    #[inline(always)]
    fn plain(&mut self) {
        while let Some(word) = self.word() {
            let special = stops(word);
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte == b'"' || byte == b'\\' || byte < 0x20 {
                return;
            }
            self.at += 1;
        }
    }

    #[cold]
    fn escape(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.at += 1;
                Ok(())
            }
            b'u' => self.unicode_escape(start),
            _ => Err(Fault::syntax(start, "unknown escape in a string")),
        }
    }

    fn unicode_escape(&mut self, start: usize) -> Result<(), Fault> {
        self.at += 1;
        let lone = Fault::syntax(start, "half of a surrogate pair stands alone in a string");
        match self.hex4()? {
            0xDC00..=0xDFFF => Err(lone),
            0xD800..=0xDBFF => {
                if !self.bytes[self.at..].starts_with(b"\\u") {
                    return Err(lone);
                }
                self.at += 2;
                match self.hex4()? {
                    0xDC00..=0xDFFF => Ok(()),
                    _ => Err(lone),
                }
            }
            _ => Ok(()),
        }
    }

    fn hex4(&mut self) -> Result<u32, Fault> {
        let digits = self.bytes.get(self.at..self.at + 4);
        let value = digits.and_then(hex);
        let value = value
            .ok_or_else(|| Fault::syntax(self.at, "expected four hexadecimal digits after \\u"))?;
        self.at += 4;
        Ok(value)
    }
}

/// A high bit at the first byte that is a quote, a backslash or below 0x20. Bits above the lowest
/// may be false: a borrow runs upwards (Bit Twiddling Hacks, "determine if a word has a byte less
/// than n").
#[inline(always)]
fn stops(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    let quote = quote.wrapping_sub(ONES) & !quote;
    let slash = slash.wrapping_sub(ONES) & !slash;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | slash | control) & HIGH
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &digit| {
        Some(value * 16 + char::from(digit).to_digit(16)?)
    })
}

/// Replaces `out` with the text of a string that the scanner has accepted.
pub(super) fn unescape(raw: &str, out: &mut String) {
    out.clear();
    let mut rest = raw;
    while let Some(slash) = rest.find('\\') {
        out.push_str(&rest[..slash]);
        let escape = &rest.as_bytes()[slash + 1..];
        let (character, length) = match escape.first() {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => code_point(escape),
            Some(&other) => (char::from(other), 2),
            None => (char::REPLACEMENT_CHARACTER, 1),
        };
        out.push(character);
        rest = rest.get(slash + length..).unwrap_or("");
    }
    out.push_str(rest);
}

/// The character of `uXXXX` or `uXXXX\uXXXX`, and the length of its escape with the backslash.
fn code_point(escape: &[u8]) -> (char, usize) {
    let unit = |from: usize| escape.get(from..from + 4).and_then(hex).unwrap_or(0xFFFD);
    let first = unit(1);
    let (code, length) = match first {
        0xD800..=0xDBFF => {
            let second = unit(7).wrapping_sub(0xDC00) & 0x3FF;
            (0x10000 + ((first - 0xD800) << 10) + second, 12)
        }
        _ => (first, 6),
    };
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    (character, length)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn scan(json: &str) -> Result<String, Fault> {
        let mut scanner = Scanner::new(json);
        scanner.at = 1;
        let text = scanner.string()?;
        let mut out = String::from("left over");
        unescape(&json[text.range], &mut out);
        Ok(out)
    }

    #[test]
    fn every_escape_has_its_text() {
        let json = r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00z""#;
        assert_eq!(scan(json).unwrap(), "a\"\\/\u{8}\u{c}\n\r\té😀z");
    }

    #[test]
    fn strings_of_every_length_end_at_their_quote() {
        for length in 0..40 {
            let text = "é".repeat(length / 2) + &"x".repeat(length);
            assert_eq!(scan(&format!("\"{text}\", 1")).unwrap(), text);
        }
    }

    #[test]
    fn broken_strings_are_refused() {
        for json in [
            "\"abc",
            "\"a\\",
            "\"a\\x\"",
            "\"\\u12g4\"",
            "\"\\u12",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"tab\there and more\"",
        ] {
            assert!(scan(json).is_err(), "{json}");
        }
    }
}
