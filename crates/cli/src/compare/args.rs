//! The command line of `compare`.

use std::{ffi::OsString, path::PathBuf, str::FromStr};

use clap::Args;

use crate::{allocators, lab::LabArgs};

const LONG: &str = "\
Runs a command (a build, a test suite, a script) under several allocators in turn, and compares \
wall time, processor time, memory, page faults and context switches.

Each allocator but the system's is preloaded (LD_PRELOAD) into the command and all that it starts. \
Runs interleave: in each round every allocator has its turn, and another begins. Shown are the \
median, the least and the most of the rounds, and ratios to the system's allocator, round by round; \
where their spread is larger than the difference it is a tie.";

const AFTER: &str = "\
Allocators (a list with commas): `default` is `system,highwater,peers`. `highwater` is this \
project's with its policy `general`; others are `highwater:stack`, `highwater:bump`, \
`highwater:blocks`, with options as for `highwater run --policy` (the word `highwater:` may be left \
out), and `policies` is all four. `peers` is every other that is found in the directories that \
HIGHWATER_PEERS names, in what the dynamic loader knows, and in the usual directories: mimalloc, \
jemalloc, tcmalloc-minimal, tcmalloc, rpmalloc, snmalloc; each may be named alone. A library is also \
named by its path (with a / in it), or as NAME=PATH. HIGHWATER_RESERVE and the other variables of \
this project's library, but for HIGHWATER_MALLOC and HIGHWATER_STATS, hold here too. Debian has packages: apt-get install \
libmimalloc2.0 libjemalloc2 libtcmalloc-minimal4.

What is measured: wall time from start to end. Processor time, page faults and context switches of \
the command and of all descendants that were waited for, as the kernel counts them (wait4), and the \
peak memory of the largest of these processes. The peak of the whole tree is a sum of resident sets, \
sampled every 20 ms (more often at first, less often where looking would take more than a twentieth \
of a core; the result says how often): what processes share counts for each, and what is shorter \
than the interval may be missed; it is never told as less than that of the largest process. \
What is told of a process is \
never less than the 1 to 2 MiB that it is started from. Processes that a run leaves behind are told, and counted in the next ones' trees.

Whether the preloaded library took effect is looked up in /proc/PID/maps while the command runs; of \
one that is over too soon, by whether the library was opened. A row says so where it did not: in programs that are statically linked, setuid, or bring their own \
malloc.

The command has nothing on its standard input. What it prints is kept in DIR with --output, as \
ALLOCATOR-RUN.out and .err (warm-up runs are counted too); otherwise it is thrown away, and only the \
last lines of a run that failed are shown. An allocator under which the command fails does not run any more; the others \
do, unless it is the system's. Before each run as much memory as the runs took so far is \
touched and released, so that a virtual machine's host has it; nothing else should run meanwhile.

Examples:
  highwater compare --runs 9 -- ls -lR /usr/share
  highwater compare --allocators system,highwater --quick -- sort /etc/services
  highwater compare --prepare 'make clean' --charts charts --json build.json -- make -j2

Exit status: 0 done; the command's if it failed; 127 if there is no such command, 126 if it cannot \
be run; 1 failed otherwise; 2 refused (bad arguments, no such allocator); 130 interrupted by \
Ctrl-C, after showing what there was.";

/// Compare what a command takes under several allocators
#[derive(Args)]
#[command(
    long_about = LONG,
    after_long_help = AFTER,
    after_help = "Example:\n  highwater compare --runs 9 -- ls -lR /usr/share"
)]
pub struct CompareArgs {
    /// Which: names, paths of libraries, `policies`, `peers`, `default`
    #[arg(long, value_name = "LIST", default_value = allocators::DEFAULT)]
    pub allocators: List,

    /// Run this by `sh -c` before each run, not measured
    #[arg(long, value_name = "CMD")]
    pub prepare: Option<OsString>,

    /// Measure runs that fail as well
    #[arg(long)]
    pub ignore_failure: bool,

    /// Keep what each run prints in this directory, which is made if need be
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Where this project's malloc library is
    #[arg(long, value_name = "PATH")]
    pub malloc_lib: Option<PathBuf>,

    #[command(flatten)]
    pub lab: LabArgs,

    /// What to run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `--allocators`.
#[derive(Clone, Debug)]
pub struct List(pub Vec<String>);

impl FromStr for List {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        allocators::parse_list(text).map(List)
    }
}
