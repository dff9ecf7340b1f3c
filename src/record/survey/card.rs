//! Payment card numbers, by length and check digit.

/// Whether `text` is 13 to 19 digits, spaces and hyphens apart, with a valid check digit (Luhn's
/// algorithm, ISO/IEC 7812-1 annex B).
pub(super) fn is_card_number(text: &str) -> bool {
    let mut digits = Vec::with_capacity(19);
    for character in text.chars().filter(|c| !matches!(c, ' ' | '-')) {
        match character.to_digit(10) {
            Some(digit) if digits.len() < 19 => digits.push(digit),
            _ => return false,
        }
    }
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let from_right = digits.iter().rev().enumerate();
    let sum: u32 = from_right
        .map(|(i, &digit)| if i % 2 == 1 { doubled(digit) } else { digit })
        .sum();
    digits.len() >= 13 && sum.is_multiple_of(10) && sum > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_numbers_of_the_card_schemes_are_card_numbers() {
        for text in [
            "4111111111111111",
            "5500 0000 0000 0004",
            "3400-000000-00009",
        ] {
            assert!(is_card_number(text), "{text}");
        }
    }

    #[test]
    fn other_digits_are_not() {
        for text in [
            "4111111111111112",
            "0000000000000000",
            "18",
            "41111111111111110000",
            "card 4111111111111111",
        ] {
            assert!(!is_card_number(text), "{text}");
        }
    }
}
