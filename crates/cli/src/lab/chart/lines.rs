//! Lines with marks, and their names beside them.

use super::{
    Picture,
    axis::Range,
    canvas::{Area, At, Drawn, NORMAL, SMALL, TITLE, cut, picture, rule, width, write},
    style::Style,
};
use crate::{failure::Failure, lab::unit::Unit};

const HEIGHT: i32 = 520;
const PLOT: i32 = 680;
const LEFT: i32 = 84;
const TOP: i32 = 92;
const BELOW: i32 = 62;
const MARGIN: i32 = 16;
const PITCH: i32 = 22;
/// The most that names get, and what stands before them.
const NAMES: i32 = 300;
const SWATCH: i32 = 52;
/// Marks that a line has at most: more would hide it.
const MARKS: usize = 16;

/// A chart of lines.
#[derive(Clone, Debug)]
pub struct Lines {
    pub name: String,
    pub title: String,
    pub subtitle: String,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
}

/// What lies along an edge.
#[derive(Clone, Debug)]
pub struct Axis {
    /// `step`, `peak RSS`; the unit is added.
    pub what: String,
    pub unit: Unit,
    pub log: bool,
    /// Begins at zero whatever the values are; not for logarithmic ones.
    pub zero_based: bool,
}

impl Axis {
    /// In equal steps from zero.
    pub fn linear(what: &str, unit: Unit) -> Self {
        Axis { what: what.to_owned(), unit, log: false, zero_based: true }
    }

    /// In equal factors.
    pub fn log(what: &str, unit: Unit) -> Self {
        Axis { what: what.to_owned(), unit, log: true, zero_based: false }
    }

    fn range(&self, values: impl Iterator<Item = f64>) -> Range {
        if self.log {
            Range::log(&self.what, self.unit, values)
        } else {
            Range::linear(&self.what, self.unit, values, self.zero_based)
        }
    }
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

impl Lines {
    /// Draws it.
    pub fn draw(&self) -> Result<Picture, Failure> {
        let names = self.lines.iter().map(|line| width(&line.name, NORMAL)).max().unwrap_or(0).min(NAMES);
        let size = (LEFT + PLOT + SWATCH + names + 2 * MARGIN, self.height());
        picture(&self.name, &self.title, size, |area| self.on(area, size))
    }

    /// As high as it must be for all names to stand below each other.
    fn height(&self) -> i32 {
        let lines = i32::try_from(self.lines.len()).unwrap_or(i32::MAX / PITCH);
        HEIGHT.max(TOP + PITCH * lines + BELOW)
    }

    fn on(&self, area: &Area<'_>, (whole, height): (i32, i32)) -> Drawn {
        write(area, &cut(&self.title, TITLE, whole - 2 * MARGIN), (MARGIN, 22), TITLE, At::Start, 1.0)?;
        write(area, &cut(&self.subtitle, SMALL, whole - 2 * MARGIN), (MARGIN, 46), SMALL, At::Start, 0.75)?;
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let (x, y) = (self.x.range(points().map(|p| p.0)), self.y.range(points().map(|p| p.1)));
        let (right, bottom) = (LEFT + PLOT, height - BELOW);
        let across = |value: f64| LEFT + (x.share(value) * f64::from(PLOT)).round() as i32;
        let down = |value: f64| bottom - (y.share(value) * f64::from(bottom - TOP)).round() as i32;
        for (value, label) in &x.ticks {
            rule(area, (across(*value), TOP), (across(*value), bottom), 0.12)?;
            write(area, label, (across(*value), bottom + 14), SMALL, At::Middle, 0.85)?;
        }
        for (value, label) in &y.ticks {
            rule(area, (LEFT, down(*value)), (right, down(*value)), 0.12)?;
            write(area, label, (LEFT - 8, down(*value)), SMALL, At::End, 0.85)?;
        }
        rule(area, (LEFT, TOP), (LEFT, bottom), 0.7)?;
        rule(area, (LEFT, bottom), (right, bottom), 0.7)?;
        write(area, &x.label, (LEFT + PLOT / 2, bottom + 38), NORMAL, At::Middle, 1.0)?;
        write(area, &y.label, (MARGIN, TOP - 20), NORMAL, At::Start, 1.0)?;
        for (number, line) in self.lines.iter().enumerate() {
            let placed = line.points.iter().filter(|point| x.has(point.0) && y.has(point.1));
            let placed: Vec<_> = placed.map(|point| (across(point.0), down(point.1))).collect();
            let every = placed.len().div_ceil(MARKS).max(1);
            let style = Style(number);
            if placed.len() > 1 {
                style.path(area, placed.clone())?;
            }
            for at in placed.into_iter().step_by(every) {
                style.mark(area, at)?;
            }
            let middle = TOP + 8 + PITCH * i32::try_from(number)?;
            style.path(area, vec![(right + 18, middle), (right + 46, middle)])?;
            style.mark(area, (right + 32, middle))?;
            write(
                area,
                &cut(&line.name, NORMAL, NAMES),
                (right + SWATCH + 2, middle),
                NORMAL,
                At::Start,
                1.0,
            )?;
        }
        Ok(())
    }
}
