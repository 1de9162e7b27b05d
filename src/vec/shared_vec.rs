//! [`SharedVec`]: a vector that several threads append to.

use super::grow_vec::GrowVec;
use super::order::PublicationOrder;
use super::storage::{VecStorage, not_made, panic_with};
use crate::admission::{OutOfMemory, Response};
use crate::builder::{BuildInputs, Builder, FromRegion};
use crate::fallible;
use crate::grow::GrowReason;
use crate::region::{BuildError, Region, Role};
use core::marker::PhantomData;
use core::slice;
use core::sync::atomic::AtomicU8;
use crossbeam_utils::CachePadded;

/// A contiguous vector that several threads append to, and read, at the same time.
///
/// A thread that pushes claims the next place by one atomic addition, writes it, and publishes it; places become visible
/// in their order, so readers see a prefix without holes, as a plain slice that stays valid while others push. Claiming
/// and writing are wait-free. Publishing is lock-free: a thread whose turn has not come marks its place for the thread
/// whose turn it is, and goes on. (With the explicit engine claiming is lock-free as well, since it commits.)
///
/// A reference from [`push_pinned`](SharedVec::push_pinned) is valid at once, also before its place is published. A thread
/// that is stopped between claiming and publishing keeps everything after it from being published until it goes on.
///
/// It reserves two regions, one for the marks: a byte for every value, touched only where threads meet. The marks have
/// the values' name, headroom and response to a refusal; they are anonymous memory also where the values live in a file.
///
/// ```
/// use highwater::SharedVec;
///
/// let events = SharedVec::new();
/// std::thread::scope(|threads| {
///     for worker in 0..4 {
///         let events = &events;
///         threads.spawn(move || {
///             for n in 0..1000 {
///                 events.push((worker, n));
///             }
///         });
///     }
/// });
/// assert_eq!(events.len(), 4000);
/// assert_eq!(events.iter().filter(|event| event.0 == 3).count(), 1000);
/// ```
///
/// It cannot hold values that refer to earlier ones; [`AppendVec`](crate::AppendVec) says why. The alternatives are a
/// [`SharedArena`](crate::SharedArena), and the index that [`push`](SharedVec::push) returns.
///
/// ```
/// use highwater::{SharedArena, SharedVec};
///
/// struct Node<'n>(u32, Option<&'n Node<'n>>);
///
/// let arena = SharedArena::new();
/// let first = &*arena.alloc(Node(1, None));
/// std::thread::scope(|threads| {
///     threads.spawn(|| arena.alloc(Node(2, Some(first))).1.map(|node| node.0));
/// });
///
/// struct Indexed(u32, Option<usize>);
///
/// let nodes = SharedVec::new();
/// let first = nodes.push(Indexed(1, None));
/// let second = nodes.push_pinned(Indexed(2, Some(first)));
/// assert_eq!(second.1.map(|index| nodes[index].0), Some(1));
/// ```
pub struct SharedVec<T> {
    order: CachePadded<PublicationOrder>,
    storage: VecStorage<T>,
    marks: VecStorage<AtomicU8>,
    /// How many places and marks there are.
    max_len: usize,
    /// Values enter through `&self`, as into a cell, so the vector is invariant in `T`.
    invariant: PhantomData<fn(T) -> T>,
}

// SAFETY: the vector owns its values.
unsafe impl<T: Send> Send for SharedVec<T> {}
// SAFETY: values come in through `&self` on one thread and are borrowed on others, hence both; a place is written by the
// one thread that claimed it, before it is published, and never again.
unsafe impl<T: Send + Sync> Sync for SharedVec<T> {}

impl<T> SharedVec<T> {
    /// An empty vector with the default policies: its addresses are reserved at once.
    ///
    /// # Panics
    /// When the system has no address space or memory for it.
    ///
    /// ```
    /// let events = highwater::SharedVec::new();
    /// assert_eq!(events.push("start"), 0);
    /// ```
    #[track_caller]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// An empty vector that may get `len` values long and reserves addresses for no more.
    ///
    /// # Panics
    /// When the system has no address space or memory for it.
    ///
    /// ```
    /// let two = highwater::SharedVec::with_max(2);
    /// two.push(1);
    /// two.push(2);
    /// assert!(two.try_push(3).is_err());
    /// ```
    #[track_caller]
    pub fn with_max(len: usize) -> Self {
        match Self::try_with_max(len) {
            Ok(vec) => vec,
            Err(error) => panic_with(error),
        }
    }

    /// [`with_max`](SharedVec::with_max) that returns the error.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the system has no address space or memory for it.
    ///
    /// ```
    /// let two = highwater::SharedVec::try_with_max(2)?;
    /// assert_eq!(two.push(1), 0);
    /// # Ok::<(), highwater::OutOfMemory>(())
    /// ```
    pub fn try_with_max(len: usize) -> Result<Self, OutOfMemory> {
        Self::in_storage(VecStorage::with_max(len)?, Response::Abort).map_err(not_made)
    }

