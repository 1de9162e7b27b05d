//! How far a bench is, for who waits for it: a bar on a terminal, lines elsewhere.

use std::{
    cell::Cell,
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// Between two lines where there is no terminal.
const LINE: Duration = Duration::from_secs(2);

/// So many runs, one after the other.
pub struct Progress {
    name: String,
    all: u64,
    done: Cell<u64>,
    start: Instant,
    last: Cell<Option<Instant>>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of `all` runs.
    pub fn new(name: &str, all: u64) -> Self {
        let bar = (all > 0 && io::stderr().is_terminal()).then(|| ProgressBar::new(all));
        if let Some(bar) = &bar {
            if let Ok(style) =
                ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len}  {eta} left  {msg}")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(name.to_owned());
        }
        let (done, last) = (Cell::new(0), Cell::new(None));
        Progress { name: name.to_owned(), all, done, start: Instant::now(), last, bar }
    }

    /// What runs now.
    pub fn show(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None if self.all > 0 && self.last.get().is_none_or(|last| last.elapsed() >= LINE) => {
                self.last.set(Some(Instant::now()));
                output::note(&format!("{}: {} of {} runs, now {what}", self.name, self.done.get(), self.all));
            }
            None => {}
        }
    }

    /// One run is done.
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
            None if self.all > 0 => {
                let (done, all, time) = (self.done.get(), self.all, self.start.elapsed());
                output::note(&format!("{}: {done} of {all} runs, {time:.1?}", self.name));
            }
            None => {}
        }
    }
}
