//! JSON numbers: their grammar, and their value to the last bit.

use super::rejection::Fault;
use super::scanner::Scanner;
use crate::metrics::DeadLetterClass;

/// Powers of ten that an `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

const INTEGER_POWERS: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

/// A number that has passed the grammar.
struct Token {
    start: usize,
    negative: bool,
    /// All digits as one integer; wrong beyond 19 of them.
    digits: u64,
    digit_count: usize,
    /// The power of ten that `digits` is multiplied with.
    exponent: i64,
}

/// Whether `bytes` are one JSON number and nothing else.
pub fn is_number(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut scanner = Scanner::new(text);
    scanner.token().is_ok() && scanner.at == bytes.len()
}

impl Scanner<'_> {
    /// Passes a number and returns its value, the same bits as `str::parse` gives.
    #[inline(always)]
    pub fn number(&mut self) -> Result<f64, Fault> {
        match self.short_number() {
            Some(value) => Ok(value),
            None => self.long_number(),
        }
    }

    /// Passes a plain number that ends within eight bytes after its sign, such as `-123.456`.
    #[inline(always)]
    pub fn short_number(&mut self) -> Option<f64> {
        let negative = self.peek() == b'-';
        let start = self.at + usize::from(negative);
        let word = u64::from_le_bytes(*self.bytes.get(start..)?.first_chunk()?);
        let byte = |index: usize| (word >> (8 * index)) as u8;
        let others = others(word);
        let whole = first(others);
        if whole == 0 || whole == 8 || (whole > 1 && byte(0) == b'0') {
            return None;
        }
        let (digits, count, length) = if byte(whole) == b'.' {
            // The digits on both sides of the point move together.
            let before = (1 << (8 * whole)) - 1;
            let digits = (word & before) | ((word >> 8) & !before);
            // A point carries nothing upwards, so that the next mark is right as well.
            let length = first(others & (others - 1));
            (digits, length - 1, length)
        } else {
            (word, whole, whole)
        };
        if length == 8 || length == whole + 1 || byte(length) | 0x20 == b'e' {
            return None;
        }
        self.at = start + length;
        let value = digit_value(digits, count) as f64 / POWERS[count - whole];
        Some(if negative { -value } else { value })
    }

    fn long_number(&mut self) -> Result<f64, Fault> {
        let token = self.token()?;
        if token.digit_count <= 19
            && token.digits <= 1 << 53
            && (-22..=22).contains(&token.exponent)
        {
            // Both operands are exact, so one rounding gives the nearest value (Clinger 1990).
            let digits = token.digits as f64;
            let value = if token.exponent < 0 {
                digits / POWERS[token.exponent.unsigned_abs() as usize]
            } else {
                digits * POWERS[token.exponent.unsigned_abs() as usize]
            };
            return Ok(if token.negative { -value } else { value });
        }
        self.rounded(&token)
    }

    /// Passes a number, refusing those that no `f64` holds.
    pub fn skip_number(&mut self) -> Result<(), Fault> {
        let token = self.token()?;
        if token.exponent.saturating_add(token.digit_count as i64) > 308 {
            self.rounded(&token)?;
        }
        Ok(())
    }

    fn rounded(&self, token: &Token) -> Result<f64, Fault> {
        let text = self.text.get(token.start..self.at);
        let value: Option<f64> = text.and_then(|text| text.parse().ok());
        match value {
            Some(value) if value.is_finite() => Ok(value),
            _ => Err(Fault::new(
                DeadLetterClass::NumberRange,
                token.start,
                "the number is beyond the range of a 64-bit float",
            )),
        }
    }

    #[inline(always)]
    fn token(&mut self) -> Result<Token, Fault> {
        let start = self.at;
        let negative = self.peek() == b'-';
        self.at += usize::from(negative);
        let leading_zero = self.peek() == b'0';
        let (mut digits, whole) = self.digits(0);
        if whole == 0 || (leading_zero && whole > 1) {
            return Err(Fault::syntax(start, "malformed number"));
        }
        let mut digit_count = whole;
        let mut exponent = 0;
        if self.peek() == b'.' {
            self.at += 1;
            let (all, fraction) = self.digits(digits);
            if fraction == 0 {
                return Err(Fault::syntax(
                    start,
                    "a number lacks digits after its point",
                ));
            }
            digits = all;
            digit_count += fraction;
            exponent = -(fraction as i64);
        }
        if matches!(self.peek(), b'e' | b'E') {
            exponent += self.exponent(start)?;
        }
        Ok(Token {
            start,
            negative,
            digits,
            digit_count,
            exponent,
        })
    }

    /// Appends the run of digits here to `value`; returns it and the length of the run.
    #[inline(always)]
    fn digits(&mut self, mut value: u64) -> (u64, usize) {
        let start = self.at;
        while let Some(word) = self.word() {
            let count = digit_count(word);
            value = value
                .wrapping_mul(INTEGER_POWERS[count])
                .wrapping_add(digit_value(word, count));
            self.at += count;
            if count < 8 {
                return (value, self.at - start);
            }
        }
        while self.peek().is_ascii_digit() {
            let digit = u64::from(self.peek() - b'0');
            value = value.wrapping_mul(10).wrapping_add(digit);
            self.at += 1;
        }
        (value, self.at - start)
    }

    /// Passes `e+12`. Saturates far beyond what an `f64` holds.
    #[cold]
    fn exponent(&mut self, start: usize) -> Result<i64, Fault> {
        self.at += 1;
        let negative = self.peek() == b'-';
        if matches!(self.peek(), b'+' | b'-') {
            self.at += 1;
        }
        if !self.peek().is_ascii_digit() {
            return Err(Fault::syntax(
                start,
                "a number lacks digits in its exponent",
            ));
        }
        let mut value: i64 = 0;
        while self.peek().is_ascii_digit() {
            let digit = i64::from(self.peek() - b'0');
            value = (value * 10 + digit).min(i64::from(i32::MAX));
            self.at += 1;
        }
        Ok(if negative { -value } else { value })
    }
}