    /// A vector with policies of your own; sizes are in bytes.
    ///
    /// ```
    /// let events = highwater::SharedVec::<u64>::builder().name("events").limit(1 << 20).build();
    /// assert_eq!(events.max_len(), (1 << 20) / 8);
    /// ```
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    fn in_storage(storage: VecStorage<T>, response: Response) -> Result<Self, BuildError> {
        let marks = Self::marks_for(&storage, response)?;
        Ok(Self::assemble(storage, marks, 0))
    }

    /// The marks of so many values as there are places.
    fn marks_for(storage: &VecStorage<T>, response: Response) -> Result<VecStorage<AtomicU8>, BuildError> {
        // Values without a size have the same place: there is nothing to wait for.
        if size_of::<T>() == 0 { Ok(VecStorage::none()) } else { VecStorage::beside(storage, response) }
    }

    /// The vector of the first `len` values of a storage, which are initialised and have no other owner.
    fn assemble(storage: VecStorage<T>, marks: VecStorage<AtomicU8>, len: usize) -> Self {
        let max_len =
            storage.max_len().min(if size_of::<T>() == 0 { isize::MAX as usize } else { marks.max_len() });
        SharedVec {
            order: CachePadded::new(PublicationOrder::new(len)),
            storage,
            marks,
            max_len,
            invariant: PhantomData,
        }
    }

    /// The largest number of values: as many as there are places and marks for.
    pub fn max_len(&self) -> usize {
        self.max_len
    }

    /// How many values are published.
    #[inline]
    pub fn len(&self) -> usize {
        self.order.published()
    }

    /// Whether none is.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The region that the values are in.
    pub fn region(&self) -> Option<&Region> {
        self.storage.region()
    }

    /// Appends a value and returns its index. It, and values before it, may not be published yet.
    ///
    /// # Panics
    /// When the vector is as long as it may be. With the explicit engine also when the system refuses to commit.
    ///
    /// ```
    /// let events = highwater::SharedVec::new();
    /// let index = events.push("start");
    /// assert_eq!(events[index], "start");
    /// ```
    #[inline]
    #[track_caller]
    pub fn push(&self, value: T) -> usize {
        let place = self.claim();
        // SAFETY: the place was claimed just now.
        unsafe { self.fill(place, value) };
        place
    }

    /// [`push`](SharedVec::push) that returns the error; the value is dropped then. Memory is committed before a place
    /// is claimed.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the vector is as long as it may be, or the system refuses.
    pub fn try_push(&self, value: T) -> Result<usize, OutOfMemory> {
        let place = self.try_claim()?;
        // SAFETY: the place was claimed just now.
        unsafe { self.fill(place, value) };
        Ok(place)
    }

    /// [`push`](SharedVec::push) that returns a reference to the value, which is valid at once.
    ///
    /// # Panics
    /// Where [`push`](SharedVec::push) does.
    ///
    /// ```
    /// let events = highwater::SharedVec::new();
    /// let first = events.push_pinned(String::from("start"));
    /// events.push(String::from("end"));
    /// assert_eq!(first, "start");
    /// ```
    #[inline]
    #[track_caller]
    pub fn push_pinned(&self, value: T) -> &T {
        let place = self.push(value);
        // SAFETY: the place is written, and stays as it is for as long as the vector is borrowed.
        unsafe { &*self.storage.start().add(place) }
    }

    /// [`push_pinned`](SharedVec::push_pinned) that returns the error; the value is dropped then.
    ///
    /// # Errors
    /// Where [`try_push`](SharedVec::try_push) does.
    pub fn try_push_pinned(&self, value: T) -> Result<&T, OutOfMemory> {
        let place = self.try_push(value)?;
        // SAFETY: the place is written, and stays as it is for as long as the vector is borrowed.
        Ok(unsafe { &*self.storage.start().add(place) })
    }

