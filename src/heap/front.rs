//! [`Heap`]: the front that all policies share.

use super::block::BlockHeap;
use super::bump::BumpHeap;
use super::general::{self, Native, ThreadSlot};
use super::policy::Policy;
use super::stack::StackHeap;
use super::{HeapError, HeapStats, Kind};
use crate::builder::{BuildInputs, Builder, FromRegion};
use crate::region::{BuildError, Monitor, Region, Role};
use core::fmt;
use core::ptr::NonNull;

/// Malloc-style blocks over a region, for any number of threads.
///
/// Blocks are committed memory, aligned to [`MIN_ALIGN`](super::MIN_ALIGN) at least, not cleared, and stay where they
/// are until they are given back, moved by [`reallocate`](Heap::reallocate), or the heap is dropped or
/// [`reset`](Heap::reset). The heap grows by request, with the region's growth policy, and whoever handles SIGSEGV:
/// `read(2)` into a fresh block works. Once it is made, no call allocates from anywhere else.
///
/// How blocks are placed is chosen when the heap is made: see [`Kind`]. The default serves whole programs.
///
/// ```
/// use highwater::heap::{Blocks, Fit, Heap};
///
/// let heap = Heap::builder().reserve(1 << 30).policy(Blocks::new().fit(Fit::First)).build();
/// let [first, second] = [heap.allocate(64, 16)?, heap.allocate(64, 4096)?];
/// assert!(second.as_ptr().addr() % 4096 == 0);
/// assert_eq!(heap.stats().live_blocks, 2);
/// // SAFETY: both are this heap's, and nobody uses them.
/// unsafe {
///     heap.deallocate(first)?;
///     heap.deallocate(second)?;
/// }
/// assert_eq!(heap.stats().live_bytes, 0);
/// # Ok::<(), highwater::heap::HeapError>(())
/// ```
///
/// # Forks
/// A child may use the heap like its parent, unless it was forked while another thread was in a call: then it may wait
/// for that thread for ever. A program that forks with threads running calls [`before_fork`](Heap::before_fork) and
/// [`after_fork`](Heap::after_fork) around it, as `pthread_atfork` does for it.
#[must_use = "dropping a heap unmaps it"]
pub struct Heap<T: ThreadSlot = Native> {
    policy: Chosen<T>,
    sets_errno: bool,
}

/// The policy, and with it the region. (With a tag of its own, so that asking for it is one compare.)
#[repr(u8)]
#[expect(clippy::large_enum_variant, reason = "a heap is made once, and nothing is allocated for it")]
enum Chosen<T: ThreadSlot> {
    General(general::General<T>),
    Blocks(BlockHeap),
    Stack(StackHeap),
    Bump(BumpHeap),
}

/// The same call on whichever policy it is.
macro_rules! each {
    ($heap:expr, $policy:ident => $call:expr) => {
        match $heap {
            Chosen::General($policy) => $call,
            Chosen::Blocks($policy) => $call,
            Chosen::Stack($policy) => $call,
            Chosen::Bump($policy) => $call,
        }
    };
}

/// Whether there can be a block like this at all.
#[inline]
fn checked(size: usize, align: usize) -> Result<(), HeapError> {
    const MOST: usize = isize::MAX as usize;
    if size == 0 {
        Err(HeapError::ZeroSize)
    } else if !align.is_power_of_two() {
        Err(HeapError::Alignment { align })
    } else if align > MOST || size > MOST - (align - 1) {
        Err(HeapError::TooLarge { size })
    } else {
        Ok(())
    }
}

impl Heap {
    /// A heap with the default policies: 64 GiB reserved.
    ///
    /// # Panics
    /// When the system has no address space for it.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A heap with policies of your own, its region's and its blocks'.
    ///
    /// ```
    /// use highwater::heap::{Heap, Stack};
    ///
    /// let heap = Heap::builder().name("frames").limit(1 << 20).policy(Stack::new().align(32)).build();
    /// assert!(heap.allocate(2 << 20, 16).is_err());
    /// ```
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// A heap over a region, which holds nothing that is still needed.
    ///
    /// # Errors
    /// [`HeapError::Option`] names an option that has a value which it cannot have.
    pub fn over(region: Region, kind: impl Into<Kind>) -> Result<Self, HeapError> {
        Self::over_with_slot(region, kind.into())
    }
}

impl<T: ThreadSlot> Heap<T> {
    /// [`builder`](Heap::builder), for threads that find what they have of it in another way.
    #[doc(hidden)]
    pub fn builder_with_slot() -> Builder<Self> {
        Builder::new()
    }

