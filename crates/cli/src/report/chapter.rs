//! What is known of a section when the page is written.

use serde::Serialize;

use super::sections::Measured;
use crate::{failure::Failure, lab::Findings};

/// A section's part of the page.
#[derive(Serialize)]
pub struct Chapter {
    /// Of the section.
    pub key: &'static str,
    /// Of the section.
    pub title: &'static str,
    /// Of the section.
    #[serde(skip)]
    pub about: &'static str,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How a section went.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// With figures, of a part at least.
    Found {
        /// With pictures.
        findings: Box<Findings>,
        /// It was stopped when its time was up.
        stopped: bool,
    },
    /// It could not be measured.
    Failed {
        /// In a line.
        why: String,
    },
    /// Nobody tried.
    LeftOut {
        /// In a line.
        why: String,
    },
}

impl Outcome {
    /// From what measuring it gave.
    pub fn of(measured: Result<Option<Measured>, Failure>, interrupted: bool) -> Self {
        match measured {
            Ok(Some(measured)) if interrupted && !measured.findings.has_figures() => Self::interrupted(),
            Ok(Some(Measured { findings, stopped })) => Self::Found { findings: Box::new(findings), stopped },
            Ok(None) => Self::LeftOut { why: "there was no time left for it (--budget)".into() },
            Err(_) if interrupted => Self::interrupted(),
            Err(failure) => Self::Failed { why: failure.message },
        }
    }

    /// Ctrl-C came first.
    pub fn interrupted() -> Self {
        Self::LeftOut { why: "interrupted by Ctrl-C before there was anything to show".into() }
    }

    /// It was not measured to its end.
    pub fn is_partial(&self) -> bool {
        match self {
            Self::Found { findings, stopped } => *stopped || findings.partial,
            Self::Failed { .. } | Self::LeftOut { .. } => true,
        }
    }

    /// What the page says about that.
    pub fn shortcoming(&self) -> Option<String> {
        match self {
            Self::Found { stopped: true, .. } => {
                Some("PARTIAL: stopped when its share of the time was up".into())
            }
            Self::Found { findings, .. } if findings.partial => {
                Some("PARTIAL: interrupted; what follows is the part that was done".into())
            }
            Self::Found { .. } => None,
            Self::Failed { why } => Some(format!("It failed: {why}")),
            Self::LeftOut { why } => Some(format!("Left out: {why}")),
        }
    }
}