    /// A place that is this thread's to write.
    #[inline(always)]
    #[track_caller]
    fn claim(&self) -> usize {
        // A place that was claimed has to be published, so its memory comes first, where it does not come by itself.
        if cfg!(not(highwater_fault)) {
            match self.try_claim() {
                Ok(place) => return place,
                Err(error) => panic_with(error),
            }
        }
        match self.order.claim(self.max_len) {
            Some(place) => place,
            None => self.full(),
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn full(&self) -> ! {
        panic_with(self.too_long(self.max_len))
    }

    fn try_claim(&self) -> Result<usize, OutOfMemory> {
        self.order.try_claim(|place| {
            if place >= self.max_len {
                return Err(self.too_long(place));
            }
            if !self.storage.is_committed(place + 1) {
                self.storage.commit(place, place + 1, GrowReason::Write)?;
            }
            if !self.marks.is_committed(place + 1) {
                // (Most of them are never touched: nothing is paged in for them.)
                self.marks.commit(place, place + 1, GrowReason::Request)?;
            }
            Ok(())
        })
    }

    /// Writes a place and publishes it.
    ///
    /// # Safety
    /// This thread has claimed the place, and not filled it yet.
    #[inline(always)]
    unsafe fn fill(&self, place: usize, value: T) {
        // SAFETY: there are `max_len` places, and this thread alone has claimed this one.
        unsafe { self.storage.start().add(place).write(value) };
        if size_of::<T>() == 0 {
            // All values are the same one, and it is there: only their number is published.
            return self.order.count();
        }
        // SAFETY: there is a mark for every place. They are zero at first, as fresh memory is, and any byte is one.
        self.order.publish(place, self.max_len, |place| unsafe { &*self.marks.start().add(place) });
    }

    #[cold]
    #[inline(never)]
    fn too_long(&self, len: usize) -> OutOfMemory {
        match self.storage.region() {
            Some(region) => self.storage.too_long(region.control(), len, len.saturating_add(1)),
            None => unreachable!("its region is made with the vector"),
        }
    }

    /// The values that are published. More may be pushed meanwhile: the slice does not change.
    ///
    /// ```
    /// let events = highwater::SharedVec::from_iter([1, 2]);
    /// let before = events.as_slice();
    /// events.push(3);
    /// assert_eq!((before, events.len()), (&[1, 2][..], 3));
    /// ```
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: the published places are written, visible, and stay as they are while this is borrowed.
        unsafe { slice::from_raw_parts(self.storage.start(), self.len()) }
    }

    /// All values, mutably.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: the published places are written, and the vector is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.storage.start(), self.len()) }
    }

    /// Drops all values. The memory stays committed.
    pub fn clear(&mut self) {
        let values: *mut [T] = self.as_mut_slice();
        let marks = self.len().min(self.marks.committed());
        self.order.restart();
        if size_of::<T>() > 0 {
            // SAFETY: the marks are committed, and the vector is borrowed mutably.
            unsafe { self.marks.start().write_bytes(0, marks) };
        }
        // SAFETY: the values are initialised, and not counted any more.
        unsafe { core::ptr::drop_in_place(values) };
    }

    /// The vector as a [`GrowVec`] of one owner.
    ///
    /// ```
    /// let events = highwater::SharedVec::from_iter([1, 2]);
    /// let mut owned: highwater::GrowVec<i32> = events.into_vec();
    /// owned.pop();
    /// assert_eq!(owned, [1]);
    /// ```
    pub fn into_vec(mut self) -> GrowVec<T> {
        let len = self.len();
        self.order.restart();
        GrowVec::in_storage(core::mem::replace(&mut self.storage, VecStorage::none()), len)
    }
}

impl<T> Drop for SharedVec<T> {
    fn drop(&mut self) {
        // SAFETY: the values are initialised, and gone with the vector. Every place that was claimed is published: a
        // thread that pushes borrows the vector.
        unsafe { core::ptr::drop_in_place(self.as_mut_slice()) };
    }
}

impl<T> FromRegion for SharedVec<T> {
    const CHECKED: bool = false;
    const ROLE: Role = Role::Vector;

    fn from_region(region: Region, inputs: BuildInputs<'_>) -> Result<Self, BuildError> {
        Self::in_storage(VecStorage::over(fallible::boxed(region)?), inputs.response.try_clone()?)
    }
}

impl<T> TryFrom<Region> for SharedVec<T> {
    type Error = BuildError;

    /// An empty vector over a region; its marks are in another one.
    fn try_from(region: Region) -> Result<Self, BuildError> {
        Self::in_storage(VecStorage::over(fallible::boxed(region)?), Response::Abort)
    }
}

impl<T> TryFrom<GrowVec<T>> for SharedVec<T> {
    type Error = OutOfMemory;

    /// The values as they are, in their region; the marks get one of their own. When that cannot be had the values are
    /// dropped.
    ///
    /// ```
    /// use highwater::{GrowVec, SharedVec};
    ///
    /// let first: GrowVec<u32> = (0..10).collect();
    /// let shared = SharedVec::try_from(first)?;
    /// shared.push(10);
    /// assert!(shared.iter().copied().eq(0..=10));
    /// # Ok::<(), highwater::OutOfMemory>(())
    /// ```
    fn try_from(mut vec: GrowVec<T>) -> Result<Self, OutOfMemory> {
        // (Only values without a size can be so many. What is counted must not wrap.)
        if vec.len > isize::MAX as usize {
            return Err(vec.storage.past_limit(vec.len, vec.len));
        }
        // The marks first: until they are there the vector drops its values.
        let marks = Self::marks_for(vec.reserved()?, Response::Abort).map_err(not_made)?;
        let (storage, len) = vec.into_storage();
        Ok(Self::assemble(storage, marks, len))
    }
}
