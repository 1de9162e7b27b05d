//! [`GrowVec`]: a vector that grows in place.

use super::storage::{VecStorage, panic_with};
use crate::admission::OutOfMemory;
use crate::builder::{BuildInputs, Builder, FromRegion};
use crate::fallible;
use crate::grow::GrowReason;
use crate::region::{BuildError, Monitor, Region, Role};
use crate::stats::Stats;
use core::mem::MaybeUninit;
use core::slice;

/// A vector in a region of its own: it grows in place, and its values never move.
///
/// Names and meanings are those of std's `Vec`. Growth differs: address space for the maximal length is reserved at
/// first, and memory is committed as it is touched. So there is no copying, no moment with two copies in memory, and no
/// growth path to compile: `push` compares with the maximal length, and writes. (The cold side of that compare makes the
/// reservation, the first time, or diverges.) Pointers to values stay valid until the value is removed or moved by a call
/// that says so, and a refusal to grow is a report that says why.
///
/// - [`new`](GrowVec::new) reserves nothing. The first value reserves 64 GiB of addresses (less when there are many
///   regions, or under a limit on address space), which takes about 10 µs: many small vectors belong in an arena.
/// - Where the length is known, from `with_capacity`, `reserve`, `From`, `clone` or an iterator's size hint, at least that
///   much is reserved, and room to grow if there is any.
/// - [`capacity`](GrowVec::capacity) is what is committed; [`max_len`](GrowVec::max_len) is the maximal length.
/// - [`spare_capacity_mut`](GrowVec::spare_capacity_mut) is committed memory only, so it can be handed to `read(2)`.
/// - `clone`, `split_off` and `collect` make vectors with the default policies.
/// - A vector has to be dropped before what its values borrow from. (`Vec` relaxes this by an attribute that is not stable.)
///
/// ```
/// use highwater::GrowVec;
///
/// let mut numbers = GrowVec::new();
/// numbers.push(1u64);
/// let first = numbers.as_ptr();
/// numbers.extend(2..=1_000_000);
/// assert_eq!(numbers.as_ptr(), first);
/// assert_eq!(numbers.iter().sum::<u64>(), 500_000_500_000);
/// ```
pub struct GrowVec<T> {
    pub(super) storage: VecStorage<T>,
    pub(super) len: usize,
    /// The length up to which a value is simply written. With the fault engine that is the greatest length; with the
    /// explicit one it is what is committed.
    pub(super) room: usize,
}

impl<T> GrowVec<T> {
    /// An empty vector. Nothing is reserved before the first value is pushed.
    ///
    /// ```
    /// static EMPTY: std::sync::Mutex<highwater::GrowVec<u32>> = std::sync::Mutex::new(highwater::GrowVec::new());
    /// EMPTY.lock().unwrap().push(1);
    /// ```
    pub const fn new() -> Self {
        let storage = VecStorage::none();
        GrowVec { room: if size_of::<T>() == 0 { usize::MAX } else { 0 }, storage, len: 0 }
    }

    /// An empty vector with memory for `capacity` values committed.
    ///
    /// # Panics
    /// When the system has no address space or memory for it.
    ///
    /// ```
    /// let bytes = highwater::GrowVec::<u8>::with_capacity(1 << 20);
    /// assert!(bytes.capacity() >= 1 << 20);
    /// ```
    #[track_caller]
    pub fn with_capacity(capacity: usize) -> Self {
        let mut vec = Self::new();
        vec.reserve_exact(capacity);
        vec
    }

    /// [`with_capacity`](GrowVec::with_capacity) that returns the error.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the system has no address space or memory for it.
    ///
    /// ```
    /// let bytes = highwater::GrowVec::<u8>::try_with_capacity(100)?;
    /// assert!(bytes.capacity() >= 100);
    /// # Ok::<(), highwater::OutOfMemory>(())
    /// ```
    pub fn try_with_capacity(capacity: usize) -> Result<Self, OutOfMemory> {
        let mut vec = Self::new();
        vec.try_reserve_exact(capacity)?;
        Ok(vec)
    }

    /// An empty vector that may get `len` values long and reserves addresses for no more.
    ///
    /// # Panics
    /// When the system has no address space or memory for it.
    ///
    /// ```
    /// let mut two = highwater::GrowVec::with_max(2);
    /// two.extend([1, 2]);
    /// assert!(two.try_push(3).is_err());
    /// assert_eq!(two, [1, 2]);
    /// ```
    #[track_caller]
    pub fn with_max(len: usize) -> Self {
        match Self::try_with_max(len) {
            Ok(vec) => vec,
            Err(error) => panic_with(error),
        }
    }

