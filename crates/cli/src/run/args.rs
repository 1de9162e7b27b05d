//! The command line of `run`.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use crate::{allocators::MallocPolicy, size};

const LONG: &str = "\
Runs any program on this project's malloc library, and reports at the end what its heap did.

The library is preloaded (LD_PRELOAD) into the command and into every program it starts. Each \
process keeps a record of its heap while it runs; when the command has ended, the records are shown \
on stderr, one by one and in total. The command's input and output are untouched, its exit status is \
passed on, and signals sent to this process are forwarded to it.";

const AFTER: &str = "\
Policies: general[:checked], stack[:align=SIZE,errno,single-threaded], \
bump[:slice=SIZE,grain=8|16,diagnose,single-threaded], \
blocks[:fit=best|first,margin=SIZE,single-threaded]. Use single-threaded only for programs that never start a thread.

The library is the file that --malloc-lib or HIGHWATER_MALLOC_LIB names, or else the one beside this \
executable or in ../lib; in a checkout, `cargo build --profile malloc -p highwater-malloc` builds it.

A process that is killed, or ends without running its exit handlers (_exit), leaves its record as it \
was last written. A process that runs another program (exec) leaves a record for each. A program that \
is statically linked, setuid, or has its own malloc leaves no record, or an empty one.

Environment: the library's variables (HIGHWATER_MALLOC, HIGHWATER_LIMIT, ...; all but \
HIGHWATER_STATS) apply unless an option overrides them. Libraries already in LD_PRELOAD are \
preloaded after this one.

Examples:
  highwater run -- ls -l
  highwater run --policy bump --json heap.json -- sh -c 'echo $((6 * 7))'
  highwater run --limit 1GiB --hardened -- sort /etc/services

Exit status: the command's, or 128 + N if signal N killed it; 127 if there is no such command, \
126 if it cannot be run; 2 refused (bad arguments, no library).";

/// Run any program on the malloc library, and report what its heap did
#[derive(Args)]
#[command(long_about = LONG, after_long_help = AFTER, after_help = "Example:\n  highwater run -- ls -l")]
pub struct RunArgs {
    /// Allocation policy: general, stack, bump or blocks, with options after a colon
    /// [default: general]
    #[arg(long, value_name = "SPEC")]
    pub policy: Option<MallocPolicy>,

    /// Address space that each process reserves for its heap
    #[arg(long, value_name = "SIZE", value_parser = size::parse_positive)]
    pub reserve: Option<usize>,

    /// Maximum that each process's heap may commit
    #[arg(long, value_name = "SIZE", value_parser = size::parse_positive)]
    pub limit: Option<usize>,

    /// Detect invalid frees, double frees and overflows, and abort
    #[arg(long)]
    pub hardened: bool,

    /// Put one allocation in N on pages of its own, between guards
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub guards: Option<u32>,

    /// Report as JSON, on stderr or into FILE
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "without, alone, and with a file")]
    pub json: Option<Option<PathBuf>>,

    /// Path of the malloc library
    #[arg(long, value_name = "PATH")]
    pub malloc_lib: Option<PathBuf>,

    /// The command to run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}
