//! The result of a bench.

use serde::{Deserialize, Serialize};

use super::{case::Case, chart::Picture, facts::Facts, text};
use crate::interrupt;

/// The result of a bench as data: it is written as JSON, as CSV and as tables, and used in reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Findings {
    /// The bench: `growth`.
    pub bench: String,
    /// What was measured, in a line.
    pub title: String,
    /// The command that repeats it.
    pub command: String,
    /// It was interrupted before the end: the rest describes the part that was done.
    pub partial: bool,
    /// Small sizes, not for comparison.
    pub quick: bool,
    pub machine: Facts,
    pub cases: Vec<Case>,
    /// Sentences computed from the figures.
    pub words: Vec<String>,
    /// Data of this bench only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
    /// Names of the chart files that were written.
    #[serde(default)]
    pub charts: Vec<String>,
    /// The charts; not in JSON, which has the figures.
    #[serde(skip)]
    pub pictures: Vec<Picture>,
}

impl Findings {
    /// Findings without figures yet.
    pub fn new(bench: &str, title: &str, command: String, quick: bool) -> Self {
        Findings {
            bench: bench.to_owned(),
            title: title.to_owned(),
            command,
            partial: false,
            quick,
            machine: Facts::gather(),
            cases: Vec::new(),
            words: Vec::new(),
            details: None,
            charts: Vec::new(),
            pictures: Vec::new(),
        }
    }

    /// Adds a case that has been measured, in whole or in part.
    pub fn push(&mut self, case: Case) {
        self.partial |= case.partial || interrupt::requested();
        if case.rows.iter().any(|row| !row.figures.is_empty() || (row.reason.is_some() && !case.partial)) {
            self.cases.push(case);
        }
    }

    /// Whether there is any figure to show.
    pub fn has_figures(&self) -> bool {
        self.cases.iter().flat_map(|case| &case.rows).any(|row| !row.figures.is_empty())
    }

    /// The contenders that failed, and why; `None` if none did.
    pub fn failures(&self) -> Option<String> {
        let failed = self.cases.iter().flat_map(|case| {
            let rows = case.rows.iter().filter(|row| row.failed);
            rows.map(|row| {
                let reason = row.reason.as_deref().unwrap_or("failed");
                format!("{}: {}: {reason}", case.key, row.contender)
            })
        });
        let failed: Vec<_> = failed.collect();
        (!failed.is_empty()).then(|| failed.join("; "))
    }

    /// The findings as text with tables.
    pub fn tables(&self) -> String {
        let mut parts = Vec::new();
        if self.partial {
            parts.push("PARTIAL: interrupted; what follows is the part that was done".to_owned());
        }
        if self.quick {
            parts.push("QUICK: small sizes and few rounds, to see that it works, not to compare".to_owned());
        }
        parts.push(format!("{}\n{}", self.title, self.machine.line()));
        parts.extend(self.cases.iter().map(text::case_tables));
        if !self.cases.is_empty() {
            parts.push(text::LEGEND.to_owned());
        }
        if !self.words.is_empty() {
            parts.push(self.words.join("\n"));
        }
        parts.join("\n\n")
    }
}
