//! Memory from the global allocator, by calls that return an error when there is none.
//!
//! A region is made while the program may have used up everything else, and `try_` calls return their error then. std's
//! own calls would end the process.

use core::fmt;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc};
use std::ffi::CString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The global allocator had no memory. (`pub` in a private module: the options of a public type contain it.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// The bytes that were requested.
    pub(crate) bytes: usize,
}

/// A value in a box. When there is none the value is dropped.
pub(crate) fn boxed<T>(value: T) -> Result<Box<T>, Exhausted> {
    let layout = Layout::new::<T>();
    if layout.size() == 0 {
        return Ok(Box::new(value));
    }
    // SAFETY: the layout has a size.
    let place = NonNull::new(unsafe { alloc(layout) }.cast::<T>());
    let place = place.ok_or(Exhausted { bytes: layout.size() })?;
    // SAFETY: the block is as large and as aligned as the value, comes from the global allocator, and has no other owner.
    unsafe {
        place.write(value);
        Ok(Box::from_raw(place.as_ptr()))
    }
}

/// Room in a vector for so many values more.
pub(crate) fn reserve<T>(vec: &mut Vec<T>, more: usize) -> Result<(), Exhausted> {
    let bytes = vec.len().saturating_add(more).saturating_mul(size_of::<T>());
    vec.try_reserve_exact(more).map_err(|_| Exhausted { bytes })
}

/// Appends a value; when there is no memory it is dropped.
pub(crate) fn push<T>(vec: &mut Vec<T>, value: T) -> Result<(), Exhausted> {
    if vec.len() == vec.capacity() {
        reserve(vec, vec.len().max(4))?;
    }
    vec.push(value);
    Ok(())
}

/// Pieces of bytes, one after the other.
pub(crate) fn joined(pieces: &[&[u8]]) -> Result<Vec<u8>, Exhausted> {
    joined_before(pieces, &[])
}

/// The same, and an end after them. There is no spare room behind it.
fn joined_before(pieces: &[&[u8]], end: &[u8]) -> Result<Vec<u8>, Exhausted> {
    let mut len = end.len();
    for piece in pieces {
        len += piece.len();
    }
    let mut bytes = Vec::new();
    reserve(&mut bytes, len)?;
    for piece in pieces {
        bytes.extend_from_slice(piece);
    }
    bytes.extend_from_slice(end);
    Ok(bytes)
}

/// The same as a C string; `None` where a piece has a zero.
pub(crate) fn c_string(pieces: &[&[u8]]) -> Result<Option<CString>, Exhausted> {
    // (A string without spare room is not moved when it is made a `CString`.)
    Ok(CString::from_vec_with_nul(joined_before(pieces, b"\0")?).ok())
}

/// A copy of a path.
pub(crate) fn path(path: &Path) -> Result<PathBuf, Exhausted> {
    let mut copy = PathBuf::new();
    let bytes = path.as_os_str().len();
    copy.try_reserve_exact(bytes).map_err(|_| Exhausted { bytes })?;
    copy.push(path);
    Ok(copy)
}

/// A formatted text, or as much of it as there is memory for.
pub(crate) fn text(arguments: fmt::Arguments<'_>) -> String {
    struct Fitting(String);
    impl fmt::Write for Fitting {
        fn write_str(&mut self, piece: &str) -> fmt::Result {
            self.0.try_reserve(piece.len()).map_err(|_| fmt::Error)?;
            self.0.push_str(piece);
            Ok(())
        }
    }
    let mut text = Fitting(String::new());
    // A text that is cut off is no error: the error that it explains has its figures as well.
    let _ = fmt::write(&mut text, arguments);
    text.0
}

/// The contents of a file; nothing where it cannot be read.
pub(crate) fn read(path: &str) -> Result<Vec<u8>, Exhausted> {
    let mut bytes = Vec::new();
    let Ok(mut file) = File::open(path) else { return Ok(bytes) };
    reserve(&mut bytes, 4096)?;
    // (std reserves the room by calls that may fail.)
    match file.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::OutOfMemory => {
            Err(Exhausted { bytes: bytes.capacity().saturating_mul(2) })
        }
        Err(_) => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_what_std_would_have_made() {
        assert_eq!(*boxed([7u64; 3]).unwrap(), [7; 3]);
        assert_eq!(*boxed(()).unwrap(), ());
        let mut words = Vec::new();
        (0..100).for_each(|n| push(&mut words, n.to_string()).unwrap());
        assert!(words.iter().enumerate().all(|(n, word)| *word == n.to_string()));
        assert_eq!(joined(&[b"a", b"", b"bc"]).unwrap(), b"abc");
        assert_eq!(c_string(&[b"a/", b"b"]).unwrap().unwrap().as_c_str(), c"a/b");
        assert_eq!(c_string(&[b"a", b"b\0"]), Ok(None));
        assert_eq!(path(Path::new("/a/b/")).unwrap().as_os_str(), "/a/b/");
        assert_eq!(text(format_args!("{}-{:?}", 1, "x")), "1-\"x\"");
        assert_eq!(read("/does/not/exist").unwrap(), b"");
        assert_eq!(reserve(&mut Vec::<u64>::new(), usize::MAX / 4), Err(Exhausted { bytes: usize::MAX }));
    }

    #[cfg(not(miri))]
    #[test]
    fn a_file_is_read_to_its_end() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fallible.rs");
        assert_eq!(read(path).unwrap(), include_bytes!("fallible.rs"));
    }
}
