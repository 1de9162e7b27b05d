//! Runs contenders in turn, round after round.

use std::fmt::Display;

use super::{
    case::{Case, ContenderSamples, Metric},
    options::LabArgs,
    progress::Progress,
    sample::RunSample,
};
use crate::{failure::Failure, interrupt, warm};

/// What the contests of one bench share: the number of rounds, and the progress.
pub struct Lab {
    runs: u32,
    warmup: u32,
    progress: Progress,
}

impl Lab {
    /// `runs` and `warmup` are the defaults, which the command line overrides; `contenders` is the number of contenders of
    /// all contests, from which progress is computed.
    pub fn new(bench: &str, args: &LabArgs, runs: u32, warmup: u32, contenders: usize) -> Self {
        let runs = args.runs.unwrap_or(runs);
        let warmup = args.warmup.unwrap_or(warmup);
        let total = contenders as u64 * u64::from(runs + warmup);
        Lab { runs, warmup, progress: Progress::new(bench, total) }
    }
}

/// How the machine is warmed up. On a virtual machine the first use of a page of memory can cost ten times what is to be
/// measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warming {
    /// This many bytes once, before the first round: for contenders that keep or reuse their memory.
    Once(usize),
    /// This many bytes before every run: for runs that get their memory from the system each time.
    EachRun(usize),
}

type RunFn<'a> = Box<dyn FnMut() -> Result<RunSample, String> + 'a>;

struct Contender<'a> {
    name: String,
    /// `None` for a contender that cannot run.
    run: Option<RunFn<'a>>,
    samples: Vec<RunSample>,
    reason: Option<String>,
}

/// The same job for several contenders. The first one that can run is the baseline unless another is named.
pub struct Contest<'a> {
    key: String,
    title: String,
    metrics: Vec<Metric>,
    baseline: Option<String>,
    warming: Warming,
    contenders: Vec<Contender<'a>>,
}

impl<'a> Contest<'a> {
    /// `key` is the name in JSON and CSV, `title` that of the table.
    pub fn new(key: impl Display, title: impl Display, metrics: Vec<Metric>, warming: Warming) -> Self {
        let (key, title) = (key.to_string(), title.to_string());
        Contest { key, title, metrics, baseline: None, warming, contenders: Vec::new() }
    }

    /// Sets the contender the ratios are to.
    pub fn baseline(&mut self, name: &str) {
        self.baseline = Some(name.to_owned());
    }

    /// Adds a contender: a closure that does the job once and measures itself. An error is shown in the row of this
    /// contender, which is not run again; the others are.
    pub fn contender(&mut self, name: impl Display, run: impl FnMut() -> Result<RunSample, String> + 'a) {
        self.push(name, Some(Box::new(run)), None);
    }

    /// Adds a contender that cannot do the job, with the reason.
    pub fn absent(&mut self, name: impl Display, reason: impl Display) {
        self.push(name, None, Some(reason.to_string()));
    }

    fn push(&mut self, name: impl Display, run: Option<RunFn<'a>>, reason: Option<String>) {
        self.contenders.push(Contender { name: name.to_string(), run, samples: Vec::new(), reason });
    }

    /// The number of contenders that run.
    pub fn len(&self) -> usize {
        self.contenders.iter().filter(|contender| contender.run.is_some()).count()
    }

    /// Runs all rounds, or those before a Ctrl-C.
    pub fn run(mut self, lab: &Lab) -> Result<Case, Failure> {
        let first = self.contenders.iter().find(|contender| contender.run.is_some());
        let first = first.map(|contender| contender.name.clone());
        let baseline = self.baseline.take().or(first).unwrap_or_default();
        if let Warming::Once(bytes) = self.warming {
            warm::memory_for(bytes as u64)?;
        }
        let rounds = lab.warmup + lab.runs;
        for round in 0..rounds {
            self.round(lab, round)?;
        }
        let case = Case {
            key: self.key,
            title: self.title,
            metrics: self.metrics,
            baseline,
            rounds: lab.runs,
            partial: interrupt::requested(),
            rows: Vec::new(),
        };
        case.with_samples(self.contenders.into_iter().map(|contender| ContenderSamples {
            failed: contender.run.is_some() && contender.reason.is_some(),
            contender: contender.name,
            samples: contender.samples,
            reason: contender.reason,
        }))
    }

