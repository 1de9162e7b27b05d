//! A program that uses all of it: the example `json_tree`, over the same files with the same parser, with four ways of
//! keeping the tree. What it takes from start to end, and how much memory.

#[allow(dead_code, unused_imports, reason = "the benchmark uses a part of it")]
#[path = "../examples/json_tree/json/mod.rs"]
mod json;
#[allow(dead_code, reason = "the benchmark uses a part of it")]
#[path = "../examples/json_tree/measure.rs"]
mod measure;
mod support;

use json::{document, query::Query};
use measure::{Clock, Figures, WAYS};
use std::cell::RefCell;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use support::{Options, Table, seconds, warm};

const MIB: usize = 1 << 20;
const HANDLES: &str = "highwater, handles";
const REFERENCES: &str = "highwater, references";

/// Set for a child that measures one way, by its number, with the clock `wall` or `cpu`; its arguments are the files.
const CHILD: &str = "HIGHWATER_CONSUMER_WAY";

fn read(clock: libc::clockid_t) -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec to write to.
    let result = unsafe { libc::clock_gettime(clock, &mut now) };
    assert_eq!(result, 0, "the clock can be read");
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn on_the_wall() -> Duration {
    read(libc::CLOCK_MONOTONIC)
}

fn of_the_thread() -> Duration {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn queries() -> Vec<Query> {
    let parse = |query: &str| query.parse().expect("the document's queries are some");
    document::QUERIES.map(parse).into()
}

/// One way in a process of its own: its peak is its own, and so is its heap.
fn in_child(which: usize, files: &[PathBuf]) -> Figures {
    let this = std::env::current_exe().expect("a benchmark has a path");
    let clock = if support::measures_cpu_time() { "cpu" } else { "wall" };
    let mut command = Command::new(this);
    let output = command.args(files).env(CHILD, format!("{which} {clock}")).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    Figures::from_line(&said).unwrap_or_else(|| panic!("{output:?}"))
}

/// What each way took in each round. Every table shows a part of the same runs.
struct Runs {
    files: Vec<PathBuf>,
    of_ways: RefCell<[Vec<Figures>; WAYS.len()]>,
}

impl Runs {
    fn over(files: &[PathBuf]) -> Self {
        Runs { files: files.into(), of_ways: RefCell::default() }
    }

    /// What a way took in a round; runs it if it has not been.
    fn get(&self, which: usize, round: usize) -> Figures {
        let runs = &mut self.of_ways.borrow_mut()[which];
        while runs.len() <= round {
            // As much as the largest of them takes.
            let largest = self.files.iter().map(|file| file.metadata().map_or(0, |file| file.len())).max();
            warm(8 * largest.unwrap_or(0) as usize);
            runs.push(in_child(which, &self.files));
        }
        runs[round]
    }

    fn table(&self, options: &Options, title: &str, unit: &'static str, of: fn(&Figures) -> f64) {
        let mut table = Table::new(options, title, unit, 7);
        for (which, way) in WAYS.iter().enumerate() {
            let mut rounds = 0..;
            table.row(way.name, move || of(&self.get(which, rounds.next().unwrap_or_default())));
        }
        if let Some(results) = table.run() {
            results.compare(&[HANDLES, REFERENCES]);
        }
    }
}

fn main() {
    if let Ok(child) = std::env::var(CHILD) {
        let (which, clock) = child.split_once(' ').expect("a number and a clock");
        let clock: Clock = if clock == "cpu" { of_the_thread } else { on_the_wall };
        let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
        let way = WAYS[which.parse::<usize>().expect("the number of a way")];
        match (way.run)(&files, &queries(), clock) {
            Ok(figures) => return println!("{}", figures.to_line()),
            Err(error) => panic!("{error}"),
        }
    }
    let options = Options::parse();
    let folder = tempfile::tempdir().expect("there is a directory for temporary files");
    let bytes = options.size(32 * MIB, 2 * MIB);
    let files: Vec<PathBuf> = (0..4u64)
        .map(|seed| {
            let path = folder.path().join(format!("{seed}.json"));
            let text = document::generate(bytes, seed);
            std::fs::write(&path, text).expect("there is room for the files");
            path
        })
        .collect();
    let size = bytes / MIB;

    let (one, four) = (Runs::over(&files[..1]), Runs::over(&files));
    let whole = |figures: &Figures| figures.seconds() * 1e3;
    one.table(&options, &format!("One file of {size} MiB in a new process, from start to end"), "ms", whole);
    let title = |what: &str| format!("Four files of {size} MiB in a row, in a new process: {what}");
    four.table(&options, &title("from start to end"), "ms", whole);
    four.table(&options, &title("parsing"), "ms", |figures| figures.parse * 1e3);
    four.table(&options, &title("queries"), "ms", |figures| figures.query * 1e3);
    four.table(&options, &title("giving up"), "ms", |figures| figures.give_up * 1e3);
    let peak = |figures: &Figures| figures.peak as f64 / MIB as f64;
    four.table(&options, &title("peak memory, the text included"), "MiB", peak);
    let each = |figures: &Figures| figures.tree as f64 / figures.nodes as f64;
    four.table(&options, &title("memory of the first tree"), "bytes per value", each);

    // Another parser, for scale.
    let text = std::fs::read_to_string(&files[0]).expect("it was written");
    let mut table = Table::new(&options, format!("serde_json::Value, one file of {size} MiB"), "ms", 7);
    table.row("serde_json::Value, parsed and dropped", || {
        warm(8 * bytes);
        seconds(|| serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON").is_object()).0 * 1e3
    });
    table.run();
}