    /// [`over`](Heap::over), for threads that find what they have of it in another way.
    #[doc(hidden)]
    pub fn over_with_slot(region: Region, kind: Kind) -> Result<Self, HeapError> {
        let policy = match kind {
            Kind::General(options) => {
                let heap = general::General::new(region, options.checks)?;
                Chosen::General(heap.keeping_none(options.retires_at_once))
            }
            Kind::Blocks(options) => Chosen::Blocks(BlockHeap::over(region, options)?),
            Kind::Stack(options) => Chosen::Stack(StackHeap::over(region, options)?),
            Kind::Bump(options) => Chosen::Bump(BumpHeap::over(region, options)?),
        };
        let sets_errno = matches!(kind, Kind::Stack(options) if options.sets_errno);
        Ok(Heap { policy, sets_errno })
    }

    /// A block for `size` bytes at an address that is a multiple of `align`, which is a power of two. Its contents are
    /// whatever was there.
    ///
    /// # Errors
    /// [`HeapError::ZeroSize`], [`Alignment`](HeapError::Alignment), [`TooLarge`](HeapError::TooLarge), or
    /// [`OutOfMemory`](HeapError::OutOfMemory) with the cause.
    #[inline]
    pub fn allocate(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        // What is at hand needs no more than this; choosing the policy is out of line.
        if let Chosen::General(policy) = &self.policy
            && let Some(block) = policy.at_hand(size, align)
        {
            return Ok(block);
        }
        self.allocate_slow(size, align)
    }

    /// What is not at hand of `General`, and all other policies. (The longer fast path has a function of its own, so that
    /// the shorter one keeps no more than it needs.)
    #[inline(never)]
    fn allocate_slow(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        match &self.policy {
            Chosen::Stack(policy) if align.is_power_of_two() => match policy.at_hand(size, align) {
                Some(block) => Ok(block),
                None => self.allocate_cold(size, align),
            },
            Chosen::Bump(_) => self.allocate_by_bump(size, align),
            _ => self.allocate_cold(size, align),
        }
    }

    #[inline(never)]
    fn allocate_by_bump(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        match &self.policy {
            Chosen::Bump(policy) if align.is_power_of_two() => policy.at_hand(size, align),
            _ => None,
        }
        .map_or_else(|| self.allocate_cold(size, align), Ok)
    }

    /// What is not at hand.
    #[cold]
    #[inline(never)]
    fn allocate_cold(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        let result =
            checked(size, align).and_then(|()| each!(&self.policy, policy => policy.allocate(size, align)));
        result.map_err(|error| self.told(error))
    }

    /// Takes a block back.
    ///
    /// # Errors
    /// One that names what `block` is instead, if it is no live block of this heap: the heap stays as it was. It is found
    /// out by what the heap keeps about its blocks, so whoever writes there can hide it.
    ///
    /// # Safety
    /// If `block` is a live block of this heap, nobody uses it any more. With [`Kind::General`] without
    /// [`checked`](super::General::checked), it is one, or no address in a slice of small blocks: those are believed.
    #[inline]
    pub unsafe fn deallocate(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        if let Chosen::General(policy) = &self.policy
            // SAFETY: the caller's promise.
            && unsafe { policy.take_back(block.as_ptr()) }
        {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.deallocate_slow(block) }
    }

    /// What takes longer, and all policies but `General`.
    ///
    /// # Safety
    /// As for [`deallocate`](Heap::deallocate).
    #[inline(never)]
    unsafe fn deallocate_slow(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        // SAFETY: the caller's promise.
        unsafe {
            match &self.policy {
                Chosen::Stack(policy) if policy.take_back(block) => Ok(()),
                Chosen::Bump(_) => self.deallocate_by_bump(block),
                _ => self.deallocate_cold(block),
            }
        }
    }

    /// # Safety
    /// As for [`deallocate`](Heap::deallocate).
    #[inline(never)]
    unsafe fn deallocate_by_bump(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        let is_back = matches!(&self.policy, Chosen::Bump(policy) if policy.take_back(block));
        // SAFETY: the caller's promise.
        if is_back { Ok(()) } else { unsafe { self.deallocate_cold(block) } }
    }

    /// What takes longer.
    ///
    /// # Safety
    /// As for [`deallocate`](Heap::deallocate).
    #[cold]
    #[inline(never)]
    unsafe fn deallocate_cold(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        // SAFETY: the caller's promise.
        let result = each!(&self.policy, policy => unsafe { policy.deallocate(block) });
        result.map_err(|error| self.told(error))
    }

