//! JSON files as trees in an arena: parsed, questioned, given up, and the next file takes the same memory.
//!
//! `cargo run --release --example json_tree -- data.json 'users[*].name' 'sum(users[*].balance)'`
//!
//! Arguments that name a file are files, all others are queries. Without a file it makes one up (`--mib N` for its
//! size). With `--compare` it runs the same program over the same files in a process of its own for each of four ways
//! to keep the tree: an arena with 32-bit handles, an arena with references, bumpalo with references, and `Vec`,
//! `String` and `Box`. There is no unsafe code in it.

#![forbid(unsafe_code)]

#[allow(dead_code, unused_imports, reason = "some of it is for the files that include it")]
mod json;
mod measure;

use json::query::Query;
use json::{Handles, Keep, Node, Visit, count, document, text_of};
use measure::{Figures, WAYS, Way};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// What the command line asks for.
struct Options {
    compare: bool,
    /// For a child of `--compare`: which way.
    measure: Option<usize>,
    mib: usize,
    files: Vec<PathBuf>,
    queries: Vec<String>,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options =
            Options { compare: false, measure: None, mib: 32, files: Vec::new(), queries: Vec::new() };
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let number = arguments.next().and_then(|number| number.parse::<usize>().ok());
                number.ok_or(format!("{argument} needs a number"))
            };
            match argument.as_str() {
                "--compare" => options.compare = true,
                "--measure" => options.measure = Some(number()?.min(WAYS.len() - 1)),
                "--mib" => options.mib = number()?.clamp(1, 1024),
                word if word.starts_with("--") => return Err(format!("unknown option {word}")),
                word if Path::new(word).is_file() => options.files.push(word.into()),
                word if word.ends_with(".json") => return Err(format!("{word}: no such file")),
                _ => options.queries.push(argument),
            }
        }
        if options.queries.is_empty() && options.files.is_empty() {
            options.queries = document::QUERIES.map(str::to_owned).into();
        }
        Ok(options)
    }

    fn queries(&self) -> Result<Vec<Query>, String> {
        let parse = |query: &String| query.parse().map_err(|error| format!("{query}: {error}"));
        self.queries.iter().map(parse).collect()
    }
}

/// Prints what a tree is and what it answers.
struct Show<'o> {
    options: &'o Options,
    queries: &'o [Query],
    start: Instant,
}

impl Visit for Show<'_> {
    type Result = Duration;

    fn visit<'t>(self, root: impl Node<'t>, used: Option<usize>) -> Duration {
        let parsed = self.start.elapsed();
        let nodes = count(root);
        let each = used.unwrap_or_default() as f64 / nodes as f64;
        println!("  {nodes} values in {} of the arena, {each:.1} bytes each", mib(used.unwrap_or_default()));
        for (text, query) in self.options.queries.iter().zip(self.queries) {
            println!("  {text}: {}", query.answer(root));
        }
        parsed
    }
}

fn mib(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Shows every file, in one arena.
fn show(options: &Options, files: &[PathBuf]) -> Result<(), String> {
    let queries = options.queries()?;
    let mut arena = Handles::default();
    for path in files {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let bytes = std::fs::read(path).map_err(|error| named(&error))?;
        let text = text_of(&bytes).map_err(|error| named(&error))?;
        println!("{}, {}", path.display(), mib(bytes.len()));
        let visit = Show { options, queries: &queries, start: Instant::now() };
        let parsed = arena.with_tree(text, visit).map_err(|error| named(&error))?;
        println!("  parsed in {:.1} ms; its memory is there for the next file", parsed.as_secs_f64() * 1e3);
    }
    Ok(())
}

fn since_the_first() -> Duration {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    FIRST.elapsed()
}

/// Runs one way in a process of its own, so that its peak is its own.
fn in_child(options: &Options, files: &[PathBuf], which: usize) -> Result<Figures, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(this);
    command.args(["--measure", &which.to_string()]).args(files).args(&options.queries);
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    Figures::from_line(&said).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The best of a few runs for the time, and the largest for memory: a run can be disturbed, but not be helped.
fn compare(options: &Options, files: &[PathBuf]) -> Result<(), String> {
    options.queries()?;
    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>10} {:>10} {:>11} {:>9}",
        "", "parse", "query", "give up", "peak", "tree", "bytes/value", "value/key"
    );
    let mut best = [None::<Figures>; WAYS.len()];
    for _ in 0..3 {
        for (which, best) in best.iter_mut().enumerate() {
            let next = in_child(options, files, which)?;
            let so_far = best.unwrap_or(next);
            let faster = if next.seconds() < so_far.seconds() { next } else { so_far };
            *best = Some(Figures {
                tree: so_far.tree.max(next.tree),
                peak: so_far.peak.max(next.peak),
                ..faster
            });
        }
    }
    for (Way { name, sizes: [value, member], .. }, best) in WAYS.into_iter().zip(best.into_iter().flatten()) {
        let ms = |seconds: f64| format!("{:.1} ms", seconds * 1e3);
        println!(
            "{name:<22} {:>9} {:>9} {:>9} {:>10} {:>10} {:>11.1} {:>9}",
            ms(best.parse),
            ms(best.query),
            ms(best.give_up),
            mib(best.peak),
            mib(best.tree),
            best.tree as f64 / best.nodes as f64,
            format!("{value}/{member}"),
        );
    }
    println!(
        "(the peak is the process's, text included; the tree is what became resident with the first file's)"
    );
    Ok(())
}

fn run(options: &Options, files: &[PathBuf]) -> Result<(), String> {
    match options.measure {
        Some(which) => {
            let figures = (WAYS[which].run)(files, &options.queries()?, since_the_first)?;
            println!("{}", figures.to_line());
            Ok(())
        }
        None if options.compare => compare(options, files),
        None => show(options, files),
    }
}

/// The files on the command line, or one that is generated and removed at the end.
fn main() -> ExitCode {
    let done = Options::parse(std::env::args().skip(1)).and_then(|options| {
        if !options.files.is_empty() {
            return run(&options, &options.files);
        }
        let made_up = || {
            let file = tempfile::Builder::new().prefix("made-up-").suffix(".json").tempfile()?;
            std::fs::write(&file, document::generate(options.mib << 20, 1))?;
            Ok(file)
        };
        let file = made_up().map_err(|error: std::io::Error| error.to_string())?;
        run(&options, &[file.path().to_owned()])
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.trim_end());
            ExitCode::from(2)
        }
    }
}
