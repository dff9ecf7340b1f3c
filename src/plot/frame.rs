//! The sheet that a picture is drawn on, and the frame of axes around a chart.

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, RGBColor, ShapeStyle, TextStyle};

use super::axis::Axis;
use super::error::PlotError;
use super::legend::{self, Entry};
use super::palette::{FAINT, GRID, INK, PAPER};
use super::text::{cut, escaped};

/// Units of the drawing in one unit of the picture: plotters rounds to whole units, and a curve
/// should not show it.
const SCALE: i32 = 2;

/// Size of words, in units of the picture.
const WORDS: f64 = 12.0;

/// Plotters takes sizes in its own unit.
const FONT_UNIT: f64 = 1.24;

const TITLE_HEIGHT: u32 = 34;
const NOTE_HEIGHT: u32 = 18;
/// Characters of a note or title that have room in a hundred units.
const CHARACTERS: f64 = 15.5;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A chart whose both axes are numbers. Its coordinates are those of the axes.
pub(super) type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// What stands around a chart. Lengths are in units of the picture.
pub(super) struct Frame<'a> {
    pub title: &'a str,
    pub width: u32,
    pub height: u32,
    /// Width of the column for the legend.
    pub legend_width: u32,
    pub legend: Vec<Entry>,
    /// Lines below the chart.
    pub notes: Vec<String>,
}

impl Frame<'_> {
    /// Draws frame, axes and legend, and what `paint` adds to the chart.
    pub(super) fn draw(
        &self,
        x: &Axis,
        y: &Axis,
        paint: impl FnOnce(&mut Chart<'_, '_>) -> Result<(), PlotError>,
    ) -> Result<String, PlotError> {
        let notes = NOTE_HEIGHT * self.notes.len() as u32;
        let height = self.height + notes;
        sheet((self.width, height), self.title, |area| {
            let mut chart = ChartBuilder::on(area)
                .margin_top(TITLE_HEIGHT * SCALE as u32)
                .margin_left(6 * SCALE)
                .margin_right((self.legend_width + 16) * SCALE as u32)
                .margin_bottom((notes + 6) * SCALE as u32)
                .x_label_area_size(42 * SCALE)
                .y_label_area_size(62 * SCALE)
                .build_cartesian_2d(x.clone(), y.clone())?;
            axes(&mut chart, x, y)?;
            paint(&mut chart)?;
            let left = (self.width - self.legend_width) as i32;
            let room = (
                self.legend_width as i32 - 12,
                (self.height - TITLE_HEIGHT) as i32,
            );
            legend::draw(area, (left, TITLE_HEIGHT as i32), room, &self.legend)?;
            for (number, note) in self.notes.iter().enumerate() {
                let middle = (self.height + NOTE_HEIGHT * number as u32) as i32 + 4;
                let limit = (f64::from(self.width) / 100.0 * CHARACTERS) as usize;
                words(area, &cut(note, limit), Place::left(16, middle), FAINT)?;
            }
            Ok(())
        })
    }
}

/// A sheet of `size` with a title, and what `paint` adds to it.
pub(super) fn sheet(
    size: (u32, u32),
    title: &str,
    paint: impl FnOnce(&Area<'_>) -> Result<(), PlotError>,
) -> Result<String, PlotError> {
    let (width, height) = (size.0 * SCALE as u32, size.1 * SCALE as u32);
    let mut drawing = String::new();
    {
        let area = SVGBackend::with_string(&mut drawing, (width, height)).into_drawing_area();
        area.fill(&PAPER)?;
        let limit = (f64::from(size.0) / 100.0 * CHARACTERS * 0.8) as usize;
        let place = Place::left(16, TITLE_HEIGHT as i32 / 2).bold();
        words(&area, &cut(title, limit), place, INK)?;
        paint(&area)?;
        area.present()?;
    }
    // The drawing's own size becomes that of the picture, and readers of screens get the title.
    let drawn = format!("width=\"{width}\" height=\"{height}\"");
    let shown = format!(
        "role=\"img\" aria-label=\"{}\" width=\"{}\" height=\"{}\"",
        escaped(&cut(title, 200)),
        size.0,
        size.1
    );
    let drawing = drawing.replacen(&drawn, &shown, 1);
    // What is the default need not be said thousands of times.
    Ok(drawing
        .replace(" stroke=\"none\" stroke-width=\"1\"/>", "/>")
        .replace(" opacity=\"1\"", ""))
}

/// Where words stand: their middle line, and their left, right or middle.
#[derive(Clone, Copy)]
pub(super) struct Place {
    x: i32,
    y: i32,
    anchor: HPos,
    bold: bool,
}

impl Place {
    pub(super) fn left(x: i32, y: i32) -> Place {
        Place {
            x,
            y,
            anchor: HPos::Left,
            bold: false,
        }
    }

    /// Words on the same line that end at `x`.
    pub(super) fn to_right(self, x: i32) -> Place {
        Place {
            x,
            anchor: HPos::Right,
            ..self
        }
    }

    pub(super) fn bold(self) -> Place {
        Place { bold: true, ..self }
    }
}

/// Writes `text`, which is short enough already. Units of the picture.
pub(super) fn words(
    area: &Area<'_>,
    text: &str,
    place: Place,
    colour: RGBColor,
) -> Result<(), PlotError> {
    if text.is_empty() {
        return Ok(());
    }
    let mut style = style(colour).pos(Pos::new(place.anchor, VPos::Center));
    if place.bold {
        style.font = style.font.style(FontStyle::Bold);
    }
    area.draw_text(text, &style, scaled((place.x, place.y)))?;
    Ok(())
}

/// A point in units of the picture as one of the drawing.
pub(super) fn scaled((x, y): (i32, i32)) -> (i32, i32) {
    (x * SCALE, y * SCALE)
}

/// A line of this thickness, in units of the drawing.
pub(super) fn line(colour: RGBColor, thickness: u32) -> ShapeStyle {
    ShapeStyle::from(colour).stroke_width(thickness)
}

fn style(colour: RGBColor) -> TextStyle<'static> {
    let size = WORDS * f64::from(SCALE) * FONT_UNIT;
    let mut style = TextStyle::from(("sans-serif", size));
    style.color = colour.to_backend_color();
    style
}

fn axes(chart: &mut Chart<'_, '_>, x: &Axis, y: &Axis) -> Result<(), PlotError> {
    chart
        .configure_mesh()
        .axis_style(line(FAINT, 2))
        .bold_line_style(line(GRID, 2))
        .light_line_style(line(GRID, 1))
        .label_style(style(INK))
        .axis_desc_style(style(INK))
        .x_label_formatter(&|place| x.words_at(*place))
        .y_label_formatter(&|place| y.words_at(*place))
        .x_desc(cut(&x.words, 70))
        .y_desc(cut(&y.words, 50))
        .draw()?;
    Ok(())
}
