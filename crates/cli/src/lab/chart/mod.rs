//! Charts as SVG, with their text as text.
//!
//! Series can be distinguished without colours: each has a hatching, or a mark and a dash pattern, besides its colour. Bars
//! start at zero.

mod axis;
mod bars;
pub mod canvas;
mod lines;
pub mod style;

pub use self::{
    bars::BarChart,
    lines::{Axis, ChartLine, LineChart},
};

/// A finished chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// The name of its file without the bench's name and the extension: `time-by-step`.
    pub name: String,
    /// The title, which is also its text alternative.
    pub title: String,
    /// An SVG document without declarations, ids or scripts, so that it can be embedded in HTML.
    pub svg: String,
}

#[cfg(test)]
mod tests {
    use super::bars::{Bar, BarGroup};
    use super::{canvas::text_width, *};
    use crate::lab::unit::Unit;

    /// The boxes of a picture's texts: left, top, right, bottom.
    fn texts(picture: &Picture) -> Vec<(String, [f64; 4])> {
        let svg = roxmltree::Document::parse(&picture.svg).expect("well-formed");
        let number =
            |node: roxmltree::Node<'_, '_>, name| node.attribute(name).unwrap().parse::<f64>().unwrap();
        let boxes = svg.descendants().filter(|node| node.tag_name().name() == "text").map(|node| {
            let (x, y, size) = (number(node, "x"), number(node, "y"), number(node, "font-size"));
            let text = node.text().unwrap_or_default().trim().to_owned();
            let width = f64::from(text_width(&text, size));
            let left = match node.attribute("text-anchor") {
                Some("end") => x - width,
                Some("middle") => x - width / 2.0,
                _ => x,
            };
            (text, [left, y - size / 2.0, left + width, y + size / 2.0])
        });
        boxes.collect()
    }

    /// Every text is inside the picture, and none overlaps another.
    #[track_caller]
    fn is_readable(picture: &Picture) {
        let svg = roxmltree::Document::parse(&picture.svg).expect("well-formed");
        let of = |name| svg.root_element().attribute(name).unwrap().parse::<f64>().unwrap();
        let all = texts(picture);
        assert!(all.len() > 4);
        for (number, (text, a)) in all.iter().enumerate() {
            assert!(
                a[0] >= 0.0 && a[1] >= 0.0 && a[2] <= of("width") && a[3] <= of("height"),
                "{text:?} at {a:?}"
            );
            for (other, b) in &all[..number] {
                let disjoint = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
                assert!(disjoint, "{text:?} at {a:?} overlaps {other:?} at {b:?}");
            }
        }
    }

    fn bars(own_axes: bool, values: &[f64], max: f64) -> BarChart {
        let bar = |(number, value): (usize, &f64)| Bar {
            name: format!("contender {number}, with a name that is rather long"),
            value: *value,
            ends: (value / 2.0, max),
            note: "1.25 x".into(),
        };
        let group =
            |name: &str| BarGroup { name: name.into(), bars: values.iter().enumerate().map(bar).collect() };
        BarChart {
            name: "test".into(),
            title: "A title with <, > and & in it".into(),
            subtitle: "what is shown, and of how many runs".into(),
            what: "time".into(),
            unit: Unit::Ns,
            groups: vec![group("one"), group("two")],
            own_axes,
        }
    }

    #[test]
    fn bars_are_readable_and_start_at_zero() {
        for own_axes in [false, true] {
            for (values, max) in [(&[3e6, 9e6, 1.0][..], 1e7), (&[5.0], 1e9), (&[0.0], 0.0)] {
                let picture = bars(own_axes, values, max).draw().unwrap();
                is_readable(&picture);
                let zeros = texts(&picture).iter().filter(|(text, _)| text == "0").count();
                assert_eq!(zeros, if own_axes { 2 } else { 1 });
            }
        }
        let far = bars(true, &[5.0, 6.0], 1e9).draw().unwrap();
        assert!(far.svg.contains("up to 1.00 s"), "a run beyond the end of its axis is labelled");
    }

    fn lines(log: bool, lines: usize) -> LineChart {
        let axis = if log { Axis::log } else { Axis::linear };
        let line = |number: usize| ChartLine {
            name: format!("line {number}, with a name that is rather long"),
            points: (0..40).map(|n| (4096.0 * 1.5_f64.powi(n), 1e5 * (n as f64 + number as f64))).collect(),
        };
        LineChart {
            name: "test".into(),
            title: "A title".into(),
            subtitle: "what is shown".into(),
            x: axis("step", Unit::Bytes),
            y: axis("time", Unit::Ns),
            lines: (0..lines).map(line).collect(),
        }
    }

    #[test]
    fn lines_are_readable_and_all_named() {
        for (log, count) in [(false, 1), (true, 1), (false, 12), (true, 30)] {
            let picture = lines(log, count).draw().unwrap();
            is_readable(&picture);
            let named = texts(&picture).iter().filter(|(text, _)| text.starts_with("line ")).count();
            assert_eq!(named, count);
        }
    }

    #[test]
    fn charts_without_points_are_drawn() {
        for points in [vec![], vec![(0.0, 0.0)], vec![(f64::NAN, 1.0)]] {
            for log in [false, true] {
                let mut chart = lines(log, 1);
                chart.lines[0].points = points.clone();
                roxmltree::Document::parse(&chart.draw().unwrap().svg).expect("well-formed");
            }
        }
    }
}
