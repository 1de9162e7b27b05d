//! How a section is to be measured, and the result.

use std::time::Duration;

use crate::lab::Findings;

/// How a section is to be measured.
#[derive(Clone, Debug)]
pub struct SectionRequest {
    /// SectionResult rounds.
    pub runs: u32,
    /// Warm-up rounds; `None`: the default of the bench.
    pub warmup: Option<u32>,
    /// Small sizes.
    pub quick: bool,
    /// The time after which it is stopped.
    pub limit: Duration,
    /// The path of the malloc library.
    pub malloc_lib: Option<String>,
}

/// The result of a section.
pub struct SectionResult {
    /// The findings with their charts.
    pub findings: Findings,
    /// It was stopped at its time limit.
    pub stopped: bool,
}
