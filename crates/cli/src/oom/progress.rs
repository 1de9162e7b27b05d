//! How far the run is, for who waits for it: a bar on a terminal, nothing elsewhere.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressStyle};

use super::cells::{What, Who};
use crate::size;

/// The bar.
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For so many cells.
    pub fn new(cells: usize) -> Self {
        let bar = io::stderr().is_terminal().then(|| ProgressBar::new(cells as u64));
        if let Some(bar) = &bar
            && let Ok(style) = ProgressStyle::with_template("[{bar:30}] {pos}/{len}  {msg}")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar }
    }

    /// A cell has so many bytes.
    pub fn show(&self, who: Who, what: What, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}, {}: {}", what.name(), who.name(), size::human(bytes)));
        }
    }

    /// A cell is done.
    pub fn next(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