    /// Runs every contender once. Each round starts with the next one, so that the order rotates.
    fn round(&mut self, lab: &Lab, round: u32) -> Result<(), Failure> {
        let count = self.contenders.len();
        for turn in 0..count {
            if interrupt::requested() {
                return Ok(());
            }
            let contender = &mut self.contenders[(round as usize + turn) % count];
            let Some(run) = contender.run.as_mut() else { continue };
            if contender.reason.is_none() {
                if let Warming::EachRun(bytes) = self.warming {
                    warm::memory_for(bytes as u64)?;
                }
                lab.progress.show(&format!("{}: {}", self.key, contender.name));
                let result = run();
                // A run that was cut short is no sample, and a child that Ctrl-C ended has not failed.
                if interrupt::requested() || (result.is_err() && interrupt::requested_soon()) {
                    return Ok(());
                }
                match result {
                    Ok(sample) => {
                        check_sample(&self.key, &contender.name, &self.metrics, &sample)?;
                        if round >= lab.warmup {
                            contender.samples.push(sample);
                        }
                    }
                    Err(reason) => {
                        contender.reason = Some(reason);
                        continue;
                    }
                }
                lab.progress.step();
            }
        }
        Ok(())
    }
}

/// Checks that there is a finite figure that is not negative for each metric; anything else is an error of the bench.
fn check_sample(case: &str, contender: &str, metrics: &[Metric], sample: &RunSample) -> Result<(), Failure> {
    if sample.figures.len() != metrics.len() {
        let (count, expected) = (sample.figures.len(), metrics.len());
        return Err(Failure::runtime(format!(
            "{case}: {contender} returned {count} figures instead of {expected}"
        )));
    }
    for (figure, metric) in sample.figures.iter().zip(metrics) {
        if let Some(figure) = figure.filter(|figure| !(figure.is_finite() && *figure >= 0.0)) {
            return Err(Failure::runtime(format!("{case}: {contender}: {} is {figure}", metric.key)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::lab::{RatioVerdict, Unit};

    fn lab(runs: u32, warmup: u32) -> Lab {
        Lab { runs, warmup, progress: Progress::new("test", 0) }
    }

    fn contest<'a>() -> Contest<'a> {
        Contest::new("job", "A job", vec![Metric::new("time", "time", Unit::Ns)], Warming::Once(0))
    }

    #[test]
    fn rounds_interleave_and_rotate() {
        let order = RefCell::new(String::new());
        let mut contest = contest();
        for name in ["a", "b", "c"] {
            let order = &order;
            contest.contender(name, move || {
                order.borrow_mut().push_str(name);
                Ok(RunSample::of([1.0]))
            });
        }
        let case = contest.run(&lab(3, 1)).unwrap();
        assert_eq!(order.borrow().as_str(), "abcbcacababc");
        assert_eq!(case.rows[0].figures[0].as_ref().unwrap().samples.len(), 3, "without the warm-up");
        assert_eq!((case.baseline.as_str(), case.rounds), ("a", 3));
    }

    #[test]
    fn a_contender_that_fails_stops_alone() {
        let mut contest = contest();
        let mut calls = 0;
        contest.contender("ok", || Ok(RunSample::of([2.0])));
        contest.contender("fails", || {
            calls += 1;
            Err("no memory".into())
        });
        contest.absent("cannot", "holds one type");
        assert_eq!(contest.len(), 2);
        let case = contest.run(&lab(3, 0)).unwrap();
        assert_eq!(calls, 1);
        assert_eq!(case.rows[1].reason.as_deref(), Some("no memory"));
        assert_eq!(case.rows[2].reason.as_deref(), Some("holds one type"));
        assert_eq!((case.rows[0].failed, case.rows[1].failed, case.rows[2].failed), (false, true, false));
        assert_eq!(case.median("ok", "time"), Some(2.0));
    }

    #[test]
    fn invalid_figures_are_refused() {
        for wrong in [vec![], vec![f64::NAN], vec![-1.0], vec![f64::INFINITY], vec![1.0, 2.0]] {
            let mut contest = contest();
            contest.contender("a", move || Ok(RunSample::of(wrong.clone())));
            assert!(contest.run(&lab(1, 0)).is_err());
        }
    }

    #[test]
    fn another_baseline() {
        let mut contest = contest();
        contest.contender("a", || Ok(RunSample::of([4.0])));
        contest.contender("b", || Ok(RunSample::of([2.0])));
        contest.baseline("b");
        let case = contest.run(&lab(5, 0)).unwrap();
        let ratio = case.figure("a", "time").unwrap().ratio.as_ref().unwrap();
        assert_eq!((ratio.to.as_str(), ratio.times, ratio.verdict), ("b", 2.0, RatioVerdict::More));
        assert_eq!(case.figure("b", "time").unwrap().ratio, None);
    }
}
