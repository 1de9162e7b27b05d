//! Where a thread stores which thread heap it owns.

use super::thread_heap::ThreadHeap;
use core::cell::Cell;
use core::ptr::null_mut;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

/// Where a thread stores which thread heap it owns, for each heap.
///
/// # Safety
/// `get` and `lookup` return null, or what the calling thread itself passed to `set` last for that heap. No two living
/// threads have the same key.
pub unsafe trait ThreadSlot: 'static {
    /// The calling thread's thread heap of the heap with this id; null if that is not known, or takes longer to find out.
    fn get(heap: u64) -> *mut ThreadHeap;

    /// [`get`](Self::get) that returns null only if the thread heap is not known.
    fn lookup(heap: u64) -> *mut ThreadHeap {
        Self::get(heap)
    }

    /// Stores it; null to forget it.
    fn set(heap: u64, local: *mut ThreadHeap);

    /// A number that no other living thread has, neither 0 nor `usize::MAX`, and even.
    fn key() -> usize;
}

/// The slot of Rust programs: a `thread_local!` that needs neither initialisation nor a destructor, for four heaps at a time.
/// Its address is the key. A thread that ends leaves its thread heaps as they are; the next thread at the same address gets
/// them at once.
#[derive(Debug)]
pub struct NativeSlot;

struct NativeSlotEntry {
    /// 0 if the entry is empty.
    heap: Cell<u64>,
    local: Cell<*mut ThreadHeap>,
}

pub(super) const SLOT_ENTRIES: usize = 4;

thread_local! {
    static SLOT: [NativeSlotEntry; SLOT_ENTRIES] =
        const { [const { NativeSlotEntry { heap: Cell::new(0), local: Cell::new(null_mut()) } }; SLOT_ENTRIES] };
}

// SAFETY: the variable is thread-local, and entries are found by the heap's id, which is never used again. Its address is the
// key: two living threads have two variables.
unsafe impl ThreadSlot for NativeSlot {
    #[inline(always)]
    fn get(heap: u64) -> *mut ThreadHeap {
        SLOT.with(|[first, ..]| {
            if first.heap.get() != heap {
                return null_mut();
            }
            let local = first.local.get();
            // SAFETY: `set` stores null only together with the id 0, which no heap has.
            unsafe { core::hint::assert_unchecked(!local.is_null()) };
            local
        })
    }

    /// Moves what it finds to the front.
    fn lookup(heap: u64) -> *mut ThreadHeap {
        SLOT.with(|slot| {
            let [first, ..] = slot;
            let Some(at) = slot.iter().position(|entry| entry.heap.get() == heap) else { return null_mut() };
            for later in slot.iter().skip(1).take(at) {
                first.heap.swap(&later.heap);
                first.local.swap(&later.local);
            }
            first.local.get()
        })
    }

    fn set(heap: u64, local: *mut ThreadHeap) {
        SLOT.with(|slot| {
            let entry = slot.iter().find(|entry| entry.heap.get() == heap);
            // The least recently used entry is replaced.
            let entry = entry.unwrap_or(&slot[SLOT_ENTRIES - 1]);
            entry.heap.set(if local.is_null() { 0 } else { heap });
            entry.local.set(local);
        });
    }

    fn key() -> usize {
        SLOT.with(|slot| core::ptr::from_ref(slot).addr())
    }
}

/// An id for a heap: not 0, and never used again.
pub(super) fn new_heap_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Relaxed).wrapping_add(1)
}
