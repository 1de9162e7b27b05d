//! The environment that puts a library in front of the C library's allocator.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use crate::{elf, elf::Form};

/// What the dynamic loader reads.
pub const VARIABLE: &str = "LD_PRELOAD";

/// What this project's library reads.
const PROTOCOL: [&str; 8] = [
    POLICY,
    "HIGHWATER_RESERVE",
    "HIGHWATER_LIMIT",
    "HIGHWATER_HEADROOM",
    "HIGHWATER_HUGE_PAGES",
    "HIGHWATER_HARDENED",
    "HIGHWATER_GUARDS",
    STATS,
];
/// The policy.
pub const POLICY: &str = "HIGHWATER_MALLOC";
/// Where figures go, which is nothing to compare.
const STATS: &str = "HIGHWATER_STATS";

/// Whether a variable is one that this project's library reads.
pub fn is_protocol(name: &OsStr) -> bool {
    PROTOCOL.iter().any(|known| name == *known)
}

/// What this process' environment says to this project's library, besides the policy.
pub fn inherited() -> Vec<(&'static str, String)> {
    let names = PROTOCOL.into_iter().filter(|name| ![POLICY, STATS].contains(name));
    names.filter_map(|name| Some((name, std::env::var(name).ok()?))).collect()
}

/// The variable's value: the library first, then what was there.
pub fn in_front(library: &Path, already: Option<OsString>) -> OsString {
    let mut value = library.as_os_str().to_owned();
    if let Some(already) = already.filter(|already| !already.is_empty()) {
        value.push(":");
        value.push(already);
    }
    value
}

/// The library's path as the loader can be told it, or why it cannot be.
pub fn checked(path: &Path) -> Result<PathBuf, String> {
    let told = |why: &str| format!("{}: {why}", path.display());
    let real = path.canonicalize().map_err(|error| told(&error.to_string()))?;
    // The loader knows no way to quote these, and replaces what follows a dollar sign.
    if real.as_os_str().as_bytes().iter().any(|byte| b" \t\n:;$".contains(byte)) {
        let why = "LD_PRELOAD cannot name a path with white space, a colon, a semicolon or a dollar sign";
        return Err(told(why));
    }
    match elf::look(&real).map_err(|error| told(&error.to_string()))? {
        Form::Dynamic { has_malloc: true } => Ok(real),
        Form::Dynamic { has_malloc: false } => Err(told("it has no malloc")),
        Form::Foreign => Err(told("a library for another kind of machine")),
        _ => Err(told("not a shared library")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_comes_after() {
        let library = Path::new("/lib/a.so");
        assert_eq!(in_front(library, None), "/lib/a.so");
        assert_eq!(in_front(library, Some("".into())), "/lib/a.so");
        assert_eq!(in_front(library, Some("b.so c.so".into())), "/lib/a.so:b.so c.so");
    }

    #[test]
    fn what_the_loader_cannot_be_told() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, b"text").unwrap();
            checked(&path).unwrap_err()
        };
        assert!(at("a b.so").contains("white space"));
        assert!(at("a$LIB.so").contains("dollar"));
        assert!(at("a.so").contains("not a shared library"));
        assert!(checked(&dir.path().join("none.so")).unwrap_err().contains("none.so"));
        assert!(checked(&std::env::current_exe().unwrap()).unwrap_err().contains("malloc"));
    }

    #[test]
    fn the_protocol() {
        assert!(is_protocol(OsStr::new("HIGHWATER_STATS")));
        assert!(!is_protocol(OsStr::new("HIGHWATER_MALLOC_LIB")));
    }
}
