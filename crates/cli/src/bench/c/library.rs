//! Where the C library is.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The static one first: it is the same code, and needs no path at run time.
const NAMES: [&str; 2] = ["libhighwater.a", "libhighwater.so"];
const VARIABLE: &str = "HIGHWATER_C_LIB";

/// The one that was asked for, or the first of those that may be there.
pub fn find(asked: Option<&Path>) -> Result<PathBuf, String> {
    let named = asked.map(|path| ("--c-lib", path.to_owned()));
    let named = named.or_else(|| env::var_os(VARIABLE).map(|path| (VARIABLE, path.into())));
    if let Some((by, path)) = named {
        let found = at(&path);
        return found.ok_or_else(|| format!("no C library: {by} is {}: there is none", path.display()));
    }
    let executable = env::current_exe().unwrap_or_default();
    let nearby = nearby(&executable);
    nearby.iter().find_map(|place| at(place)).ok_or_else(|| {
        "no C library: build it with `cargo build --release -p highwater-capi`, or name it with --c-lib"
            .into()
    })
}

/// Beside the executable, in `../lib`, and where cargo puts it.
fn nearby(executable: &Path) -> Vec<PathBuf> {
    let beside = executable.parent().unwrap_or(executable);
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release");
    // Of a debug build's neighbours the release build is the one to measure.
    vec![beside.join("../release"), beside.to_owned(), beside.join("../lib"), checkout]
}

/// The library, or the one in that directory, by its whole path.
fn at(path: &Path) -> Option<PathBuf> {
    let file = if path.is_dir() {
        NAMES.map(|name| path.join(name)).into_iter().find(|file| file.is_file())
    } else {
        Some(path.to_owned())
    };
    file.filter(|file| file.is_file())?.canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_or_a_file() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(at(directory.path()), None);
        assert_eq!(at(&directory.path().join("nothing.a")), None);
        for name in ["libhighwater.so", "libhighwater.a"] {
            let file = directory.path().join(name);
            std::fs::write(&file, "").unwrap();
            let file = file.canonicalize().unwrap();
            assert_eq!(at(&file), Some(file.clone()));
            assert_eq!(at(directory.path()), Some(file), "the static one first");
        }
    }

    #[test]
    fn what_was_asked_for_and_is_not_there() {
        let said = find(Some(Path::new("/no/such/library.a"))).unwrap_err();
        assert_eq!(said, "no C library: --c-lib is /no/such/library.a: there is none");
    }

    #[test]
    fn an_installed_command_has_its_library_in_lib() {
        assert!(nearby(Path::new("/usr/bin/highwater")).contains(&PathBuf::from("/usr/bin/../lib")));
    }
}