/// How many digits `word` starts with.
#[inline(always)]
fn digit_count(word: u64) -> usize {
    first(others(word))
}

/// A high bit at the first byte that is no digit. Those above it may be false: a byte beyond ASCII
/// carries upwards.
#[inline(always)]
fn others(word: u64) -> u64 {
    let values = word ^ 0x3030_3030_3030_3030;
    (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080
}

/// The byte of the first mark; 8 if there is none.
#[inline(always)]
fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// The value of the first `count` digits of `word`, all at once.
#[inline(always)]
fn digit_value(word: u64, count: usize) -> u64 {
    let values = word ^ 0x3030_3030_3030_3030;
    // Zeros move in at the most significant digits.
    let values = values.checked_shl(64 - 8 * count as u32).unwrap_or(0);
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let high = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let low = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    high.wrapping_add(low) >> 32
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Result<f64, Fault> {
        let mut scanner = Scanner::new(text);
        let value = scanner.number()?;
        scanner.end()?;
        Ok(value)
    }

    #[test]
    fn malformed_numbers_are_refused() {
        for text in [
            "-",
            "01",
            "-01",
            "1.",
            ".5",
            "1.e3",
            "1e",
            "1e+",
            "+1",
            "0x10",
            "1_000",
            "--1",
            "1-",
            "00000000",
            "12345678a",
            "Infinity",
            "NaN",
        ] {
            assert!(number(text).is_err(), "{text}");
            assert!(number(&format!("{text}         ")).is_err(), "{text}");
            assert!(!is_number(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn numbers_beyond_a_double_are_refused_even_when_passed_over() {
        for text in [
            "1e400",
            "-1e309",
            "1e99999999999999999999",
            &"9".repeat(310),
        ] {
            assert_eq!(
                number(text).unwrap_err().class,
                DeadLetterClass::NumberRange
            );
            assert!(Scanner::new(text).skip_number().is_err());
        }
        assert_eq!(number("1e-400").unwrap(), 0.0);
        assert_eq!(number("0e400").unwrap(), 0.0);
        assert!(number("-0").unwrap().is_sign_negative());
    }

    proptest! {
        #[test]
        fn a_number_has_the_bits_that_the_standard_library_gives(
            text in "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?",
            padding in "[ ]{0,12}",
        ) {
            let expected: f64 = text.parse().unwrap();
            match number(&(text + &padding)) {
                Ok(value) => prop_assert_eq!(value.to_bits(), expected.to_bits()),
                Err(fault) => {
                    prop_assert_eq!(fault.class, DeadLetterClass::NumberRange);
                    prop_assert!(expected.is_infinite());
                }
            }
        }

        #[test]
        fn printed_doubles_come_back(value in proptest::num::f64::NORMAL) {
            prop_assert_eq!(number(&value.to_string()).unwrap().to_bits(), value.to_bits());
            prop_assert_eq!(number(&format!("{value:e}")).unwrap().to_bits(), value.to_bits());
        }
    }
}
