//! What plain `malloc` survives in a memory cgroup, an arena survives too: beside files that are not written out yet,
//! beside neighbours, and on several threads. And what does not fit is a report, not SIGKILL.
//!
//! With `HIGHWATER_TEST_MANY=200` each scene runs so many times, for `malloc` as well, and the counts are printed.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::Arena;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Barrier, LazyLock};
use std::time::{Duration, Instant};
use support::Ended;
use support::cgroup::Cgroup;
use support::neighbour::READY;

pub const MIB: usize = 1 << 20;
pub const PIECE: usize = 64 << 10;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("fill", fill)];

/// What a scene is, as its children find it in their environment.
#[derive(Clone, Copy, Default)]
struct Scene {
    limit: usize,
    /// MiB to fill, on how many threads.
    fill: usize,
    threads: usize,
    /// MiB of a file written before.
    file: usize,
    /// What a neighbour in the cgroup does, with how many MiB, and at how many MiB per second or in use.
    neighbour: Option<&'static str>,
    takes: usize,
    rate: usize,
    /// What the child does instead of `fill`.
    case: Option<&'static str>,
    /// Whether `malloc` survives it.
    fits: bool,
}

pub fn variable(name: &str) -> usize {
    std::env::var(format!("HIGHWATER_SCENE_{name}")).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

pub fn is_malloc() -> bool {
    variable("MALLOC") != 0
}

pub fn dir() -> PathBuf {
    PathBuf::from(std::env::var_os("HIGHWATER_SCENE_DIR").unwrap())
}

/// How the runs of a scene ended.
#[derive(Clone, Copy, Default, Debug)]
struct Tally {
    completed: usize,
    refused: usize,
    killed: usize,
}

/// How many runs each scene gets, and whether the counts are wanted.
fn runs(few: usize) -> (usize, bool) {
    let many = std::env::var("HIGHWATER_TEST_MANY").ok();
    many.map_or((few, false), |text| (text.parse().unwrap_or(100).max(2), true))
}

impl Scene {
    /// Runs the scene; `None` where it cannot be run.
    fn run(&self, who: &str, run: usize) -> Option<Ended> {
        let cgroup = Cgroup::with_limit(self.limit * MIB)?;
        let Some(dir) = support::files::disk_dir() else {
            support::skip("the target directory is in memory");
            return None;
        };
        let set = |command: &mut std::process::Command| {
            let numbers = [
                ("MALLOC", usize::from(who == "malloc")),
                ("FILL", self.fill),
                ("THREADS", self.threads.max(1)),
                ("FILE", self.file),
                ("TAKES", self.takes),
                ("RATE", self.rate),
                ("RUN", run),
            ];
            for (name, value) in numbers {
                command.env(format!("HIGHWATER_SCENE_{name}"), value.to_string());
            }
            command.env("HIGHWATER_SCENE_DIR", dir.path()).env("HIGHWATER_SCENE_USAGE", cgroup.usage_file());
        };
        let neighbour = self.neighbour.map(|case| cgroup.neighbour(case, set));
        let ended = cgroup.run(self.case.unwrap_or("fill"), set);
        drop(neighbour);
        ended
    }

    fn tally(&self, name: &str, who: &str, runs: usize, is_told: bool) -> Option<Tally> {
        let mut tally = Tally::default();
        let (mut last, began) = (String::new(), Instant::now());
        for run in 0..runs {
            let ended = self.run(who, run)?;
            let is_excused = |who| who == "arena" && self.fits && !is_told;
            match (ended.signal(), ended.status.code()) {
                (_, Some(0)) => tally.completed += 1,
                // On a machine that is busy enough nobody may survive what everybody survives otherwise.
                _ if is_excused(who) && !self.run("malloc", run)?.status.success() => tally.completed += 1,
                (Some(libc::SIGKILL), _) => tally.killed += 1,
                _ => tally.refused += 1,
            }
            if ended.stderr.contains("out of memory") {
                last = ended.stderr.lines().find(|line| line.contains("out of memory")).unwrap().to_owned();
            }
        }
        if is_told {
            eprintln!("{name}, {who}: {tally:?} in {:.1?}: {last}", began.elapsed());
        }
        Some(tally)
    }

    /// A scene that `malloc` survives: nobody is refused, nobody is killed.
    #[track_caller]
    fn fits(&self, name: &str) {
        let scene = Scene { fits: true, ..*self };
        let (runs, is_told) = runs(2);
        let whos: &[&str] = if is_told { &["malloc", "arena"] } else { &["arena"] };
        for who in whos {
            let Some(tally) = scene.tally(name, who, runs, is_told) else { return };
            if *who == "arena" {
                assert_eq!(tally.completed, runs, "{name}: {tally:?}");
            }
        }
    }

    /// A scene that nobody survives: of a hundred runs at most `killed` end without a report.
    #[track_caller]
    fn does_not_fit(&self, name: &str, killed: usize) {
        let (runs, is_told) = runs(2);
        let Some(tally) = self.tally(name, "arena", runs, is_told) else { return };
        assert_eq!(tally.completed, 0, "{name}: {tally:?}");
        // A few runs say nothing about a rate: what they show is that a report is what comes of it at all.
        let allowed = if is_told { (runs * killed).div_ceil(100) } else { runs - 1 };
        assert!(tally.killed <= allowed, "{name}: {tally:?}");
    }
}

// What the children do.

/// Fills memory on several threads, perhaps after a file, perhaps beside neighbours that wait for this to begin.
fn fill() {
    if variable("FILE") > 0 {
        write_file(&dir().join("file"), variable("FILE"));
    }
    let (bytes, threads) = (variable("FILL") * MIB, variable("THREADS"));
    exit_on_panic();
    std::fs::write(dir().join("go"), "").unwrap();
    on_threads(bytes / threads, threads);
}

/// A thread that panics leaves others at a barrier.
pub fn exit_on_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        std::process::exit(101);
    }));
}

