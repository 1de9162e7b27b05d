//! One program, once per way of keeping a tree: files are read, parsed, questioned and given up, one after the other.

use crate::json::query::{Answer, Query};
use crate::json::{Bumpalo, Handles, Heap, Keep, Node, References, Visit, count, text_of};
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The time since some moment.
pub type Clock = fn() -> Duration;

/// Measures a program over some files.
type Run = fn(&[PathBuf], &[Query], Clock) -> Result<Figures, String>;

/// A way of keeping a tree, by name.
#[derive(Clone, Copy)]
pub struct Way {
    pub name: &'static str,
    /// Bytes of a value, and of a key with its value.
    pub sizes: [usize; 2],
    pub run: Run,
}

const fn way<K: Keep>() -> Way {
    Way { name: K::NAME, sizes: K::SIZES, run: run::<K> }
}

pub const WAYS: [Way; 4] = [way::<Handles>(), way::<References>(), way::<Bumpalo>(), way::<Heap>()];

/// What one run took. Seconds are of all files together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    pub parse: f64,
    pub query: f64,
    pub give_up: f64,
    /// Values in the tree of the first file.
    pub nodes: usize,
    /// Bytes of memory that became resident with the tree of the first file; 0 where they are not counted.
    pub tree: usize,
    /// Bytes of the arena that it takes; 0 for a heap.
    pub used: usize,
    /// The most bytes of memory that the process had so far, the text of the largest file included.
    pub peak: usize,
}

/// A field of the process's status, in bytes; `None` where there is no such thing.
pub fn memory(field: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? << 10)
}

/// When a tree was parsed, when it had answered, and when it was left, after its values were counted.
struct Times {
    clock: Clock,
    parsed: Cell<Duration>,
    asked: Cell<Duration>,
    left: Cell<Duration>,
}

/// What is done with each tree.
struct Ask<'q> {
    queries: &'q [Query],
    times: &'q Times,
    /// For the first file: what was resident before.
    resident: Option<usize>,
    answers: &'q Cell<f64>,
}

impl Visit for Ask<'_> {
    type Result = [usize; 3];

    fn visit<'t>(self, root: impl Node<'t>, used: Option<usize>) -> [usize; 3] {
        self.times.parsed.set((self.times.clock)());
        for query in self.queries {
            let figure = match query.answer(root) {
                Answer::Values(values) => values.iter().map(String::len).sum::<usize>() as f64,
                Answer::Number(number) => number.unwrap_or_default(),
            };
            self.answers.set(self.answers.get() + figure);
        }
        self.times.asked.set((self.times.clock)());
        self.times.left.set((self.times.clock)());
        let Some(before) = self.resident else { return [0; 3] };
        let tree = memory("VmRSS").unwrap_or_default().saturating_sub(before);
        let nodes = count(root);
        self.times.left.set((self.times.clock)());
        [nodes, tree, used.unwrap_or_default()]
    }
}

/// Reads, parses, questions and gives up the files. What is read is not timed.
fn run<K: Keep>(files: &[PathBuf], queries: &[Query], clock: Clock) -> Result<Figures, String> {
    let mut figures = Figures::default();
    let answers = Cell::new(0.0);
    // One vector for all files, which does not move when a larger one comes.
    let mut bytes = highwater::GrowVec::<u8>::new();
    let mut keep = None;
    for (i, path) in files.iter().enumerate() {
        bytes.clear();
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let mut file = File::open(path).map_err(|error| named(&error))?;
        io::copy(&mut file, &mut bytes).map_err(|error| named(&error))?;
        let text = text_of(&bytes).map_err(|error| named(&error))?;
        let resident = if i == 0 { memory("VmRSS").or(Some(0)) } else { None };

        let start = clock();
        let times = Times { clock, parsed: start.into(), asked: start.into(), left: start.into() };
        let ask = Ask { queries, times: &times, resident, answers: &answers };
        let kept = keep.get_or_insert_with(K::default).with_tree(text, ask);
        let end = clock();
        let first = kept.map_err(|error| named(&error))?;
        if i == 0 {
            [figures.nodes, figures.tree, figures.used] = first;
        }
        figures.parse += (times.parsed.get() - start).as_secs_f64();
        figures.query += (times.asked.get() - times.parsed.get()).as_secs_f64();
        figures.give_up += (end - times.left.get()).as_secs_f64();
    }
    std::hint::black_box(answers.get());
    figures.peak = memory("VmHWM").unwrap_or_default();
    Ok(figures)
}

impl Figures {
    pub fn seconds(&self) -> f64 {
        self.parse + self.query + self.give_up
    }

    /// As one line, which [`from_line`](Figures::from_line) reads: for measurements in a child process.
    pub fn to_line(self) -> String {
        let Figures { parse, query, give_up, nodes, tree, used, peak } = self;
        format!("figures {parse} {query} {give_up} {nodes} {tree} {used} {peak}")
    }

    /// The figures in what a process said.
    pub fn from_line(output: &str) -> Option<Figures> {
        let line = output.lines().find_map(|line| line.strip_prefix("figures "))?;
        let mut words = line.split(' ');
        let mut seconds = || words.next()?.parse::<f64>().ok();
        let (parse, query, give_up) = (seconds()?, seconds()?, seconds()?);
        let mut number = || words.next()?.parse::<usize>().ok();
        let (nodes, tree, used, peak) = (number()?, number()?, number()?, number()?);
        Some(Figures { parse, query, give_up, nodes, tree, used, peak })
    }
}
