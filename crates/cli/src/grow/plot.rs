//! The frontier over time, as a drawing.

use std::{error::Error, fs, path::Path};

use plotters::{
    coord::{CoordTranslate, Shift, types::RangedCoordf64},
    element::{Cross, TriangleMarker},
    prelude::*,
};

use super::{
    report::Run,
    trace::{Line, Trace},
};
use crate::{
    lab::{
        chart::style::Style,
        unit::{Scale, Unit, plain},
    },
    size::human,
};

const WIDTH: u32 = 1000;
const HEIGHT: u32 = 600;
const FONT: &str = "sans-serif";
/// Steps beyond which marks would hide their line; then only so many that lines are told apart.
const MARKED: usize = 300;
const SPARSE: usize = 25;
/// Lines that are told apart in the legend.
const NAMED: usize = 8;

/// Shapes that marks have, so that lines are told apart without seeing colours.
const SHAPES: usize = 4;

type Drawn = Result<(), Box<dyn Error>>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Writes `file`.
pub fn draw(file: &Path, run: &Run, trace: &Trace) -> Drawn {
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

fn captions(area: &DrawingArea<SVGBackend<'_>, Shift>, run: &Run, trace: &Trace) -> Drawn {
    let title = format!(
        "highwater grow {}: the frontier over time{}",
        short(&run.aim.join(" ")),
        if run.partial { " (partial: interrupted)" } else { "" }
    );
    area.draw(&Text::new(title, (16, 12), (FONT, 20).into_font().color(&BLACK)))?;
    area.draw(&Text::new(details(run, trace), (16, 40), (FONT, 14).into_font().color(&BLACK.mix(0.75))))?;
    Ok(())
}

fn details(run: &Run, trace: &Trace) -> String {
    let all: u64 = trace.lines.iter().map(|line| line.all_steps).sum();
    let kept: usize = trace.lines.iter().map(|line| line.steps.len()).sum();
    let growth = run.options.as_ref().map_or("", |options| options.growth.as_str());
    let steps = match (all, trace.lines.iter().all(Line::is_complete)) {
        (0, _) => "no growth steps: all was committed at the start".to_owned(),
        (1, _) => "1 growth step".to_owned(),
        (_, true) => format!("{all} growth steps"),
        (_, false) => {
            format!("{all} growth steps, of which the last {kept} are exact and the others sampled")
        }
    };
    let sparse = match trace.lines.iter().map(marked).max() {
        Some(every @ 2..) => format!(", one in {every} marked"),
        _ => String::new(),
    };
    format!("{growth} growth · {} used · {steps}{sparse}", human(run.used))
}

/// One step in how many has a mark.
fn marked(line: &Line) -> usize {
    if line.steps.len() <= MARKED { 1 } else { line.steps.len() / SPARSE }
}

fn lines(area: &DrawingArea<SVGBackend<'_>, Shift>, trace: &Trace) -> Drawn {
    let start = trace
        .lines
        .iter()
        .filter_map(|line| line.steps.first())
        .map(|step| step.at_ns)
        .fold(trace.start_ns, u64::min);
    let all: Vec<_> = trace.lines.iter().map(|line| line.corners(start, trace.end_ns)).collect();
    let corners = || all.iter().flatten();
    let (time, time_end) = scaled_to(Unit::Ns, corners().map(|corner| corner.0).max().unwrap_or(0));
    let (bytes, bytes_end) = scaled_to(Unit::Bytes, corners().map(|corner| corner.1).max().unwrap_or(0));

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
        let ends = ends.step_by(marked(line)).collect();
        one_line(&mut chart, number, points, ends)?;
    }
    if all.len() > 1 {
        legend(area, all.len())?;
    }
    Ok(())
}

/// In the lower right corner, where a frontier that moves up is not.
fn legend(area: &DrawingArea<SVGBackend<'_>, Shift>, lines: usize) -> Drawn {
    let named = lines.min(NAMED);
    let (width, height) = area.dim_in_pixel();
    let corner = (i32::try_from(width)? - 148, i32::try_from(height)? - 84 - 20 * i32::try_from(named)?);
    for number in 0..named {
        let colour = Style(number).colour();
        let more = if number + 1 == NAMED && lines > NAMED { ", …" } else { "" };
        let text = (FONT, 14).into_font().color(&BLACK);
        let (x, y) = (corner.0, corner.1 + 20 * i32::try_from(number)?);
        area.draw(&PathElement::new(vec![(x, y), (x + 24, y)], colour.stroke_width(2)))?;
        mark(area, number, (x + 12, y))?;
        area.draw(&Text::new(format!("arena {}{more}", number + 1), (x + 34, y - 6), text))?;
    }
    Ok(())
}

fn one_line(
    chart: &mut Chart<'_, '_>,
    number: usize,
    points: Vec<(f64, f64)>,
    ends: Vec<(f64, f64)>,
) -> Drawn {
    let colour = Style(number).colour();
    chart.draw_series([PathElement::new(points, colour.stroke_width(2))])?;
    for at in ends {
        mark(chart.plotting_area(), number, at)?;
    }
    Ok(())
}

/// A growth step's mark, one shape for each line.
fn mark<C: CoordTranslate>(area: &DrawingArea<SVGBackend<'_>, C>, number: usize, at: C::From) -> Drawn
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

/// An axis in a unit that fits, up to a little above `most`.
fn scaled_to(unit: Unit, most: u64) -> (Scale, f64) {
    let most = most.max(1) as f64;
    let scale = unit.scale(most);
    (scale, most / scale.size * 1.05)
}

fn short(text: &str) -> String {
    match text.char_indices().nth(48) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
