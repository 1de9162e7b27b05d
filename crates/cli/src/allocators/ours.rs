//! Where this project's malloc library is.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::preload;
use crate::failure::Failure;

/// Its file.
const FILE: &str = "libhighwater_malloc.so";
/// Says where it is.
const VARIABLE: &str = "HIGHWATER_MALLOC_LIB";
/// What makes one, in a checkout of this project.
const BUILD: &str = "cargo build --profile malloc -p highwater-malloc";

/// Its path: the one that was given, or `HIGHWATER_MALLOC_LIB`, or where a checkout has it, or beside this executable, or in
/// `../lib` of it. Status 2 if there is none.
pub fn library(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = given {
        return preload::checked(path).map_err(|why| Failure::asked(format!("--malloc-lib {why}")));
    }
    if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return preload::checked(Path::new(&path)).map_err(|why| Failure::asked(format!("{VARIABLE}={why}")));
    }
    let exe = env::current_exe().and_then(|exe| exe.canonicalize()).unwrap_or_default();
    match places(&exe).into_iter().find(|place| place.exists()) {
        Some(path) => preload::checked(&path).map_err(Failure::asked),
        None => Err(Failure::asked(format!(
            "{FILE} is neither beside {} nor in ../lib: build it with `{BUILD}`, or name it by --malloc-lib",
            exe.display()
        ))),
    }
}

fn places(exe: &Path) -> Vec<PathBuf> {
    let Some(dir) = exe.parent() else { return Vec::new() };
    // (First that of a checkout, target/malloc: what a build of everything leaves beside the executable is not optimised.)
    [dir.join("../malloc").join(FILE), dir.join(FILE), dir.join("../lib").join(FILE)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_this_order() {
        let expected = [
            "/t/release/../malloc/libhighwater_malloc.so",
            "/t/release/libhighwater_malloc.so",
            "/t/release/../lib/libhighwater_malloc.so",
        ];
        let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(places(Path::new("/t/release/highwater")), expected);
        assert!(places(Path::new("")).is_empty());
    }

    #[test]
    fn a_path_that_is_none() {
        let failure = library(Some(Path::new("/no/such.so"))).unwrap_err();
        assert_eq!(failure.status, 2);
        assert!(failure.message.starts_with("--malloc-lib /no/such.so: "), "{}", failure.message);
    }
}
