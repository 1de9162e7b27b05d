//! Trying a library: a process of this command that has it preloaded says whose `malloc` it got, and what the library
//! says of itself.

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

/// What such a process says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The file that has the `malloc` it runs on.
    malloc: Option<PathBuf>,
    /// What the allocator calls itself.
    version: Option<String>,
}

/// Be that process.
pub fn run() -> Result<ExitCode, Failure> {
    let told = Told { malloc: supplier(c"malloc"), version: version() };
    output::print(&serde_json::to_string(&told).map_err(Failure::during)?, ExitCode::SUCCESS)
}

/// Starts one on this allocator. What it says of itself, or why it cannot be preloaded.
pub fn try_out(allocator: &Allocator) -> Result<Option<String>, String> {
    let mut command = Command::new(env::current_exe().map_err(|error| error.to_string())?);
    allocator.prepare(&mut command);
    let ran = command.arg(SUBCOMMAND).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let last = String::from_utf8_lossy(&ran.stderr).lines().last().unwrap_or_default().trim().to_owned();
    if !ran.status.success() {
        return Err(format!("a program that has it preloaded ends with {} ({last})", ran.status));
    }
    let told: Told = serde_json::from_slice(&ran.stdout).map_err(|error| error.to_string())?;
    judge(allocator.library.as_deref(), told).map_err(|why| format!("{why} {last}").trim_end().to_owned())
}

fn judge(library: Option<&Path>, told: Told) -> Result<Option<String>, String> {
    let Some(library) = library else { return Ok(told.version) };
    let Some(malloc) = told.malloc else { return Err("nobody says whose malloc a program gets".into()) };
    if malloc.canonicalize().is_ok_and(|malloc| malloc == library) {
        return Ok(told.version);
    }
    Err(format!("a program that has it preloaded gets its malloc from {}", malloc.display()))
}

/// The address that every object of this process sees under a name.
fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name ends with a NUL, and looking a name up has no other effect.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

/// The file that has a symbol.
fn supplier(name: &CStr) -> Option<PathBuf> {
    let address = symbol(name)?;
    // SAFETY: a value of plain words and pointers, for which zero is good.
    let mut info: libc::Dl_info = unsafe { mem::zeroed() };
    // SAFETY: the address is one in a loaded object, and the loader's answer names a string that lives as long as that.
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
    // SAFETY: the function of that name takes nothing and gives an int.
    let version = unsafe {
        let ask: extern "C" fn() -> c_int = mem::transmute(symbol(c"mi_version")?);
        ask()
    };
    Some(format!("mimalloc {}", of_digits(version)))
}

/// 209 is 2.0.9, 2206 and 22006 are 2.2.6.
fn of_digits(version: c_int) -> String {
    let minor = if version < 1000 { 10 } else { 100 };
    let rest = version / minor;
    let tens = if rest < 100 { 10 } else { 100 };
    format!("{}.{}.{}", rest / tens, rest % tens, version % minor)
}

fn jemalloc() -> Option<String> {
    type Mallctl = extern "C" fn(*const c_char, *mut c_void, *mut usize, *mut c_void, usize) -> c_int;
    let address = symbol(c"mallctl").or_else(|| symbol(c"_rjem_mallctl"))?;
    let (mut text, mut length): (*const c_char, usize) = (ptr::null(), size_of::<*const c_char>());
    // SAFETY: the function of that name has this type; it writes a pointer to a string that lives for ever.
    unsafe {
        let ask: Mallctl = mem::transmute(address);
        let failed =
            ask(c"version".as_ptr(), (&raw mut text).cast(), &raw mut length, ptr::null_mut(), 0) != 0;
        if failed || text.is_null() {
            return None;
        }
        let text = CStr::from_ptr(text).to_string_lossy();
        Some(format!("jemalloc {}", text.split('-').next().unwrap_or_default()))
    }
}

fn tcmalloc() -> Option<String> {
    type Version = extern "C" fn(*mut c_int, *mut c_int, *mut *const c_char) -> *const c_char;
    let (mut major, mut minor, mut patch) = (0, 0, ptr::null());
    // SAFETY: the function of that name has this type, and gives a string that lives for ever.
    unsafe {
        let ask: Version = mem::transmute(symbol(c"tc_version")?);
        let text = ask(&raw mut major, &raw mut minor, &raw mut patch);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}

/// Only where its own allocator is at work.
fn c_library() -> Option<String> {
    let address = symbol(c"gnu_get_libc_version")?;
    if supplier(c"malloc") != supplier(c"gnu_get_libc_version") {
        return None;
    }
    // SAFETY: the function of that name takes nothing and gives a string that lives for ever.
    unsafe {
        let ask: extern "C" fn() -> *const c_char = mem::transmute(address);
        Some(format!("glibc {}", CStr::from_ptr(ask()).to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        for (number, text) in [(209, "2.0.9"), (217, "2.1.7"), (2206, "2.2.6"), (30106, "3.1.6")] {
            assert_eq!(of_digits(number), text);
        }
    }

    #[test]
    fn this_process() {
        assert!(supplier(c"malloc").is_some_and(|file| file.exists()));
        assert!(symbol(c"no_such_function_anywhere").is_none());
    }

    #[test]
    fn whose_malloc_it_was() {
        let exe = env::current_exe().unwrap().canonicalize().unwrap();
        let told =
            |malloc: Option<&Path>| Told { malloc: malloc.map(Path::to_owned), version: Some("x 1".into()) };
        assert_eq!(judge(None, told(None)), Ok(Some("x 1".into())));
        assert_eq!(judge(Some(&exe), told(Some(&exe))), Ok(Some("x 1".into())));
        let said = judge(Some(&exe), told(Some(Path::new("/lib/libc.so")))).unwrap_err();
        assert!(said.contains("from /lib/libc.so"), "{said}");
        assert!(judge(Some(&exe), told(None)).is_err());
    }
}
