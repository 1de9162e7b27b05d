//! The examples in C: compiled by every compiler at every level, linked both ways, run, and compared.
//!
//! Their variants compute the same bits, and so do all builds of them: no compiler may reorder or fuse operations with
//! the flags that are given here. A tolerance is left only to the difference from an exact solution.

mod support;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use support::{Compiler, GCC, all_compilers, available, compile_command, library, root, run, succeeds};
use tempfile::TempDir;

const LEVELS: [&str; 3] = ["-O1", "-O2", "-O3"];

/// An example's programs, and what they were made with.
struct Built {
    what: String,
    programs: Vec<PathBuf>,
    _directory: TempDir,
}

/// Compiles an example and links it with the shared library and with the static one.
fn build(compiler: Compiler, sources: &[&str], flags: &[&str]) -> Built {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let standard = if compiler.is_cpp { "-std=c++17" } else { "-std=c11" };
    let mut objects = Vec::new();
    for source in sources {
        let path = root().join("examples/c").join(source);
        let object = directory.path().join(objects.len().to_string()).with_extension("o");
        let mut command = compile_command(compiler, path.to_str().expect("the project's path is UTF-8"));
        command.args([standard, "-ffp-contract=off", "-DROUNDS=1", "-Wconversion", "-Wshadow"]).args(flags);
        succeeds(command.args(["-c", "-o"]).arg(&object));
        objects.push(object);
    }
    let mut rpath = OsString::from("-Wl,-rpath,");
    rpath.push(library());
    let shared = [OsString::from("-L"), library().into(), "-lhighwater".into(), rpath];
    let static_ = [library().join("libhighwater.a").into_os_string()];
    let ways: [(&str, &[OsString]); 2] = [("shared", &shared), ("static", &static_)];
    let link = |(name, link): (&str, &[OsString])| {
        let program = directory.path().join(name);
        let mut command = Command::new(compiler.command);
        succeeds(command.args(flags).args(&objects).args(link).arg("-lm").arg("-o").arg(&program));
        program
    };
    let programs = ways.into_iter().map(link).collect();
    Built { what: format!("{compiler:?} {sources:?} {flags:?}"), programs, _directory: directory }
}

/// What a program said.
struct Said(String);

impl Built {
    /// Runs each of the programs; they must find their variants equal.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Vec<Said> {
        let run_one = |program: &PathBuf| {
            let mut command = Command::new(program);
            command.args(arguments);
            let ended = run(command);
            assert!(ended.status.success(), "{}: {ended:#?}", self.what);
            assert!(ended.stdout.contains("the same in every bit"), "{}: {ended:#?}", self.what);
            Said(ended.stdout)
        };
        self.programs.iter().map(run_one).collect()
    }
}

impl Said {
    /// The number behind these words; they occur once.
    #[track_caller]
    fn number(&self, before: &str) -> f64 {
        let [_, after] = self.0.split(before).collect::<Vec<_>>()[..] else {
            panic!("{before:?} once in {}", self.0)
        };
        let word = after.split_whitespace().next().unwrap_or_default();
        word.parse().unwrap_or_else(|_| panic!("a number after {before:?} in {}", self.0))
    }

    /// The results of a variant, one for each problem; `None` where it did not do one.
    fn results(&self, variant: &str) -> Vec<Option<String>> {
        let rows = self.0.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row.first() == Some(&variant))
            .map(|row| row.get(3).map(|result| (*result).to_owned()))
            .collect()
    }

    /// All variants did all problems, with equal results, which are returned.
    #[track_caller]
    fn agreed(&self, problems: usize) -> Vec<Option<String>> {
        let arena = self.results("arena");
        assert_eq!(arena.len(), problems, "{}", self.0);
        assert!(arena.iter().all(Option::is_some), "{}", self.0);
        assert_eq!(self.results("malloc"), arena, "{}", self.0);
        assert_eq!(self.results("stack"), arena, "{}", self.0);
        arena
    }
}

