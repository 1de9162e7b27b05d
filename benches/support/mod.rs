//! What the benchmarks share: interleaved rounds, medians, and verdicts that admit a tie.
//!
//! All contenders of a table run once per round, in an order that rotates, so that a slow spell of the
//! machine hits all of them. Contenders are compared round by round: the figure is the median of the
//! rounds' ratios, and when the middle half of the ratios is spread wider than the ratio is away from 1,
//! the result is a tie and no winner is named.

#![allow(dead_code, reason = "each benchmark uses its own part of this")]

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// What the command line asked for: `--quick` for small sizes and few rounds, `--rounds N`, `--cpu` for the
/// thread's processor time instead of the clock on the wall (on a machine that has other work to do at the
/// same time), and words of which a table's title has to contain one.
pub struct Options {
    pub quick: bool,
    rounds: Option<usize>,
    words: Vec<String>,
}

impl Options {
    pub fn parse() -> Self {
        let mut options = Options { quick: false, rounds: None, words: Vec::new() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--cpu" => CPU_TIME.store(true, Relaxed),
                "--rounds" => match arguments.next().and_then(|n| n.parse().ok()) {
                    Some(rounds) if rounds > 0 => options.rounds = Some(rounds),
                    _ => fail("--rounds needs a number of rounds"),
                },
                "--bench" | "--test" => {} // cargo's own
                word if word.starts_with('-') => fail(&format!("unknown option {word}")),
                word => options.words.push(word.to_lowercase()),
            }
        }
        println!("{}", machine());
        options
    }

    /// No words and no number of rounds.
    pub fn plain(quick: bool) -> Self {
        Options { quick, rounds: None, words: Vec::new() }
    }

    /// The rounds to run: what was asked for, or a few when it is to be quick.
    fn rounds(&self, usual: usize) -> usize {
        self.rounds.unwrap_or(if self.quick { usual.min(5) } else { usual })
    }

    /// `full`, or `quick` when it is to be quick.
    pub fn size(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}

fn fail(message: &str) -> ! {
    eprintln!("{message}");
    std::process::exit(2)
}

/// One line on what the figures depend on.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let chosen = |text: &str| text.split(['[', ']']).nth(1).unwrap_or("unknown").to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let huge_pages = chosen(&read("/sys/kernel/mm/transparent_hugepage/enabled"));
    let kernel = read("/proc/sys/kernel/osrelease");
    let kernel = kernel.split('-').next().unwrap_or_default().trim();
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let engine = highwater::engine();
    let time = if CPU_TIME.load(Relaxed) { "processor time of the thread" } else { "time on the wall" };
    format!(
        "engine {engine}, {cores} cores, kernel {kernel}, transparent huge pages {huge_pages}, load {load}, {time}"
    )
}

static CPU_TIME: AtomicBool = AtomicBool::new(false);

/// Measures the thread's processor time from here on, or not: for a process that has no options.
pub fn measure_cpu_time(is_so: bool) {
    CPU_TIME.store(is_so, Relaxed);
}

/// Whether the figures are the thread's processor time.
pub fn measures_cpu_time() -> bool {
    CPU_TIME.load(Relaxed)
}

/// Nanoseconds on the clock that is measured with.
fn clock() -> u64 {
    let clock = if CPU_TIME.load(Relaxed) { libc::CLOCK_THREAD_CPUTIME_ID } else { libc::CLOCK_MONOTONIC };
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec to write to.
    let result = unsafe { libc::clock_gettime(clock, &mut now) };
    assert_eq!(result, 0, "the clock can be read");
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Seconds that `work` takes.
pub fn seconds<R>(work: impl FnOnce() -> R) -> (f64, R) {
    let start = clock();
    let result = std::hint::black_box(work());
    ((clock() - start) as f64 / 1e9, result)
}

/// Nanoseconds that one of `times` calls takes.
pub fn nanoseconds_each(times: usize, mut work: impl FnMut()) -> f64 {
    let (seconds, ()) = seconds(|| (0..times).for_each(|_| work()));
    seconds * 1e9 / times as f64
}

/// Touches `bytes` and a little more as huge pages and gives them back. On a virtual machine the host backs
/// a guest's page when it is first used, which may cost many times the run that is to be measured; after
/// this the system has as much memory at hand as the run is going to take.
pub fn warm(bytes: usize) {
    #[cfg(target_os = "linux")]
    {
        let len = bytes + (64 << 20);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping overlaps nothing.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, access, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED, "no memory to warm the machine with");
        // SAFETY: the mapping is ours, writable, and of this length; nothing refers to it afterwards.
        unsafe {
            libc::madvise(start, len, libc::MADV_HUGEPAGE);
            for offset in (0..len).step_by(4096) {
                start.cast::<u8>().add(offset).write_volatile(1);
            }
            libc::munmap(start, len);
        }
    }
    #[cfg(not(target_os = "linux"))]
    drop(std::hint::black_box(vec![1u8; bytes]));
}

