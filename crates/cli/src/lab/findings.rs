//! What a bench found out.

use serde::{Deserialize, Serialize};

use super::{case::Case, chart::Picture, facts::Facts, text};
use crate::interrupt;

/// The result of a bench as data: it is written as JSON, as CSV and as tables, and goes into reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Findings {
    /// `growth`.
    pub bench: String,
    /// What was asked of whom, in a line.
    pub title: String,
    /// The command that repeats it.
    pub command: String,
    /// Ctrl-C came before the end: what follows is true of the part that was done.
    pub partial: bool,
    /// Small sizes: not to compare.
    pub quick: bool,
    pub machine: Facts,
    pub cases: Vec<Case>,
    /// What the figures say, in sentences drawn from them.
    pub words: Vec<String>,
    /// What only this bench tells, in words of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
    /// Names of the files of charts that were written.
    #[serde(default)]
    pub charts: Vec<String>,
    /// What is drawn; not in JSON, which has the figures.
    #[serde(skip)]
    pub pictures: Vec<Picture>,
}

impl Findings {
    /// Without figures yet.
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

    /// Adds one that has been measured, or as much of it as was.
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

    /// Those who were to run and failed, and why; `None` if nobody did.
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

    /// For people to read.
    pub fn tables(&self) -> String {
        let mut parts = Vec::new();
        if self.partial {
            parts.push("PARTIAL: interrupted; what follows is the part that was done".to_owned());
        }
        if self.quick {
            parts.push("QUICK: small sizes and few rounds, to see that it works, not to compare".to_owned());
        }
        parts.push(format!("{}\n{}", self.title, self.machine.line()));
        parts.extend(self.cases.iter().map(text::of_case));
        if !self.cases.is_empty() {
            parts.push(text::LEGEND.to_owned());
        }
        if !self.words.is_empty() {
            parts.push(self.words.join("\n"));
        }
        parts.join("\n\n")
    }
}
