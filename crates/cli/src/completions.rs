//! `highwater completions`: the script a shell needs to complete this command.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::{failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  highwater completions bash
  highwater completions zsh
  highwater completions fish

bash reads them from ~/.local/share/bash-completion/completions/highwater, zsh from a file named _highwater in a \
directory on its fpath, and fish from ~/.config/fish/completions/highwater.fish.";

/// Print a shell's completion script for this command
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs, command: &Command) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut visible(command), command.get_name(), &mut script);
    let script = String::from_utf8(script).map_err(Failure::runtime)?;
    output::print(script.trim_end(), ExitCode::SUCCESS)
}

/// The command without its hidden options and subcommands, which the generators would complete.
fn visible(command: &Command) -> Command {
    let about = command.get_about().cloned().unwrap_or_default();
    let version = command.get_version().map(str::to_owned);
    let mut copy = Command::new(command.get_name().to_owned()).about(about);
    if let Some(version) = version {
        copy = copy.version(version);
    }
    copy.args(command.get_arguments().filter(|argument| !argument.is_hide_set()))
        .subcommands(command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()).map(visible))
}
