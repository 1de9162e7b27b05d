//! The command `highwater`: stress, measure and explain memory that grows by being touched.

mod allocators;
mod bench;
mod compare;
mod completions;
mod elf;
mod engine;
mod failure;
mod grow;
mod guard;
mod inject;
mod interrupt;
mod lab;
mod launch;
mod machine;
mod man;
mod oom;
mod output;
mod random;
mod report;
mod run;
mod shell;
mod size;
mod warm;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

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
    Bench(Box<bench::BenchArgs>),
    Report(Box<report::args::ReportArgs>),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    /// Touch and release memory: started by measurements before their runs.
    #[command(hide = true, name = warm::SUBCOMMAND)]
    WarmUp {
        /// The number of bytes.
        bytes: usize,
    },
    /// The process of `bench malloctest` that measures itself.
    #[command(name = bench::malloctest::SUBCOMMAND, hide = true)]
    MalloctestChild(bench::malloctest::ChildArgs),
    /// The process that tries a library.
    #[command(name = allocators::probe::SUBCOMMAND, hide = true)]
    Probe,
}

const EXAMPLE: &str = "\
Examples:
  highwater grow 64MiB        grow an arena to 64 MiB and report what that cost
  highwater guard overflow    write past an allocation and show the report
  highwater oom               run out of memory in many ways, and show how each ends
  highwater run -- ls -l      run a program on the malloc library, and report what its heap did
  highwater compare -- ls -lR /usr/share
                              measure a command under every allocator that is installed
  highwater bench growth      compare ways to grow memory, with Vec, bumpalo and malloc
  highwater report --quick    run a selection of the benches and write a page with the results";

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    if let Err(failure) = engine::from_environment() {
        return failure.report();
    }
    let result = match cli.command {
        Command::Grow(args) => grow::run(&args),
        Command::Guard(args) => guard::run(&args),
        Command::Oom(args) => oom::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::WarmUp { bytes } => warm::memory(bytes).map(|()| ExitCode::SUCCESS),
        Command::Report(args) => report::run(&args),
        Command::Completions(args) => completions::run(&args, &Cli::command()),
        Command::Man(args) => man::run(&args, Cli::command()),
        Command::MalloctestChild(args) => bench::malloctest::child(&args),
        Command::Probe => allocators::probe::run(),
    };
    match result {
        Ok(status) => status,
        Err(failure) => failure.report(),
    }
}
