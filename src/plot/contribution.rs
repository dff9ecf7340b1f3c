//! What each field gives to the score of one row, as horizontal bars.

use plotters::element::Rectangle;
use plotters::style::{Color, RGBColor};

use super::error::PlotError;
use super::frame::{Place, scaled, sheet, words};
use super::palette::{EMPHASIS, FAINT, INK, series};
use super::text::{cut, grouped, left_out, percent, shortened};

/// Bars at most; the rest is summed up.
const BARS: usize = 8;

const WIDTH: u32 = 760;
const HEAD: i32 = 36;
const LINE: i32 = 22;

/// Right edge of the names, left and right edge of the bars, left edge of the details.
const NAMES: i32 = 216;
const BARS_FROM: i32 = 226;
const BARS_TO: i32 = 390;
const DETAILS: i32 = 446;

/// Characters of a name and of a detail that have room.
const NAME_CHARACTERS: usize = 30;
const DETAIL_CHARACTERS: usize = 43;

/// What makes one row odd.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contributions<'a> {
    /// Which row it is, such as `row 17, score 8.1`.
    pub title: &'a str,
    pub fields: &'a [Bar<'a>],
    /// The share that no field has: how unusual the record is as a whole.
    pub latent: Option<f64>,
}

/// One field's part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar<'a> {
    pub field: &'a str,
    /// Part of the score, 0 to 1; what is below 0 is no part and counts as 0.
    pub share: f64,
    /// What was seen and what was expected; may be empty.
    pub detail: &'a str,
    /// Whether the field is known to be odd (by a label).
    pub odd: bool,
}

/// One line of the picture.
struct Line {
    name: String,
    share: f64,
    detail: String,
    colour: RGBColor,
    odd: bool,
}

/// Draws the eight largest shares, the latent one among them, and the sum of the others.
///
/// # Errors
/// Only by a defect in drawing.
pub fn contributions(row: &Contributions<'_>) -> Result<String, PlotError> {
    let (lines, missing) = lines(row);
    let note = left_out(missing);
    let height = HEAD + LINE * (lines.len().max(1) + usize::from(note.is_some())) as i32 + 8;
    sheet((WIDTH, height as u32), row.title, |area| {
        for (number, line) in lines.iter().enumerate() {
            let middle = HEAD + LINE * number as i32 + LINE / 2;
            let place = Place::left(NAMES, middle).to_right(NAMES);
            let place = if line.odd { place.bold() } else { place };
            words(area, &line.name, place, INK)?;
            // Shares need not sum to 1; none has a longer bar than the whole.
            let length = line.share.clamp(0.0, 1.0) * f64::from(BARS_TO - BARS_FROM);
            let end = BARS_FROM + (length.round() as i32).max(1);
            let corners = [(BARS_FROM, middle - 7), (end, middle + 7)].map(scaled);
            area.draw(&Rectangle::new(corners, line.colour.mix(0.85).filled()))?;
            words(
                area,
                &percent(line.share),
                Place::left(end + 6, middle),
                INK,
            )?;
            words(area, &line.detail, Place::left(DETAILS, middle), FAINT)?;
        }
        let below = HEAD + LINE * lines.len() as i32 + LINE / 2;
        if lines.is_empty() && note.is_none() {
            words(area, "no field contributes", Place::left(16, below), FAINT)?;
        }
        words(
            area,
            note.as_deref().unwrap_or_default(),
            Place::left(16, below),
            FAINT,
        )
    })
}

/// Lines from the largest share down, and how many fields have a share that is not finite.
fn lines(row: &Contributions<'_>) -> (Vec<Line>, usize) {
    let named = row.fields.iter().map(|bar| Line {
        name: shortened(bar.field, NAME_CHARACTERS),
        share: bar.share,
        detail: cut(bar.detail, DETAIL_CHARACTERS),
        colour: if bar.odd { EMPHASIS } else { series(0) },
        odd: bar.odd,
    });
    let latent = row.latent.map(|share| Line {
        name: "latent".to_owned(),
        share,
        detail: "unusual as a whole, in no one field".to_owned(),
        colour: series(3),
        odd: false,
    });
    let all: Vec<Line> = named.chain(latent).collect();
    let fields = all.len();
    let mut lines: Vec<Line> = all
        .into_iter()
        .filter(|line| line.share.is_finite())
        .collect();
    let missing = fields - lines.len();
    lines.retain(|line| line.share > 0.0);
    lines.sort_by(|a, b| b.share.total_cmp(&a.share));
    if lines.len() > BARS + 1 {
        let others = lines.split_off(BARS);
        lines.push(Line {
            name: format!("{} others", grouped(others.len())),
            // A sum of the largest numbers there are is none.
            share: others
                .iter()
                .map(|line| line.share)
                .sum::<f64>()
                .min(f64::MAX),
            detail: String::new(),
            colour: series(9),
            odd: false,
        });
    }
    (lines, missing)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::well_formed::{any_number, any_text, check};
    use super::*;

    fn bar(field: &str, share: f64) -> Bar<'_> {
        Bar {
            field,
            share,
            detail: "",
            odd: false,
        }
    }

    #[test]
    fn the_largest_shares_are_named_and_the_others_summed() {
        let names: Vec<String> = (0..20).map(|number| format!("f{number}")).collect();
        let fields: Vec<Bar<'_>> = names.iter().map(|name| bar(name, 0.04)).collect();
        let (lines, _) = lines(&Contributions {
            title: "",
            fields: &fields,
            latent: Some(0.2),
        });
        assert_eq!(lines.len(), BARS + 1);
        assert_eq!(lines[0].name, "latent");
        assert_eq!(lines[BARS].name, "13 others");
        assert!((lines[BARS].share - 0.52).abs() < 1e-9);
    }

    #[test]
    fn a_share_that_is_no_number_is_counted_and_none_below_zero_is_drawn() {
        let fields = [bar("a", f64::NAN), bar("b", -0.5), bar("c", 0.7)];
        let row = Contributions {
            title: "row 1",
            fields: &fields,
            latent: None,
        };
        let (lines, missing) = lines(&row);
        assert_eq!((lines.len(), missing), (1, 1));
        let picture = contributions(&row).unwrap();
        assert!(picture.contains("1 value is not a finite number"));
        assert!(picture.contains("\n70 %\n"));
    }

    #[test]
    fn a_field_name_with_markup_is_escaped() {
        let fields = [bar("<b>", 1.0)];
        let picture = contributions(&Contributions {
            title: "<i>",
            fields: &fields,
            latent: None,
        })
        .unwrap();
        assert!(picture.contains("&lt;b&gt;") && !picture.contains("<b>"));
        assert!(picture.contains("aria-label=\"&lt;i&gt;\""));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_row_gives_a_picture(
            title in any_text(),
            fields in prop::collection::vec(
                (any_text(), any_number(), any_text(), any::<bool>()), 0..25),
            latent in prop::option::of(any_number()),
        ) {
            let fields: Vec<Bar<'_>> = fields
                .iter()
                .map(|(field, share, detail, odd)| Bar { field, share: *share, detail, odd: *odd })
                .collect();
            check(&contributions(&Contributions { title: &title, fields: &fields, latent }).unwrap())?;
        }
    }
}
