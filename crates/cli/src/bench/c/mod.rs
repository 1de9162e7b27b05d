//! The same programs in C: their sources are embedded in this executable, and are compiled at run time with the system's
//! compiler against the C library.

mod library;
mod program;

use std::{ffi::OsString, fs, path::PathBuf, process::Command, process::Stdio};

use clap::Args;
use tempfile::TempDir;

pub use program::CProgram;

use crate::failure::one_line;

/// The sources, with their file names.
const SOURCES: [(&str, &str); 6] = [
    ("highwater.h", include_str!("sources/highwater.h")),
    ("space.h", include_str!("sources/space.h")),
    ("functions.h", include_str!("sources/functions.h")),
    ("serve.h", include_str!("sources/serve.h")),
    ("rk4.c", include_str!("sources/rk4.c")),
    ("physics.c", include_str!("sources/physics.c")),
];

/// `-ffp-contract=off`: without it gcc may fuse a multiplication and an addition in one variant and not in another, and
/// results would differ. `-falign-loops`: all variants have the same inner loops, whose alignment can matter more than
/// where the memory comes from.
const FLAGS: [&str; 6] = ["-std=gnu11", "-O3", "-falign-loops=64", "-ffp-contract=off", "-x", "c"];

/// Options for the programs in C.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "The programs in C")]
pub struct CArgs {
    /// The compiler [default: cc]
    #[arg(long, value_name = "COMMAND")]
    pub cc: Option<OsString>,

    /// `libhighwater.a` or `libhighwater.so`, or its directory [default: `HIGHWATER_C_LIB`, or beside this executable,
    /// or in ../lib, or in the target directory]
    #[arg(long, value_name = "PATH")]
    pub c_lib: Option<PathBuf>,

    /// Do not measure the programs in C
    #[arg(long, conflicts_with_all = ["cc", "c_lib"])]
    pub no_c: bool,
}

/// Where a program in C allocates its vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CMemory {
    Arena,
    Heap,
    Stack,
}

impl CMemory {
    fn macro_name(self) -> &'static str {
        match self {
            CMemory::Arena => "SPACE_ARENA",
            CMemory::Heap => "SPACE_HEAP",
            CMemory::Stack => "SPACE_STACK",
        }
    }
}

/// A compiler, the library, and a temporary directory with the sources.
#[derive(Debug)]
pub struct CToolchain {
    compiler: OsString,
    /// The compiler's version: `gcc (Debian 12.2.0-14) 12.2.0`.
    pub version: String,
    pub library: PathBuf,
    directory: TempDir,
    explicit: bool,
}

impl CToolchain {
    /// Finds compiler and library. An error is one line.
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
        let mut toolchain = CToolchain { compiler, version, library, directory, explicit: false };
        // A library with the other engine lacks the symbol that the header refers to.
        if let Err(first) = toolchain.program("rk4", CMemory::Arena, None) {
            toolchain.explicit = true;
            toolchain.program("rk4", CMemory::Arena, None).map_err(|_| first)?;
        }
        Ok(toolchain)
    }

    /// Compiles a program; with a length, only for vectors of this length.
    pub fn program(&self, name: &str, memory: CMemory, length: Option<usize>) -> Result<PathBuf, String> {
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
        if memory == CMemory::Arena {
            command.arg(&self.library);
            if self.library.extension().is_some_and(|extension| extension == "so") {
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
        let messages = String::from_utf8_lossy(&output.stderr);
        let wrong = messages.lines().find(|line| line.contains("error") || line.contains("undefined"));
        let wrong = one_line(wrong.or_else(|| messages.lines().next()).unwrap_or("no error message"));
        Err(format!("{shown} did not compile {name}.c: {wrong}"))
    }
}

/// The first line of the compiler's `--version`.
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
    fn a_missing_tool_is_an_error_in_one_line() {
        let open_error = |args: CArgs| CToolchain::open(&args).unwrap_err();
        assert_eq!(open_error(CArgs { no_c: true, ..CArgs::default() }), "left out by --no-c");
        let error = open_error(CArgs { cc: Some("/no/such/compiler".into()), ..CArgs::default() });
        assert!(error.starts_with("no C compiler: cannot start /no/such/compiler: "), "{error}");
        let error = open_error(CArgs { cc: Some("false".into()), ..CArgs::default() });
        assert!(error.starts_with("no C compiler: false --version ended with "), "{error}");
    }
}
