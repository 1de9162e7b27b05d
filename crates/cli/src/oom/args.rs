//! The command line of `oom`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{
    cells::{What, Who},
    plan::Plan,
};
use crate::{failure::Failure, machine, size};

const LONG: &str = "\
Lets memory run out, and shows how that ends.

Each cell of a matrix is a child process: somebody allocates 64 KiB after 64 KiB and writes all of it, until \
--size is reached or something that was limited to --memory has run out. Shown are how the child ended, how many \
bytes it had by then, how long that took, the cause that was named, and whether that is what this library promises.";

const AFTER: &str = "\
Endings:
  catchable error    a call returned an error (or null)
  panic              a call panicked: the refusal of a check in ordinary code
  report and abort   a commit was refused inside a fault: the report, then SIGABRT
  SIGKILL by the OOM killer, SIGBUS, SIGSEGV, abort (without a report)
  hang               it was killed after --timeout, or used up its CPU time
  completed          all of --size was there, and its contents were right

malloc, Vec and bumpalo are used through the calls that return errors; arenas through those that do not, because \
those are the ones that grow by fault, unless --try is given. Nothing is promised for what is not an arena, and for \
arenas in a cgroup without headroom (upfront, fault). The build without the fault engine is judged only where a \
region's own limit or an injection refuses.

rlimit-as refuses addresses: the reservation is made smaller until it fits, and its end is what is met. disk is a \
tmpfs (with an overlay on it for spill, which takes no tmpfs) in a mount namespace of the child; region is the \
arena's limit or bumpalo's allocation limit. overcommit runs only where vm.overcommit_memory is 2 and --size is more \
than can still be promised, and only if asked for by name (--limit overcommit), since all others on the machine are \
refused meanwhile. What this machine cannot do says why.

Every child has limits: of address space (four times --size, and 1 GiB), of CPU time and of time; it leaves no core \
dump and dies with this process. The whole run ends after 15 minutes at the latest. cgroups are made below that of \
this process and removed; so they are after Ctrl-C.

Environment:
  HIGHWATER_INJECT   refuses growth in the children's arenas, and in those of `highwater grow`:
                     nth=3 the third admission, after=10 all after the tenth, above=1MiB all that are larger,
                     rate=1000,seed=7 so many of a million; with ,cause=rlimit-data (or any other cause's name)
                     the refusal says that it was this

Examples:
  highwater oom
  highwater oom --only fault,headroom --limit cgroup --memory 256MiB --size 1GiB
  highwater oom --limit rlimit-data,region --try --json
  highwater oom --svg oom.svg

Exit status: 0 every cell that could run ended as promised, 1 one did not, 2 refused (bad arguments), 130 \
interrupted by Ctrl-C, after showing what there was.";

/// Run out of memory in every way, and show how that ends.
#[derive(Args)]
#[command(long_about = LONG, after_long_help = AFTER, after_help = "Example:\n  highwater oom --only malloc,headroom --limit rlimit-data,cgroup")]
pub struct OomArgs {
    /// Who allocates [default: all]
    #[arg(long, value_name = "WHO", value_enum, value_delimiter = ',')]
    pub only: Vec<Who>,

    /// What runs out [default: all]
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',')]
    pub limit: Vec<What>,

    /// How much each child tries to allocate
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = size::parse_positive)]
    pub size: usize,

    /// How much it is given, of what runs out
    #[arg(long, value_name = "SIZE", default_value = "128MiB", value_parser = size::parse_positive)]
    pub memory: usize,

    /// Use the arenas' calls that return errors
    #[arg(long = "try")]
    pub tries: bool,

    /// Seconds after which a child is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,

    /// Where `spill` puts its file [default: the directory for temporary files]
    #[arg(long, value_name = "DIR")]
    pub spill_dir: Option<PathBuf>,

    /// Draw the matrix
    #[arg(long, value_name = "FILE.svg")]
    pub svg: Option<PathBuf>,

    /// Print the result as JSON, and nothing else on stdout
    #[arg(long)]
    pub json: bool,

    /// Be the child: do what this says.
    #[arg(long, hide = true, value_name = "PLAN", value_parser = Plan::parse)]
    pub child: Option<Plan>,
}

/// With less there is no room for what a process needs besides.
const LEAST: usize = 16 << 20;
/// More takes long and shows nothing that less does not.
const MOST: usize = 64 << 30;

impl OomArgs {
    /// Whether the figures go together, and with this machine.
    pub fn check(&self) -> Result<(), Failure> {
        let show = |bytes: usize| size::human(bytes as u64);
        let (size, memory) = (self.size, self.memory);
        if memory < LEAST {
            return Err(Failure::asked(format!("--memory {}: at least {}", show(memory), show(LEAST))));
        }
        if size > MOST {
            return Err(Failure::asked(format!("--size {}: at most {}", show(size), show(MOST))));
        }
        if size < memory.saturating_mul(2) {
            let why = format!("--size {} is less than twice --memory {}", show(size), show(memory));
            return Err(Failure::asked(format!("{why}, so not everything would run out")));
        }
        match machine::available() {
            Some(available) if size as u64 > available.bytes / 2 => Err(Failure::asked(format!(
                "--size {} is more than half of the {} that {} has available",
                show(size),
                size::human(available.bytes),
                available.of
            ))),
            _ => Ok(()),
        }
    }

    /// The longest a child may take.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// The cells that were asked for, in the table's order.
    pub fn cells(&self) -> Vec<(Who, What)> {
        let asked = |who: &Who| self.only.is_empty() || self.only.contains(who);
        let limits = What::ALL.into_iter().filter(|what| self.limit.is_empty() || self.limit.contains(what));
        limits.flat_map(|what| Who::ALL.into_iter().filter(asked).map(move |who| (who, what))).collect()
    }
}
