//! Groups of bars, each with its name before it and its figure behind it, from zero.

use super::{
    Picture,
    axis::Range,
    canvas::{Area, At, Drawn, NORMAL, SMALL, TITLE, cut, picture, rule, width, write},
    style::Style,
};
use crate::{
    failure::Failure,
    lab::{
        case::Case,
        sample::Verdict,
        unit::{Unit, three},
    },
};

const WIDTH: i32 = 960;
const TOP: i32 = 64;
const BAR: i32 = 16;
const PITCH: i32 = 22;
const GROUP_HEAD: i32 = 30;
const AXIS: i32 = 46;
const MARGIN: i32 = 16;
/// The most that names get.
const NAMES: i32 = 280;
/// An axis ends at so many times the longest bar, however far single runs went.
const REACH: f64 = 1.6;

/// A chart of bars.
#[derive(Clone, Debug)]
pub struct Bars {
    pub name: String,
    pub title: String,
    pub subtitle: String,
    /// What the axis shows: `time per step`.
    pub what: String,
    pub unit: Unit,
    pub groups: Vec<Group>,
    /// Each group has an axis of its own, for groups of very different sizes.
    pub own_axes: bool,
}

/// Bars that are compared.
#[derive(Clone, Debug)]
pub struct Group {
    pub name: String,
    pub bars: Vec<Bar>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Equal names look the same in all groups.
    pub name: String,
    pub value: f64,
    /// The least and the most, drawn as a whisker.
    pub ends: (f64, f64),
    /// Behind the figure: `2.50 x`.
    pub note: String,
}

