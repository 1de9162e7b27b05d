//! The options of all benches.

use std::path::PathBuf;

use clap::{Args, value_parser};

/// Options of every bench, to be flattened into the bench's own.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Measuring")]
pub struct LabArgs {
    /// Measured rounds; each contender runs once in each [default: depends on the bench]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=10_000))]
    pub runs: Option<u32>,

    /// Warm-up rounds before them, which are not measured [default: depends on the bench]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(0..=10_000))]
    pub warmup: Option<u32>,

    /// Print the result as JSON and nothing else on stdout; with FILE, write it there and print the tables
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub json: Option<Option<PathBuf>>,

    /// Write the figures as CSV, one line for each contender and metric
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// Draw charts (SVG) into this directory, which is created if need be
    #[arg(long, value_name = "DIR")]
    pub charts: Option<PathBuf>,

    /// Use small sizes and few rounds: to see that it works, not to compare
    #[arg(long)]
    pub quick: bool,
}

impl LabArgs {
    /// `full`, or `quick` with `--quick`.
    pub fn size<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// The command that repeats a measurement, from its subcommand and options: `bench rk4 --length 4`.
    pub fn command(&self, bench: &str) -> String {
        let mut command = format!("highwater {bench}");
        let mut option = |name: &str, value: Option<u32>| {
            command.extend(value.map(|value| format!(" --{name} {value}")));
        };
        option("runs", self.runs);
        option("warmup", self.warmup);
        if self.quick { command + " --quick" } else { command }
    }
}
