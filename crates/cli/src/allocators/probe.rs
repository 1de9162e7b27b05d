//! Tries a library: a child process of this command preloads it and reports which file its `malloc` comes from, and the
//! version the library reports.

use std::{
    env,
    ffi::{CStr, OsStr, c_char, c_int, c_void},
    mem,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    ptr,
};

use serde::{Deserialize, Serialize};

use super::Allocator;
use crate::{failure::Failure, output};

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "probe-allocator";

/// What such a process reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// The file that defines the `malloc` it runs on.
    malloc: Option<PathBuf>,
    /// The allocator's name and version.
    version: Option<String>,
}

/// The main function of that process.
pub fn run() -> Result<ExitCode, Failure> {
    let report = ProbeReport { malloc: defining_file(c"malloc"), version: version() };
    output::print(&serde_json::to_string(&report).map_err(Failure::runtime)?, ExitCode::SUCCESS)
}

/// Starts one on this allocator. Returns the version it reports, or why it cannot be preloaded.
pub fn try_out(allocator: &Allocator) -> Result<Option<String>, String> {
    let mut command = Command::new(env::current_exe().map_err(|error| error.to_string())?);
    allocator.prepare(&mut command);
    let ran = command.arg(SUBCOMMAND).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let last = String::from_utf8_lossy(&ran.stderr).lines().last().unwrap_or_default().trim().to_owned();
    if !ran.status.success() {
        return Err(format!("a program that preloads it ends with {} ({last})", ran.status));
    }
    let report: ProbeReport = serde_json::from_slice(&ran.stdout).map_err(|error| error.to_string())?;
    judge(allocator.library.as_deref(), report)
        .map_err(|reason| format!("{reason} {last}").trim_end().to_owned())
}

fn judge(library: Option<&Path>, report: ProbeReport) -> Result<Option<String>, String> {
    let Some(library) = library else { return Ok(report.version) };
    let Some(malloc) = report.malloc else {
        return Err("the loader does not report which file malloc comes from".into());
    };
    if malloc.canonicalize().is_ok_and(|malloc| malloc == library) {
        return Ok(report.version);
    }
    Err(format!("a program that preloads it gets its malloc from {}", malloc.display()))
}

/// The address of a symbol as every object of this process sees it.
fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name is NUL-terminated, and looking it up has no other effect.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

/// The file that defines a symbol.
pub fn defining_file(name: &CStr) -> Option<PathBuf> {
    let address = symbol(name)?;
    // SAFETY: `Dl_info` consists of pointers, for which null is a valid value.
    let mut info: libc::Dl_info = unsafe { mem::zeroed() };
    // SAFETY: the address is in a loaded object, and the name the loader returns lives as long as that object.
    unsafe {
        if libc::dladdr(address, &raw mut info) == 0 || info.dli_fname.is_null() {
            return None;
        }
        Some(OsStr::from_bytes(CStr::from_ptr(info.dli_fname).to_bytes()).into())
    }
}

fn version() -> Option<String> {
    mimalloc().or_else(jemalloc).or_else(tcmalloc).or_else(c_library)
}

fn mimalloc() -> Option<String> {
    // SAFETY: `mi_version` takes no arguments and returns an int.
    let version = unsafe {
        let call: extern "C" fn() -> c_int = mem::transmute(symbol(c"mi_version")?);
        call()
    };
    Some(format!("mimalloc {}", dotted_version(version)))
}

/// 209 is 2.0.9, 2206 and 22006 are 2.2.6.
fn dotted_version(version: c_int) -> String {
    let minor = if version < 1000 { 10 } else { 100 };
    let rest = version / minor;
    let tens = if rest < 100 { 10 } else { 100 };
    format!("{}.{}.{}", rest / tens, rest % tens, version % minor)
}

fn jemalloc() -> Option<String> {
    type MallctlFn = extern "C" fn(*const c_char, *mut c_void, *mut usize, *mut c_void, usize) -> c_int;
    let address = symbol(c"mallctl").or_else(|| symbol(c"_rjem_mallctl"))?;
    let (mut text, mut length): (*const c_char, usize) = (ptr::null(), size_of::<*const c_char>());
    // SAFETY: `mallctl` has this type; for "version" it writes a pointer to a string with static lifetime.
    unsafe {
        let call: MallctlFn = mem::transmute(address);
        let failed =
            call(c"version".as_ptr(), (&raw mut text).cast(), &raw mut length, ptr::null_mut(), 0) != 0;
        if failed || text.is_null() {
            return None;
        }
        let text = CStr::from_ptr(text).to_string_lossy();
        Some(format!("jemalloc {}", text.split('-').next().unwrap_or_default()))
    }
}

fn tcmalloc() -> Option<String> {
    type TcVersionFn = extern "C" fn(*mut c_int, *mut c_int, *mut *const c_char) -> *const c_char;
    let (mut major, mut minor, mut patch) = (0, 0, ptr::null());
    // SAFETY: `tc_version` has this type, and returns a string with static lifetime.
    unsafe {
        let call: TcVersionFn = mem::transmute(symbol(c"tc_version")?);
        let text = call(&raw mut major, &raw mut minor, &raw mut patch);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}

/// Only if the C library's own allocator is in use.
fn c_library() -> Option<String> {
    let address = symbol(c"gnu_get_libc_version")?;
    if defining_file(c"malloc") != defining_file(c"gnu_get_libc_version") {
        return None;
    }
    // SAFETY: `gnu_get_libc_version` takes no arguments and returns a string with static lifetime.
    unsafe {
        let call: extern "C" fn() -> *const c_char = mem::transmute(address);
        Some(format!("glibc {}", CStr::from_ptr(call()).to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_numbers() {
        for (number, text) in [(209, "2.0.9"), (217, "2.1.7"), (2206, "2.2.6"), (30106, "3.1.6")] {
            assert_eq!(dotted_version(number), text);
        }
    }

    #[test]
    fn symbols_of_this_process() {
        assert!(defining_file(c"malloc").is_some_and(|file| file.exists()));
        assert!(symbol(c"no_such_function_anywhere").is_none());
    }

    #[test]
    fn the_library_must_define_malloc() {
        let exe = env::current_exe().unwrap().canonicalize().unwrap();
        let report = |malloc: Option<&Path>| ProbeReport {
            malloc: malloc.map(Path::to_owned),
            version: Some("x 1".into()),
        };
        assert_eq!(judge(None, report(None)), Ok(Some("x 1".into())));
        assert_eq!(judge(Some(&exe), report(Some(&exe))), Ok(Some("x 1".into())));
        let error = judge(Some(&exe), report(Some(Path::new("/lib/libc.so")))).unwrap_err();
        assert!(error.contains("from /lib/libc.so"), "{error}");
        assert!(judge(Some(&exe), report(None)).is_err());
    }
}
