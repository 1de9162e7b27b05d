//! The progress of a run: a bar on a terminal, nothing elsewhere.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressStyle};

use super::cells::{LimitKind, OomSubject};
use crate::size;

/// The progress bar.
pub struct OomProgress {
    bar: Option<ProgressBar>,
}

impl OomProgress {
    /// A bar for a number of cells.
    pub fn new(cells: usize) -> Self {
        let bar = io::stderr().is_terminal().then(|| ProgressBar::new(cells as u64));
        if let Some(bar) = &bar
            && let Ok(style) = ProgressStyle::with_template("[{bar:30}] {pos}/{len}  {msg}")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar }
    }

    /// Shows how many bytes a cell has.
    pub fn show(&self, who: OomSubject, what: LimitKind, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}, {}: {}", what.name(), who.name(), size::human(bytes)));
        }
    }

    /// Counts one cell as done.
    pub fn next(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }
}

impl Drop for OomProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
