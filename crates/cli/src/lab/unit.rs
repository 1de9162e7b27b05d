//! The units of figures, and how figures are shown.

use indicatif::{BinaryBytes, HumanCount};
use serde::{Deserialize, Serialize};

/// The unit of a figure. In all of them, lower is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// Bytes.
    Bytes,
    /// A number of things.
    Count,
    /// A ratio of two figures.
    Times,
}

const KIB: f64 = 1024.0;
const TIMES: [(&str, f64); 6] =
    [("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("min", 60e9), ("h", 3600e9)];
const BYTES: [(&str, f64); 5] = [
    ("bytes", 1.0),
    ("KiB", KIB),
    ("MiB", KIB * KIB),
    ("GiB", KIB * KIB * KIB),
    ("TiB", KIB * KIB * KIB * KIB),
];
const COUNTS: [(&str, f64); 4] = [("", 1.0), ("thousand", 1e3), ("million", 1e6), ("billion", 1e9)];

impl Unit {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Ns => "ns",
            Unit::Bytes => "bytes",
            Unit::Count => "count",
            Unit::Times => "times",
        }
    }

    /// A figure with three_digits significant digits and a suitable unit.
    pub fn show(self, value: f64) -> String {
        match self {
            Unit::Ns => {
                let Scale { name, size } = self.scale(value);
                format!("{} {name}", three_digits(value / size))
            }
            Unit::Bytes => BinaryBytes(value.max(0.0).round() as u64).to_string(),
            Unit::Count if value.fract() == 0.0 || value >= 1000.0 => {
                HumanCount(value.max(0.0).round() as u64).to_string()
            }
            Unit::Count | Unit::Times => three_digits(value),
        }
    }

    /// The unit for an axis that goes up to `max`.
    pub fn scale(self, max: f64) -> Scale {
        let units: &[(&'static str, f64)] = match self {
            Unit::Ns => &TIMES,
            Unit::Bytes => &BYTES,
            Unit::Count => &COUNTS,
            Unit::Times => &[("times", 1.0)],
        };
        let (name, size) = *units.iter().rev().find(|(_, size)| max >= *size).unwrap_or(&units[0]);
        Scale { name, size }
    }
}

/// A unit for a whole axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// `ms`, `MiB`; empty for plain numbers.
    pub name: &'static str,
    /// Its size in the figure's own unit.
    pub size: f64,
}

impl Scale {
    /// `time (ms)`.
    pub fn label(&self, what: &str) -> String {
        if self.name.is_empty() { what.to_owned() } else { format!("{what} ({})", self.name) }
    }
}

/// A number with three significant digits.
pub fn three_digits(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        0.01.. => format!("{value:.3}"),
        0.0 => "0".into(),
        _ => format!("{value:.1e}"),
    }
}

/// A number for an axis: up to three decimals, without trailing zeros.
pub fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() || text == "-0" { "0".into() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        assert_eq!(Unit::Ns.show(1.5), "1.50 ns");
        assert_eq!(Unit::Ns.show(1_234_567.0), "1.23 ms");
        assert_eq!(Unit::Ns.show(61e9), "1.02 min");
        assert_eq!(Unit::Bytes.show(65536.0), "64.00 KiB");
        assert_eq!(Unit::Count.show(1_234_567.0), "1,234,567");
        assert_eq!(Unit::Count.show(0.0), "0");
        assert_eq!(Unit::Count.show(2.5), "2.50");
        assert_eq!(Unit::Times.show(0.25), "0.250");
        assert_eq!(Unit::Times.show(0.0001), "1.0e-4");
    }

    #[test]
    fn an_axis_has_one_unit() {
        let scale = Unit::Bytes.scale(3.0 * 1024.0 * 1024.0);
        assert_eq!((scale.name, scale.size), ("MiB", 1_048_576.0));
        assert_eq!(scale.label("peak RSS"), "peak RSS (MiB)");
        assert_eq!(Unit::Count.scale(10.0).label("faults"), "faults");
        assert_eq!(Unit::Ns.scale(0.0).name, "ns");
        assert_eq!((plain(0.5), plain(-0.0), plain(10.0)), ("0.5".into(), "0".into(), "10".into()));
    }
}
