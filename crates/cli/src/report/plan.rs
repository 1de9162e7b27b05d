//! How often each section runs, so that all together take about as long as they may.

use std::time::{Duration, Instant};

use super::{
    args::ReportArgs,
    sections::{Asked, Measured, Section},
};
use crate::{failure::Failure, interrupt};

/// Rounds below which there is no verdict.
const FEWEST: u32 = 3;
/// Rounds beyond which nothing is learned.
const MOST: u32 = 9;
/// Rounds that benches have before those that count, at most.
const BEFORE: u32 = 1;

/// The time there is.
pub struct Budget {
    end: Instant,
}

impl Budget {
    /// From now on.
    pub fn new(all: Duration) -> Self {
        Self { end: Instant::now() + all }
    }

    /// What one of so many sections may take, of what is left; `None` if that is nothing.
    fn share(&self, sections: usize) -> Option<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| left / u32::try_from(sections.max(1)).unwrap_or(u32::MAX))
    }
}

/// Measures a section: one round to see how long that takes, then as many as there is time for. `None` if there is
/// no time at all.
pub fn measure(
    section: &Section,
    args: &ReportArgs,
    budget: &Budget,
    sections_left: usize,
) -> Result<Option<Measured>, Failure> {
    let Some(share) = budget.share(sections_left) else { return Ok(None) };
    let start = Instant::now();
    let one = Asked {
        runs: 1,
        warmup: Some(0),
        quick: args.quick,
        limit: 2 * share,
        malloc_lib: args.malloc_lib.as_ref().map(|path| path.display().to_string()),
    };
    let mut first = section.measure(&one)?;
    let took = start.elapsed();
    if args.quick || first.stopped || first.findings.partial || interrupt::requested() {
        return Ok(Some(first));
    }
    match affordable(share.saturating_sub(took), took) {
        0 => Ok(Some(first)),
        runs => {
            match section.measure(&Asked { runs, warmup: None, ..one }) {
                // A beginning that was cut short is less than what is there already.
                Ok(more) if more.findings.has_figures() => Ok(Some(more)),
                Ok(_) => Ok(Some(first)),
                Err(failure) => {
                    first
                        .findings
                        .words
                        .push(format!("One round only, since more of them failed: {}", failure.message));
                    Ok(Some(first))
                }
            }
        }
    }
}

/// How many rounds fit, of which one took so long: enough for a verdict, or none.
fn affordable(left: Duration, took: Duration) -> u32 {
    let fit = left.as_nanos() / took.as_nanos().max(1);
    match u32::try_from(fit).unwrap_or(u32::MAX).saturating_sub(BEFORE) {
        runs if runs < FEWEST => 0,
        runs => runs.min(MOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_that_fit() {
        let seconds = Duration::from_secs;
        assert_eq!(affordable(seconds(10), seconds(10)), 0);
        assert_eq!(affordable(seconds(39), seconds(10)), 0, "two are no verdict");
        assert_eq!(affordable(seconds(40), seconds(10)), 3);
        assert_eq!(affordable(seconds(65), seconds(10)), 5);
        assert_eq!(affordable(seconds(10_000), seconds(10)), 9);
        assert_eq!(affordable(seconds(10), Duration::ZERO), 9);
    }

    #[test]
    fn what_is_left_is_shared() {
        let budget = Budget::new(Duration::from_secs(600));
        let share = budget.share(6).unwrap();
        assert!(share > Duration::from_secs(90) && share <= Duration::from_secs(100), "{share:?}");
        assert!(budget.share(0).unwrap() > Duration::from_secs(500));
        assert_eq!(Budget::new(Duration::ZERO).share(1), None);
    }
}
