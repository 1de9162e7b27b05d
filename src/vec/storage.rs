//! The memory of a vector: a region, seen as places for values.

use crate::admission::{OutOfMemory, Refusal, RefusedRequest, Response};
use crate::builder::Builder;
use crate::fallible;
use crate::grow::{GrowReason, grow};
use crate::math::page::align_up;
use crate::region::{BuildError, ControlBlock, NAME_BYTES, Region, Role};
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{Acquire, Release};

/// Places for values of `T`, one after the other, at most [`max_len`](Self::max_len) of them.
pub(super) struct VecStorage<T> {
    start: NonNull<T>,
    max_len: usize,
    /// Whether `max_len` is less than what the region has room for: a maximal length of the vector's own.
    is_bounded: bool,
    control: Option<&'static ControlBlock>,
    /// In a box: a vector is moved, and what is moved should be small.
    region: Option<Box<Region>>,
    places: PhantomData<T>,
}

impl<T> VecStorage<T> {
    const SIZE: usize = size_of::<T>();

    /// No place, and nothing reserved; for a type without a size, any number of places.
    pub(super) const fn none() -> Self {
        let max_len = if Self::SIZE == 0 { usize::MAX } else { 0 };
        VecStorage {
            start: NonNull::dangling(),
            max_len,
            is_bounded: false,
            control: None,
            region: None,
            places: PhantomData,
        }
    }

    pub(super) fn over(region: Box<Region>) -> Self {
        region.control().set_role(Role::Vector);
        if Self::SIZE == 0 {
            return VecStorage { control: Some(region.control()), region: Some(region), ..Self::none() };
        }
        let (start, bytes) = usable(&region, align_of::<T>());
        let max_len = bytes / Self::SIZE;
        let start = if max_len > 0 { start.cast() } else { NonNull::dangling() };
        VecStorage {
            start,
            max_len,
            is_bounded: false,
            control: Some(region.control()),
            region: Some(region),
            places: PhantomData,
        }
    }

    /// Places for `max_len` values.
    ///
    /// # Errors
    /// When the system has fewer.
    pub(super) fn with_max(max_len: usize) -> Result<Self, OutOfMemory> {
        let bytes = Self::bytes_for(max_len).max(1);
        let mut storage = Self::over(made(Builder::new().reserve(bytes))?);
        if storage.max_len < max_len {
            // (A reservation that is refused is made smaller.)
            return Err(storage.past_limit(0, max_len));
        }
        (storage.is_bounded, storage.max_len) = (true, max_len);
        Ok(storage)
    }

    /// As many places as other values have, under the same name and with the same answers to a refusal.
    pub(super) fn beside<U>(values: &VecStorage<U>, response: Response) -> Result<Self, BuildError> {
        let bytes = values.max_len.saturating_mul(Self::SIZE).max(1);
        Ok(Self::over(region_beside(values.control(), bytes, response)?))
    }

    /// The bytes that places for `len` values take.
    fn bytes_for(len: usize) -> usize {
        // Alignment up to a page is the region's; beyond it the first value may start that much later.
        let slack = if align_of::<T>() > 4096 { align_of::<T>() } else { 0 };
        len.saturating_mul(Self::SIZE).saturating_add(slack)
    }

    /// Reserves with the default policies for at least `len` values, if nothing is reserved yet.
    pub(super) fn open(&mut self, len: usize) -> Result<&Region, OutOfMemory> {
        if self.region.is_none() {
            *self = Self::over(made(Builder::new().expect(Self::bytes_for(len)))?);
        }
        match &self.region {
            Some(region) => Ok(region),
            None => unreachable!("it was reserved"),
        }
    }

    #[inline(always)]
    pub(super) fn start(&self) -> *mut T {
        self.start.as_ptr()
    }

    #[inline(always)]
    pub(super) fn max_len(&self) -> usize {
        self.max_len
    }

    pub(super) fn region(&self) -> Option<&Region> {
        self.region.as_deref()
    }

