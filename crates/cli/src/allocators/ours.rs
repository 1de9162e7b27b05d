//! Finds this project's malloc library.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::preload;
use crate::failure::Failure;

/// The name of its file.
const FILE: &str = "libhighwater_malloc.so";
/// The environment variable that names its path.
const VARIABLE: &str = "HIGHWATER_MALLOC_LIB";
/// The command that builds it in a checkout of this project.
const BUILD: &str = "cargo build --profile malloc -p highwater-malloc";

/// Its path: the given one, or that of `HIGHWATER_MALLOC_LIB`, or where a checkout builds it, or beside this executable,
/// or in `../lib`. Status 2 if there is none.
pub fn library(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = given {
        return preload::checked(path).map_err(|reason| Failure::refused(format!("--malloc-lib {reason}")));
    }
    if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return preload::checked(Path::new(&path))
            .map_err(|reason| Failure::refused(format!("{VARIABLE}={reason}")));
    }
    let exe = env::current_exe().and_then(|exe| exe.canonicalize()).unwrap_or_default();
    match candidates(&exe).into_iter().find(|path| path.exists()) {
        Some(path) => preload::checked(&path).map_err(Failure::refused),
        None => Err(Failure::refused(format!(
            "{FILE} is neither beside {} nor in ../lib: build it with `{BUILD}`, or give its path with --malloc-lib",
            exe.display()
        ))),
    }
}

fn candidates(exe: &Path) -> Vec<PathBuf> {
    let Some(dir) = exe.parent() else { return Vec::new() };
    // target/malloc of a checkout comes first: a library that a workspace build leaves beside the executable is not
    // optimised.
    [dir.join("../malloc").join(FILE), dir.join(FILE), dir.join("../lib").join(FILE)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_tried_in_this_order() {
        let expected = [
            "/t/release/../malloc/libhighwater_malloc.so",
            "/t/release/libhighwater_malloc.so",
            "/t/release/../lib/libhighwater_malloc.so",
        ];
        let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(candidates(Path::new("/t/release/highwater")), expected);
        assert!(candidates(Path::new("")).is_empty());
    }

    #[test]
    fn a_path_that_does_not_exist() {
        let failure = library(Some(Path::new("/no/such.so"))).unwrap_err();
        assert_eq!(failure.status, 2);
        assert!(failure.message.starts_with("--malloc-lib /no/such.so: "), "{}", failure.message);
    }
}
