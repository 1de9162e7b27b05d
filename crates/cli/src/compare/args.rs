//! The command line of `compare`.

use std::{ffi::OsString, path::PathBuf, str::FromStr};

use clap::Args;

use crate::{allocators, lab::LabArgs};

const LONG: &str = "\
Runs a command (a build, a test suite, a script) under several allocators in turn, and compares \
wall time, processor time, memory, page faults and context switches.

Every allocator except the system's is preloaded (LD_PRELOAD) into the command and every program it \
starts. Runs are interleaved: in each round every allocator runs once, and the order rotates. The \
output shows median, min and max of the rounds, and ratios to the system's allocator, round by \
round; if their spread is larger than the difference, it is a tie.";

const AFTER: &str = "\
Allocators (a list separated by commas): `default` is `system,highwater,peers`. `highwater` is this \
project's malloc library with the policy `general`; the others are `highwater:stack`, \
`highwater:bump` and `highwater:blocks`, with options as for `highwater run --policy` (the prefix \
`highwater:` is optional), and `policies` is all four. `peers` is every other allocator that is found \
in the directories that HIGHWATER_PEERS names, in the dynamic loader's cache, and in the standard \
directories: mimalloc, jemalloc, tcmalloc-minimal, tcmalloc, rpmalloc, snmalloc; each can also be \
named by itself. Any other library is named by its path (with a / in it), or as NAME=PATH. \
HIGHWATER_RESERVE and the other variables of this project's library apply here too, except for \
HIGHWATER_MALLOC and HIGHWATER_STATS. On Debian: apt-get install libmimalloc2.0 libjemalloc2 \
libtcmalloc-minimal4.

Measured are: wall time from start to end; processor time, page faults and context switches of the \
command and all its descendants that were waited for, as the kernel counts them (wait4); and the peak \
memory of the largest of these processes. The peak of the whole tree is a sum of resident sets, \
sampled every 20 ms (more often at first, less often if sampling would use more than 5 % of a core; \
the result says how often). Shared memory counts for each process, peaks shorter than the interval \
may be missed, and the sum is at least that of the largest process. The peak of a process is never \
less than the 1 to 2 MiB of the process that starts it. Processes that a run leaves behind are \
reported, and count in the trees of the following runs.

Whether the preloaded library took effect is read from /proc/PID/maps while the command runs; for a \
command that ends too soon, it is determined by whether the library was opened. A row says where it \
did not take effect: in programs that are statically linked, setuid, or have their own malloc.

The standard input of the command is empty. With --output its output is kept in DIR, as \
ALLOCATOR-RUN.out and .err (warm-up runs are numbered too); otherwise it is discarded, and only the \
last lines of a failed run are shown. An allocator under which the command fails is not run again; \
the others are, unless it is the system's. Before each run, as much memory as the largest run so far \
used is touched and released, so that a virtual machine's host has backed it. Nothing else should run \
at the same time.

Examples:
  highwater compare --runs 9 -- ls -lR /usr/share
  highwater compare --allocators system,highwater --quick -- sort /etc/services
  highwater compare --prepare 'make clean' --charts charts --json build.json -- make -j2

Exit status: 0 done; the command's if it failed; 127 if there is no such command, 126 if it cannot \
be run; 1 failed otherwise; 2 refused (bad arguments, no such allocator); 130 interrupted by \
Ctrl-C, after showing the result so far.";

/// Compare the time and memory of a command under several allocators
#[derive(Args)]
#[command(
    long_about = LONG,
    after_long_help = AFTER,
    after_help = "Example:\n  highwater compare --runs 9 -- ls -lR /usr/share"
)]
pub struct CompareArgs {
    /// Allocators: names, paths of libraries, `policies`, `peers`, `default`
    #[arg(long, value_name = "LIST", default_value = allocators::DEFAULT)]
    pub allocators: AllocatorList,

    /// Run this by `sh -c` before each run; it is not measured
    #[arg(long, value_name = "CMD")]
    pub prepare: Option<OsString>,

    /// Also measure runs that fail
    #[arg(long)]
    pub ignore_failure: bool,

    /// Keep the output of each run in this directory, which is created if need be
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Path of this project's malloc library
    #[arg(long, value_name = "PATH")]
    pub malloc_lib: Option<PathBuf>,

    #[command(flatten)]
    pub lab: LabArgs,

    /// The command to run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `--allocators`.
#[derive(Clone, Debug)]
pub struct AllocatorList(pub Vec<String>);

impl FromStr for AllocatorList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        allocators::parse_list(text).map(AllocatorList)
    }
}
