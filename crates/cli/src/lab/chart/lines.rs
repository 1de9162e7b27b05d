//! Line charts with marks, and a legend on the right.

use super::{
    Picture,
    axis::Range,
    canvas::{Anchor, Canvas, DrawResult, NORMAL, SMALL, TITLE, line, picture, text_width, truncate, write},
    style::Style,
};
use crate::{failure::Failure, lab::unit::Unit};

const HEIGHT: i32 = 520;
const PLOT: i32 = 680;
const LEFT: i32 = 84;
const TOP: i32 = 92;
const BELOW: i32 = 62;
const MARGIN: i32 = 16;
const ROW: i32 = 22;
/// Maximum text_width for names, and the text_width of the sample of the line before them.
const MAX_NAME_WIDTH: i32 = 300;
const SWATCH: i32 = 52;
/// How many marks a line has at most: more would hide it.
const MAX_MARKS: usize = 16;

/// A line chart.
#[derive(Clone, Debug)]
pub struct LineChart {
    pub name: String,
    pub title: String,
    pub subtitle: String,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<ChartLine>,
}

/// What an axis shows.
#[derive(Clone, Debug)]
pub struct Axis {
    /// `step`, `peak RSS`; the unit is added.
    pub what: String,
    pub unit: Unit,
    pub log: bool,
    /// Starts at zero whatever the values are; not for logarithmic axes.
    pub zero_based: bool,
}

impl Axis {
    /// A linear axis from zero.
    pub fn linear(what: &str, unit: Unit) -> Self {
        Axis { what: what.to_owned(), unit, log: false, zero_based: true }
    }

    /// A logarithmic axis.
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

/// One line.
#[derive(Clone, Debug)]
pub struct ChartLine {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

impl LineChart {
    /// Draws the chart.
    pub fn draw(&self) -> Result<Picture, Failure> {
        let names = self
            .lines
            .iter()
            .map(|line| text_width(&line.name, NORMAL))
            .max()
            .unwrap_or(0)
            .min(MAX_NAME_WIDTH);
        let size = (LEFT + PLOT + SWATCH + names + 2 * MARGIN, self.height());
        picture(&self.name, &self.title, size, |canvas| self.draw_on(canvas, size))
    }

    /// High enough for the names of all lines.
    fn height(&self) -> i32 {
        let lines = i32::try_from(self.lines.len()).unwrap_or(i32::MAX / ROW);
        HEIGHT.max(TOP + ROW * lines + BELOW)
    }

    fn draw_on(&self, canvas: &Canvas<'_>, (whole, height): (i32, i32)) -> DrawResult {
        write(
            canvas,
            &truncate(&self.title, TITLE, whole - 2 * MARGIN),
            (MARGIN, 22),
            TITLE,
            Anchor::Start,
            1.0,
        )?;
        write(
            canvas,
            &truncate(&self.subtitle, SMALL, whole - 2 * MARGIN),
            (MARGIN, 46),
            SMALL,
            Anchor::Start,
            0.75,
        )?;
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let (x, y) = (self.x.range(points().map(|p| p.0)), self.y.range(points().map(|p| p.1)));
        let (right, bottom) = (LEFT + PLOT, height - BELOW);
        let across = |value: f64| LEFT + (x.position(value) * f64::from(PLOT)).round() as i32;
        let down = |value: f64| bottom - (y.position(value) * f64::from(bottom - TOP)).round() as i32;
        for (value, label) in &x.ticks {
            line(canvas, (across(*value), TOP), (across(*value), bottom), 0.12)?;
            write(canvas, label, (across(*value), bottom + 14), SMALL, Anchor::Middle, 0.85)?;
        }
        for (value, label) in &y.ticks {
            line(canvas, (LEFT, down(*value)), (right, down(*value)), 0.12)?;
            write(canvas, label, (LEFT - 8, down(*value)), SMALL, Anchor::End, 0.85)?;
        }
        line(canvas, (LEFT, TOP), (LEFT, bottom), 0.7)?;
        line(canvas, (LEFT, bottom), (right, bottom), 0.7)?;
        write(canvas, &x.label, (LEFT + PLOT / 2, bottom + 38), NORMAL, Anchor::Middle, 1.0)?;
        write(canvas, &y.label, (MARGIN, TOP - 20), NORMAL, Anchor::Start, 1.0)?;
        for (number, series) in self.lines.iter().enumerate() {
            let placed = series.points.iter().filter(|point| x.has(point.0) && y.has(point.1));
            let placed: Vec<_> = placed.map(|point| (across(point.0), down(point.1))).collect();
            let every = placed.len().div_ceil(MAX_MARKS).max(1);
            let style = Style(number);
            if placed.len() > 1 {
                style.path(canvas, placed.clone())?;
            }
            for at in placed.into_iter().step_by(every) {
                style.mark(canvas, at)?;
            }
            let middle = TOP + 8 + ROW * i32::try_from(number)?;
            style.path(canvas, vec![(right + 18, middle), (right + 46, middle)])?;
            style.mark(canvas, (right + 32, middle))?;
            write(
                canvas,
                &truncate(&series.name, NORMAL, MAX_NAME_WIDTH),
                (right + SWATCH + 2, middle),
                NORMAL,
                Anchor::Start,
                1.0,
            )?;
        }
        Ok(())
    }
}
