//! Samples, the figures computed from them, and the verdict on a ratio of two figures.

use serde::{Deserialize, Serialize};

/// The result of one run of a contender: a figure for each metric of its contest, and a checksum of what it computed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunSample {
    pub(super) figures: Vec<Option<f64>>,
    pub(super) checksum: Option<u64>,
}

impl RunSample {
    /// Figures in the order of the contest's metrics.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        Self::of_some(figures.into_iter().map(Some))
    }

    /// The same, where the system may not report every figure.
    pub fn of_some(figures: impl IntoIterator<Item = Option<f64>>) -> Self {
        RunSample { figures: figures.into_iter().collect(), checksum: None }
    }

    /// Sets the checksum of what was computed: all contenders must have the same.
    pub fn with_checksum(mut self, checksum: u64) -> Self {
        self.checksum = Some(checksum);
        self
    }
}

/// One metric of one contender, over all rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub min: f64,
    pub median: f64,
    pub max: f64,
    /// One for each round, in order.
    pub samples: Vec<f64>,
    /// The ratio to the contest's baseline; the baseline itself has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Ratio>,
}

impl Figure {
    /// `None` without samples.
    pub fn of(samples: Vec<f64>) -> Option<Self> {
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        Some(Figure { min, median: quantile(&sorted, 0.5), max, samples, ratio: None })
    }
}

/// A contender's figures divided by the baseline's, round by round, so that both ran under the same conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The baseline.
    pub to: String,
    /// The median over the rounds; below 1 the contender is better than the baseline.
    pub times: f64,
    /// The first quartile of the rounds,
    pub low: f64,
    /// and the third.
    pub high: f64,
    pub verdict: RatioVerdict,
}

/// Whether a ratio shows a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RatioVerdict {
    /// The contender uses less than the baseline.
    Less,
    /// It uses more.
    More,
    /// The spread is larger than the difference. It is the range of all rounds if there are few, else the interquartile
    /// range.
    Tie,
    /// One or two rounds are too few to measure a spread.
    TooFewRuns,
}

impl RatioVerdict {
    /// The name in JSON and CSV.
    pub fn name(self) -> &'static str {
        match self {
            RatioVerdict::Less => "less",
            RatioVerdict::More => "more",
            RatioVerdict::Tie => "tie",
            RatioVerdict::TooFewRuns => "too-few-runs",
        }
    }

    /// What follows a ratio in a sentence.
    pub fn doubt(self) -> &'static str {
        match self {
            RatioVerdict::TooFewRuns => " (too few rounds to be sure)",
            RatioVerdict::Less | RatioVerdict::More | RatioVerdict::Tie => "",
        }
    }

    /// What follows a ratio in a table; empty if the difference is clear.
    pub fn word(self) -> &'static str {
        match self {
            RatioVerdict::Less | RatioVerdict::More => "",
            RatioVerdict::Tie => "tie",
            RatioVerdict::TooFewRuns => "?",
        }
    }
}

/// Fewest rounds for a verdict.
const MIN_ROUNDS: usize = 3;
/// Fewest rounds for which the spread is the interquartile range; with fewer it is the range of all of them. (With 3 or 5
/// rounds the interquartile range would find a difference between two equal contenders in one case in four or six.)
const MIN_ROUNDS_FOR_QUARTILES: usize = 7;
/// A ratio closer to 1 than this is printed as 1.00, and is a tie however small its spread.
const MIN_DIFFERENCE: f64 = 0.005;

impl Ratio {
    /// The ratio of pairs of samples, one pair for each round; `None` if a quotient is not finite.
    pub fn of(to: &str, pairs: &[(f64, f64)]) -> Option<Self> {
        let mut ratios: Vec<f64> =
            pairs.iter().map(|(own, base)| own / base).filter(|ratio| ratio.is_finite()).collect();
        if ratios.is_empty() || ratios.len() < pairs.len() {
            return None;
        }
        ratios.sort_by(f64::total_cmp);
        let [low, times, high] = [0.25, 0.5, 0.75].map(|part| quantile(&ratios, part));
        let difference = (times - 1.0).abs();
        let (min, max) = (ratios[0], ratios[ratios.len() - 1]);
        let spread = if ratios.len() < MIN_ROUNDS_FOR_QUARTILES { max - min } else { high - low };
        let verdict = if ratios.len() < MIN_ROUNDS {
            RatioVerdict::TooFewRuns
        } else if difference <= spread || difference < MIN_DIFFERENCE {
            RatioVerdict::Tie
        } else if times < 1.0 {
            RatioVerdict::Less
        } else {
            RatioVerdict::More
        };
        Some(Ratio { to: to.to_owned(), times, low, high, verdict })
    }
}

/// A quantile of sorted samples, with linear interpolation.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let position = part * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(own: &[f64], base: &[f64]) -> Option<Ratio> {
        Ratio::of("base", &own.iter().copied().zip(base.iter().copied()).collect::<Vec<_>>())
    }

    fn verdict(own: &[f64], base: &[f64]) -> RatioVerdict {
        ratio(own, base).unwrap().verdict
    }

    #[test]
    fn a_figure_has_median_min_and_max() {
        let figure = Figure::of(vec![3.0, 1.0, 10.0]).unwrap();
        assert_eq!((figure.min, figure.median, figure.max), (1.0, 3.0, 10.0));
        assert_eq!(figure.samples, [3.0, 1.0, 10.0], "in the order they were taken");
        assert_eq!(Figure::of(vec![1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(Figure::of(vec![]), None);
    }

    #[test]
    fn a_difference_larger_than_the_spread() {
        assert_eq!(verdict(&[2.0, 2.1, 1.9], &[1.0, 1.0, 1.0]), RatioVerdict::More);
        assert_eq!(verdict(&[0.5, 0.51, 0.49], &[1.0, 1.0, 1.0]), RatioVerdict::Less);
        let twice = ratio(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((twice.low, twice.times, twice.high), (2.0, 2.0, 2.0), "round by round");
    }

    #[test]
    fn a_spread_larger_than_the_difference_is_a_tie() {
        assert_eq!(verdict(&[0.8, 1.05, 1.4], &[1.0, 1.0, 1.0]), RatioVerdict::Tie);
        assert_eq!(verdict(&[1.0, 1.0, 1.0], &[1.0, 1.0, 1.0]), RatioVerdict::Tie);
        assert_eq!(verdict(&[1001.0; 5], &[1000.0; 5]), RatioVerdict::Tie, "1.00");
    }

    #[test]
    fn few_rounds_must_all_agree() {
        let base = [1.0; 7];
        assert_eq!(
            verdict(&[0.9, 1.2, 1.21, 1.22, 1.3], &base[..5]),
            RatioVerdict::Tie,
            "one round shows the opposite"
        );
        assert_eq!(verdict(&[1.3, 1.4, 1.41, 1.42, 1.5], &base[..5]), RatioVerdict::More);
        assert_eq!(
            verdict(&[0.9, 1.2, 1.2, 1.21, 1.22, 1.22, 1.3], &base),
            RatioVerdict::More,
            "its interquartile range"
        );
    }

    #[test]
    fn too_few_rounds_have_no_verdict() {
        assert_eq!(verdict(&[9.0], &[1.0]), RatioVerdict::TooFewRuns);
        assert_eq!(verdict(&[9.0, 9.0], &[1.0, 1.0]), RatioVerdict::TooFewRuns);
        assert_eq!(ratio(&[], &[]), None);
        assert_eq!(ratio(&[1.0, 1.0], &[1.0, 0.0]), None, "zero is no baseline");
        assert_eq!(ratio(&[0.0], &[0.0]), None);
    }
}