impl Bars {
    /// A metric of some cases, a group for each; `None` where none has it.
    pub fn of_cases<'c>(
        name: &str,
        title: &str,
        cases: impl IntoIterator<Item = &'c Case>,
        metric: &str,
        own_axes: bool,
    ) -> Option<Self> {
        let mut bars = Bars {
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
                "medians, with the least and the most of {} runs; x: times {}'s; less is better{}",
                case.rounds,
                case.baseline,
                if partial { "; PARTIAL: interrupted" } else { "" }
            );
            bars.groups.push(Group { name: case.title.clone(), bars: group });
        }
        (!bars.groups.is_empty()).then_some(bars)
    }

    /// Draws it.
    pub fn draw(&self) -> Result<Picture, Failure> {
        let axes = if self.own_axes { self.groups.len() } else { 1 };
        let bars: usize = self.groups.iter().map(|group| group.bars.len()).sum();
        let height = TOP
            + GROUP_HEAD * count(self.groups.len())
            + PITCH * count(bars)
            + (AXIS + 8) * count(axes)
            + MARGIN;
        picture(&self.name, &self.title, (WIDTH, height), |area| self.on(area))
    }

    fn on(&self, area: &Area<'_>) -> Drawn {
        write(area, &cut(&self.title, TITLE, WIDTH - 2 * MARGIN), (MARGIN, 22), TITLE, At::Start, 1.0)?;
        write(area, &cut(&self.subtitle, SMALL, WIDTH - 2 * MARGIN), (MARGIN, 46), SMALL, At::Start, 0.75)?;
        let all = || self.groups.iter().flat_map(|group| &group.bars);
        let names = all().map(|bar| width(&bar.name, NORMAL)).max().unwrap_or(0).min(NAMES);
        let notes = all().map(|bar| width(&self.figure(bar), SMALL)).max().unwrap_or(0);
        // What goes further than its axis says so.
        let notes = notes + width(", up to 1.23 min", SMALL);
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
                area,
                &cut(&group.name, NORMAL, WIDTH - 2 * MARGIN),
                (MARGIN, y + 14),
                NORMAL,
                At::Start,
                1.0,
            )?;
            y += GROUP_HEAD;
            let last = number + 1 == self.groups.len();
            // The lines of the axis lie below the bars.
            if self.own_axes {
                grid(area, &range, frame, (top + GROUP_HEAD - 4, y + PITCH * count(group.bars.len())))?;
            } else if number == 0 {
                let bars: usize = self.groups.iter().map(|group| group.bars.len()).sum();
                let bottom = top + GROUP_HEAD * count(self.groups.len()) + PITCH * count(bars);
                grid(area, &range, frame, (top + GROUP_HEAD - 4, bottom))?;
            }
            for bar in &group.bars {
                let known = series.iter().position(|name| *name == bar.name);
                let style = Style(known.unwrap_or(series.len()));
                if known.is_none() {
                    series.push(&bar.name);
                }
                self.bar(area, bar, style, &range, frame, y)?;
                y += PITCH;
            }
            if self.own_axes || last {
                y += AXIS + 8;
            }
        }
        Ok(())
    }

    fn range<'b>(&self, bars: impl Iterator<Item = &'b Bar>) -> Range {
        let (longest, furthest) = bars.fold((0.0_f64, 0.0_f64), |(longest, furthest), bar| {
            (longest.max(bar.value), furthest.max(bar.ends.1))
        });
        let most = if longest > 0.0 { furthest.min(longest * REACH).max(longest) } else { furthest };
        Range::linear(&self.what, self.unit, [most].into_iter(), true)
    }

    fn bar(
        &self,
        area: &Area<'_>,
        bar: &Bar,
        style: Style,
        range: &Range,
        (left, right): (i32, i32),
        y: i32,
    ) -> Drawn {
        let at = |value: f64| left + (range.share(value) * f64::from(right - left)).round() as i32;
        let middle = y + PITCH / 2;
        write(area, &cut(&bar.name, NORMAL, left - MARGIN - 8), (left - 8, middle), NORMAL, At::End, 1.0)?;
        style.bar(area, [(left, middle - BAR / 2), (at(bar.value), middle + BAR / 2)])?;
        let (least, most) = (at(bar.ends.0), at(bar.ends.1));
        let mut figure = self.figure(bar);
        if most > least {
            rule(area, (least, middle), (most, middle), 1.0)?;
            rule(area, (least, middle - 4), (least, middle + 4), 1.0)?;
            if range.has_room_for(bar.ends.1) {
                rule(area, (most, middle - 4), (most, middle + 4), 1.0)?;
            } else {
                // An arrow: it goes on.
                rule(area, (most - 6, middle - 4), (most, middle), 1.0)?;
                rule(area, (most - 6, middle + 4), (most, middle), 1.0)?;
                figure = format!("{figure}, up to {}", self.unit.show(bar.ends.1));
            }
        }
        write(area, &figure, (most.max(at(bar.value)) + 8, middle), SMALL, At::Start, 0.85)
    }

    fn figure(&self, bar: &Bar) -> String {
        let value = self.unit.show(bar.value);
        if bar.note.is_empty() { value } else { format!("{value} · {}", bar.note) }
    }
}

fn bar(figure: &crate::lab::Figure, name: &str) -> Option<Bar> {
    let note = figure.ratio.as_ref().map_or(String::new(), |ratio| match ratio.verdict {
        Verdict::Tie => "tie".into(),
        verdict => format!("{} x {}", three(ratio.times), verdict.word()).trim_end().to_owned(),
    });
    Some(Bar { name: name.to_owned(), value: figure.median, ends: (figure.min, figure.max), note })
}

/// The axis' lines from top to bottom, and below them what they stand for.
fn grid(area: &Area<'_>, range: &Range, (left, right): (i32, i32), (top, bottom): (i32, i32)) -> Drawn {
    for (value, label) in &range.ticks {
        let x = left + (range.share(*value) * f64::from(right - left)).round() as i32;
        rule(area, (x, top), (x, bottom), if *value == 0.0 { 0.6 } else { 0.15 })?;
        write(area, label, (x, bottom + 12), SMALL, At::Middle, 0.85)?;
    }
    write(area, &range.label, (left + (right - left) / 2, bottom + 32), NORMAL, At::Middle, 1.0)
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX / PITCH)
}
