//! The progress of a bench: a bar on a terminal, lines elsewhere.

use std::{
    cell::Cell,
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// Time between two lines if stderr is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(2);

/// Progress over a number of runs.
pub struct Progress {
    name: String,
    total: u64,
    done: Cell<u64>,
    start: Instant,
    last: Cell<Option<Instant>>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For `total` runs.
    pub fn new(name: &str, total: u64) -> Self {
        let bar = (total > 0 && io::stderr().is_terminal()).then(|| ProgressBar::new(total));
        if let Some(bar) = &bar {
            if let Ok(style) =
                ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len}  {eta} left  {msg}")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(name.to_owned());
        }
        let (done, last) = (Cell::new(0), Cell::new(None));
        Progress { name: name.to_owned(), total, done, start: Instant::now(), last, bar }
    }

    /// Shows what runs now.
    pub fn show(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None if self.total > 0 && self.last.get().is_none_or(|last| last.elapsed() >= LINE_INTERVAL) => {
                self.last.set(Some(Instant::now()));
                output::note(&format!(
                    "{}: {} of {} runs, now {what}",
                    self.name,
                    self.done.get(),
                    self.total
                ));
            }
            None => {}
        }
    }

    /// Counts one run as done.
    pub fn step(&self) {
        self.done.set(self.done.get() + 1);
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        match &self.bar {
            Some(bar) => bar.finish_and_clear(),
            None if self.total > 0 => {
                let (done, total, time) = (self.done.get(), self.total, self.start.elapsed());
                output::note(&format!("{}: {done} of {total} runs, {time:.1?}", self.name));
            }
            None => {}
        }
    }
}
