//! Finds the C library.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The static library first: it is the same code, and needs no path library_at run time.
const NAMES: [&str; 2] = ["libhighwater.a", "libhighwater.so"];
const VARIABLE: &str = "HIGHWATER_C_LIB";

/// The given library, or the first that exists of the usual paths.
pub fn find(given: Option<&Path>) -> Result<PathBuf, String> {
    let named = given.map(|path| ("--c-lib", path.to_owned()));
    let named = named.or_else(|| env::var_os(VARIABLE).map(|path| (VARIABLE, path.into())));
    if let Some((source, path)) = named {
        return library_at(&path)
            .ok_or_else(|| format!("no C library: {source} is {}: no such file", path.display()));
    }
    let executable = env::current_exe().unwrap_or_default();
    let usual_dirs = usual_dirs(&executable);
    usual_dirs.iter().find_map(|dir| library_at(dir)).ok_or_else(|| {
        "no C library: build it with `cargo build --release -p highwater-capi`, or give its path with --c-lib"
            .into()
    })
}

/// The executable's directory, `../lib`, and cargo's target directories.
fn usual_dirs(executable: &Path) -> Vec<PathBuf> {
    let beside = executable.parent().unwrap_or(executable);
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release");
    // A debug build measures the library of the release build.
    vec![beside.join("../release"), beside.to_owned(), beside.join("../lib"), checkout]
}

/// The canonical path of the library at this path or in this directory.
fn library_at(path: &Path) -> Option<PathBuf> {
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
        assert_eq!(library_at(directory.path()), None);
        assert_eq!(library_at(&directory.path().join("nothing.a")), None);
        for name in ["libhighwater.so", "libhighwater.a"] {
            let file = directory.path().join(name);
            std::fs::write(&file, "").unwrap();
            let file = file.canonicalize().unwrap();
            assert_eq!(library_at(&file), Some(file.clone()));
            assert_eq!(library_at(directory.path()), Some(file), "the static one first");
        }
    }

    #[test]
    fn a_library_that_does_not_exist() {
        let error = find(Some(Path::new("/no/such/library.a"))).unwrap_err();
        assert_eq!(error, "no C library: --c-lib is /no/such/library.a: no such file");
    }

    #[test]
    fn an_installed_command_has_its_library_in_lib() {
        assert!(usual_dirs(Path::new("/usr/bin/highwater")).contains(&PathBuf::from("/usr/bin/../lib")));
    }
}
