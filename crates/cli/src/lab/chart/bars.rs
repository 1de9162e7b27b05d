//! Charts of bars in groups: each bar starts at zero, with its name on its left and its figure on its right.

use super::{
    Picture,
    axis::Range,
    canvas::{Anchor, Canvas, DrawResult, NORMAL, SMALL, TITLE, line, picture, text_width, truncate, write},
    style::Style,
};
use crate::{
    failure::Failure,
    lab::{
        case::Case,
        sample::RatioVerdict,
        unit::{Unit, three_digits},
    },
};

const WIDTH: i32 = 960;
const TOP: i32 = 64;
const BAR: i32 = 16;
const ROW: i32 = 22;
const GROUP_HEAD: i32 = 30;
const AXIS: i32 = 46;
const MARGIN: i32 = 16;
/// Maximum text_width for names.
const MAX_NAME_WIDTH: i32 = 280;
/// An axis ends at this many times the longest bar at most, however far single runs reach.
const MAX_OVERSHOOT: f64 = 1.6;

/// A bar chart.
#[derive(Clone, Debug)]
pub struct BarChart {
    pub name: String,
    pub title: String,
    pub subtitle: String,
    /// What the axis shows: `time per step`.
    pub what: String,
    pub unit: Unit,
    pub groups: Vec<BarGroup>,
    /// Each group has an axis of its own, for groups with figures of very different sizes.
    pub own_axes: bool,
}

/// Bars that are compared with each other.
#[derive(Clone, Debug)]
pub struct BarGroup {
    pub name: String,
    pub bars: Vec<Bar>,
}

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Bars of the same name have the same style in all groups.
    pub name: String,
    pub value: f64,
    /// Min and max, drawn as a whisker.
    pub ends: (f64, f64),
    /// Printed after the figure: `2.50 x`.
    pub note: String,
}

