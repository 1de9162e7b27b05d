//! Shows the progress of a run, and samples the frontiers.

use std::{
    io::{self, IsTerminal as _},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use highwater::stats::now_ns;
use indicatif::{ProgressBar, ProgressStyle};

use super::{alloc::FrontierProbe, job::ProgressCount};
use crate::{output, size};

/// Interval of updates, for a bar that moves smoothly.
const TICK: Duration = Duration::from_millis(80);
/// Interval of samples, if the frontier is to be drawn.
const SAMPLE: Duration = Duration::from_millis(4);
/// Time between two lines if stderr is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// How many samples of each frontier are kept; when there are more, one in two is dropped.
const MAX_SAMPLES: usize = 4096;

/// Shows progress until `finished`. Returns the samples of each frontier: monotonic time and bytes.
pub fn watch(
    label: &str,
    total: u64,
    done: &ProgressCount,
    finished: &AtomicBool,
    frontiers: &[FrontierProbe],
    start: Instant,
) -> Vec<Vec<(u64, u64)>> {
    let mut shown = Display::new(label, total, start);
    let mut samples = vec![Vec::new(); frontiers.len()];
    let mut pause = if frontiers.is_empty() { TICK } else { SAMPLE };
    loop {
        for (frontier, samples) in frontiers.iter().zip(&mut samples) {
            samples.extend(frontier().map(|bytes| (now_ns(), bytes)));
        }
        if finished.load(Ordering::Acquire) {
            break;
        }
        shown.update(done.bytes());
        if samples.iter().any(|samples| samples.len() >= MAX_SAMPLES) {
            for samples in &mut samples {
                let mut keep = false;
                samples.retain(|_| {
                    keep = !keep;
                    keep
                });
            }
            pause *= 2;
        }
        thread::park_timeout(pause);
    }
    shown.end(done.bytes());
    samples
}

enum Display {
    Bar(ProgressBar),
    Lines { label: String, total: u64, start: Instant, last: Instant },
}

impl Display {
    fn new(label: &str, total: u64, start: Instant) -> Self {
        if !io::stderr().is_terminal() {
            output::note(&line(label, 0, total));
            return Self::Lines { label: label.to_owned(), total, start, last: start };
        }
        let bar = ProgressBar::new(total);
        let style = ProgressStyle::with_template(
            "{prefix:12} [{wide_bar}] {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left",
        );
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(label.to_owned());
        Self::Bar(bar)
    }

    fn update(&mut self, done: u64) {
        match self {
            Self::Bar(bar) if done >= bar.length().unwrap_or(u64::MAX) => {
                bar.set_position(done);
                bar.set_prefix("checking");
            }
            Self::Bar(bar) => bar.set_position(done),
            Self::Lines { label, total, start, last }
                if done >= *total && last.elapsed() >= LINE_INTERVAL =>
            {
                *last = Instant::now();
                output::note(&format!("{label}: all allocated, checking it, {:.1?}", start.elapsed()));
            }
            Self::Lines { label, total, last, .. } if last.elapsed() >= LINE_INTERVAL => {
                *last = Instant::now();
                output::note(&line(label, done, *total));
            }
            Self::Lines { .. } => {}
        }
    }

    fn end(self, done: u64) {
        match self {
            Self::Bar(bar) => bar.finish_and_clear(),
            Self::Lines { label, total, start, .. } => {
                output::note(&format!("{}, {:.1?}", line(&label, done, total), start.elapsed()));
            }
        }
    }
}

fn line(label: &str, done: u64, total: u64) -> String {
    let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100).min(100);
    format!("{label}: {} of {} ({percent} %)", size::human(done), size::human(total))
}