/// Seconds that `threads` threads take for what each does after all have prepared: those of the slowest. Each is
/// pinned to a core of its own, as far as there are enough.
pub fn seconds_together<P>(
    threads: usize,
    prepare: impl Fn(usize) -> P + Sync,
    work: impl Fn(usize, &mut P) + Sync,
) -> f64 {
    let waiting = AtomicUsize::new(threads);
    std::thread::scope(|scope| {
        let start = |index: usize| {
            let (waiting, prepare, work) = (&waiting, &prepare, &work);
            scope.spawn(move || {
                pin(index);
                let mut prepared = prepare(index);
                // All threads start within less time than a wake-up takes.
                waiting.fetch_sub(1, AcqRel);
                let mut turns = 0u32;
                while waiting.load(Acquire) > 0 {
                    turns += 1;
                    if turns.is_multiple_of(1 << 12) {
                        std::thread::yield_now();
                    }
                    std::hint::spin_loop();
                }
                seconds(|| work(index, &mut prepared)).0
            })
        };
        let workers: Vec<_> = (0..threads).map(start).collect();
        let times = workers.into_iter().map(|worker| worker.join().expect("no worker panics"));
        times.fold(0.0, f64::max)
    })
}

/// Lets this thread run on one of the process's cores only.
fn pin(index: usize) {
    #[cfg(target_os = "linux")]
    // SAFETY: both calls get a set and its size, and a set is plain bits.
    unsafe {
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of_val(&allowed), &mut allowed) != 0 {
            return;
        }
        let cores: Vec<_> =
            (0..libc::CPU_SETSIZE as usize).filter(|&core| libc::CPU_ISSET(core, &allowed)).collect();
        let mut one: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cores[index % cores.len()], &mut one);
        // Where that is not allowed the scheduler places the thread.
        libc::sched_setaffinity(0, size_of_val(&one), &one);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = index;
}

/// What tells a child which job is its own.
const JOB: &str = "HIGHWATER_BENCH_JOB";

/// The job that this process was started for, by [`peak_of`].
pub fn job() -> Option<String> {
    std::env::var(JOB).ok()
}

