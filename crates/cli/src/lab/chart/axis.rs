//! The scale of an axis and its ticks.

use crate::lab::unit::{Scale, Unit, plain};

/// How many ticks an axis has at most.
const MAX_TICKS: usize = 9;

/// Maps values to a position along the axis, from 0 to 1.
#[derive(Clone, Debug)]
pub struct Range {
    from: f64,
    to: f64,
    is_log: bool,
    pub ticks: Vec<(f64, String)>,
    /// `time (ms)`.
    pub label: String,
}

impl Range {
    /// A linear axis with round steps. With `zero_based` it starts at zero, or below if values are negative.
    pub fn linear(what: &str, unit: Unit, values: impl Iterator<Item = f64>, zero_based: bool) -> Self {
        let (mut low, mut high) = ends(values);
        if zero_based {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if high <= low {
            high = low + if low == 0.0 { 1.0 } else { low.abs() };
        }
        let scale = unit.scale(high.abs().max(low.abs()));
        let step = round_step((high - low) / scale.size / (MAX_TICKS - 3) as f64) * scale.size;
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        let count = (last - first).round() as i64;
        let ticks = (0..=count).map(|n| {
            let value = (first + n as f64) * step;
            (value, plain(value / scale.size))
        });
        let ticks = ticks.collect();
        Self { from: first * step, to: last * step, is_log: false, ticks, label: scale.label(what) }
    }

    /// A logarithmic axis. Values that are not positive are left out.
    pub fn log(what: &str, unit: Unit, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = ends(values.filter(|value| *value > 0.0));
        let low = if low > 0.0 { low } else { 1.0 };
        let high = high.max(low);
        let all = if unit == Unit::Bytes { powers_of_two(low, high) } else { decades(low, high) };
        let (from, to) = (all[0], all[all.len() - 1]);
        let ticks = thinned(all).into_iter().map(|value| {
            let Scale { name, size } = unit.scale(value);
            (value, format!("{} {name}", plain(value / size)).trim_end().to_owned())
        });
        let ticks = ticks.collect();
        Self { from, to, is_log: true, ticks, label: format!("{what}, logarithmic") }
    }

    /// The position of a value; values outside are clamped to the ends.
    pub fn position(&self, value: f64) -> f64 {
        let position = if self.is_log {
            (value.max(f64::MIN_POSITIVE) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        position.clamp(0.0, 1.0)
    }

    /// Whether the axis reaches as far as the value.
    pub fn reaches(&self, value: f64) -> bool {
        value <= self.to
    }

    /// Whether the value can be shown on the axis.
    pub fn has(&self, value: f64) -> bool {
        value.is_finite() && (!self.is_log || value > 0.0)
    }
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let ends = values.filter(|value| value.is_finite()).fold(None, |ends: Option<(f64, f64)>, value| {
        Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
    });
    ends.unwrap_or((0.0, 0.0))
}

/// The smallest 1, 2 or 5 times a power of ten that is not below `min`.
fn round_step(min: f64) -> f64 {
    let power = 10_f64.powf(min.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= min * 0.999_999)
        .unwrap_or(10.0 * power)
}

/// Powers of two from one not above `low` to one not below `high`; at least two.
fn powers_of_two(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log2().floor() as i32, high.log2().ceil() as i32);
    (first..=last.max(first + 1)).map(|power| 2_f64.powi(power)).collect()
}

/// 1, 2 and 5 times powers of ten; only the powers if these would be too many.
fn decades(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let fine: Vec<f64> = (first..=last.max(first + 1))
        .flat_map(|power| [1.0, 2.0, 5.0].map(|n| n * 10_f64.powi(power)))
        .collect();
    let begin = fine.iter().rposition(|tick| *tick <= low * 1.000_001).unwrap_or(0);
    let end = fine.iter().position(|tick| *tick >= high * 0.999_999).unwrap_or(fine.len() - 1).max(begin + 1);
    if end - begin < MAX_TICKS {
        return fine[begin..=end].to_vec();
    }
    (first..=last.max(first + 1)).map(|power| 10_f64.powi(power)).collect()
}

/// One in N of the ticks, starting with the first, so that there are at most [`MAX_TICKS`].
fn thinned(ticks: Vec<f64>) -> Vec<f64> {
    let every = ticks.len().div_ceil(MAX_TICKS);
    ticks.into_iter().step_by(every).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(range: &Range) -> Vec<&str> {
        range.ticks.iter().map(|tick| tick.1.as_str()).collect()
    }

    #[test]
    fn linear_axes_have_round_numbers_from_zero() {
        let range = Range::linear("time", Unit::Ns, [2.9e6, 11e6].into_iter(), true);
        assert_eq!(labels(&range), ["0", "2", "4", "6", "8", "10", "12"]);
        assert_eq!(range.label, "time (ms)");
        assert_eq!((range.position(0.0), range.position(6e6), range.position(12e6)), (0.0, 0.5, 1.0));
    }

    #[test]
    fn logarithmic_axes_of_bytes_have_powers_of_two() {
        let range = Range::log("step", Unit::Bytes, [4096.0, 67_108_864.0].into_iter());
        assert_eq!(labels(&range)[..3], ["4 KiB", "16 KiB", "64 KiB"]);
        assert_eq!(labels(&range).last(), Some(&"64 MiB"));
        assert!((range.position(65536.0) - 4.0 / 14.0).abs() < 1e-9);
        assert!(!range.has(0.0));
    }

    #[test]
    fn logarithmic_axes_of_times_have_decades() {
        let range = Range::log("time", Unit::Ns, [150.0, 900.0].into_iter());
        assert_eq!(labels(&range), ["100 ns", "200 ns", "500 ns", "1 µs"]);
        let range = Range::log("time", Unit::Ns, [1.0, 2e6].into_iter());
        assert_eq!(labels(&range), ["1 ns", "10 ns", "100 ns", "1 µs", "10 µs", "100 µs", "1 ms", "10 ms"]);
    }

    proptest! {
        #[test]
        fn every_value_has_a_position(values in prop::collection::vec(0.0..1e15_f64, 0..20), is_log: bool, bytes: bool) {
            let unit = if bytes { Unit::Bytes } else { Unit::Ns };
            let of = values.iter().copied();
            let range = if is_log { Range::log("x", unit, of) } else { Range::linear("x", unit, of, true) };
            prop_assert!((2..=MAX_TICKS + 2).contains(&range.ticks.len()), "{:?}", range.ticks);
            for pair in range.ticks.windows(2) {
                prop_assert!(pair[0].0 < pair[1].0);
            }
            for value in values.into_iter().filter(|value| range.has(*value)) {
                prop_assert!(value >= range.from * 0.999_999 && value <= range.to * 1.000_001, "{value} in {range:?}");
                prop_assert!((0.0..=1.0).contains(&range.position(value)));
            }
        }
    }
}
