//! Figures of the kernel that are compared with a request: the same types on every system.

/// The overcommit policy, and what the kernel charges for all processes, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Overcommit {
    /// `vm.overcommit_memory`: 0 by a heuristic, 1 everything, 2 no more than `commit_limit`.
    pub(crate) mode: u64,
    /// `CommitLimit`.
    pub(crate) commit_limit: u64,
    /// `Committed_AS`.
    pub(crate) committed: u64,
    /// Memory and swap.
    pub(crate) total: u64,
    /// `vm.user_reserve_kbytes`, in bytes.
    pub(crate) user_reserve: u64,
    /// `vm.admin_reserve_kbytes`, in bytes.
    pub(crate) admin_reserve: u64,
}

impl Overcommit {
    /// What the kernel keeps back of its limit from this process, in bytes (`__vm_enough_memory`): a 32nd of its address
    /// space, at most `vm.user_reserve_kbytes`, so that a user can end a process that took everything; and, unless the
    /// process is an administrator's, `vm.admin_reserve_kbytes`.
    pub(crate) fn kept_back(&self, process: ProcessSize) -> u64 {
        let admin = if process.is_admin { 0 } else { self.admin_reserve };
        (process.total / 32).min(self.user_reserve).saturating_add(admin)
    }

    /// What is left for this process, in bytes, where the kernel keeps to its limit.
    pub(crate) fn left(&self, process: ProcessSize) -> u64 {
        self.commit_limit.saturating_sub(self.committed).saturating_sub(self.kept_back(process))
    }
}

/// What a process has, in bytes, as the kernel counts it against its limits.
#[derive(Clone, Copy)]
pub(crate) struct ProcessSize {
    /// Address space.
    pub(crate) total: u64,
    /// Private writable memory, without stacks.
    pub(crate) data: u64,
    /// Memory that may not be paged out.
    pub(crate) locked: u64,
    /// Resident memory.
    pub(crate) resident: u64,
    /// Whether it is an administrator's (`CAP_SYS_ADMIN`): from the others the kernel keeps some memory back.
    pub(crate) is_admin: bool,
}
