//! Error numbers of the operating system, and the calling thread's errno.

/// An error number of the operating system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub(crate) i32);

/// Linux's numbers: also where there is no libc that has them.
#[cfg_attr(highwater_portable, allow(dead_code, reason = "fewer calls fail there"))]
impl Errno {
    /// There is no such process or thread.
    pub(crate) const ESRCH: Errno = Errno(3);
    /// A signal interrupted the call.
    pub(crate) const EINTR: Errno = Errno(4);
    /// The descriptor belongs to another file by now.
    pub(crate) const EBADF: Errno = Errno(9);
    /// More memory would be locked than is allowed.
    pub(crate) const EAGAIN: Errno = Errno(11);
    /// No memory, or no addresses.
    pub(crate) const ENOMEM: Errno = Errno(12);
    /// The range is not mapped in this process.
    pub(crate) const EFAULT: Errno = Errno(14);
    /// Something is mapped there already.
    pub(crate) const EEXIST: Errno = Errno(17);
    /// This kernel does not know the advice, or it does not apply to something in the range.
    pub(crate) const EINVAL: Errno = Errno(22);
    /// The file may not be that long.
    pub(crate) const EFBIG: Errno = Errno(27);
    /// The file system is full.
    pub(crate) const ENOSPC: Errno = Errno(28);
    /// The user's share of the file system is used up.
    pub(crate) const EDQUOT: Errno = Errno(122);

    /// The calling thread's errno. Signal-safe.
    #[cfg(not(highwater_portable))]
    pub(crate) fn last() -> Self {
        Errno(nix::errno::Errno::last_raw())
    }

    /// The result of a call that returns 0, or sets errno. Signal-safe.
    #[cfg(not(highwater_portable))]
    pub(crate) fn check(result: core::ffi::c_int) -> Result<(), Self> {
        if result == 0 { Ok(()) } else { Err(Errno::last()) }
    }
}

#[cfg(not(highwater_portable))]
impl From<nix::errno::Errno> for Errno {
    fn from(errno: nix::errno::Errno) -> Self {
        Errno(errno as i32)
    }
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
