//! The command line of `grow`.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueEnum};

use super::settings::{self, Given};

const LONG: &str = "\
Fills an arena and says what that cost.

With a SIZE, small linked nodes are allocated until that much is in the arena; then the list is \
walked and every node checked. With PATHs, every file below them is read and an index of their \
words is built in the arena (each distinct word once, and for each of its places one posting).

Sizes: K, M, G, T, P, E and KiB, MiB, GiB, ... are powers of 1024; kB, MB, GB, ... are powers of \
1000; 1e6, 1_000_000, 1.5GiB and 64k are understood, case does not matter. What reads as a size is \
a size: a file of that name is written ./4GiB.";

const AFTER: &str = "\
Examples:
  highwater grow 64MiB
  highwater grow 64MiB --threads 2 --growth fixed:1MiB --plot frontier.svg
  highwater grow 64MiB --compare --json
  highwater grow .

Words are runs of letters and digits as Unicode knows them, taken as they are written; bytes that \
are not UTF-8 part words, and a run longer than 256 KiB may be taken as several. Files with a NUL \
byte in their first 8 KiB are binary: counted, not indexed. Symbolic links below a PATH are not \
followed, sockets, pipes and devices are not read. A file that cannot be read is reported, counted, \
and does not change the exit status.

More than the machine (or its memory cgroup) has available is refused before anything is grown; \
the need of PATHs is estimated at 16 bytes for each byte of input, that of --compare at 1.75 times \
the job's, since the others take more.

--compare runs the same job on highwater, bumpalo, bump-scope, a Vec of boxes and plain malloc \
(which is freed by the end of its process), each in a process of its own, and warms the machine \
before each: as much memory as the run needs is touched and released, the files are read once. On a \
virtual machine a run that is not warmed also measures how fast its host finds pages. Nothing else \
should run meanwhile. Highwater asks for huge pages, the others do not; --huge-pages never shows what \
remains without. The table of words is on the global heap for all of them.

ns per allocation is the time of the threads, added up, over their allocations; with PATHs it \
contains reading and looking up. What was made is then looked at again and checked, which is in no \
figure. Progress goes to stderr: a bar on a terminal, lines elsewhere.

Environment: HIGHWATER_INJECT refuses growth of the arenas, for experiments: nth=3 the third admission, \
after=10 all after the tenth, above=1MiB all that are larger, rate=1000,seed=7 so many of a million; with \
,cause=rlimit-data (or any other cause's name) the refusal says that it was this.

Exit status: 0 done, 1 failed on the way, 2 refused (bad arguments, too large for the machine \
or for the reserve, also where that turns out late), 130 interrupted by Ctrl-C, after showing what there was, 134 aborted because the system refused memory \
in the middle of a write.";

/// Fill an arena and say what that cost.
#[derive(Args)]
#[command(long_about = LONG, after_long_help = AFTER, after_help = "Example:\n  highwater grow 64MiB --plot frontier.svg")]
pub struct GrowArgs {
    /// How much to allocate (4GiB, 512M, 1e6), or what to read
    #[arg(required = true, value_name = "SIZE|PATH")]
    pub aim: Vec<OsString>,

    /// How the frontier moves: upfront, fixed:SIZE, geometric, geometric:FIRST,MAX or stress:SEED
    #[arg(long, value_name = "GROWTH", default_value = "geometric", value_parser = settings::growth)]
    pub growth: Given<highwater::Growth>,

    /// Address space to reserve for each arena: a SIZE, or `physical` for as much as the machine has
    /// [default: 64GiB, or more if the job needs it]
    #[arg(long, value_name = "SIZE", value_parser = settings::reserve)]
    pub reserve: Option<Given<highwater::Reserve>>,

    /// Bytes committed when an arena is made
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = settings::head)]
    pub head: Given<usize>,

    /// Whether to ask the kernel for huge pages
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = HugePages::Advise)]
    pub huge_pages: HugePages,

    /// What the memory is backed by: anonymous, temp (a temporary file) or temp:DIR
    #[arg(long, value_name = "BACKING", default_value = "anonymous", value_parser = settings::backing)]
    pub backing: Given<highwater::Backing>,

    /// Arenas, one for each thread; the size or the files are divided between them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: u16,

    /// Draw the frontier over time, with each growth step
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,

    /// First touch and release as much memory as the job needs, and read its files once (implied by
    /// --compare)
    #[arg(long)]
    pub warm: bool,

    /// Run the same job on bumpalo, bump-scope, a Vec of boxes and malloc too
    #[arg(long)]
    pub compare: bool,

    /// Print the result as JSON, and nothing else on stdout
    #[arg(long)]
    pub json: bool,

    /// Under `--compare`: be the process that measures this one.
    #[arg(long, hide = true, value_name = "ALLOCATOR")]
    pub measure: Option<Allocator>,
}

/// `--huge-pages`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HugePages {
    /// Advise them for the whole reservation.
    Advise,
    /// Ask for none.
    Never,
}

/// What a job can run on.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Allocator {
    /// This project's arena.
    Highwater,
    /// `bumpalo::Bump`.
    Bumpalo,
    /// `bump_scope::Bump`.
    BumpScope,
    /// One box for each value, kept in vectors.
    VecOfBoxes,
    /// The C library's `malloc`, freed by the end of the process.
    Malloc,
}

impl Allocator {
    /// As it is written in results.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
