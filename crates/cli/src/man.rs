//! `highwater man`: the manual pages, generated from the definition of the command line.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::{Args, Command};

use crate::{failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  highwater man
  highwater man pages

The first prints the page of the command itself, the second writes that and a page for each subcommand into a \
directory, which is created if need be. `man -l pages/highwater.1` shows one.";

/// Print the manual page, or write a page for each subcommand
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct ManArgs {
    /// Write all pages into this directory
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints the main page, or writes all pages.
pub fn run(args: &ManArgs, command: Command) -> Result<ExitCode, Failure> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command.disable_help_subcommand(true))
            .render(&mut page)
            .map_err(Failure::runtime)?;
        let page = String::from_utf8(page).map_err(Failure::runtime)?;
        return output::print(page.trim_end(), ExitCode::SUCCESS);
    };
    fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(command, dir))
        .map_err(|error| Failure::runtime(format!("cannot write the pages to {}: {error}", dir.display())))?;
    output::note(&format!("the pages are in {}", dir.display()));
    Ok(ExitCode::SUCCESS)
}
