//! The programs in `tests/c`, and runs of their cases.

use super::{Ended, Setting, child, run_within, set};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

/// A compiled program or library.
#[derive(Clone, Debug)]
pub struct Program {
    pub path: PathBuf,
}

impl Program {
    /// A command that runs it with a setting.
    pub fn command<A: AsRef<OsStr>>(
        &self,
        setting: Setting,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = Command::new(&self.path);
        command.args(arguments);
        set(&mut command, setting);
        command
    }

    /// Runs it with a setting to its end.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, setting: Setting, arguments: impl IntoIterator<Item = A>) -> Ended {
        run_within(self.command(setting, arguments), Duration::from_secs(60))
    }

    /// Runs one case with glibc's malloc, which checks the test, and with each of these settings; all succeed, and say
    /// nothing on standard error.
    #[track_caller]
    pub fn everywhere(&self, settings: &[Setting], case: &str) {
        for setting in [&"glibc"].into_iter().chain(settings) {
            self.run(setting, [case]).assert_quiet();
        }
    }
}

/// Compiles one of the test programs, once in a process.
pub fn build(source: &'static str) -> Program {
    compile(source, &[])
}

/// Compiles one of the test libraries.
pub fn build_library(source: &'static str) -> Program {
    compile(source, &["-shared", "-fPIC"])
}

fn compile(source: &'static str, flags: &[&str]) -> Program {
    static MADE: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    let path = directory().join(source).with_extension("built");
    let mut made = MADE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !made.contains(&source) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(source);
        let is_cpp = source.ends_with(".cpp");
        let (compiler, standard) = if is_cpp { ("g++", "-std=gnu++17") } else { ("gcc", "-std=gnu11") };
        let unfinished = path.with_extension(std::process::id().to_string());
        let mut command = Command::new(compiler);
        // The compiler knows malloc, and leaves out pairs of calls that have no effect.
        command.args([standard, "-O1", "-g", "-fno-builtin", "-Wall", "-Wextra", "-Werror", "-pthread"]);
        command.args(flags).arg(from).arg("-o").arg(&unfinished).arg("-ldl");
        child::succeeds(&mut command);
        std::fs::rename(&unfinished, &path).expect("it was made");
        made.push(source);
    }
    Program { path }
}

/// Where the programs are.
fn directory() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("malloc");
    std::fs::create_dir_all(&directory).expect("the directory of the tests can be written");
    directory
}
