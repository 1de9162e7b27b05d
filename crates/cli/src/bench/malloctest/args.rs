//! The command line of `bench malloctest`.

use std::path::PathBuf;

use clap::Args;

use super::plan::{Shape, Write};
use crate::{
    allocators,
    failure::Failure,
    lab::LabArgs,
    machine,
    size::{self, human},
};

const LONG: &str = "\
Fills arrays with blocks of random sizes and empties them again, on every allocator.

In each of THREADS threads, REPEATS times: an array of ITERATIONS pointers is allocated, then so many blocks of random \
sizes from LOWER to below UPPER; then all blocks are freed in the order they were allocated in, and the array too. \
Every run is a process of its own that calls malloc and free, with the allocator preloaded; it looks whose malloc it \
got, and a run that got another's is no result. Arenas in the program allocate the same blocks, aligned as malloc \
aligns, and are reset instead.";

const AFTER: &str = "\
Examples:
  highwater bench malloctest 1 3 20000 10 1000 --runs 3
  highwater bench malloctest 2 5 5000 16 64 --write all --runs 2 --allocators system --charts charts
  highwater bench malloctest --quick --json

Without figures it is 1 20 1000000 10 1000, which takes some minutes.

The sizes come from one fixed seed, and are the same for everybody. Each repeat's are drawn before its clock starts, \
into a table in a mapping of its own; in the time is only the reading of it, as the row `the loops alone` shows, where \
every block is the same one. The clock runs from before the array is allocated until it is freed.

Blocks are not written to unless --write says so: what is touched is then the allocator's own doing, and an arena that \
keeps nothing between blocks touches no memory at all, which no real program gets away with. --write first and --write \
all make everybody pay for the memory.

Page faults and processor time (user and system) are the process's in the repeats; peak memory is that of the process, \
of which the tables of sizes are 4 bytes and the array is 8 bytes for each of a thread's ITERATIONS. After the clock \
has stopped every allocator has up to 100,000 of its blocks filled to the end and looked at.

Allocators: system is the C library's, general, stack, bump and blocks are the policies of this project's library \
(--malloc-lib, HIGHWATER_MALLOC_LIB, beside this executable, or ../lib), policies are all of these; mimalloc, jemalloc, \
tcmalloc-minimal, rpmalloc and snmalloc are looked for where libraries are, and in the directories that \
HIGHWATER_PEERS names; peers are all that are found; NAME=PATH is any library. The system's always runs, since ratios \
are to it.

Exit status: 0 done, 1 failed on the way, 2 refused (bad arguments, or too large for the machine), 130 interrupted by \
Ctrl-C, after showing what there was.";

/// One value for the command line, which would take a `Vec` for several.
pub type Names = Vec<String>;

/// Arrays of random blocks, filled and emptied, on every allocator and in arenas
#[derive(Args, Clone, Debug)]
#[command(long_about = LONG, after_long_help = AFTER, after_help = "Example:\n  highwater bench malloctest 1 3 20000 10 1000 --runs 3")]
pub struct MalloctestArgs {
    /// That do the same at the same time
    #[arg(value_name = "THREADS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: u16,

    /// Times that each thread fills an array and empties it [default: 20; with --quick 3]
    #[arg(value_name = "REPEATS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub repeats: Option<u32>,

    /// Blocks in an array [default: 1000000; with --quick 20000]
    #[arg(value_name = "ITERATIONS", value_parser = size::parse_positive)]
    pub iterations: Option<usize>,

    /// The smallest block, in bytes
    #[arg(value_name = "LOWER", default_value = "10", value_parser = size::parse_positive)]
    pub lower: usize,

    /// All blocks are smaller than this, in bytes
    #[arg(value_name = "UPPER", default_value = "1000", value_parser = size::parse_positive)]
    pub upper: usize,

    /// What is written to each block before it is freed, in the time
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Write::Nothing)]
    pub write: Write,

    /// Which allocators, parted by commas [default: system,policies,peers]
    #[arg(long, value_name = "LIST", value_parser = allocators::parse_list)]
    pub allocators: Option<Names>,

    /// Where libhighwater_malloc.so is
    #[arg(long, value_name = "FILE")]
    pub malloc_lib: Option<PathBuf>,

    #[command(flatten)]
    pub lab: LabArgs,
}

impl MalloctestArgs {
    /// The five figures, if they go together and with this machine.
    pub fn shape(&self) -> Result<Shape, Failure> {
        let (lower, upper) = (self.lower, self.upper);
        if lower >= upper {
            return Err(Failure::refused(format!("LOWER {lower} is not below UPPER {upper}")));
        }
        let upper = u32::try_from(upper)
            .map_err(|_| Failure::refused(format!("UPPER {upper}: blocks are smaller than 4 GiB here")))?;
        let shape = Shape {
            threads: self.threads.into(),
            repeats: self.repeats.unwrap_or(self.lab.size(20, 3)) as usize,
            iterations: self.iterations.unwrap_or(self.lab.size(1_000_000, 20_000)),
            lower: lower as u32,
            upper,
        };
        // A quarter more: allocators round up, and keep accounts.
        let needed = shape.live_bytes().saturating_add(shape.live_bytes() / 4);
        let available = machine::available();
        // What has no end of its own ends with the addresses.
        if needed <= available.map_or(isize::MAX.unsigned_abs() as u64, |available| available.bytes / 8 * 7) {
            return Ok(shape);
        }
        let had = available.map_or(String::new(), |available| {
            format!(", and {} has {} available", available.source, human(available.bytes))
        });
        Err(Failure::refused(format!("about {} would be allocated at the same time{had}", human(needed))))
    }
}
