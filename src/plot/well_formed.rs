//! A check of XML for the tests, and the odd inputs that pictures have to bear.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

/// Any number at all, with the awkward ones often among them.
pub(super) fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -2.0_f64..2.0,
        2 => any::<f64>(),
        1 => prop::sample::select(vec![
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            0.0,
            -0.0,
            1.0,
        ]),
    ]
}

/// The same in single precision.
pub(super) fn any_single() -> impl Strategy<Value = f32> {
    prop_oneof![
        2 => any_number().prop_map(|number| number as f32),
        1 => any::<f32>(),
        1 => prop::sample::select(vec![f32::MAX, f32::MIN, f32::NAN]),
    ]
}

/// Text with markup, controls, and lengths that have no room.
pub(super) fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[<>&\"'a-z/!\\]\\[-]{0,80}",
        prop::sample::select(vec![
            "</svg><script>alert(1)</script>".to_owned(),
            "a\u{0}b\u{FFFF}\u{1B}[0m\u{202E}".to_owned(),
            "field.".repeat(60),
        ]),
    ]
}

/// Fails unless `text` is well-formed XML: balanced tags in one root, attributes in quotation marks
/// and none twice, entities closed, no `<` in text, no character that XML forbids. Also no number
/// that is none, and no resource from outside.
pub(super) fn check(text: &str) -> Result<(), TestCaseError> {
    let body = text.strip_prefix("<!DOCTYPE html>").unwrap_or(text);
    characters(body)?;
    let mut open: Vec<&str> = Vec::new();
    let mut rest = body.trim();
    let mut roots = 0;
    while let Some(start) = rest.find('<') {
        let between = &rest[..start];
        entities(between)?;
        prop_assert!(
            !between.contains('>') || open.last() == Some(&"style"),
            "> in {between:?}"
        );
        prop_assert!(
            !open.is_empty() || between.trim().is_empty(),
            "text outside: {between:?}"
        );
        let end = rest[start..].find('>').map(|end| start + end);
        let Some(end) = end else {
            return Err(TestCaseError::fail("a tag is not closed"));
        };
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            prop_assert_eq!(open.pop(), Some(name.trim()), "tags cross");
            continue;
        }
        roots += usize::from(open.is_empty());
        let (tag, empty) = tag
            .strip_suffix('/')
            .map_or((tag, false), |tag| (tag, true));
        let name = tag.split_whitespace().next().unwrap_or_default();
        prop_assert!(
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()),
            "the name of a tag: {name:?}"
        );
        prop_assert!(name != "script", "a script");
        attributes(&tag[name.len()..])?;
        if !empty {
            open.push(name);
        }
    }
    prop_assert!(rest.trim().is_empty(), "text after the root: {rest:?}");
    prop_assert!(open.is_empty(), "never closed: {open:?}");
    prop_assert_eq!(roots, 1, "roots");
    Ok(())
}

fn characters(text: &str) -> Result<(), TestCaseError> {
    for character in text.chars() {
        let fine = matches!(character, '\t' | '\n') || !character.is_control();
        prop_assert!(
            fine && !matches!(character, '\u{FFFE}' | '\u{FFFF}'),
            "{character:?} is forbidden"
        );
    }
    Ok(())
}

fn entities(text: &str) -> Result<(), TestCaseError> {
    for (at, _) in text.match_indices('&') {
        let known = ["&lt;", "&gt;", "&amp;", "&quot;", "&apos;", "&#39;"];
        prop_assert!(
            known.iter().any(|entity| text[at..].starts_with(entity)),
            "an entity in {text:?}"
        );
    }
    Ok(())
}

fn attributes(mut text: &str) -> Result<(), TestCaseError> {
    let mut seen = Vec::new();
    while !text.trim().is_empty() {
        prop_assert!(
            text.starts_with(char::is_whitespace),
            "no space before {text:?}"
        );
        let Some((name, after)) = text.trim_start().split_once("=\"") else {
            return Err(TestCaseError::fail(format!("no attribute: {text:?}")));
        };
        prop_assert!(
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
            "{name:?}"
        );
        let Some((value, after)) = after.split_once('"') else {
            return Err(TestCaseError::fail(format!("no end of a value: {after:?}")));
        };
        entities(value)?;
        prop_assert!(!seen.contains(&name), "{name} twice");
        if !matches!(name, "aria-label" | "lang" | "class" | "content") {
            prop_assert!(
                !value.contains("NaN") && !value.contains("inf"),
                "{name} = {value}"
            );
        }
        let outside = value.contains("://") && !matches!(name, "xmlns" | "aria-label");
        prop_assert!(
            !outside && !matches!(name, "src" | "href"),
            "a resource: {value}"
        );
        seen.push(name);
        text = after;
    }
    Ok(())
}

#[test]
fn what_is_not_well_formed_is_found() {
    for wrong in [
        "<a><b></a></b>",
        "<a>",
        "<a/><b/>",
        "<a/>text",
        "<a x=1/>",
        "<a x=\"1\" x=\"2\"/>",
        "<a>&</a>",
        "<a>\u{1}</a>",
        "<a x=\"NaN\"/>",
        "<a><script></script></a>",
        "<a href=\"x\"/>",
        "",
    ] {
        assert!(check(wrong).is_err(), "{wrong}");
    }
    check("<a x=\"1\"><b/>text &lt; &amp;</a>").unwrap();
}
