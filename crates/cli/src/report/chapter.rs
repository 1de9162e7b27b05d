//! The chapter of a section on the page.

use serde::Serialize;

use super::measurement::SectionResult;
use crate::{failure::Failure, lab::Findings};

/// A section with its outcome.
#[derive(Serialize)]
pub struct Chapter {
    /// The key of the section.
    pub key: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it is about.
    #[serde(skip)]
    pub about: &'static str,
    /// Its outcome.
    #[serde(flatten)]
    pub outcome: ChapterOutcome,
}

/// The outcome of a section.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum ChapterOutcome {
    /// It has figures, at least of a part.
    #[serde(rename = "found")]
    Measured {
        /// The findings with their charts.
        findings: Box<Findings>,
        /// It was stopped at its time limit.
        stopped: bool,
    },
    /// It could not be measured.
    Failed {
        /// The reason, in one line. (`why` in JSON.)
        #[serde(rename = "why")]
        reason: String,
    },
    /// It was not measured.
    LeftOut {
        /// The reason, in one line. (`why` in JSON.)
        #[serde(rename = "why")]
        reason: String,
    },
}

impl ChapterOutcome {
    /// The outcome of a measurement.
    pub fn of(measured: Result<Option<SectionResult>, Failure>, interrupted: bool) -> Self {
        match measured {
            Ok(Some(measured)) if interrupted && !measured.findings.has_figures() => Self::interrupted(),
            Ok(Some(SectionResult { findings, stopped })) => {
                Self::Measured { findings: Box::new(findings), stopped }
            }
            Ok(None) => Self::LeftOut { reason: "there was no time left for it (--budget)".into() },
            Err(_) if interrupted => Self::interrupted(),
            Err(failure) => Self::Failed { reason: failure.message },
        }
    }

    /// A section that was not started before Ctrl-C.
    pub fn interrupted() -> Self {
        Self::LeftOut { reason: "interrupted by Ctrl-C before there was anything to show".into() }
    }

    /// Whether it was not measured to its end.
    pub fn is_partial(&self) -> bool {
        match self {
            Self::Measured { findings, stopped } => *stopped || findings.partial,
            Self::Failed { .. } | Self::LeftOut { .. } => true,
        }
    }

    /// The notice on the page about what is missing.
    pub fn shortcoming(&self) -> Option<String> {
        match self {
            Self::Measured { stopped: true, .. } => {
                Some("PARTIAL: stopped when its share of the time was up".into())
            }
            Self::Measured { findings, .. } if findings.partial => {
                Some("PARTIAL: interrupted; what follows is the part that was done".into())
            }
            Self::Measured { .. } => None,
            Self::Failed { reason } => Some(format!("It failed: {reason}")),
            Self::LeftOut { reason } => Some(format!("Left out: {reason}")),
        }
    }
}
