//! The environment that replaces the C library's allocator by a preloaded library.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use crate::{elf, elf::FileKind};

/// The variable the dynamic loader reads.
pub const VARIABLE: &str = "LD_PRELOAD";

/// The variables this project's library reads.
const VARIABLES: [&str; 8] = [
    POLICY,
    "HIGHWATER_RESERVE",
    "HIGHWATER_LIMIT",
    "HIGHWATER_HEADROOM",
    "HIGHWATER_HUGE_PAGES",
    "HIGHWATER_HARDENED",
    "HIGHWATER_GUARDS",
    STATS,
];
/// The variable for the policy.
pub const POLICY: &str = "HIGHWATER_MALLOC";
/// The variable for where statistics go; not inherited, since it does not affect how the library behaves.
const STATS: &str = "HIGHWATER_STATS";

/// Whether a variable is one that this project's library reads.
pub fn is_library_variable(name: &OsStr) -> bool {
    VARIABLES.iter().any(|known| name == *known)
}

/// The variables for this project's library in this process's environment, besides the policy.
pub fn inherited() -> Vec<(&'static str, String)> {
    let names = VARIABLES.into_iter().filter(|name| ![POLICY, STATS].contains(name));
    names.filter_map(|name| Some((name, std::env::var(name).ok()?))).collect()
}

/// The variable's value: the library first, then the previous value.
pub fn in_front(library: &Path, previous: Option<OsString>) -> OsString {
    let mut value = library.as_os_str().to_owned();
    if let Some(previous) = previous.filter(|previous| !previous.is_empty()) {
        value.push(":");
        value.push(previous);
    }
    value
}

/// The library's path in the form the loader accepts, or why it cannot be preloaded.
pub fn checked(path: &Path) -> Result<PathBuf, String> {
    let error = |reason: &str| format!("{}: {reason}", path.display());
    let real = path.canonicalize().map_err(|cause| error(&cause.to_string()))?;
    // The loader has no way to quote these, and expands what follows a dollar sign.
    if real.as_os_str().as_bytes().iter().any(|byte| b" \t\n:;$".contains(byte)) {
        let reason = "LD_PRELOAD cannot name a path with white space, a colon, a semicolon or a dollar sign";
        return Err(error(reason));
    }
    match elf::file_kind(&real).map_err(|cause| error(&cause.to_string()))? {
        FileKind::Dynamic { has_malloc: true } => Ok(real),
        FileKind::Dynamic { has_malloc: false } => Err(error("it has no malloc")),
        FileKind::Foreign => Err(error("a library for another kind of machine")),
        _ => Err(error("not a shared library")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_previous_value_comes_after() {
        let library = Path::new("/lib/a.so");
        assert_eq!(in_front(library, None), "/lib/a.so");
        assert_eq!(in_front(library, Some("".into())), "/lib/a.so");
        assert_eq!(in_front(library, Some("b.so c.so".into())), "/lib/a.so:b.so c.so");
    }

    #[test]
    fn paths_that_cannot_be_preloaded() {
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
    fn variables_of_the_library() {
        assert!(is_library_variable(OsStr::new("HIGHWATER_STATS")));
        assert!(!is_library_variable(OsStr::new("HIGHWATER_MALLOC_LIB")));
    }
}
