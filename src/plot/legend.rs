//! The column of words beside a chart that says what is what.

use plotters::element::{PathElement, Rectangle};
use plotters::style::{Color, RGBColor, ShapeStyle};

use super::error::PlotError;
use super::frame::{Area, Place, words};
use super::palette::{FAINT, INK};
use super::text::shortened;

/// Height of a line.
const LINE: i32 = 20;

/// The first word's distance from the left edge of the column.
const INDENT: i32 = 30;

/// About the width of a character.
const CHARACTER: i32 = 7;

/// How a thing looks in the picture.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    /// A line of this colour and thickness.
    Line(RGBColor, u32),
    /// A filled area or a dot.
    Patch(RGBColor, f64),
    /// No sign of its own: a remark.
    None,
}

/// One line of the legend.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub mark: Mark,
    pub text: String,
    /// A number at the right edge.
    pub value: String,
    pub bold: bool,
}

impl Entry {
    pub(super) fn new(mark: Mark, text: &str) -> Entry {
        Entry {
            mark,
            text: text.to_owned(),
            value: String::new(),
            bold: false,
        }
    }
}

/// Draws `entries` from `(left, top)` down, in a column of `width`; what has no room within
/// `height` is counted in the last line.
pub(super) fn draw(
    area: &Area<'_>,
    (left, top): (i32, i32),
    (width, height): (i32, i32),
    entries: &[Entry],
) -> Result<(), PlotError> {
    let room = (height / LINE).max(1) as usize;
    let shown = if entries.len() > room {
        room - 1
    } else {
        entries.len()
    };
    let characters = |entry: &Entry| {
        let taken = INDENT + entry.value.chars().count() as i32 * CHARACTER;
        ((width - taken) / CHARACTER - 1).max(4) as usize
    };
    for (number, entry) in entries.iter().take(shown).enumerate() {
        let middle = top + LINE * number as i32 + LINE / 2;
        mark(area, (left, middle), entry.mark)?;
        let text = shortened(&entry.text, characters(entry));
        let place = Place::left(left + INDENT, middle);
        let place = if entry.bold { place.bold() } else { place };
        words(area, &text, place, INK)?;
        words(area, &entry.value, place.to_right(left + width), INK)?;
    }
    if shown < entries.len() {
        let middle = top + LINE * shown as i32 + LINE / 2;
        let text = format!("and {} more", entries.len() - shown);
        words(area, &text, Place::left(left + INDENT, middle), FAINT)?;
    }
    Ok(())
}

fn mark(area: &Area<'_>, (left, middle): (i32, i32), mark: Mark) -> Result<(), PlotError> {
    match mark {
        Mark::Line(colour, thickness) => {
            let style = ShapeStyle::from(colour).stroke_width(thickness);
            let ends = [(left, middle), (left + 22, middle)];
            area.draw(&PathElement::new(ends.map(super::frame::scaled), style))?;
        }
        Mark::Patch(colour, opacity) => {
            let corners = [(left + 4, middle - 6), (left + 18, middle + 6)];
            let style = colour.mix(opacity).filled();
            area.draw(&Rectangle::new(corners.map(super::frame::scaled), style))?;
        }
        Mark::None => {}
    }
    Ok(())
}
