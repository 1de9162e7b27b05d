//! The command line of `bench malloctest`.

use std::path::PathBuf;

use clap::Args;

use super::plan::{WorkShape, WriteMode};
use crate::{
    allocators,
    failure::Failure,
    lab::LabArgs,
    machine,
    size::{self, human},
};

const LONG: &str = "\
Fills arrays with blocks of random sizes and empties them again, on every allocator.

Each of THREADS threads does this REPEATS times: it allocates an array of ITERATIONS pointers, and as many blocks of \
random sizes from LOWER to below UPPER; then it frees all blocks in the order of their allocation, and the array. Every \
run is a separate process that calls malloc and free, with the allocator preloaded; the process checks which library \
its malloc comes from, and fails if it is another one. Arenas in the program allocate the same blocks with the \
alignment of malloc, and are reset instead.";

const AFTER: &str = "\
Examples:
  highwater bench malloctest 1 3 20000 10 1000 --runs 3
  highwater bench malloctest 2 5 5000 16 64 --write all --runs 2 --allocators system --charts charts
  highwater bench malloctest --quick --json

The default is 1 20 1000000 10 1000, which takes some minutes.

The sizes are drawn from a fixed seed, and are the same for all allocators. Those of a repeat are drawn before its \
clock starts, into a separate mapping; only reading them is part of the time, which the row `the loops alone` shows, \
where every block is the same one. The clock runs from before the array is allocated until it is freed.

By default blocks are not written to: then only the allocator touches memory, and an arena that stores nothing between \
blocks touches none at all, which is not realistic. With --write first and --write all, every allocator pays for the \
memory.

Page faults and processor time (user and system) are those of the process in the repeats. Peak memory is that of the \
process, of which the sizes are 4 bytes and the array is 8 bytes for each of a thread's ITERATIONS. After the clock has \
stopped, up to 100,000 blocks of every allocator are filled completely and checked.

Allocators: `system` is the C library's malloc; `general`, `stack`, `bump` and `blocks` are the policies of this \
project's library (found by --malloc-lib, HIGHWATER_MALLOC_LIB, beside this executable, or in ../lib), and `policies` is \
all of them; mimalloc, jemalloc, tcmalloc-minimal, rpmalloc and snmalloc are searched for in the standard directories \
and in those that HIGHWATER_PEERS names, and `peers` is all that are found; NAME=PATH is any other library. The \
system's malloc always runs, since ratios are to it.

Exit status: 0 done; 1 failed on the way; 2 refused (bad arguments, or too large for the machine); 130 interrupted by \
Ctrl-C, after showing the result so far.";

/// A list as one value: clap would treat a `Vec` as several values.
pub type AllocatorNames = Vec<String>;

/// Fill and empty arrays of random blocks, on every allocator and in arenas
#[derive(Args, Clone, Debug)]
#[command(long_about = LONG, after_long_help = AFTER, after_help = "Example:\n  highwater bench malloctest 1 3 20000 10 1000 --runs 3")]
pub struct MalloctestArgs {
    /// Number of threads
    #[arg(value_name = "THREADS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: u16,

    /// How often each thread fills and empties an array [default: 20; with --quick 3]
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

    /// What to write to each block before it is freed, within the measured time
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = WriteMode::Nothing)]
    pub write: WriteMode,

    /// Allocators, separated by commas [default: system,policies,peers]
    #[arg(long, value_name = "LIST", value_parser = allocators::parse_list)]
    pub allocators: Option<AllocatorNames>,

    /// Path of libhighwater_malloc.so
    #[arg(long, value_name = "FILE")]
    pub malloc_lib: Option<PathBuf>,

    #[command(flatten)]
    pub lab: LabArgs,
}

impl MalloctestArgs {
    /// The five parameters, if they fit each other and this machine.
    pub fn shape(&self) -> Result<WorkShape, Failure> {
        let (lower, upper) = (self.lower, self.upper);
        if lower >= upper {
            return Err(Failure::refused(format!("LOWER {lower} is not below UPPER {upper}")));
        }
        let upper = u32::try_from(upper)
            .map_err(|_| Failure::refused(format!("UPPER {upper}: blocks must be smaller than 4 GiB")))?;
        let shape = WorkShape {
            threads: self.threads.into(),
            repeats: self.repeats.unwrap_or(self.lab.size(20, 3)) as usize,
            iterations: self.iterations.unwrap_or(self.lab.size(1_000_000, 20_000)),
            lower: lower as u32,
            upper,
        };
        // A quarter more: allocators round up, and need memory for themselves.
        let needed = shape.live_bytes().saturating_add(shape.live_bytes() / 4);
        let available = machine::available();
        // Without a known limit the address space is the limit.
        if needed <= available.map_or(isize::MAX.unsigned_abs() as u64, |available| available.bytes / 8 * 7) {
            return Ok(shape);
        }
        let limit = available.map_or(String::new(), |available| {
            format!(", and {} has {} available", available.source, human(available.bytes))
        });
        Err(Failure::refused(format!("about {} would be allocated at the same time{limit}", human(needed))))
    }
}