    /// [`with_max`](GrowVec::with_max) that returns the error.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the system has no address space or memory for it.
    ///
    /// ```
    /// let mut two = highwater::GrowVec::try_with_max(2)?;
    /// two.push(1);
    /// assert_eq!(two, [1]);
    /// # Ok::<(), highwater::OutOfMemory>(())
    /// ```
    pub fn try_with_max(len: usize) -> Result<Self, OutOfMemory> {
        Ok(Self::in_storage(VecStorage::with_max(len)?, 0))
    }

    /// A vector with policies of your own; sizes are in bytes.
    ///
    /// ```
    /// use highwater::{Growth, GrowVec};
    ///
    /// let mut log = GrowVec::<u8>::builder().name("log").growth(Growth::Fixed(1 << 20)).limit(100 << 20).build();
    /// log.extend_from_slice(b"started\n");
    /// assert_eq!(log.max_len(), 100 << 20);
    /// ```
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// The vector of the first `len` values of a storage, which are initialised and have no other owner.
    pub(super) fn in_storage(storage: VecStorage<T>, len: usize) -> Self {
        let mut vec = GrowVec { storage, len, room: 0 };
        vec.refresh_room();
        vec
    }

    /// The storage, after it was reserved if nothing was.
    pub(super) fn reserved(&mut self) -> Result<&VecStorage<T>, OutOfMemory> {
        self.storage.open(0)?;
        self.refresh_room();
        Ok(&self.storage)
    }

    /// The storage, and how many values are in it: they are the caller's.
    pub(super) fn into_storage(mut self) -> (VecStorage<T>, usize) {
        let len = core::mem::take(&mut self.len);
        (core::mem::replace(&mut self.storage, VecStorage::none()), len)
    }

    pub(super) fn refresh_room(&mut self) {
        let max_len = self.storage.max_len();
        self.room = if cfg!(highwater_fault) { max_len } else { max_len.min(self.storage.committed()) };
    }

    /// How many values there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many values fit into what is committed, or how many there are, if that is more (see
    /// [`ensure_committed`](GrowVec::ensure_committed)).
    ///
    /// ```
    /// let mut numbers = highwater::GrowVec::<u64>::new();
    /// assert_eq!((numbers.capacity(), numbers.max_len()), (0, 0));
    /// numbers.push(1);
    /// assert!(numbers.capacity() >= 1 && numbers.max_len() > numbers.capacity());
    /// ```
    pub fn capacity(&self) -> usize {
        self.storage.committed().max(self.len)
    }

    /// The largest number of values. Before anything is reserved that is 0, unless `T` has no size.
    pub fn max_len(&self) -> usize {
        self.storage.max_len()
    }

    /// The region that the values are in, once it is reserved.
    pub fn region(&self) -> Option<&Region> {
        self.storage.region()
    }

    /// The first value's address; it stays the same once there is a value.
    ///
    /// ```
    /// let mut numbers = highwater::GrowVec::from([1u64]);
    /// let first = numbers.as_ptr();
    /// numbers.extend(0..100_000);
    /// assert_eq!(numbers.as_ptr(), first);
    /// ```
    #[inline]
    pub fn as_ptr(&self) -> *const T {
        self.storage.start()
    }

