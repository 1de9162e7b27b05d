//! Decides how many rounds each section runs, so that all of them fit in the time budget.

use std::time::{Duration, Instant};

use super::{
    args::ReportArgs,
    measurement::{SectionRequest, SectionResult},
    sections::Section,
};
use crate::{failure::Failure, interrupt};

/// Fewest rounds for a verdict.
const MIN_ROUNDS: u32 = 3;
/// More rounds would not help.
const MAX_ROUNDS: u32 = 9;
/// Warm-up rounds of a bench at most.
const MAX_WARMUP: u32 = 1;

/// The time budget.
pub struct Budget {
    end: Instant,
}

impl Budget {
    /// A budget that starts now.
    pub fn new(all: Duration) -> Self {
        Self { end: Instant::now() + all }
    }

    /// The share of one of the remaining sections; `None` if no time is left.
    fn share(&self, sections: usize) -> Option<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| left / u32::try_from(sections.max(1)).unwrap_or(u32::MAX))
    }
}

/// Measures a section: one round to see how long that takes, then as many as there is time for. `None` if no time is
/// left.
pub fn measure(
    section: &Section,
    args: &ReportArgs,
    budget: &Budget,
    sections_left: usize,
) -> Result<Option<SectionResult>, Failure> {
    let Some(share) = budget.share(sections_left) else { return Ok(None) };
    let start = Instant::now();
    let one = SectionRequest {
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
            match section.measure(&SectionRequest { runs, warmup: None, ..one }) {
                // A run that was cut short before its first round has less than the first result.
                Ok(more) if more.findings.has_figures() => Ok(Some(more)),
                Ok(_) => Ok(Some(first)),
                Err(failure) => {
                    first
                        .findings
                        .words
                        .push(format!("Only one round, because running more failed: {}", failure.message));
                    Ok(Some(first))
                }
            }
        }
    }
}

/// How many rounds fit, given the time of one: enough for a verdict, or 0.
fn affordable(left: Duration, took: Duration) -> u32 {
    let fit = left.as_nanos() / took.as_nanos().max(1);
    match u32::try_from(fit).unwrap_or(u32::MAX).saturating_sub(MAX_WARMUP) {
        runs if runs < MIN_ROUNDS => 0,
        runs => runs.min(MAX_ROUNDS),
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
    fn the_remaining_time_is_shared() {
        let budget = Budget::new(Duration::from_secs(600));
        let share = budget.share(6).unwrap();
        assert!(share > Duration::from_secs(90) && share <= Duration::from_secs(100), "{share:?}");
        assert!(budget.share(0).unwrap() > Duration::from_secs(500));
        assert_eq!(Budget::new(Duration::ZERO).share(1), None);
    }
}
