//! The command `highwater`: stress, measure and explain memory that grows by being touched.

mod allocators;
mod bench;
mod compare;
mod elf;
mod failure;
mod grow;
mod guard;
mod inject;
mod interrupt;
mod lab;
mod launch;
mod machine;
mod oom;
mod output;
mod run;
mod size;
mod warm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Stress, measure and explain memory that grows by being touched.
#[derive(Parser)]
#[command(name = "highwater", version, after_help = EXAMPLE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Grow(Box<grow::args::GrowArgs>),
    Guard(Box<guard::args::GuardArgs>),
    Oom(Box<oom::args::OomArgs>),
    Run(Box<run::args::RunArgs>),
    Compare(Box<compare::args::CompareArgs>),
    /// Be the process that a library is tried with.
    #[command(name = allocators::probe::SUBCOMMAND, hide = true)]
    Probe,
    Bench(Box<bench::BenchArgs>),
    /// Touch and release memory: what a measurement starts before its runs.
    #[command(hide = true, name = warm::SUBCOMMAND)]
    WarmUp {
        /// Bytes.
        bytes: usize,
    },
}

const EXAMPLE: &str = "\
Examples:
  highwater grow 64MiB        grow an arena to 64 MiB and say what that cost
  highwater guard overflow    write past an allocation and show the report
  highwater oom               run out of memory in every way, and show how that ends
  highwater run -- ls -l      run a program on the malloc library, and tell what its heap did
  highwater compare -- ls -lR /usr/share
                              measure a command under every allocator that is found
  highwater bench growth      fill memory in every way in which it can grow, beside Vec, bumpalo and malloc";

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let done = match cli.command {
        Command::Grow(args) => grow::run(&args),
        Command::Guard(args) => guard::run(&args),
        Command::Oom(args) => oom::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Probe => allocators::probe::run(),
        Command::Bench(args) => bench::run(&args),
        Command::WarmUp { bytes } => warm::memory(bytes).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(status) => status,
        Err(failure) => failure.report(),
    }
}
