//! Draws the frontier over time.

use std::{fs, path::Path};

use plotters::{
    coord::{CoordTranslate, types::RangedCoordf64},
    element::{Cross, TriangleMarker},
    prelude::*,
};

use super::{
    report::GrowRun,
    trace::{FrontierLine, FrontierTrace},
};
use crate::{
    lab::{
        chart::{
            canvas::{Canvas, DrawResult},
            style::Style,
        },
        unit::{Scale, Unit, plain},
    },
    size::human,
};

const WIDTH: u32 = 1000;
const HEIGHT: u32 = 600;
const FONT: &str = "sans-serif";
/// With more steps than this their marks would hide the line; then only some are mark_interval, so that lines can be
/// distinguished.
const MAX_MARKS: usize = 300;
const SPARSE_MARKS: usize = 25;
/// How many lines the legend names.
const MAX_NAMED: usize = 8;

/// How many shapes of marks there are, so that lines can be distinguished without colours.
const SHAPES: usize = 4;

type PlotContext<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws the plot and writes it to `file`.
pub fn draw(file: &Path, run: &GrowRun, trace: &FrontierTrace) -> DrawResult {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        root.fill(&WHITE)?;
        let (above, below) = root.split_vertically(64);
        captions(&above, run, trace)?;
        lines(&below, trace)?;
        root.present()?;
    }
    fs::write(file, svg)?;
    Ok(())
}

fn captions(area: &Canvas<'_>, run: &GrowRun, trace: &FrontierTrace) -> DrawResult {
    let title = format!(
        "highwater grow {}: the frontier over time{}",
        short(&run.aim.join(" ")),
        if run.partial { " (partial: interrupted)" } else { "" }
    );
    area.draw(&Text::new(title, (16, 12), (FONT, 20).into_font().color(&BLACK)))?;
    area.draw(&Text::new(details(run, trace), (16, 40), (FONT, 14).into_font().color(&BLACK.mix(0.75))))?;
    Ok(())
}

fn details(run: &GrowRun, trace: &FrontierTrace) -> String {
    let all: u64 = trace.lines.iter().map(|line| line.all_steps).sum();
    let kept: usize = trace.lines.iter().map(|line| line.steps.len()).sum();
    let growth = run.options.as_ref().map_or("", |options| options.growth.as_str());
    let steps = match (all, trace.lines.iter().all(FrontierLine::is_complete)) {
        (0, _) => "no growth steps: all was committed at the start".to_owned(),
        (1, _) => "1 growth step".to_owned(),
        (_, true) => format!("{all} growth steps"),
        (_, false) => {
            format!("{all} growth steps, of which the last {kept} are exact and the others sampled")
        }
    };
    let sparse = match trace.lines.iter().map(mark_interval).max() {
        Some(every @ 2..) => format!(", one step in {every} marked"),
        _ => String::new(),
    };
    format!("{growth} growth · {} used · {steps}{sparse}", human(run.used))
}

/// How many steps have one mark.
fn mark_interval(line: &FrontierLine) -> usize {
    if line.steps.len() <= MAX_MARKS { 1 } else { line.steps.len() / SPARSE_MARKS }
}

fn lines(area: &Canvas<'_>, trace: &FrontierTrace) -> DrawResult {
    let start = trace
        .lines
        .iter()
        .filter_map(|line| line.steps.first())
        .map(|step| step.at_ns)
        .fold(trace.start_ns, u64::min);
    let all: Vec<_> = trace.lines.iter().map(|line| line.corners(start, trace.end_ns)).collect();
    let corners = || all.iter().flatten();
    let (time, time_end) = axis_scale(Unit::Ns, corners().map(|corner| corner.0).max().unwrap_or(0));
    let (bytes, bytes_end) = axis_scale(Unit::Bytes, corners().map(|corner| corner.1).max().unwrap_or(0));

    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .margin_right(28)
        .x_label_area_size(52)
        .y_label_area_size(76)
        .build_cartesian_2d(0.0..time_end, 0.0..bytes_end)?;
    chart
        .configure_mesh()
        .light_line_style(BLACK.mix(0.04))
        .bold_line_style(BLACK.mix(0.15))
        .x_desc(time.label("time since the start"))
        .y_desc(bytes.label("frontier"))
        .x_label_formatter(&|value| plain(*value))
        .y_label_formatter(&|value| plain(*value))
        .label_style((FONT, 14))
        .axis_desc_style((FONT, 16))
        .draw()?;
    for (number, (line, corners)) in trace.lines.iter().zip(&all).enumerate() {
        let scaled = |&(at, n): &(u64, u64)| (at as f64 / time.size, n as f64 / bytes.size);
        let points: Vec<_> = corners.iter().map(scaled).collect();
        let ends = line.steps.iter().map(|step| {
            let at = (step.at_ns + step.duration_ns).saturating_sub(start);
            scaled(&(at, step.from + step.bytes))
        });
        let ends = ends.step_by(mark_interval(line)).collect();
        one_line(&mut chart, number, points, ends)?;
    }
    if all.len() > 1 {
        legend(area, all.len())?;
    }
    Ok(())
}

/// Draws the legend in the lower right corner, which a rising frontier leaves free.
fn legend(area: &Canvas<'_>, lines: usize) -> DrawResult {
    let named = lines.min(MAX_NAMED);
    let (width, height) = area.dim_in_pixel();
    let corner = (i32::try_from(width)? - 148, i32::try_from(height)? - 84 - 20 * i32::try_from(named)?);
    for number in 0..named {
        let colour = Style(number).colour();
        let more = if number + 1 == MAX_NAMED && lines > MAX_NAMED { ", …" } else { "" };
        let text = (FONT, 14).into_font().color(&BLACK);
        let (x, y) = (corner.0, corner.1 + 20 * i32::try_from(number)?);
        area.draw(&PathElement::new(vec![(x, y), (x + 24, y)], colour.stroke_width(2)))?;
        mark(area, number, (x + 12, y))?;
        area.draw(&Text::new(format!("arena {}{more}", number + 1), (x + 34, y - 6), text))?;
    }
    Ok(())
}

fn one_line(
    chart: &mut PlotContext<'_, '_>,
    number: usize,
    points: Vec<(f64, f64)>,
    ends: Vec<(f64, f64)>,
) -> DrawResult {
    let colour = Style(number).colour();
    chart.draw_series([PathElement::new(points, colour.stroke_width(2))])?;
    for at in ends {
        mark(chart.plotting_area(), number, at)?;
    }
    Ok(())
}

/// Draws the mark of a growth step, with a shape for each line.
fn mark<C: CoordTranslate>(area: &DrawingArea<SVGBackend<'_>, C>, number: usize, at: C::From) -> DrawResult
where
    C::From: Clone,
{
    let colour = Style(number).colour();
    let filled = colour.filled();
    match number % SHAPES {
        0 => area.draw(&Circle::new(at, 3, filled)),
        1 => area.draw(&Cross::new(at, 4, colour.stroke_width(2))),
        2 => area.draw(&TriangleMarker::new(at, 5, filled)),
        _ => area.draw(&(EmptyElement::at(at) + Rectangle::new([(-3, -3), (3, 3)], filled))),
    }?;
    Ok(())
}

/// The unit and the end of an axis that goes up to a little above `max`.
fn axis_scale(unit: Unit, max: u64) -> (Scale, f64) {
    let max = max.max(1) as f64;
    let scale = unit.scale(max);
    (scale, max / scale.size * 1.05)
}

fn short(text: &str) -> String {
    match text.char_indices().nth(48) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