/// Runs something with every compiler at every level; it returns results that must be the same every time.
fn everywhere(sources: &[&str], check: impl Fn(&Built) -> Vec<Vec<Option<String>>>) {
    let mut results = BTreeSet::new();
    for compiler in all_compilers() {
        for level in LEVELS {
            results.insert(check(&build(compiler, sources, &[level])));
        }
    }
    assert!(results.len() <= 1, "builds of {sources:?} differ: {results:#?}");
}

const RK4: [&str; 4] = ["rk4/main.c", "rk4/arena.c", "rk4/malloc.c", "rk4/stack.c"];
const PHYSICS: [&str; 4] = ["physics/main.c", "physics/arena.c", "physics/malloc.c", "physics/stack.c"];

#[test]
fn the_sum_of_two_vectors() {
    everywhere(&["vector_sum.c"], |built| {
        let said = built.run(&["1000"]);
        said.iter()
            .map(|said| {
                assert_eq!(said.number("the first element is ").to_bits(), 4f64.to_bits(), "{}", said.0);
                said.agreed(1)
            })
            .collect()
    });
}

#[test]
fn runge_kutta_is_of_fourth_order() {
    everywhere(&RK4, |built| {
        // To the same time in steps of which each is half of the one before: a 16th of the error.
        for length in ["2", "16"] {
            let coarse = built.run(&[length, "200", "10"]);
            let fine = built.run(&[length, "400", "20"]);
            for (coarse, fine) in coarse.iter().zip(&fine) {
                let ratio = coarse.number("error ") / fine.number("error ");
                assert!((14.0..18.0).contains(&ratio), "{length}: {ratio}\n{}{}", coarse.0, fine.0);
                // The method's own error: a 120th of (speed * time step)^5 in each step, where no mode is faster
                // than 2, and a velocity is at most that often a position.
                let bound = 2.0 * 400.0 * (2f64 / 20.0).powi(5) / 120.0;
                assert!(fine.number("error ") < bound, "{}", fine.0);
            }
        }
        // A length that the stack is not made for.
        for said in built.run(&["10", "100"]) {
            assert!(said.results("arena")[0].is_some(), "{}", said.0);
            assert_eq!(said.results("malloc"), said.results("arena"), "{}", said.0);
            assert_eq!(said.results("stack"), [None], "{}", said.0);
        }
        let lengths = ["2", "4", "8", "16", "32", "64"];
        let results = lengths.map(|length| built.run(&[length, "50"]).into_iter().map(|said| said.agreed(1)));
        results.into_iter().flatten().collect()
    });
}

#[test]
fn physics_is_plausible() {
    everywhere(&PHYSICS, |built| {
        let said = built.run(&["300", "600"]);
        said.iter()
            .map(|said| {
                assert!(said.number("contacts a step ") > 10.0, "{}", said.0);
                assert!(said.number(" after ") < said.number("energy before "), "{}", said.0);
                assert_eq!(said.number("outside ").to_bits(), 0, "{}", said.0);
                said.agreed(1)
            })
            .collect()
    });
}

#[test]
fn in_the_debug_build() {
    if !available(GCC) {
        return;
    }
    for (sources, arguments) in
        [(&["vector_sum.c"][..], &["10"][..]), (&RK4, &["4", "10"]), (&PHYSICS, &["50", "20"])]
    {
        let [plain, debug] = [&["-O1"][..], &["-O1", "-DHIGHWATER_DEBUG"]].map(|flags| {
            let said = build(GCC, sources, flags).run(arguments);
            said.iter().map(|said| said.agreed(1)).collect::<Vec<_>>()
        });
        assert_eq!(plain, debug);
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    if !available(GCC) {
        return;
    }
    let built = build(GCC, &RK4, &["-O1"]);
    for arguments in [["0"], ["3"], ["-2"], ["2x"], ["99999999999999999999"], ["1026"]] {
        let mut command = Command::new(&built.programs[0]);
        command.args(arguments);
        let ended = run(command);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {ended:#?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}: {ended:#?}");
    }
}
