//! Mappings of files: regions that live in a file, and the file that a region spills to.

#[cfg(not(highwater_portable))]
use super::fork::keep_addresses;
use super::mapping::Mapping;
#[cfg(not(highwater_portable))]
use super::mapping::{MappedMemory, MappingPlan};
#[cfg(not(highwater_portable))]
use crate::fallible;
use crate::sys::Errno;
#[cfg(not(highwater_portable))]
use crate::sys::{self, Protection, Resource};
#[cfg(not(highwater_portable))]
use core::ptr::NonNull;
#[cfg(not(highwater_portable))]
use std::fs::File;

#[cfg(not(highwater_portable))]
impl Mapping {
    /// Maps a file that is ours alone; it is made long enough for the region, without blocks.
    pub(crate) fn over_file(plan: &MappingPlan<'_>, file: File) -> std::io::Result<Self> {
        let guard = plan.guards();
        let len = plan.sum(&[guard.0, guard.1])?;
        // The guards are inaccessible, so the file need not reach below the one after. A longer one keeps what
        // it has.
        let needed = (guard.0 + plan.reserved) as u64;
        let before = file.metadata()?.len();
        if before < needed {
            // Beyond this limit the call would not fail but end the process.
            if sys::resource_limit(Resource::FileSize).is_some_and(|limit| needed > limit) {
                return Err(std::io::ErrorKind::FileTooLarge.into());
            }
            file.set_len(needed)?;
        }
        keep_addresses()?;
        let map = memmap2::MmapOptions::new().len(len).map_raw(&file).inspect_err(|_| {
            // A shorter reservation is going to be tried, and the file is to be as long as that one.
            let _ = file.set_len(before);
        })?;
        let start = NonNull::new(map.as_mut_ptr()).ok_or(sys::Errno::ENOMEM)?;
        // SAFETY: the whole range is ours, and nothing refers to it yet.
        unsafe {
            sys::dont_fork(start, len)?;
            sys::protect(start.as_ptr(), len)?;
            sys::set_dumpable(start.as_ptr(), len, false);
        }
        Ok(Mapping {
            // SAFETY: the guard before is a part of the range.
            base: unsafe { start.add(guard.0) },
            reserved: plan.reserved,
            guard,
            tail_end: len - guard.0,
            access: Protection::None,
            huge_pages: plan.huge_pages,
            name: plan.name,
            memory: MappedMemory::File {
                map: core::mem::ManuallyDrop::new(map),
                file,
                owner: sys::memory_id(),
            },
            spill: None,
        })
    }

    /// Makes a file in `dir` that the region can go on in, and returns its descriptor.
    pub(crate) fn prepare_spill(&mut self, dir: &std::path::Path) -> std::io::Result<i32> {
        use std::os::fd::AsRawFd;
        let file = Self::temporary_file(dir)?;
        if sys::is_in_memory(file.as_raw_fd()) {
            return Err(std::io::ErrorKind::Unsupported.into());
        }
        // Without blocks on demand a full disk would be SIGBUS.
        sys::allocate_blocks(file.as_raw_fd(), 0, sys::page_size())?;
        sys::punch_hole(file.as_raw_fd(), 0, sys::page_size())?;
        let len = self.reserved as u64;
        if sys::resource_limit(Resource::FileSize).is_some_and(|limit| len > limit) {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        file.set_len(len)?;
        keep_addresses()?;
        Ok(self.spill.insert(file).as_raw_fd())
    }

    /// [`decommit`](Mapping::decommit) of a part that lives in the file that the region spilled to.
    ///
    /// # Safety
    /// Nothing refers to the contents of that range any more.
    pub(super) unsafe fn decommit_spilled(&self, from: usize, to: usize) -> Result<(), Errno> {
        use std::os::fd::AsRawFd;
        let Some(file) = &self.spill else { return Ok(()) };
        let start = self.base.as_ptr().wrapping_add(from);
        // The access first: should that fail, the contents are still there.
        // SAFETY: the range lies in this mapping, and nothing refers to its contents: required by this function's contract.
        unsafe {
            sys::protect(start, to - from)?;
            sys::set_dumpable(start, to - from, false);
        }
        sys::punch_hole(file.as_raw_fd(), from, to - from).inspect_err(|_| {
            // SAFETY: the range lies in this mapping.
            _ = unsafe { sys::commit(start, to - from) };
        })
    }

    /// Gives the blocks of the file back; nothing of it is mapped any more.
    pub(super) fn release_spill_blocks(&self) {
        use std::os::fd::AsRawFd;
        if let Some(file) = &self.spill {
            // Blocks that stay are only lost until the region is gone.
            let _ = sys::punch_hole(file.as_raw_fd(), 0, self.reserved);
        }
    }

    /// A file of our own in `dir`: without a name (or with one for a moment, where the file system knows no
    /// other way), mode 0600, closed on exec.
    pub(crate) fn temporary_file(dir: &std::path::Path) -> std::io::Result<File> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = File::options();
        // std closes it on exec.
        options.read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE);
        match options.open(dir) {
            // Some file systems, and kernels that read the flag as O_DIRECTORY, answer with one of these.
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => {}
            made => return made,
        }
        options.create_new(true).custom_flags(libc::O_NOFOLLOW);
        for attempt in 0..100u32 {
            let unique = sys::monotonic_ns().wrapping_add(u64::from(attempt));
            let path = unique_path(dir, unique)?;
            match options.open(&path) {
                Ok(file) => {
                    std::fs::remove_file(&path)?;
                    return Ok(file);
                }
                Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Errno::EEXIST.into())
    }
}

/// A path in `dir` that no other file has.
#[cfg(not(highwater_portable))]
fn unique_path(dir: &std::path::Path, unique: u64) -> std::io::Result<std::path::PathBuf> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let name = fallible::text(format_args!("/.highwater-{}-{unique:016x}", sys::process_id()));
    let path = fallible::joined(&[dir.as_os_str().as_bytes(), name.as_bytes()]);
    let path = path.map_err(|_| std::io::Error::from(std::io::ErrorKind::OutOfMemory))?;
    Ok(std::ffi::OsString::from_vec(path).into())
}

#[cfg(highwater_portable)]
impl Mapping {
    /// # Safety
    /// None is needed: nothing spills.
    pub(super) unsafe fn decommit_spilled(&self, _from: usize, _to: usize) -> Result<(), Errno> {
        Ok(())
    }

    pub(super) fn release_spill_blocks(&self) {}
}