    /// Takes a block back if it is on a page of the calling thread's that has blocks free, and returns whether it did.
    ///
    /// # Safety
    /// As for [`deallocate`](Heap::deallocate), or `block` is null; and the heap is one of [`Kind::General`].
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn take_back(&self, block: *mut u8) -> bool {
        match &self.policy {
            // SAFETY: the caller's promise.
            Chosen::General(policy) => unsafe { policy.take_back(block) },
            // SAFETY: as above.
            _ => unsafe { core::hint::unreachable_unchecked() },
        }
    }

    /// What [`allocate`](Heap::allocate) would answer of a heap whose policy locks, if the block is at hand: nothing grows
    /// for it, and errno stays as it is.
    #[doc(hidden)]
    #[inline]
    pub fn at_once(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        match &self.policy {
            Chosen::Stack(policy) if align.is_power_of_two() => policy.at_hand(size, align),
            Chosen::Bump(policy) if align.is_power_of_two() => policy.at_hand(size, align),
            _ => None,
        }
    }

    /// Takes a block of such a heap back if nothing else has to be looked at, and returns whether it did. Of what is no
    /// block it takes nothing.
    ///
    /// # Safety
    /// As for [`deallocate`](Heap::deallocate).
    #[doc(hidden)]
    #[inline]
    pub unsafe fn back_at_once(&self, block: NonNull<u8>) -> bool {
        match &self.policy {
            Chosen::Stack(policy) => policy.take_back(block),
            Chosen::Bump(policy) => policy.take_back(block),
            _ => false,
        }
    }

    /// The calling thread does without what it has of the heap from here on: for a thread that ends. If it goes on to
    /// use the heap, it gets it again.
    #[doc(hidden)]
    pub fn leave(&self) {
        if let Chosen::General(policy) = &self.policy {
            policy.leave();
        }
    }

    /// A block like [`allocate`](Heap::allocate)'s whose first `size` bytes are zero. What the system gave afresh is not
    /// written to.
    ///
    /// ```
    /// let heap = highwater::heap::Heap::new();
    /// let block = heap.allocate_zeroed(100, 16)?;
    /// // SAFETY: the block has 100 bytes, and all of them are initialised.
    /// assert_eq!(unsafe { block.add(99).read() }, 0);
    /// # Ok::<(), highwater::heap::HeapError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`allocate`](Heap::allocate).
    #[inline]
    pub fn allocate_zeroed(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        if let Chosen::General(policy) = &self.policy
            && let Some(block) = policy.at_hand(size, align)
        {
            // SAFETY: a fresh block of so many bytes.
            unsafe { block.write_bytes(0, size) };
            return Ok(block);
        }
        self.zeroed_slow(size, align)
    }

    #[cold]
    #[inline(never)]
    fn zeroed_slow(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        let result = checked(size, align)
            .and_then(|()| each!(&self.policy, policy => policy.allocate_zeroed(size, align)));
        result.map_err(|error| self.told(error))
    }

