//! One job, the contenders that did it, and their figures.

use serde::{Deserialize, Serialize};

use super::{
    sample::{Figure, Ratio, RunSample},
    unit::Unit,
};
use crate::failure::Failure;

/// What is measured of each run. Lower is better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// The name in JSON and CSV: `time`.
    pub key: String,
    /// The label of a table's column and of an axis: `time per step`.
    pub label: String,
    pub unit: Unit,
    /// Tables show no spread and no ratio: for figures that are the same each time, or whose ratio means little.
    #[serde(default)]
    pub plain: bool,
}

impl Metric {
    pub fn new(key: &str, label: &str, unit: Unit) -> Self {
        Metric { key: key.to_owned(), label: label.to_owned(), unit, plain: false }
    }

    /// Shows only the median.
    pub fn plain(mut self) -> Self {
        self.plain = true;
        self
    }
}

/// One job with all its contenders.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// The name in JSON, CSV and names of files: `1MiB`.
    pub key: String,
    /// The title of the table.
    pub title: String,
    pub metrics: Vec<Metric>,
    /// The contender the ratios are to.
    pub baseline: String,
    /// The rounds that were requested; a partial case has fewer.
    pub rounds: u32,
    /// It was interrupted before the end.
    pub partial: bool,
    pub rows: Vec<Row>,
}

/// One contender's figures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    pub contender: String,
    /// One for each metric; `None` where the system does not report it. Empty if the contender did not run.
    pub figures: Vec<Option<Figure>>,
    /// The checksum of what it computed, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// Why it did not run to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// It ran and failed; if this is false, a reason says why it was not run.
    #[serde(default)]
    pub failed: bool,
}

/// The samples of one contender, one for each round.
pub(super) struct ContenderSamples {
    pub contender: String,
    pub samples: Vec<RunSample>,
    pub reason: Option<String>,
    pub failed: bool,
}

impl Case {
    /// A contender's figure for a metric.
    pub fn figure(&self, contender: &str, metric: &str) -> Option<&Figure> {
        let row = self.rows.iter().find(|row| row.contender == contender)?;
        row.figures.get(self.metric(metric)?)?.as_ref()
    }

    /// The median of that figure.
    pub fn median(&self, contender: &str, metric: &str) -> Option<f64> {
        self.figure(contender, metric).map(|figure| figure.median)
    }

    /// The ratio of one contender to any other, over the rounds that both ran.
    pub fn ratio(&self, contender: &str, to: &str, metric: &str) -> Option<Ratio> {
        let (own, base) = (self.figure(contender, metric)?, self.figure(to, metric)?);
        let pairs: Vec<_> = own.samples.iter().copied().zip(base.samples.iter().copied()).collect();
        Ratio::of(to, &pairs)
    }

    /// The index of a metric among the figures of each row.
    pub fn metric(&self, key: &str) -> Option<usize> {
        self.metrics.iter().position(|metric| metric.key == key)
    }

    /// Computes the rows from the with_samples samples.
    pub(super) fn with_samples(
        mut self,
        rows: impl IntoIterator<Item = ContenderSamples>,
    ) -> Result<Self, Failure> {
        for ContenderSamples { contender, samples, reason, failed } in rows {
            let checksum = one_checksum(&self.key, &contender, &samples)?;
            let figures = if samples.is_empty() { Vec::new() } else { self.figures(&samples) };
            let checksum = checksum.map(|sum| format!("{sum:016x}"));
            self.rows.push(Row { contender, figures, checksum, reason, failed });
        }
        self.check_results()?;
        let keys: Vec<_> = self.metrics.iter().map(|metric| metric.key.clone()).collect();
        for index in 0..self.rows.len() {
            let name = self.rows[index].contender.clone();
            if name == self.baseline {
                continue;
            }
            for (column, key) in keys.iter().enumerate() {
                let ratio = self.ratio(&name, &self.baseline, key);
                if let Some(Some(figure)) = self.rows[index].figures.get_mut(column) {
                    figure.ratio = ratio;
                }
            }
        }
        Ok(self)
    }

    fn figures(&self, samples: &[RunSample]) -> Vec<Option<Figure>> {
        let of = |column: usize| {
            let all = samples.iter().map(|sample| sample.figures.get(column).copied().flatten());
            all.collect::<Option<Vec<f64>>>().and_then(Figure::of)
        };
        (0..self.metrics.len()).map(of).collect()
    }

    /// Checks that all contenders computed the same.
    fn check_results(&self) -> Result<(), Failure> {
        let mut sums = self.rows.iter().filter_map(|row| Some((&row.contender, row.checksum.as_ref()?)));
        let Some((first, sum)) = sums.next() else { return Ok(()) };
        match sums.find(|(_, other)| *other != sum) {
            None => Ok(()),
            Some((other, differing)) => Err(Failure::runtime(format!(
                "{}: {other} computed {differing}, {first} {sum}: the results must be equal",
                self.key
            ))),
        }
    }
}

fn one_checksum(case: &str, contender: &str, samples: &[RunSample]) -> Result<Option<u64>, Failure> {
    let Some(first) = samples.first() else { return Ok(None) };
    if samples.iter().any(|sample| sample.checksum != first.checksum) {
        return Err(Failure::runtime(format!("{case}: {contender} did not compute the same in each round")));
    }
    Ok(first.checksum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case() -> Case {
        Case {
            key: "job".into(),
            title: "A job".into(),
            metrics: vec![Metric::new("time", "time", Unit::Ns), Metric::new("rss", "peak RSS", Unit::Bytes)],
            baseline: "a".into(),
            rounds: 3,
            partial: false,
            rows: Vec::new(),
        }
    }

    fn row(name: &str, samples: Vec<RunSample>) -> ContenderSamples {
        ContenderSamples { contender: name.into(), samples, reason: None, failed: false }
    }

    #[test]
    fn ratios_are_to_the_baseline() {
        let runs = |time: f64| vec![RunSample::of_some([Some(time), None]); 3];
        let failed =
            ContenderSamples { reason: Some("no memory".into()), failed: true, ..row("c", Vec::new()) };
        let case = case().with_samples(vec![row("a", runs(10.0)), row("b", runs(25.0)), failed]).unwrap();
        assert_eq!(case.figure("a", "time").unwrap().ratio, None);
        assert_eq!(case.figure("b", "time").unwrap().ratio.as_ref().unwrap().times, 2.5);
        assert_eq!(case.median("b", "rss"), None, "not reported");
        assert!(case.rows[2].figures.is_empty());
        assert_eq!(case.ratio("a", "b", "time").unwrap().times, 0.4);
    }

    #[test]
    fn results_must_be_equal() {
        let runs = |sum| vec![RunSample::of([1.0, 1.0]).with_checksum(sum); 2];
        assert!(case().with_samples(vec![row("a", runs(7)), row("b", runs(7))]).is_ok());
        let error = case().with_samples(vec![row("a", runs(7)), row("b", runs(8))]).unwrap_err();
        assert!(error.message.contains("b computed 0000000000000008"), "{}", error.message);
        let mixed =
            vec![RunSample::of([1.0, 1.0]).with_checksum(1), RunSample::of([1.0, 1.0]).with_checksum(2)];
        assert!(case().with_samples(vec![row("a", mixed)]).is_err());
    }
}
