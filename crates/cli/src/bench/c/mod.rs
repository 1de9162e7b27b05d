//! The same programs in C: their sources are in this executable, and are compiled with the system's compiler, against
//! the C library, when they are to run.

mod child;
mod library;

use std::{ffi::OsString, fs, path::PathBuf, process::Command, process::Stdio};

use clap::Args;
use tempfile::TempDir;

pub use child::Child;

use crate::failure::one_line;

/// What is written into the directory that is compiled in.
const SOURCES: [(&str, &str); 6] = [
    ("highwater.h", include_str!("sources/highwater.h")),
    ("space.h", include_str!("sources/space.h")),
    ("functions.h", include_str!("sources/functions.h")),
    ("serve.h", include_str!("sources/serve.h")),
    ("rk4.c", include_str!("sources/rk4.c")),
    ("physics.c", include_str!("sources/physics.c")),
];

/// `-ffp-contract=off`: without it gcc may fuse a multiplication and an addition in one variant and not in another, and
/// results would differ. `-falign-loops`: all variants have the same inner loops, and where they happen to lie can
/// decide more than where their memory comes from.
const FLAGS: [&str; 6] = ["-std=gnu11", "-O3", "-falign-loops=64", "-ffp-contract=off", "-x", "c"];

/// Where the C half is made.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "The programs in C")]
pub struct CArgs {
    /// The compiler [default: cc]
    #[arg(long, value_name = "COMMAND")]
    pub cc: Option<OsString>,

    /// `libhighwater.a` or `libhighwater.so`, or the directory it is in [default: `HIGHWATER_C_LIB`, or beside this
    /// executable, or in ../lib, or in the target directory]
    #[arg(long, value_name = "PATH")]
    pub c_lib: Option<PathBuf>,

    /// Leave them out
    #[arg(long, conflicts_with_all = ["cc", "c_lib"])]
    pub no_c: bool,
}

/// Where the vectors of a program in C are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    Arena,
    Heap,
    Stack,
}

impl Memory {
    fn macro_name(self) -> &'static str {
        match self {
            Memory::Arena => "SPACE_ARENA",
            Memory::Heap => "SPACE_HEAP",
            Memory::Stack => "SPACE_STACK",
        }
    }
}

/// A compiler, the library, and a directory of ours with the sources.
#[derive(Debug)]
pub struct Workshop {
    compiler: OsString,
    /// What it calls itself, `gcc (Debian 12.2.0-14) 12.2.0`.
    pub version: String,
    pub library: PathBuf,
    directory: TempDir,
    explicit: bool,
}

impl Workshop {
    /// Looks for everything; the reason, in a line, if something is not there.
    pub fn open(args: &CArgs) -> Result<Self, String> {
        if args.no_c {
            return Err("left out by --no-c".into());
        }
        let compiler = args.cc.clone().unwrap_or_else(|| "cc".into());
        let version = version(&compiler)?;
        let library = library::find(args.c_lib.as_deref())?;
        let cannot = |error: std::io::Error| format!("cannot write the C programs: {error}");
        let directory = tempfile::Builder::new().prefix("highwater-c-").tempdir().map_err(cannot)?;
        for (name, text) in SOURCES {
            fs::write(directory.path().join(name), text).map_err(cannot)?;
        }
        let mut workshop = Workshop { compiler, version, library, directory, explicit: false };
        // A library of the other engine lacks the symbol that the header asks for.
        if let Err(first) = workshop.program("rk4", Memory::Arena, None) {
            workshop.explicit = true;
            workshop.program("rk4", Memory::Arena, None).map_err(|_| first)?;
        }
        Ok(workshop)
    }

    /// Compiles a program; with a length, for vectors of that length alone.
    pub fn program(&self, name: &str, memory: Memory, length: Option<usize>) -> Result<PathBuf, String> {
        let constant = length.map(|length| format!("-{length}")).unwrap_or_default();
        let program = self.directory.path().join(format!("{name}-{memory:?}{constant}"));
        if program.exists() {
            return Ok(program);
        }
        let mut command = Command::new(&self.compiler);
        command.args(FLAGS).arg("-I").arg(self.directory.path()).arg("-D").arg(memory.macro_name());
        if let Some(length) = length {
            command.arg(format!("-DLENGTH={length}"));
        }
        if self.explicit {
            command.arg("-DHIGHWATER_EXPLICIT");
        }
        command.arg(self.directory.path().join(format!("{name}.c"))).args(["-x", "none"]);
        if memory == Memory::Arena {
            command.arg(&self.library);
            if self.library.extension().is_some_and(|ending| ending == "so") {
                let mut rpath = OsString::from("-Wl,-rpath,");
                rpath.push(self.library.parent().unwrap_or(&self.library));
                command.arg(rpath);
            }
        }
        command.args(["-lm", "-o"]).arg(&program).stdin(Stdio::null());
        let shown = self.compiler.display();
        let output = command.output().map_err(|error| format!("cannot start {shown}: {error}"))?;
        if output.status.success() {
            return Ok(program);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let wrong = said.lines().find(|line| line.contains("error") || line.contains("undefined"));
        let wrong = one_line(wrong.or_else(|| said.lines().next()).unwrap_or("it said nothing"));
        Err(format!("{shown} did not compile {name}.c: {wrong}"))
    }
}

/// The first line of what a compiler says about itself.
fn version(compiler: &OsString) -> Result<String, String> {
    let shown = compiler.display();
    let mut command = Command::new(compiler);
    command.arg("--version").stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("no C compiler: cannot start {shown}: {error}"))?;
    if !output.status.success() {
        return Err(format!("no C compiler: {shown} --version ended with {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_in_a_line() {
        let told = |args: CArgs| Workshop::open(&args).unwrap_err();
        assert_eq!(told(CArgs { no_c: true, ..CArgs::default() }), "left out by --no-c");
        let said = told(CArgs { cc: Some("/no/such/compiler".into()), ..CArgs::default() });
        assert!(said.starts_with("no C compiler: cannot start /no/such/compiler: "), "{said}");
        let said = told(CArgs { cc: Some("false".into()), ..CArgs::default() });
        assert!(said.starts_with("no C compiler: false --version ended with "), "{said}");
    }
}
