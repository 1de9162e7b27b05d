//! The command line of `grow`.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueEnum};

use super::settings::{self, ArenaSettings, HugePagesOption, ParsedOption};

const LONG: &str = "\
Fills an arena and reports what that cost.

With a SIZE, small linked nodes are allocated until the arena holds that much; then the list is \
walked and every node is checked. With PATHs, every file below them is read and an index of their \
words is built in the arena (each distinct word once, and a posting for each of its occurrences).

Sizes: K, M, G, T, P, E and KiB, MiB, GiB, ... are powers of 1024; kB, MB, GB, ... are powers of \
1000; 1e6, 1_000_000, 1.5GiB and 64k are valid, and case does not matter. An argument that reads as \
a size is a size: for a file of that name write ./4GiB.";

const AFTER: &str = "\
Examples:
  highwater grow 64MiB
  highwater grow 64MiB --threads 2 --growth fixed:1MiB --plot frontier.svg
  highwater grow 64MiB --compare --json
  highwater grow .

Words are runs of Unicode letters and digits, and case matters; bytes that are not UTF-8 separate \
words, and a run longer than 256 KiB may be split. Files with a NUL byte in their first 8 KiB are \
binary: they are counted, but not indexed. Symbolic links below a PATH are not followed; sockets, \
pipes and devices are not read. A file that cannot be read is reported and counted, and does not \
change the exit status.

A job that needs more memory than the machine (or its memory cgroup) has available is refused at the \
start. PATHs are estimated to need 16 bytes for each byte of input, and --compare 1.75 times as much \
as the job itself, since the other allocators use more.

--compare runs the same job on highwater, bumpalo, bump-scope, a Vec of boxes and plain malloc \
(freed by the end of its process), each in a separate process, and warms the machine up before each: \
as much memory as the run needs is touched and released, and the files are read once. On a virtual \
machine a run without this also measures how fast the host provides pages. Nothing else should run \
at the same time. Highwater asks for huge pages, the others do not; --huge-pages never compares \
without them. The hash table of words is on the global heap in all runs.

ns per allocation is the total time of the threads divided by their allocations; with PATHs it \
includes reading files and looking up words. The check of the result afterwards is not included in \
any figure. Progress goes to stderr: a bar on a terminal, lines elsewhere.

Environment: HIGHWATER_INJECT injects refusals of growth, for experiments: nth=3 refuses the third \
admission, after=10 all after the tenth, above=1MiB all that are larger, and rate=1000,seed=7 a random \
1000 in a million; with ,cause=rlimit-data (or the name of any other cause) the refusal names this cause. \
HIGHWATER_REGION_ENGINE=paged makes the arenas accessible from the start, without a signal handler.

Exit status: 0 done; 1 failed on the way; 2 refused (bad arguments, or too large for the machine or \
the reserve, even if that is found out late); 130 interrupted by Ctrl-C, after showing the result so \
far; 134 aborted because the system refused memory in the middle of a write.";

/// Fill an arena and report what that cost.
#[derive(Args)]
#[command(long_about = LONG, after_long_help = AFTER, after_help = "Example:\n  highwater grow 64MiB --plot frontier.svg")]
pub struct GrowArgs {
    /// Bytes to allocate (4GiB, 512M, 1e6), or files to read
    #[arg(required = true, value_name = "SIZE|PATH")]
    pub workload: Vec<OsString>,

    /// Growth policy: upfront, fixed:SIZE, geometric, geometric:FIRST,MAX or stress:SEED
    #[arg(long, value_name = "GROWTH", default_value = "geometric", value_parser = settings::growth)]
    pub growth: ParsedOption<highwater::Growth>,

    /// Address space to reserve for each arena: a SIZE, or `physical` for as much as the machine has memory
    /// [default: 64GiB, or more if the job needs it]
    #[arg(long, value_name = "SIZE", value_parser = settings::reserve)]
    pub reserve: Option<ParsedOption<highwater::Reserve>>,

    /// Bytes to commit when an arena is made
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = settings::head)]
    pub head: ParsedOption<usize>,

    /// Whether to advise the kernel to use huge pages
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = HugePagesOption::Advise)]
    pub huge_pages: HugePagesOption,

    /// Backing of the memory: anonymous, temp (a temporary file) or temp:DIR
    #[arg(long, value_name = "BACKING", default_value = "anonymous", value_parser = settings::backing)]
    pub backing: ParsedOption<highwater::Backing>,

    /// Number of threads, each with an arena; the size or the files are divided between them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: u16,

    /// Draw the frontier over time, with each growth step
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,

    /// Warm up: first touch and release as much memory as the job needs, and read its files once
    /// (implied by --compare)
    #[arg(long)]
    pub warm: bool,

    /// Also run the same job on bumpalo, bump-scope, a Vec of boxes and malloc
    #[arg(long)]
    pub compare: bool,

    /// Print the result as JSON, and nothing else on stdout
    #[arg(long)]
    pub json: bool,

    /// Internal: the process of `--compare` that measures this allocator.
    #[arg(long, hide = true, value_name = "ALLOCATOR")]
    pub measure: Option<CandidateKind>,
}

impl GrowArgs {
    /// The settings of the arenas. `estimated_memory` is an estimate of the bytes one arena will hold.
    pub fn settings(&self, estimated_memory: usize) -> ArenaSettings {
        ArenaSettings {
            growth: self.growth.value,
            reserve: settings::reserve_for(
                self.reserve.as_ref().map(|option| option.value),
                estimated_memory,
            ),
            head: self.head.value,
            huge_pages: self.huge_pages,
            backing: self.backing.value.clone(),
            estimated_memory,
        }
    }
}

/// The allocators a job can run on.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CandidateKind {
    /// This project's arena.
    Highwater,
    /// `bumpalo::Bump`.
    Bumpalo,
    /// `bump_scope::Bump`.
    BumpScope,
    /// A box for each value, kept in vectors.
    VecOfBoxes,
    /// The C library's `malloc`, freed by the end of the process.
    Malloc,
}

impl CandidateKind {
    /// The name in results.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
