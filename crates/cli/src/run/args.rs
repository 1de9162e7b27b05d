//! The command line of `run`.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use crate::{allocators::Policy, size};

const LONG: &str = "\
Runs any program on this project's malloc library, and tells at the end what its heap did.

The library is preloaded (LD_PRELOAD) into the command and into all that it starts. Each of these \
processes keeps a record of its heap while it runs; when the command has ended, they are shown on \
stderr, one by one and added up. The command's own input and output are left alone, its exit status \
is this one's, and signals that are sent to this process go on to it.";

const AFTER: &str = "\
Policies: general[:checked], stack[:align=SIZE,errno,single-threaded], \
bump[:slice=SIZE,grain=8|16,diagnose,single-threaded], \
blocks[:fit=best|first,margin=SIZE,single-threaded]. What is single-threaded must be so.

The library is looked for where --malloc-lib says, then HIGHWATER_MALLOC_LIB, then beside this \
executable and in ../lib; in a checkout, `cargo build --profile malloc -p highwater-malloc` makes it.

A process that is killed, or ends without its exit handlers (_exit), leaves the record of when it \
last wrote to it. One that runs another program (exec) leaves a record for each. A program that is \
statically linked, setuid, or brings its own malloc leaves none, or an empty one.

Environment: what the library's variables say (HIGHWATER_MALLOC, HIGHWATER_LIMIT, ...; all but \
HIGHWATER_STATS) holds unless an option says otherwise. An LD_PRELOAD that is set is kept, after \
the library.

Examples:
  highwater run -- ls -l
  highwater run --policy bump --json heap.json -- sh -c 'echo $((6 * 7))'
  highwater run --limit 1GiB --hardened -- sort /etc/services

Exit status: the command's; 128 and the signal if one killed it; 127 if there is no such command, \
126 if it cannot be run; 2 refused (bad arguments, no library).";

/// Run any program on the malloc library, and tell what its heap did
#[derive(Args)]
#[command(long_about = LONG, after_long_help = AFTER, after_help = "Example:\n  highwater run -- ls -l")]
pub struct RunArgs {
    /// How blocks are placed: general, stack, bump or blocks, with options after a colon
    /// [default: general]
    #[arg(long, value_name = "SPEC")]
    pub policy: Option<Policy>,

    /// Address space that each process reserves for its heap
    #[arg(long, value_name = "SIZE", value_parser = size::parse_positive)]
    pub reserve: Option<usize>,

    /// The most that each process's heap may commit
    #[arg(long, value_name = "SIZE", value_parser = size::parse_positive)]
    pub limit: Option<usize>,

    /// Find invalid and double frees and overflows, and abort at them
    #[arg(long)]
    pub hardened: bool,

    /// Put every Nth allocation on pages of its own, between guards
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub guards: Option<u32>,

    /// Tell as JSON, on stderr or into FILE
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "without, alone, and with a file")]
    pub json: Option<Option<PathBuf>>,

    /// Where the malloc library is
    #[arg(long, value_name = "PATH")]
    pub malloc_lib: Option<PathBuf>,

    /// What to run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}
