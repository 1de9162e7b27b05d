//! Draws the matrix: a box for each cell, with a bar for how much it allocated.

use std::{error::Error, fs, path::Path};

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{
    cells::{LimitKind, OomSubject},
    matrix::OomMatrix,
    outcome::{CellOutcome, Ending, PromiseVerdict},
};
use crate::{
    lab::chart::canvas::{Canvas, DrawResult},
    size::human,
};

const FONT: &str = "sans-serif";
const LEFT: i32 = 110;
const TOP: i32 = 104;
const BOX: (i32, i32) = (150, 76);
const BELOW: i32 = 56;

/// Colours by Okabe and Ito; the text in each box says the same.
fn colour(how: Ending) -> RGBColor {
    match how {
        Ending::Completed => RGBColor(0, 158, 115),
        Ending::CatchableError | Ending::Panic => RGBColor(86, 180, 233),
        Ending::ReportAndAbort => RGBColor(0, 114, 178),
        Ending::NotApplicable | Ending::CannotBeDoneHere => RGBColor(150, 150, 150),
        _ => RGBColor(213, 94, 0),
    }
}

/// Draws the matrix and writes it to `file`.
pub fn draw(file: &Path, matrix: &OomMatrix) -> DrawResult {
    fs::write(file, svg(matrix)?)?;
    Ok(())
}

fn svg(matrix: &OomMatrix) -> Result<String, Box<dyn Error>> {
    let is_in = |who: &OomSubject| matrix.cells.iter().any(|cell| cell.who == *who);
    let columns: Vec<_> = OomSubject::ALL.into_iter().filter(is_in).collect();
    let is_in = |what: &LimitKind| matrix.cells.iter().any(|cell| cell.what == *what);
    let rows: Vec<_> = LimitKind::ALL.into_iter().filter(is_in).collect();
    let width = LEFT + BOX.0 * i32::try_from(columns.len().max(4))? + 16;
    let height = TOP + BOX.1 * i32::try_from(rows.len())? + BELOW;
    let mut svg = String::new();
    {
        let size = (u32::try_from(width)?, u32::try_from(height)?);
        let canvas = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        canvas.fill(&WHITE)?;
        let partial = if matrix.partial { " (partial)" } else { "" };
        write(
            &canvas,
            &format!("highwater oom: how running out of memory ends{partial}"),
            (16, 12),
            20,
            false,
        )?;
        let sizes = format!("{} to allocate, {} available", human(matrix.size), human(matrix.memory));
        let calls = if matrix.tries { "; arenas by calls that return errors" } else { "" };
        write(&canvas, &format!("{sizes}; engine: {}{calls}", matrix.engine), (16, 40), 14, false)?;
        for (column, who) in (0..).zip(&columns) {
            write(&canvas, who.name(), (LEFT + BOX.0 * column + BOX.0 / 2, TOP - 24), 16, true)?;
        }
        for (row, what) in (0..).zip(&rows) {
            write(&canvas, what.name(), (16, TOP + BOX.1 * row + BOX.1 / 2 - 8), 16, false)?;
            for (column, who) in (0..).zip(&columns) {
                let corner = (LEFT + BOX.0 * column, TOP + BOX.1 * row);
                let outcome = matrix.cells.iter().find(|cell| (cell.who, cell.what) == (*who, *what));
                if let Some(outcome) = outcome {
                    cell(&canvas, outcome, matrix, corner)?;
                }
            }
        }
        legend(&canvas, height - BELOW + 16)?;
        canvas.present()?;
    }
    Ok(svg)
}

fn write(canvas: &Canvas<'_>, text: &str, at: (i32, i32), size: i32, is_centred: bool) -> DrawResult {
    let font = (FONT, size).into_font().color(&BLACK);
    let horizontal = if is_centred { HPos::Center } else { HPos::Left };
    canvas.draw(&Text::new(text.to_owned(), at, font.pos(Pos::new(horizontal, VPos::Top))))?;
    Ok(())
}

fn cell(canvas: &Canvas<'_>, cell: &CellOutcome, matrix: &OomMatrix, (x, y): (i32, i32)) -> DrawResult {
    let colour = colour(cell.ending);
    let (right, below) = (x + BOX.0 - 4, y + BOX.1 - 4);
    canvas.draw(&Rectangle::new([(x, y), (right, below)], colour.mix(0.15).filled()))?;
    let is_wrong = cell.verdict == PromiseVerdict::NotAsPromised;
    let border = if is_wrong { BLACK.stroke_width(4) } else { colour.stroke_width(1) };
    canvas.draw(&Rectangle::new([(x, y), (right, below)], border))?;
    let middle = (x + right) / 2;
    write(canvas, cell.ending.describe(), (middle, y + 6), 14, true)?;
    let Some(bytes) = cell.bytes else { return Ok(()) };
    write(canvas, &format!("at {}", human(bytes)), (middle, y + 23), 12, true)?;
    let wrong = if is_wrong { "NOT AS GUARANTEED" } else { "" };
    write(canvas, cell.cause.as_deref().unwrap_or(wrong), (middle, y + 38), 12, true)?;
    let (left, room) = (x + 8, right - x - 16);
    let x_of = |bytes: u64| {
        let share = bytes.min(matrix.size) as f64 / matrix.size.max(1) as f64;
        left + (share * f64::from(room)) as i32
    };
    canvas.draw(&Rectangle::new([(left, below - 14), (left + room, below - 6)], BLACK.mix(0.1).filled()))?;
    canvas.draw(&Rectangle::new([(left, below - 14), (x_of(bytes), below - 6)], colour.filled()))?;
    let limit = x_of(matrix.memory);
    canvas.draw(&PathElement::new([(limit, below - 17), (limit, below - 3)], BLACK.stroke_width(1)))?;
    Ok(())
}

fn legend(canvas: &Canvas<'_>, y: i32) -> DrawResult {
    let entries = [
        (Ending::Completed, "completed"),
        (Ending::CatchableError, "error or panic"),
        (Ending::ReportAndAbort, "report and abort"),
        (Ending::OomKiller, "worse"),
    ];
    for (number, (how, text)) in (0..).zip(entries) {
        let x = LEFT + 140 * number;
        canvas.draw(&Rectangle::new([(x, y), (x + 12, y + 12)], colour(how).filled()))?;
        write(canvas, text, (x + 18, y), 12, false)?;
    }
    let bar = "bars: bytes written, of those to allocate; mark: bytes available";
    write(canvas, bar, (LEFT, y + 18), 12, false)
}
