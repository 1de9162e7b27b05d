//! The matrix as a drawing: a box for each cell, with a bar for how far it came.

use std::{error::Error, fs, path::Path};

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{
    cells::{What, Who},
    matrix::Matrix,
    outcome::{How, Outcome, Verdict},
};
use crate::size::human;

const FONT: &str = "sans-serif";
const LEFT: i32 = 110;
const TOP: i32 = 104;
const BOX: (i32, i32) = (150, 76);
const BELOW: i32 = 56;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

/// Told apart without seeing colours, because the words are there too; after Okabe and Ito.
fn colour(how: How) -> RGBColor {
    match how {
        How::Completed => RGBColor(0, 158, 115),
        How::CatchableError | How::Panic => RGBColor(86, 180, 233),
        How::ReportAndAbort => RGBColor(0, 114, 178),
        How::NotApplicable | How::CannotBeDoneHere => RGBColor(150, 150, 150),
        _ => RGBColor(213, 94, 0),
    }
}

/// Writes `file`.
pub fn draw(file: &Path, matrix: &Matrix) -> Drawn {
    fs::write(file, svg(matrix)?)?;
    Ok(())
}

fn svg(matrix: &Matrix) -> Result<String, Box<dyn Error>> {
    let is_in = |who: &Who| matrix.cells.iter().any(|cell| cell.who == *who);
    let columns: Vec<_> = Who::ALL.into_iter().filter(is_in).collect();
    let is_in = |what: &What| matrix.cells.iter().any(|cell| cell.what == *what);
    let rows: Vec<_> = What::ALL.into_iter().filter(is_in).collect();
    let width = LEFT + BOX.0 * i32::try_from(columns.len().max(4))? + 16;
    let height = TOP + BOX.1 * i32::try_from(rows.len())? + BELOW;
    let mut svg = String::new();
    {
        let size = (u32::try_from(width)?, u32::try_from(height)?);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        let partial = if matrix.partial { " (partial)" } else { "" };
        write(
            &area,
            &format!("highwater oom: how running out of memory ends{partial}"),
            (16, 12),
            20,
            false,
        )?;
        let given = format!("{} to allocate, {} given", human(matrix.size), human(matrix.memory));
        let calls = if matrix.tries { "; arenas by calls that return errors" } else { "" };
        write(&area, &format!("{given}; engine: {}{calls}", matrix.engine), (16, 40), 14, false)?;
        for (column, who) in (0..).zip(&columns) {
            write(&area, who.name(), (LEFT + BOX.0 * column + BOX.0 / 2, TOP - 24), 16, true)?;
        }
        for (row, what) in (0..).zip(&rows) {
            write(&area, what.name(), (16, TOP + BOX.1 * row + BOX.1 / 2 - 8), 16, false)?;
            for (column, who) in (0..).zip(&columns) {
                let corner = (LEFT + BOX.0 * column, TOP + BOX.1 * row);
                let found = matrix.cells.iter().find(|cell| (cell.who, cell.what) == (*who, *what));
                if let Some(found) = found {
                    cell(&area, found, matrix, corner)?;
                }
            }
        }
        legend(&area, height - BELOW + 16)?;
        area.present()?;
    }
    Ok(svg)
}

fn write(area: &Area<'_>, text: &str, at: (i32, i32), size: i32, is_centred: bool) -> Drawn {
    let font = (FONT, size).into_font().color(&BLACK);
    let horizontal = if is_centred { HPos::Center } else { HPos::Left };
    area.draw(&Text::new(text.to_owned(), at, font.pos(Pos::new(horizontal, VPos::Top))))?;
    Ok(())
}

fn cell(area: &Area<'_>, cell: &Outcome, matrix: &Matrix, (x, y): (i32, i32)) -> Drawn {
    let colour = colour(cell.how);
    let (right, below) = (x + BOX.0 - 4, y + BOX.1 - 4);
    area.draw(&Rectangle::new([(x, y), (right, below)], colour.mix(0.15).filled()))?;
    let is_wrong = cell.verdict == Verdict::NotAsPromised;
    let border = if is_wrong { BLACK.stroke_width(4) } else { colour.stroke_width(1) };
    area.draw(&Rectangle::new([(x, y), (right, below)], border))?;
    let middle = (x + right) / 2;
    write(area, cell.how.words(), (middle, y + 6), 14, true)?;
    let Some(bytes) = cell.bytes else { return Ok(()) };
    write(area, &format!("at {}", human(bytes)), (middle, y + 23), 12, true)?;
    let wrong = if is_wrong { "NOT AS PROMISED" } else { "" };
    write(area, cell.cause.as_deref().unwrap_or(wrong), (middle, y + 38), 12, true)?;
    let (left, room) = (x + 8, right - x - 16);
    let reach = |bytes: u64| {
        let share = bytes.min(matrix.size) as f64 / matrix.size.max(1) as f64;
        left + (share * f64::from(room)) as i32
    };
    area.draw(&Rectangle::new([(left, below - 14), (left + room, below - 6)], BLACK.mix(0.1).filled()))?;
    area.draw(&Rectangle::new([(left, below - 14), (reach(bytes), below - 6)], colour.filled()))?;
    let limit = reach(matrix.memory);
    area.draw(&PathElement::new([(limit, below - 17), (limit, below - 3)], BLACK.stroke_width(1)))?;
    Ok(())
}

fn legend(area: &Area<'_>, y: i32) -> Drawn {
    let entries = [
        (How::Completed, "completed"),
        (How::CatchableError, "error or panic"),
        (How::ReportAndAbort, "report and abort"),
        (How::OomKiller, "anything worse"),
    ];
    for (number, (how, text)) in (0..).zip(entries) {
        let x = LEFT + 140 * number;
        area.draw(&Rectangle::new([(x, y), (x + 12, y + 12)], colour(how).filled()))?;
        write(area, text, (x + 18, y), 12, false)?;
    }
    let bar = "bars: bytes written, of those to allocate; the mark on them: bytes given";
    write(area, bar, (LEFT, y + 18), 12, false)
}
