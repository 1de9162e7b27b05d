//! A sheet to draw on, with pixels for coordinates.

use std::error::Error;

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::Picture;
use crate::failure::Failure;

pub type Drawn = Result<(), Box<dyn Error>>;
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const FONT: &str = "sans-serif";
/// The SVG backend divides a font's size by this.
const BACKEND: f64 = 1.24;

/// Pixels of text.
pub const TITLE: f64 = 18.0;
pub const NORMAL: f64 = 13.0;
pub const SMALL: f64 = 12.0;

/// Where a text's position is: its height is always the middle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum At {
    Start,
    Middle,
    End,
}

/// Draws a picture of that size, or says why not.
pub fn picture(
    name: &str,
    title: &str,
    size: (i32, i32),
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<Picture, Failure> {
    let cannot = |error: Box<dyn Error>| Failure::during(format!("cannot draw {name}: {error}"));
    let mut svg = String::new();
    {
        let size = (size.0.max(1).cast_unsigned(), size.1.max(1).cast_unsigned());
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE).map_err(|error| cannot(error.into()))?;
        draw(&area).map_err(cannot)?;
        area.present().map_err(|error| cannot(error.into()))?;
    }
    let spoken: String = title.chars().filter(|letter| !"<>&\"".contains(*letter)).collect();
    let svg = svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{spoken}\" "), 1);
    Ok(Picture { name: name.to_owned(), title: title.to_owned(), svg })
}

/// Writes in black, or paler.
pub fn write(area: &Area<'_>, text: &str, at: (i32, i32), pixels: f64, place: At, dark: f64) -> Drawn {
    let horizontal = match place {
        At::Start => HPos::Left,
        At::Middle => HPos::Center,
        At::End => HPos::Right,
    };
    let font = (FONT, pixels * BACKEND).into_font().color(&BLACK.mix(dark));
    area.draw(&Text::new(text.to_owned(), at, font.pos(Pos::new(horizontal, VPos::Center))))?;
    Ok(())
}

/// About how wide a text will be, and rather more than less: what shows it has fonts of its own.
pub fn width(text: &str, pixels: f64) -> i32 {
    (text.chars().count() as f64 * pixels * 0.58).ceil() as i32
}

/// As much of a text as has room, with a sign that there is more.
pub fn cut(text: &str, pixels: f64, room: i32) -> String {
    if width(text, pixels) <= room {
        return text.to_owned();
    }
    let most = (f64::from(room.max(0)) / (pixels * 0.58)) as usize;
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A line of one pixel.
pub fn rule(area: &Area<'_>, from: (i32, i32), to: (i32, i32), dark: f64) -> Drawn {
    area.draw(&PathElement::new(vec![from, to], BLACK.mix(dark).stroke_width(1)))?;
    Ok(())
}