impl BarChart {
    /// A chart of one metric of some cases, with a group for each; `None` if no case has it.
    pub fn of_cases<'c>(
        name: &str,
        title: &str,
        cases: impl IntoIterator<Item = &'c Case>,
        metric: &str,
        own_axes: bool,
    ) -> Option<Self> {
        let mut bars = BarChart {
            name: name.to_owned(),
            title: title.to_owned(),
            subtitle: String::new(),
            what: String::new(),
            unit: Unit::Count,
            groups: Vec::new(),
            own_axes,
        };
        let mut partial = false;
        for case in cases {
            let Some(column) = case.metric(metric) else { continue };
            (bars.what, bars.unit) = (case.metrics[column].label.clone(), case.metrics[column].unit);
            let group: Vec<_> = case
                .rows
                .iter()
                .filter_map(|row| bar(row.figures.get(column)?.as_ref()?, &row.contender))
                .collect();
            if group.is_empty() {
                continue;
            }
            partial |= case.partial;
            bars.subtitle = format!(
                "medians, with min and max of {} runs; x: times {}'s; lower is better{}",
                case.rounds,
                case.baseline,
                if partial { "; PARTIAL: interrupted" } else { "" }
            );
            bars.groups.push(BarGroup { name: case.title.clone(), bars: group });
        }
        (!bars.groups.is_empty()).then_some(bars)
    }

    /// Draws the chart.
    pub fn draw(&self) -> Result<Picture, Failure> {
        let axes = if self.own_axes { self.groups.len() } else { 1 };
        let bars: usize = self.groups.iter().map(|group| group.bars.len()).sum();
        let height = TOP
            + GROUP_HEAD * count(self.groups.len())
            + ROW * count(bars)
            + (AXIS + 8) * count(axes)
            + MARGIN;
        picture(&self.name, &self.title, (WIDTH, height), |canvas| self.draw_on(canvas))
    }

    fn draw_on(&self, canvas: &Canvas<'_>) -> DrawResult {
        write(
            canvas,
            &truncate(&self.title, TITLE, WIDTH - 2 * MARGIN),
            (MARGIN, 22),
            TITLE,
            Anchor::Start,
            1.0,
        )?;
        write(
            canvas,
            &truncate(&self.subtitle, SMALL, WIDTH - 2 * MARGIN),
            (MARGIN, 46),
            SMALL,
            Anchor::Start,
            0.75,
        )?;
        let all = || self.groups.iter().flat_map(|group| &group.bars);
        let names = all().map(|bar| text_width(&bar.name, NORMAL)).max().unwrap_or(0).min(MAX_NAME_WIDTH);
        let notes = all().map(|bar| text_width(&self.figure(bar), SMALL)).max().unwrap_or(0);
        // A bar whose max is beyond the axis says so.
        let notes = notes + text_width(", up to 1.23 min", SMALL);
        let frame = (MARGIN + names + 10, WIDTH - MARGIN - notes - 12);
        let mut series: Vec<&str> = Vec::new();
        let shared = self.range(all());
        let (mut y, mut top) = (TOP, TOP);
        for (number, group) in self.groups.iter().enumerate() {
            let range = if self.own_axes { self.range(group.bars.iter()) } else { shared.clone() };
            if self.own_axes {
                top = y;
            }
            write(
                canvas,
                &truncate(&group.name, NORMAL, WIDTH - 2 * MARGIN),
                (MARGIN, y + 14),
                NORMAL,
                Anchor::Start,
                1.0,
            )?;
            y += GROUP_HEAD;
            let last = number + 1 == self.groups.len();
            // The grid lines are drawn below the bars.
            if self.own_axes {
                grid(canvas, &range, frame, (top + GROUP_HEAD - 4, y + ROW * count(group.bars.len())))?;
            } else if number == 0 {
                let bars: usize = self.groups.iter().map(|group| group.bars.len()).sum();
                let bottom = top + GROUP_HEAD * count(self.groups.len()) + ROW * count(bars);
                grid(canvas, &range, frame, (top + GROUP_HEAD - 4, bottom))?;
            }
            for bar in &group.bars {
                let known = series.iter().position(|name| *name == bar.name);
                let style = Style(known.unwrap_or(series.len()));
                if known.is_none() {
                    series.push(&bar.name);
                }
                self.bar(canvas, bar, style, &range, frame, y)?;
                y += ROW;
            }
            if self.own_axes || last {
                y += AXIS + 8;
            }
        }
        Ok(())
    }

    fn range<'b>(&self, bars: impl Iterator<Item = &'b Bar>) -> Range {
        let (longest, max_end) = bars.fold((0.0_f64, 0.0_f64), |(longest, max_end), bar| {
            (longest.max(bar.value), max_end.max(bar.ends.1))
        });
        let end = if longest > 0.0 { max_end.min(longest * MAX_OVERSHOOT).max(longest) } else { max_end };
        Range::linear(&self.what, self.unit, [end].into_iter(), true)
    }

    fn bar(
        &self,
        canvas: &Canvas<'_>,
        bar: &Bar,
        style: Style,
        range: &Range,
        (left, right): (i32, i32),
        y: i32,
    ) -> DrawResult {
        let at = |value: f64| left + (range.position(value) * f64::from(right - left)).round() as i32;
        let middle = y + ROW / 2;
        write(
            canvas,
            &truncate(&bar.name, NORMAL, left - MARGIN - 8),
            (left - 8, middle),
            NORMAL,
            Anchor::End,
            1.0,
        )?;
        style.bar(canvas, [(left, middle - BAR / 2), (at(bar.value), middle + BAR / 2)])?;
        let (min, max) = (at(bar.ends.0), at(bar.ends.1));
        let mut figure = self.figure(bar);
        if max > min {
            line(canvas, (min, middle), (max, middle), 1.0)?;
            line(canvas, (min, middle - 4), (min, middle + 4), 1.0)?;
            if range.reaches(bar.ends.1) {
                line(canvas, (max, middle - 4), (max, middle + 4), 1.0)?;
            } else {
                // An arrow head: the whisker continues.
                line(canvas, (max - 6, middle - 4), (max, middle), 1.0)?;
                line(canvas, (max - 6, middle + 4), (max, middle), 1.0)?;
                figure = format!("{figure}, up to {}", self.unit.show(bar.ends.1));
            }
        }
        write(canvas, &figure, (max.max(at(bar.value)) + 8, middle), SMALL, Anchor::Start, 0.85)
    }

    fn figure(&self, bar: &Bar) -> String {
        let value = self.unit.show(bar.value);
        if bar.note.is_empty() { value } else { format!("{value} · {}", bar.note) }
    }
}

fn bar(figure: &crate::lab::Figure, name: &str) -> Option<Bar> {
    let note = figure.ratio.as_ref().map_or(String::new(), |ratio| match ratio.verdict {
        RatioVerdict::Tie => "tie".into(),
        verdict => format!("{} x {}", three_digits(ratio.times), verdict.word()).trim_end().to_owned(),
    });
    Some(Bar { name: name.to_owned(), value: figure.median, ends: (figure.min, figure.max), note })
}

/// Draws the grid lines of the axis, with their labels below.
fn grid(
    canvas: &Canvas<'_>,
    range: &Range,
    (left, right): (i32, i32),
    (top, bottom): (i32, i32),
) -> DrawResult {
    for (value, label) in &range.ticks {
        let x = left + (range.position(*value) * f64::from(right - left)).round() as i32;
        line(canvas, (x, top), (x, bottom), if *value == 0.0 { 0.6 } else { 0.15 })?;
        write(canvas, label, (x, bottom + 12), SMALL, Anchor::Middle, 0.85)?;
    }
    write(canvas, &range.label, (left + (right - left) / 2, bottom + 32), NORMAL, Anchor::Middle, 1.0)
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX / ROW)
}
