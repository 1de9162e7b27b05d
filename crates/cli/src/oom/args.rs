//! The command line of `oom`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{
    cells::{LimitKind, OomSubject},
    plan::OomPlan,
};
use crate::{failure::Failure, machine, size};

const LONG: &str = "\
Runs out of memory in many ways, and shows how each ends.

Each cell of a matrix is a child process: an allocator allocates blocks of 64 KiB and writes them, until --size is \
reached or a resource limited to --memory has run out. The output shows how the child ended, how many bytes it had \
by then, how long that took, the cause that was named, and whether this is what the library guarantees.";

const AFTER: &str = "\
Endings:
  catchable error    a call returned an error (or null)
  panic              a call panicked: a growth was refused in ordinary code
  report and abort   a commit was refused inside a fault: the report, then SIGABRT
  SIGKILL by the OOM killer, SIGBUS, SIGSEGV, abort (without a report)
  hang               the child was killed after --timeout, or used up its CPU time
  completed          all of --size was allocated, and its contents were correct

malloc, Vec and bumpalo are used by the calls that return errors. Arenas are used by the calls that do not, because \
only those grow by faults; --try uses the calls that return errors. There are guarantees only for arenas, and none \
for arenas without headroom in a cgroup (upfront, fault). In a build without the fault engine only a region's own \
limit and injection are judged.

With rlimit-as, the reservation is made smaller until it fits, and the arena reaches its end. disk is a tmpfs (with \
an overlay on it for spill, which does not accept a tmpfs) in a mount namespace of the child. region is the arena's \
limit or bumpalo's allocation limit. overcommit runs only if vm.overcommit_memory is 2, --size is more than the \
kernel can still commit, and it is requested by name (--limit overcommit), since all other processes on the machine \
are refused memory meanwhile. A cell that cannot run on this machine shows the reason.

Every child is limited in address space (four times --size, plus 1 GiB), CPU time and run time; it writes no core \
dump and dies with this process. The whole run takes 15 minutes at most. cgroups are made below that of this process \
and removed again, also after Ctrl-C.

Environment:
  HIGHWATER_INJECT   injects refusals in the children's arenas, and in those of `highwater grow`:
                     nth=3 refuses the third admission, after=10 all after the tenth, above=1MiB
                     all that are larger, and rate=1000,seed=7 a random 1000 in a million; with
                     ,cause=rlimit-data (or the name of any other cause) the refusal names it

Examples:
  highwater oom
  highwater oom --only fault,headroom --limit cgroup --memory 256MiB --size 1GiB
  highwater oom --limit rlimit-data,region --try --json
  highwater oom --svg oom.svg

Exit status: 0 every cell that could run ended as guaranteed; 1 a cell did not; 2 refused (bad arguments); 130 \
interrupted by Ctrl-C, after showing the result so far.";

/// Run out of memory in many ways, and show how each ends.
#[derive(Args)]
#[command(long_about = LONG, after_long_help = AFTER, after_help = "Example:\n  highwater oom --only malloc,headroom --limit rlimit-data,cgroup")]
pub struct OomArgs {
    /// Only these allocators [default: all]
    #[arg(long, value_name = "WHO", value_enum, value_delimiter = ',')]
    pub only: Vec<OomSubject>,

    /// Only these limits [default: all]
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',')]
    pub limit: Vec<LimitKind>,

    /// How much each child tries to allocate
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = size::parse_positive)]
    pub size: usize,

    /// How much each child gets of the limited resource
    #[arg(long, value_name = "SIZE", default_value = "128MiB", value_parser = size::parse_positive)]
    pub memory: usize,

    /// Use those calls of arenas that return errors
    #[arg(long = "try")]
    pub tries: bool,

    /// Kill a child after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,

    /// Directory for the file of `spill` [default: the directory for temporary files]
    #[arg(long, value_name = "DIR")]
    pub spill_dir: Option<PathBuf>,

    /// Draw the matrix as SVG
    #[arg(long, value_name = "FILE.svg")]
    pub svg: Option<PathBuf>,

    /// Print the result as JSON, and nothing else on stdout
    #[arg(long)]
    pub json: bool,

    /// Internal: the child that does this.
    #[arg(long, hide = true, value_name = "PLAN", value_parser = OomPlan::parse)]
    pub child: Option<OomPlan>,
}

/// With less, a process does not have enough for its other needs.
const MIN_MEMORY: usize = 16 << 20;
/// More takes longer and shows nothing new.
const MAX_SIZE: usize = 64 << 30;

impl OomArgs {
    /// Checks that the sizes fit each other and this machine.
    pub fn check(&self) -> Result<(), Failure> {
        let show = |bytes: usize| size::human(bytes as u64);
        let (size, memory) = (self.size, self.memory);
        if memory < MIN_MEMORY {
            return Err(Failure::refused(format!(
                "--memory {}: the min is {}",
                show(memory),
                show(MIN_MEMORY)
            )));
        }
        if size > MAX_SIZE {
            return Err(Failure::refused(format!("--size {}: the max is {}", show(size), show(MAX_SIZE))));
        }
        if size < memory.saturating_mul(2) {
            let reason = format!("--size {} is less than twice --memory {}", show(size), show(memory));
            return Err(Failure::refused(format!("{reason}, so not every limit would be reached")));
        }
        match machine::available() {
            Some(available) if size as u64 > available.bytes / 2 => Err(Failure::refused(format!(
                "--size {} is more than half of the {} that {} has available",
                show(size),
                size::human(available.bytes),
                available.source
            ))),
            _ => Ok(()),
        }
    }

    /// The time limit of a child.
    pub fn child_timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// The selected cells, in the order of the table.
    pub fn cells(&self) -> Vec<(OomSubject, LimitKind)> {
        let selected = |who: &OomSubject| self.only.is_empty() || self.only.contains(who);
        let limits =
            LimitKind::ALL.into_iter().filter(|what| self.limit.is_empty() || self.limit.contains(what));
        limits
            .flat_map(|what| OomSubject::ALL.into_iter().filter(selected).map(move |who| (who, what)))
            .collect()
    }
}
