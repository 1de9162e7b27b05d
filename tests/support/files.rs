//! Where the tests of file-backed regions make their files.

use std::os::fd::AsRawFd;
use std::path::Path;

/// Whether the file system of `dir` knows fallocate and holes, without which there are no such regions.
fn has_fallocate(dir: &Path) -> bool {
    let file = tempfile::tempfile_in(dir).unwrap();
    let punch = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: fallocate takes any numbers.
    let works = unsafe {
        libc::fallocate(file.as_raw_fd(), 0, 0, 8192) == 0
            && libc::fallocate(file.as_raw_fd(), punch, 0, 4096) == 0
    };
    if !works {
        super::skip("the file system of the temporary directory has no fallocate");
    }
    works
}

/// A directory to make files in.
pub fn directory() -> Option<tempfile::TempDir> {
    if !super::reserves() {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    has_fallocate(dir.path()).then_some(dir)
}

/// A directory on a disk: what lies in memory cannot be reclaimed. `None` where the target directory is none.
#[cfg(target_os = "linux")]
pub fn disk_dir() -> Option<tempfile::TempDir> {
    const TMPFS: libc::c_long = 0x0102_1994;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).ok()?;
    let path = std::ffi::CString::new(dir.path().to_str()?).ok()?;
    let mut facts = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: there is room for the answer, and zero is valid for it.
    let kind = unsafe {
        libc::statfs(path.as_ptr(), facts.as_mut_ptr());
        facts.assume_init().f_type as libc::c_long
    };
    (kind != TMPFS).then_some(dir)
}
