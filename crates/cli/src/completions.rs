//! `highwater completions`: what a shell needs to complete this command.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::{failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  highwater completions bash
  highwater completions zsh
  highwater completions fish

bash reads them from ~/.local/share/bash-completion/completions/highwater, zsh from a file _highwater in a \
directory of its fpath, fish from ~/.config/fish/completions/highwater.fish.";

/// Print a shell's completions of this command
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// Whose
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs, command: &Command) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut visible(command), command.get_name(), &mut script);
    let script = String::from_utf8(script).map_err(Failure::during)?;
    output::print(script.trim_end(), ExitCode::SUCCESS)
}

/// The command without what its help hides, which the generators would complete.
fn visible(command: &Command) -> Command {
    let about = command.get_about().cloned().unwrap_or_default();
    let version = command.get_version().map(str::to_owned);
    let mut copy = Command::new(command.get_name().to_owned()).about(about);
    if let Some(version) = version {
        copy = copy.version(version);
    }
    copy.args(command.get_arguments().filter(|argument| !argument.is_hide_set()))
        .subcommands(command.get_subcommands().filter(|below| !below.is_hide_set()).map(visible))
}