/// The most memory that a process was resident with when it did a job and nothing else, in bytes.
pub fn peak_of(job: &str, arguments: &[&str]) -> f64 {
    let program = std::env::current_exe().expect("a benchmark knows where it is");
    let output = std::process::Command::new(program).args(arguments).env(JOB, job).output();
    let output = output.expect("a benchmark can start itself");
    assert!(output.status.success(), "{job}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().unwrap_or_else(|_| panic!("{job} said {text:?}"))
}

/// Prints what [`peak_of`] reads: the most that this process was resident with, all of it. (That of `getrusage` would
/// also be the parent's, whose memory the child had until it became this program.)
pub fn print_peak() {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a process has a peak");
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("the peak is a number");
    println!("{}", kib << 10);
}

/// Contenders for one figure; the smaller one is the better.
pub struct Table<'a> {
    title: String,
    unit: &'static str,
    rounds: usize,
    wanted: bool,
    contenders: Vec<(String, Box<dyn FnMut() -> f64 + 'a>)>,
    beside: Option<(&'static str, Beside<'a>)>,
}

/// What is shown beside a contender's figure.
type Beside<'a> = Box<dyn Fn(&str) -> String + 'a>;

impl<'a> Table<'a> {
    pub fn new(options: &Options, title: impl Into<String>, unit: &'static str, rounds: usize) -> Self {
        let title = title.into();
        let lower = title.to_lowercase();
        let wanted = options.words.is_empty() || options.words.iter().any(|word| lower.contains(word));
        let rounds = options.rounds(rounds);
        Table { title, unit, rounds, wanted, contenders: Vec::new(), beside: None }
    }

    /// A column beside the figures: its title, and what it says of a contender when all rounds are over.
    pub fn beside(&mut self, title: &'static str, says: impl Fn(&str) -> String + 'a) {
        self.beside = Some((title, Box::new(says)));
    }

    /// A contender, which measures itself once per call.
    pub fn row(&mut self, name: &str, measure: impl FnMut() -> f64 + 'a) {
        self.contenders.push((name.into(), Box::new(measure)));
    }

    /// Runs all rounds and prints the figures; `None` if the command line asked for other tables.
    pub fn run(mut self) -> Option<Results> {
        if !self.wanted {
            return None;
        }
        let count = self.contenders.len();
        let mut figures = vec![Vec::with_capacity(self.rounds); count];
        for round in 0..self.rounds {
            for turn in 0..count {
                let which = (round + turn) % count;
                let figure = (self.contenders[which].1)();
                figures[which].push(figure);
            }
        }
        let names = self.contenders.into_iter().map(|(name, _)| name);
        let results = Results { unit: self.unit, rows: names.zip(figures).collect() };
        println!("\n{} ({} interleaved rounds)", self.title, self.rounds);
        results.print(self.beside);
        Some(results)
    }
}

/// What the names of our own contenders begin with.
const PROJECT: &str = "highwater";

/// What was measured, round by round.
pub struct Results {
    unit: &'static str,
    rows: Vec<(String, Vec<f64>)>,
}

impl Results {
    fn print(&self, beside: Option<(&str, Beside<'_>)>) {
        let width = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let (title, says) = beside.unwrap_or(("", Box::new(|_| String::new())));
        println!("  {:width$}  {:>12}  {:>23}  {title:>12}", "", self.unit, "middle half of rounds");
        for (name, figures) in &self.rows {
            let [low, median, high] = quartiles(figures);
            println!(
                "  {name:width$}  {:>12}  {:>23}  {:>12}",
                show(median),
                format!("{}..{}", show(low), show(high)),
                says(name)
            );
        }
    }

    #[track_caller]
    fn figures(&self, name: &str) -> &[f64] {
        &self.rows.iter().find(|row| row.0 == name).unwrap_or_else(|| panic!("no row {name}")).1
    }

    /// Prints how much faster each of `ours` is than each of the other contenders.
    pub fn compare(&self, ours: &[&str]) {
        for ours in ours {
            for (name, _) in self.rows.iter().filter(|row| !row.0.starts_with(PROJECT)) {
                println!("  {ours} against {name}: {}", self.verdict(ours, name));
            }
        }
    }

    /// Prints whether `ours` is so many times as fast as `peer` as is aimed at.
    pub fn aim(&self, ours: &str, peer: &str, ratio: f64) {
        let [low, median, high] = quartiles(&self.ratios(ours, peer));
        // Where the aim is not to lose, less than 3 % is a tie.
        let slack = if ratio <= 1.0 { 0.03 } else { 0.0 };
        let verdict = match ratio - median {
            short if short <= 0.0 => "met",
            short if short <= slack => "met within 3 %",
            short if short <= high - low => "MISSED by less than the spread",
            _ => "MISSED",
        };
        println!("  aim: {ours} at least {ratio}x {peer}: {verdict} ({median:.2}x)");
    }

    /// Prints whether a figure is at most what is aimed at.
    pub fn below(&self, ours: &str, most: f64) {
        let [_, median, _] = quartiles(self.figures(ours));
        let verdict = if median <= most { "met" } else { "MISSED" };
        println!("  aim: {ours} at most {most} {}: {verdict} ({})", self.unit, show(median));
    }

    /// Prints each row as a multiple of those `of` them that ran: how many times as much it takes.
    pub fn multiples(&self, of: &[&str]) {
        let ran = |name: &&&str| self.rows.iter().any(|row| row.0 == **name);
        for base in of.iter().filter(ran) {
            println!("  as multiples of {base}:");
            let others = self.rows.iter().filter(|(name, _)| name != base);
            let width = others.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
            for (name, _) in others {
                let [low, median, high] = quartiles(&self.ratios(base, name));
                let [low, median, high] = [low, median, high].map(show);
                println!("    {name:width$}  {median:>7}x  ({low}..{high})");
            }
        }
    }

    /// How many times as long `peer` takes as `ours`, round by round.
    fn ratios(&self, ours: &str, peer: &str) -> Vec<f64> {
        let pairs = self.figures(peer).iter().zip(self.figures(ours));
        pairs.map(|(theirs, ours)| theirs / ours).collect()
    }

    fn verdict(&self, ours: &str, peer: &str) -> String {
        let [low, median, high] = quartiles(&self.ratios(ours, peer));
        let spread = high - low;
        let range = format!("{median:.2}x ({low:.2}..{high:.2})");
        if (median - 1.0).abs() <= spread {
            format!("tie, {range}")
        } else if median > 1.0 {
            format!("ahead, {range}")
        } else {
            format!("behind, {range}")
        }
    }
}

/// The quartiles; the middle one is the median.
fn quartiles(figures: &[f64]) -> [f64; 3] {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    [0.25, 0.5, 0.75].map(|part| {
        let place = part * (sorted.len() - 1) as f64;
        let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        below + (above - below) * place.fract()
    })
}

fn show(figure: f64) -> String {
    match figure {
        100.0.. => format!("{figure:.0}"),
        10.0.. => format!("{figure:.1}"),
        1.0.. => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}

/// Random numbers that are the same in every run: splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
