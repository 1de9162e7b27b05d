//! From samples to figures, and from two figures to a verdict.

use serde::{Deserialize, Serialize};

/// What one run of a contender came to: a figure for each metric of its contest, and what it computed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    pub(super) figures: Vec<Option<f64>>,
    pub(super) checksum: Option<u64>,
}

impl Sample {
    /// In the order of the contest's metrics.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        Self::of_some(figures.into_iter().map(Some))
    }

    /// The same, where the system may not tell everything.
    pub fn of_some(figures: impl IntoIterator<Item = Option<f64>>) -> Self {
        Sample { figures: figures.into_iter().collect(), checksum: None }
    }

    /// What was computed: all contenders must come to the same.
    pub fn checked(mut self, checksum: u64) -> Self {
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
    /// One for each round, in their order.
    pub samples: Vec<f64>,
    /// To the contest's baseline; the baseline itself has none.
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

/// A contender's figures over the baseline's, round by round: two runs of one round had the same machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The baseline.
    pub to: String,
    /// The median over the rounds: below 1, the contender is better than the baseline.
    pub times: f64,
    /// A quarter of the rounds are below this,
    pub low: f64,
    /// and a quarter above this.
    pub high: f64,
    pub verdict: Verdict,
}

/// Whether a ratio says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The contender takes less than the baseline.
    Less,
    /// It takes more.
    More,
    /// The spread is larger than the difference: that of all rounds where they are few, else of their middle half.
    Tie,
    /// One or two rounds have no spread worth the name.
    TooFewRuns,
}

impl Verdict {
    /// As JSON and CSV have it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Less => "less",
            Verdict::More => "more",
            Verdict::Tie => "tie",
            Verdict::TooFewRuns => "too-few-runs",
        }
    }

    /// What stands behind a ratio in a sentence.
    pub fn doubt(self) -> &'static str {
        match self {
            Verdict::TooFewRuns => " (too few rounds to be sure)",
            Verdict::Less | Verdict::More | Verdict::Tie => "",
        }
    }

    /// What stands behind a ratio; nothing where the ratio speaks for itself.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Less | Verdict::More => "",
            Verdict::Tie => "tie",
            Verdict::TooFewRuns => "?",
        }
    }
}

/// Rounds below which there is no verdict.
const FEWEST: usize = 3;
/// Rounds below which there are no quarters to speak of, and the spread is that of all of them. (Of two contenders that
/// are the same, the middle half of 3 or 5 rounds would call a difference in one case of four or six.)
const FEW: usize = 7;
/// What would be printed as 1.00 is no difference, however small its spread.
const NOTHING: f64 = 0.005;

impl Ratio {
    /// Of samples of the same rounds; `None` where nothing can be divided.
    pub fn of(to: &str, pairs: &[(f64, f64)]) -> Option<Self> {
        let mut ratios: Vec<f64> =
            pairs.iter().map(|(own, base)| own / base).filter(|ratio| ratio.is_finite()).collect();
        if ratios.is_empty() || ratios.len() < pairs.len() {
            return None;
        }
        ratios.sort_by(f64::total_cmp);
        let [low, times, high] = [0.25, 0.5, 0.75].map(|part| quantile(&ratios, part));
        let difference = (times - 1.0).abs();
        let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
        let spread = if ratios.len() < FEW { most - least } else { high - low };
        let verdict = if ratios.len() < FEWEST {
            Verdict::TooFewRuns
        } else if difference <= spread || difference < NOTHING {
            Verdict::Tie
        } else if times < 1.0 {
            Verdict::Less
        } else {
            Verdict::More
        };
        Some(Ratio { to: to.to_owned(), times, low, high, verdict })
    }
}

/// Of samples in order, with what lies between two of them drawn straight.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(own: &[f64], base: &[f64]) -> Option<Ratio> {
        Ratio::of("base", &own.iter().copied().zip(base.iter().copied()).collect::<Vec<_>>())
    }

    fn verdict(own: &[f64], base: &[f64]) -> Verdict {
        ratio(own, base).unwrap().verdict
    }

    #[test]
    fn a_figure_is_the_middle_and_the_ends() {
        let figure = Figure::of(vec![3.0, 1.0, 10.0]).unwrap();
        assert_eq!((figure.min, figure.median, figure.max), (1.0, 3.0, 10.0));
        assert_eq!(figure.samples, [3.0, 1.0, 10.0], "in the order they were taken");
        assert_eq!(Figure::of(vec![1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(Figure::of(vec![]), None);
    }

    #[test]
    fn a_difference_beyond_the_spread() {
        assert_eq!(verdict(&[2.0, 2.1, 1.9], &[1.0, 1.0, 1.0]), Verdict::More);
        assert_eq!(verdict(&[0.5, 0.51, 0.49], &[1.0, 1.0, 1.0]), Verdict::Less);
        let twice = ratio(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((twice.low, twice.times, twice.high), (2.0, 2.0, 2.0), "round by round");
    }

    #[test]
    fn a_spread_beyond_the_difference_is_a_tie() {
        assert_eq!(verdict(&[0.8, 1.05, 1.4], &[1.0, 1.0, 1.0]), Verdict::Tie);
        assert_eq!(verdict(&[1.0, 1.0, 1.0], &[1.0, 1.0, 1.0]), Verdict::Tie);
        assert_eq!(verdict(&[1001.0; 5], &[1000.0; 5]), Verdict::Tie, "1.00");
    }

    #[test]
    fn few_rounds_must_agree() {
        let base = [1.0; 7];
        assert_eq!(verdict(&[0.9, 1.2, 1.21, 1.22, 1.3], &base[..5]), Verdict::Tie, "one says the opposite");
        assert_eq!(verdict(&[1.3, 1.4, 1.41, 1.42, 1.5], &base[..5]), Verdict::More);
        assert_eq!(verdict(&[0.9, 1.2, 1.2, 1.21, 1.22, 1.22, 1.3], &base), Verdict::More, "its middle half");
    }

    #[test]
    fn too_little_to_say() {
        assert_eq!(verdict(&[9.0], &[1.0]), Verdict::TooFewRuns);
        assert_eq!(verdict(&[9.0, 9.0], &[1.0, 1.0]), Verdict::TooFewRuns);
        assert_eq!(ratio(&[], &[]), None);
        assert_eq!(ratio(&[1.0, 1.0], &[1.0, 0.0]), None, "nothing is no baseline");
        assert_eq!(ratio(&[0.0], &[0.0]), None);
    }
}
