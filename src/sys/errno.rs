//! Error numbers of the operating system, and the calling thread's errno.

/// An error number of the operating system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

/// Linux's numbers: also where there is no libc that has them.
impl Errno {
    /// The descriptor belongs to another file by now.
    pub(crate) const EBADF: Errno = Errno(9);
    /// More memory would be locked than is allowed.
    pub(crate) const EAGAIN: Errno = Errno(11);
    /// No memory, or no addresses.
    pub(crate) const ENOMEM: Errno = Errno(12);
    /// The range is not mapped in this process.
    pub(crate) const EFAULT: Errno = Errno(14);
    /// This kernel does not know the advice, or it does not apply to something in the range.
    pub(crate) const EINVAL: Errno = Errno(22);
    /// The file may not be that long.
    pub(crate) const EFBIG: Errno = Errno(27);
    /// The file system is full.
    pub(crate) const ENOSPC: Errno = Errno(28);
    /// The user's share of the file system is used up.
    pub(crate) const EDQUOT: Errno = Errno(122);
}

impl core::fmt::Debug for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        std::io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> Self {
        std::io::Error::from_raw_os_error(errno.0)
    }
}

/// Makes a call after which errno is what it was. Signal-safe.
pub fn preserve_errno<R>(call: impl FnOnce() -> R) -> R {
    let before = nix::errno::Errno::last_raw();
    let result = call();
    nix::errno::Errno::set_raw(before);
    result
}
