//! The canvas of a chart, with pixel coordinates.

use std::error::Error;

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::Picture;
use crate::failure::Failure;

pub type DrawResult = Result<(), Box<dyn Error>>;
/// A position in pixels.
pub type PixelPoint = (i32, i32);
pub type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const FONT: &str = "sans-serif";
/// The SVG backend divides font sizes by this.
const BACKEND_FONT_SCALE: f64 = 1.24;

/// Font sizes in pixels.
pub const TITLE: f64 = 18.0;
pub const NORMAL: f64 = 13.0;
pub const SMALL: f64 = 12.0;

/// Which point of a text its position is, horizontally; vertically it is the middle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// Draws a picture of the given size.
pub fn picture(
    name: &str,
    title: &str,
    size: (i32, i32),
    draw: impl FnOnce(&Canvas<'_>) -> DrawResult,
) -> Result<Picture, Failure> {
    let cannot = |error: Box<dyn Error>| Failure::runtime(format!("cannot draw {name}: {error}"));
    let mut svg = String::new();
    {
        let size = (size.0.max(1).cast_unsigned(), size.1.max(1).cast_unsigned());
        let canvas = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        canvas.fill(&WHITE).map_err(|error| cannot(error.into()))?;
        draw(&canvas).map_err(cannot)?;
        canvas.present().map_err(|error| cannot(error.into()))?;
    }
    let label: String = title.chars().filter(|letter| !"<>&\"".contains(*letter)).collect();
    let svg = svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1);
    Ok(Picture { name: name.to_owned(), title: title.to_owned(), svg })
}

/// Writes text in black, or in grey if `dark` is below 1.
pub fn write(
    canvas: &Canvas<'_>,
    text: &str,
    at: (i32, i32),
    pixels: f64,
    anchor: Anchor,
    dark: f64,
) -> DrawResult {
    let horizontal = match anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    let font = (FONT, pixels * BACKEND_FONT_SCALE).into_font().color(&BLACK.mix(dark));
    canvas.draw(&Text::new(text.to_owned(), at, font.pos(Pos::new(horizontal, VPos::Center))))?;
    Ok(())
}

/// An upper estimate of a text's text_width: the viewer's font is not known.
pub fn text_width(text: &str, pixels: f64) -> i32 {
    (text.chars().count() as f64 * pixels * 0.58).ceil() as i32
}

/// The text, truncated with an ellipsis if it is wider than `room`.
pub fn truncate(text: &str, pixels: f64, room: i32) -> String {
    if text_width(text, pixels) <= room {
        return text.to_owned();
    }
    let fitting = (f64::from(room.max(0)) / (pixels * 0.58)) as usize;
    text.chars().take(fitting.saturating_sub(1)).chain(['…']).collect()
}

/// Draws a line one pixel wide.
pub fn line(canvas: &Canvas<'_>, from: (i32, i32), to: (i32, i32), dark: f64) -> DrawResult {
    canvas.draw(&PathElement::new(vec![from, to], BLACK.mix(dark).stroke_width(1)))?;
    Ok(())
}
