//! The styles that distinguish series: colours by Okabe and Ito, each with a hatching, a mark and a dash pattern.

use plotters::{
    element::{Cross, DashedPathElement, TriangleMarker},
    prelude::*,
};

use super::canvas::{Canvas, DrawResult, PixelPoint};

/// Distinguishable with any colour vision, and on white (their yellow is not).
pub const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(110, 110, 110),
    RGBColor(0, 0, 0),
];

/// Lengths of dash and gap, in pixels; without a gap the line is solid.
const DASHES: [(i32, i32); 5] = [(1, 0), (9, 4), (3, 3), (15, 5), (2, 6)];
const MARKS: usize = 7;
const HATCHINGS: usize = 8;

/// The style of one series, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style(pub usize);

impl Style {
    pub fn colour(self) -> RGBColor {
        COLOURS[self.0 % COLOURS.len()]
    }

    /// Draws a line with its dash pattern.
    pub fn path(self, canvas: &Canvas<'_>, points: Vec<PixelPoint>) -> DrawResult {
        let line = self.colour().stroke_width(2);
        match DASHES[self.0 % DASHES.len()] {
            (_, 0) => canvas.draw(&PathElement::new(points, line))?,
            (dash, gap) => canvas.draw(&DashedPathElement::new(points, dash, gap, line))?,
        }
        Ok(())
    }

    /// Draws the mark of a point.
    pub fn mark(self, canvas: &Canvas<'_>, at: PixelPoint) -> DrawResult {
        let (x, y) = at;
        let (line, filled) = (self.colour().stroke_width(2), self.colour().filled());
        match self.0 % MARKS {
            0 => canvas.draw(&Circle::new(at, 4, filled))?,
            1 => canvas.draw(&Cross::new(at, 4, line))?,
            2 => canvas.draw(&TriangleMarker::new(at, 6, filled))?,
            3 => canvas.draw(&Rectangle::new([(x - 4, y - 4), (x + 4, y + 4)], filled))?,
            4 => canvas.draw(&Circle::new(at, 4, line))?,
            5 => {
                let corners = vec![(x, y - 5), (x + 5, y), (x, y + 5), (x - 5, y)];
                canvas.draw(&Polygon::new(corners, filled))?;
            }
            _ => canvas.draw(&Rectangle::new([(x - 4, y - 4), (x + 4, y + 4)], line))?,
        }
        Ok(())
    }

    /// Draws a bar: filled, hatched or empty, with a border.
    pub fn bar(self, canvas: &Canvas<'_>, [from, to]: [PixelPoint; 2]) -> DrawResult {
        let colour = self.colour();
        let line = colour.stroke_width(1);
        let hatching = self.0 % HATCHINGS;
        let opacity = if hatching == 0 { 0.85 } else { 0.18 };
        canvas.draw(&Rectangle::new([from, to], colour.mix(opacity).filled()))?;
        let slopes: &[Slope] = match hatching {
            0 | 7 => &[],
            1 => &[Slope::Up],
            2 => &[Slope::Down],
            3 => &[Slope::Up, Slope::Down],
            4 => &[Slope::Level],
            5 => &[Slope::Upright],
            _ => &[Slope::Level, Slope::Upright],
        };
        for slope in slopes {
            for path in joined(slope.lines(from, to)) {
                canvas.draw(&PathElement::new(path, line))?;
            }
        }
        canvas.draw(&Rectangle::new([from, to], line))?;
        Ok(())
    }
}

/// Joins the lines to as few paths as possible, back and forth: the connecting pieces lie on the bar's border.
fn joined(lines: Vec<[PixelPoint; 2]>) -> Vec<Vec<PixelPoint>> {
    let mut paths: Vec<Vec<PixelPoint>> = Vec::new();
    for (number, [first, last]) in lines.into_iter().enumerate() {
        let ends = if number % 2 == 0 { [first, last] } else { [last, first] };
        match paths.last_mut() {
            Some(path) if path.last().is_some_and(|end| end.0 == ends[0].0 || end.1 == ends[0].1) => {
                path.extend(ends)
            }
            _ => paths.push(ends.to_vec()),
        }
    }
    paths
}

/// Distance between the lines of a hatching, in pixels.
const HATCHING_DISTANCE: i32 = 6;

#[derive(Clone, Copy)]
enum Slope {
    Up,
    Down,
    Level,
    Upright,
}

impl Slope {
    /// The lines of a hatching, within a rectangle.
    fn lines(self, (left, top): PixelPoint, (right, bottom): PixelPoint) -> Vec<[PixelPoint; 2]> {
        let (width, height) = (right - left, bottom - top);
        let every = |end: i32| (1..).map(|n| n * HATCHING_DISTANCE).take_while(move |at| *at < end);
        match self {
            Slope::Level => every(height).map(|y| [(left, top + y), (right, top + y)]).collect(),
            Slope::Upright => every(width).map(|x| [(left + x, top), (left + x, bottom)]).collect(),
            // Lines on which x + y (or x + height - y) is constant, clipped at both ends.
            Slope::Up | Slope::Down => every(width + height)
                .map(|sum| {
                    let (first, last) = ((sum - height).max(0), sum.min(width));
                    let y = |x: i32| if matches!(self, Slope::Up) { sum - x } else { height - sum + x };
                    [first, last].map(|x| (left + x, top + y(x)))
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hatchings_stay_within_their_bars() {
        for (width, height) in [(0, 0), (1, 14), (3, 3), (200, 14), (14, 200)] {
            for slope in [Slope::Up, Slope::Down, Slope::Level, Slope::Upright] {
                for (x, y) in slope.lines((10, 20), (10 + width, 20 + height)).into_iter().flatten() {
                    assert!((10..=10 + width).contains(&x) && (20..=20 + height).contains(&y));
                }
            }
        }
        assert_eq!(Slope::Up.lines((0, 0), (12, 6)).len(), 2);
        assert_eq!(joined(Slope::Upright.lines((0, 0), (200, 14))).len(), 1);
    }

    #[test]
    fn styles_are_distinct() {
        let look = |n: usize| (n % COLOURS.len(), n % DASHES.len(), n % MARKS);
        for n in 0..40 {
            for other in 0..n {
                assert_ne!(look(n), look(other));
                if n < COLOURS.len() {
                    assert_ne!(
                        (n % MARKS, n % DASHES.len()),
                        (other % MARKS, other % DASHES.len()),
                        "in grey"
                    );
                }
            }
        }
    }
}