    /// [`as_ptr`](GrowVec::as_ptr), for writing.
    #[inline]
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.storage.start()
    }

    /// All values.
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: the first `len` places are initialised, and borrowed with the vector.
        unsafe { slice::from_raw_parts(self.storage.start(), self.len) }
    }

    /// All values, mutably.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: the first `len` places are initialised, and the vector is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.storage.start(), self.len) }
    }

    /// Sets the length.
    ///
    /// # Safety
    /// `len` is at most [`capacity`](GrowVec::capacity), and the first `len` values are initialised.
    ///
    /// ```
    /// let mut bytes = highwater::GrowVec::<u8>::with_capacity(4);
    /// bytes.spare_capacity_mut()[..4].fill(std::mem::MaybeUninit::new(7));
    /// // SAFETY: four bytes are committed and initialised.
    /// unsafe { bytes.set_len(4) };
    /// assert_eq!(bytes, [7; 4]);
    /// ```
    #[inline]
    pub unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.capacity(), "a length is at most what is committed");
        self.len = len;
    }

    /// [`set_len`](GrowVec::set_len) after writing, where what was written commits itself.
    ///
    /// # Safety
    /// The first `len` values are initialised, and there may be so many.
    #[inline(always)]
    pub(super) unsafe fn set_len_written(&mut self, len: usize) {
        self.len = len;
    }

    /// The length up to which a value may be written without looking.
    #[inline(always)]
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Commits the memory of the values that are there, so that it may be handed to the kernel: a value that was pushed
    /// without writing all of it, a `MaybeUninit` for example, need not have committed its own.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the system refuses.
    ///
    /// ```
    /// let mut pages = highwater::GrowVec::new();
    /// pages.push(std::mem::MaybeUninit::<[u8; 4096]>::uninit()); // may write nothing
    /// pages.ensure_committed()?;
    /// # Ok::<(), highwater::OutOfMemory>(())
    /// ```
    pub fn ensure_committed(&mut self) -> Result<(), OutOfMemory> {
        if self.storage.is_committed(self.len) {
            Ok(())
        } else {
            self.storage.commit(0, self.len, GrowReason::Ahead)
        }
    }

    /// The memory after the last value that is committed, uninitialised: none before the first
    /// [`reserve`](GrowVec::reserve) or value.
    ///
    /// ```
    /// use std::io::Read;
    /// use highwater::GrowVec;
    ///
    /// let mut bytes = GrowVec::<u8>::new();
    /// bytes.reserve(100);
    /// let spare = bytes.spare_capacity_mut();
    /// assert!(spare.len() >= 100);
    /// spare[0].write(b'x'); // or read(2)
    /// // SAFETY: the first byte is initialised.
    /// unsafe { bytes.set_len(1) };
    /// assert_eq!(bytes, b"x");
    /// ```
    pub fn spare_capacity_mut(&mut self) -> &mut [MaybeUninit<T>] {
        let spare = self.storage.committed().saturating_sub(self.len);
        // SAFETY: the places are the vector's and committed, and hold nothing.
        unsafe { slice::from_raw_parts_mut(self.storage.start().add(self.len).cast(), spare) }
    }

    /// The figures of the region, once it is reserved; `used` is exact, in bytes.
    ///
    /// ```
    /// let numbers: highwater::GrowVec<u64> = (0..1000).collect();
    /// assert_eq!(numbers.stats().unwrap().used, 8000);
    /// assert!(highwater::GrowVec::<u64>::new().stats().is_none());
    /// ```
    pub fn stats(&self) -> Option<Stats> {
        let stats = self.region()?.stats();
        Some(Stats { used: self.len.saturating_mul(size_of::<T>()), ..stats })
    }

    /// A view of the region's figures for other threads, once it is reserved.
    pub fn monitor(&self) -> Option<Monitor> {
        self.region().map(Region::monitor)
    }

    /// Decommits memory past the first `len` places, and past what is in use, and returns how many bytes that were.
    pub fn shrink_to(&mut self, len: usize) -> usize {
        // SAFETY: there is no value past `len`.
        let given_back = unsafe { self.storage.trim(len.min(self.storage.max_len()).max(self.len)) };
        self.refresh_room();
        given_back
    }

    /// Decommits memory that holds no value, and returns how many bytes that were.
    ///
    /// ```
    /// let mut numbers: highwater::GrowVec<u64> = (0..1_000_000).collect();
    /// numbers.truncate(10);
    /// assert!(numbers.shrink_to_fit() > 7_000_000);
    /// ```
    pub fn shrink_to_fit(&mut self) -> usize {
        self.shrink_to(0)
    }

    /// The values as a slice with the lifetime of the program. Neither they nor the region are dropped.
    ///
    /// ```
    /// let numbers: &'static mut [u32] = highwater::GrowVec::from([1, 2]).leak();
    /// assert_eq!(numbers, [1, 2]);
    /// ```
    pub fn leak<'a>(self) -> &'a mut [T]
    where
        T: 'a,
    {
        let mut vec = core::mem::ManuallyDrop::new(self);
        // SAFETY: the values are initialised, nothing else refers to them, and their region is never released.
        unsafe { slice::from_raw_parts_mut(vec.as_mut_ptr(), vec.len) }
    }
}

// SAFETY: the vector owns its values, as `Vec` does; a region may be sent and shared.
unsafe impl<T: Send> Send for GrowVec<T> {}
// SAFETY: a shared vector gives out shared references to its values only, and `T` is `Sync`.
unsafe impl<T: Sync> Sync for GrowVec<T> {}

impl<T> From<Region> for GrowVec<T> {
    /// An empty vector over a region.
    fn from(region: Region) -> Self {
        Self::in_storage(VecStorage::over(Box::new(region)), 0)
    }
}

impl<T> FromRegion for GrowVec<T> {
    const CHECKED: bool = false;
    const ROLE: Role = Role::Vector;

    fn from_region(region: Region, _inputs: BuildInputs<'_>) -> Result<Self, BuildError> {
        Ok(Self::in_storage(VecStorage::over(fallible::boxed(region)?), 0))
    }
}

impl<T> Drop for GrowVec<T> {
    fn drop(&mut self) {
        // SAFETY: the values are initialised, and gone with the vector. Should one of them panic, the others are
        // dropped all the same, and the region is.
        unsafe { core::ptr::drop_in_place(self.as_mut_slice()) };
    }
}