    /// A block for `size` bytes that begins with what `block` held, as far as it fits. Where that is possible it is the
    /// same one; otherwise `block` is gone.
    ///
    /// # Errors
    /// Those of [`allocate`](Heap::allocate) and [`deallocate`](Heap::deallocate). Then `block` is what it was.
    ///
    /// # Safety
    /// As for [`deallocate`](Heap::deallocate).
    #[inline]
    pub unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        let result = checked(size, align).and_then(|()| {
            // SAFETY: the caller's promise.
            each!(&self.policy, policy => unsafe { policy.reallocate(block, size, align) })
        });
        result.map_err(|error| self.told(error))
    }

    /// How many bytes the owner of a block may use: what was asked for, or a little more.
    ///
    /// # Errors
    /// Those of [`deallocate`](Heap::deallocate).
    ///
    /// # Safety
    /// Nobody frees or moves `block` meanwhile, and what is said of it for [`deallocate`](Heap::deallocate).
    #[inline]
    pub unsafe fn usable_size(&self, block: NonNull<u8>) -> Result<usize, HeapError> {
        each!(&self.policy, policy => policy.usable_size(block)).map_err(|error| self.told(error))
    }

    /// Looks at everything that the heap keeps about its blocks: whether it is as it was left. Takes as long as there are
    /// blocks.
    ///
    /// # Errors
    /// [`HeapError::Corrupt`], which names the first thing that is not.
    pub fn check(&self) -> Result<(), HeapError> {
        each!(&self.policy, policy => policy.check())
    }

    /// The figures of this moment. They are what the heap counts, and no block is read for them, so that any thread may
    /// ask at any time. They are exact when no other thread is in a call; otherwise the counts of one page may be of
    /// different moments.
    pub fn stats(&self) -> HeapStats {
        let stats = each!(&self.policy, policy => policy.stats());
        HeapStats { region: self.monitor().stats().unwrap_or_default(), ..stats }
    }

    /// Whether a call is in the middle of something at this moment, so that [`stats`](Heap::stats) would wait for it: for
    /// ever if it was interrupted by the signal whose handler asks.
    #[doc(hidden)]
    pub fn is_busy(&self) -> bool {
        each!(&self.policy, policy => policy.is_busy())
    }

    /// Gives memory that nobody uses back to the system, but for about `keep` bytes of it; returns how many bytes that
    /// were.
    pub fn trim(&self, keep: usize) -> usize {
        each!(&self.policy, policy => policy.trim(keep))
    }

    /// How many bytes the owner of a block of `size` bytes could use at least; `size` itself where that is not known
    /// beforehand.
    ///
    /// ```
    /// let heap = highwater::heap::Heap::new();
    /// assert_eq!(heap.good_size(200), 224);
    /// ```
    pub fn good_size(&self, size: usize) -> usize {
        match &self.policy {
            Chosen::General(_) => general::good_size(size),
            _ => size,
        }
    }

    /// Takes all blocks back at once, and returns whether it did: [`Kind::General`] does not, because threads hold parts
    /// of it. Committed memory is kept.
    pub fn reset(&mut self) -> bool {
        match &mut self.policy {
            Chosen::General(_) => return false,
            Chosen::Blocks(policy) => policy.reset(),
            Chosen::Stack(policy) => policy.reset(),
            Chosen::Bump(policy) => policy.reset(),
        }
        true
    }

    /// Whether an address is one of the heap's region, in use or not.
    #[inline]
    pub fn contains(&self, address: *const u8) -> bool {
        each!(&self.policy, policy => policy.ground().contains(address))
    }

    /// The first byte of the region.
    #[doc(hidden)]
    pub fn start(&self) -> NonNull<u8> {
        each!(&self.policy, policy => policy.ground().at(0))
    }

    /// The bytes committed.
    pub fn committed_bytes(&self) -> usize {
        each!(&self.policy, policy => policy.ground().control().frontier.get())
    }

    /// A view of the region's figures, for other threads.
    pub fn monitor(&self) -> Monitor {
        each!(&self.policy, policy => Monitor::new(policy.ground().control()))
    }

    /// To be called by the thread that is about to fork: no other thread is in a call to the heap from here on, until
    /// [`after_fork`](Heap::after_fork). This thread may go on to use it.
    ///
    /// Called again before that, it does nothing: one [`after_fork`](Heap::after_fork) ends it however often it was called, and
    /// more of them do nothing. If the thread ends without one, others go on.
    pub fn before_fork(&self) {
        each!(&self.policy, policy => policy.before_fork());
    }

    /// To be called after the fork, in the parent and (`is_child`) in the child. Where that was not said the process's number
    /// tells.
    ///
    /// # Safety
    /// This thread called [`before_fork`](Heap::before_fork), or is the child's copy of the one that did.
    pub unsafe fn after_fork(&self, is_child: bool) {
        // SAFETY: the caller's promise.
        each!(&self.policy, policy => unsafe { policy.after_fork(is_child) });
    }

    /// An error, after errno was told where that was asked for.
    #[cold]
    fn told(&self, error: HeapError) -> HeapError {
        if self.sets_errno {
            nix::errno::Errno::set_raw(match error {
                HeapError::OutOfMemory(_) | HeapError::TooLarge { .. } => libc::ENOMEM,
                _ => libc::EINVAL,
            });
        }
        error
    }
}

impl<T: ThreadSlot> Builder<Heap<T>> {
    /// How blocks are placed: a [`Kind`], or the options of one.
    pub fn policy(self, kind: impl Into<Kind>) -> Self {
        self.extra(kind.into())
    }
}

impl<T: ThreadSlot> FromRegion for Heap<T> {
    const CHECKED: bool = false;
    const TOUCHED: bool = false;
    const ROLE: Role = Role::Heap;
    type Extra = Kind;

    fn from_region(region: Region, inputs: BuildInputs<'_, Self::Extra>) -> Result<Self, BuildError> {
        Ok(Heap::over_with_slot(region, inputs.extra)?)
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: ThreadSlot> fmt::Debug for Heap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.policy {
            Chosen::General(_) => "general",
            Chosen::Blocks(_) => "blocks",
            Chosen::Stack(_) => "stack",
            Chosen::Bump(_) => "bump",
        };
        f.debug_struct("Heap").field("kind", &kind).field("stats", &self.stats()).finish()
    }
}