    #[inline(always)]
    pub(super) fn control(&self) -> Option<&'static ControlBlock> {
        self.control
    }

    /// How many places, from the first one on, are committed.
    pub(super) fn committed(&self) -> usize {
        let Some(control) = self.control().filter(|_| Self::SIZE > 0) else { return self.max_len };
        let committed = control.base().addr() + control.frontier.get();
        (committed.saturating_sub(self.start.addr().get()) / Self::SIZE).min(self.max_len)
    }

    /// Whether the first `len` places are committed.
    #[inline(always)]
    pub(super) fn is_committed(&self, len: usize) -> bool {
        match self.control {
            Some(control) if Self::SIZE > 0 => {
                self.start.addr().get() + len * Self::SIZE <= control.base().addr() + control.frontier.get()
            }
            _ => true,
        }
    }

    /// Commits the first `len` places, of which `used` are in use.
    #[cold]
    #[inline(never)]
    pub(super) fn commit(&self, used: usize, len: usize, reason: GrowReason) -> Result<(), OutOfMemory> {
        let Some(control) = self.control().filter(|_| Self::SIZE > 0) else { return Ok(()) };
        if len > self.max_len {
            return Err(self.too_long(control, used, len));
        }
        let (from, to) = (self.offset(control, used), self.offset(control, len));
        grow(control, from, to, reason).map_err(|refusal| self.refused(control, used, len, refusal))
    }

    /// The error of a vector that would get longer than it may.
    #[cold]
    #[inline(never)]
    pub(super) fn past_limit(&mut self, used: usize, len: usize) -> OutOfMemory {
        match self.open(0) {
            Ok(region) => {
                let control = region.control();
                self.too_long(control, used, len)
            }
            Err(error) => error,
        }
    }

    /// The same, where something is reserved.
    pub(super) fn too_long(&self, control: &'static ControlBlock, used: usize, len: usize) -> OutOfMemory {
        self.extent().too_long(control, used, len)
    }

    fn refused(
        &self,
        control: &'static ControlBlock,
        used: usize,
        len: usize,
        refusal: Refusal,
    ) -> OutOfMemory {
        self.extent().refused(control, used, len, refusal)
    }

    /// Where the place after the first `len` starts, in bytes from the region's first.
    fn offset(&self, control: &ControlBlock, len: usize) -> usize {
        self.extent().offset(control, len)
    }

    /// Where the places are, and how many.
    #[inline(always)]
    pub(super) fn extent(&self) -> StorageExtent {
        let (start, max_len) = (self.start.addr().get(), self.max_len);
        StorageExtent { start, size: Self::SIZE, max_len, is_bounded: self.is_bounded }
    }

    /// Gives committed memory past the first `len` places back, and returns how many bytes that were.
    ///
    /// # Safety
    /// There is nothing past the first `len` places.
    pub(super) unsafe fn trim(&mut self, len: usize) -> usize {
        let Some(control) = self.control().filter(|_| Self::SIZE > 0) else { return 0 };
        let keep = self.offset(control, len);
        match &mut self.region {
            // SAFETY: no value is at or after the place `len`, where `keep` lies: required by this function's contract.
            Some(region) => unsafe { region.trim(keep) },
            None => 0,
        }
    }
}

/// Where a storage's places are: a copy, for code that must not hold a reference to the storage.
#[derive(Clone, Copy)]
pub(super) struct StorageExtent {
    start: usize,
    size: usize,
    max_len: usize,
    is_bounded: bool,
}

impl StorageExtent {
    /// The error of a vector of `used` values that would be `len` long, and may not.
    #[cold]
    #[inline(never)]
    pub(super) fn too_long(self, control: &'static ControlBlock, used: usize, len: usize) -> OutOfMemory {
        // The rest at a region's end that is too small for a value is not a limit.
        let max_bytes =
            if self.is_bounded { self.max_len.saturating_mul(self.size) } else { control.usable_bytes() };
        self.refused(
            control,
            used,
            len,
            Refusal::past_limit(len.saturating_mul(self.size), max_bytes, control.requested_reserve()),
        )
    }

    fn refused(
        self,
        control: &'static ControlBlock,
        used: usize,
        len: usize,
        refusal: Refusal,
    ) -> OutOfMemory {
        let bytes = (len - used.min(len)).saturating_mul(self.size);
        let request = RefusedRequest::Allocation { requested: bytes, effective: bytes };
        OutOfMemory::new(control, request, self.offset(control, used), refusal)
    }

    fn offset(self, control: &ControlBlock, len: usize) -> usize {
        let first = self.start.wrapping_sub(control.base().addr());
        // Without places, or without sizes, there is no first one.
        if self.max_len == 0 || self.size == 0 { 0 } else { first + len.saturating_mul(self.size) }
    }
}

/// The first byte of a region that is aligned to `align`, and how many may be used from there on.
fn usable(region: &Region, align: usize) -> (NonNull<u8>, usize) {
    let base = region.base();
    let usable = region.control().usable_bytes();
    // An alignment beyond the page's costs a part of the reservation.
    match align_up(base.addr().get(), align).map(|start| start - base.addr().get()) {
        // SAFETY: the offset is below the bytes that may be used, which lie in the region.
        Some(offset) if offset < usable => (unsafe { base.add(offset) }, usable - offset),
        _ => (base, 0),
    }
}

/// A region under the same name and with the same answers to a refusal as another one, if there is one.
fn region_beside(
    other: Option<&'static ControlBlock>,
    bytes: usize,
    response: Response,
) -> Result<Box<Region>, BuildError> {
    let builder = Builder::<Region>::new().reserve(bytes).on_refusal(response);
    let Some(control) = other else { return Ok(fallible::boxed(builder.try_build()?)?) };
    let mut name = [0; NAME_BYTES];
    let region = builder.name(control.name(&mut name)).headroom(control.headroom()).try_build()?;
    // (A region that was not built here has its own.)
    region.control().response.store(control.response.load(Acquire), Release);
    Ok(fallible::boxed(region)?)
}

/// The region of a new vector.
fn made(builder: Builder<Region>) -> Result<Box<Region>, OutOfMemory> {
    let region = builder.vector().try_build().map_err(not_made)?;
    fallible::boxed(region).map_err(|exhausted| not_made(exhausted.into()))
}

/// The error of a vector that could not be made.
pub(super) fn not_made(error: BuildError) -> OutOfMemory {
    OutOfMemory::from(error).of_new(Role::Vector)
}

/// What a failing plain call says.
#[cold]
#[inline(never)]
#[track_caller]
pub(super) fn panic_with(error: OutOfMemory) -> ! {
    panic!("highwater: {error}")
}