fn on_threads(bytes: usize, threads: usize) {
    let barrier = &Barrier::new(threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(move || {
                barrier.wait();
                let arena = (!is_malloc()).then(|| Arena::builder().reserve(2 << 30).build());
                (0..bytes / PIECE).for_each(|_| piece(arena.as_ref()));
                // Nobody gives anything back before all are done.
                barrier.wait();
            });
        }
    });
}

/// In every second run.
static IS_TOUCHED: LazyLock<bool> = LazyLock::new(|| variable("RUN").is_multiple_of(2));

/// 64 KiB more, written: what is only touched grows by fault, what may be touched later is committed by the call.
pub fn piece(arena: Option<&Arena>) {
    let start = match arena {
        Some(arena) if *IS_TOUCHED => {
            arena.alloc_slice_fill_copy(PIECE / 4096, [7u8; 4096]);
            return;
        }
        Some(arena) => arena.alloc_uninit_slice::<u8>(PIECE).as_mut_ptr().cast::<u8>(),
        // SAFETY: no precondition; what is null is not written to.
        None => unsafe { libc::malloc(PIECE) }.cast::<u8>(),
    };
    assert!(!start.is_null());
    // SAFETY: so many bytes were allocated, and nobody else has them.
    unsafe { start.write_bytes(7, PIECE) };
}

fn write_file(path: &Path, mib: usize) {
    let (mut file, piece) = (std::fs::File::create(path).unwrap(), vec![1u8; MIB]);
    (0..mib).for_each(|_| file.write_all(&piece).unwrap());
}

/// Says that this neighbour is ready, and waits for the others to begin.
pub fn wait_to_go() {
    println!("{READY}");
    while !dir().join("go").exists() {
        std::thread::sleep(Duration::from_micros(100));
    }
    // Not always at the same moment.
    std::thread::sleep(Duration::from_micros((variable("RUN") as u64 * 3_700) % 30_000));
}

// The scenes.

#[test]
fn a_file_that_is_not_written_out_is_no_reason_to_refuse() {
    Scene { limit: 128, file: 100, fill: 40, ..Scene::default() }.fits("128 MiB, a file of 100, 40 to fill");
    Scene { limit: 128, file: 100, fill: 110, ..Scene::default() }
        .fits("128 MiB, a file of 100, 110 to fill");
    Scene { limit: 128, file: 100, fill: 80, threads: 4, ..Scene::default() }
        .fits("128 MiB, a file of 100, 80 to fill on four threads");
}

#[test]
fn a_large_file_that_is_not_written_out_is_no_reason_to_refuse() {
    Scene { limit: 1024, file: 900, fill: 300, ..Scene::default() }
        .fits("1 GiB, a file of 900 MiB, 300 to fill");
}

#[test]
fn a_neighbour_that_writes_a_file_is_no_reason_to_refuse() {
    for fill in [40, 80] {
        Scene { limit: 128, fill, neighbour: Some("neighbour that writes"), takes: 200, ..Scene::default() }
            .fits(&format!("128 MiB, a neighbour that writes, {fill} to fill"));
    }
}

#[test]
fn what_does_not_fit_beside_a_file_is_refused() {
    Scene { limit: 128, file: 100, fill: 512, ..Scene::default() }
        .does_not_fit("a file of 100 MiB, 512 to fill", 0);
}

#[test]
fn a_neighbour_that_takes_memory_ends_in_a_report() {
    for (rate, killed) in [(512, 3), (1228, 10)] {
        for threads in [1, 4] {
            Scene { fill: 512, threads, takes: 60, rate, ..BESIDE }.does_not_fit(
                &format!("a neighbour that takes 60 MiB at {rate} MiB/s, on {threads} threads"),
                killed,
            );
        }
    }
}

const BESIDE: Scene = Scene {
    limit: 128,
    fill: 0,
    threads: 1,
    file: 0,
    neighbour: Some("neighbour that takes"),
    takes: 0,
    rate: 0,
    case: None,
    fits: false,
};

#[test]
fn beside_a_neighbour_that_takes_memory_what_fits_is_had() {
    for threads in [1, 4] {
        Scene { fill: 60, threads, takes: 60, rate: 1228, ..BESIDE }
            .fits(&format!("a neighbour that takes 60 MiB, 60 to fill on {threads} threads"));
    }
}

#[test]
fn four_threads_get_what_one_gets() {
    for fill in [120, 122, 124] {
        for threads in [1, 4] {
            Scene { limit: 128, fill, threads, ..Scene::default() }
                .fits(&format!("128 MiB, {fill} to fill on {threads} threads"));
        }
    }
}

#[test]
fn a_sibling_that_frees_in_time_is_no_reason_to_refuse() {
    let frees = Scene { fill: 100, neighbour: Some("neighbour that frees"), takes: 60, rate: 110, ..BESIDE };
    for threads in [1, 4] {
        Scene { threads, ..frees }
            .fits(&format!("a neighbour that frees 60 of 110 MiB, 100 to fill on {threads} threads"));
    }
    for rate in [110, 118] {
        Scene { neighbour: None, case: Some("sibling that frees"), rate, ..frees }
            .fits(&format!("a sibling thread that frees 60 of {rate} MiB, 100 to fill"));
    }
}
