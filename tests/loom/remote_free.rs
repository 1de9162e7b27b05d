//! Frees by other threads under loom: the real file, with loom's atomics, in every interleaving that three preemptions
//! can make.
//!
//! Blocks are the numbers 8, 16, 24 …, pages 1, 2 …; what links them are arrays of words.

/// The file under test takes its atomics from its parent module: here, from loom.
mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering};
}

#[allow(dead_code, reason = "looking without taking is not tested here")]
#[path = "../../src/heap/general/remote_free.rs"]
mod remote_free;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use remote_free::{NotifiedPages, ParkResult, RemoteFreeList};

const BLOCKS: usize = 5;

struct Page {
    remote: RemoteFreeList,
    /// What comes after each block. The owner of a block may write its link: loom checks that.
    links: [UnsafeCell<usize>; BLOCKS],
    next_notified: AtomicUsize,
    notified: NotifiedPages,
}

// SAFETY: loom checks which thread writes to the cells.
unsafe impl Sync for Page {}
// SAFETY: loom checks which thread writes to the cells.
unsafe impl Send for Page {}

impl Page {
    fn new() -> Arc<Self> {
        Arc::new(Page {
            remote: RemoteFreeList(AtomicUsize::new(0)),
            links: std::array::from_fn(|_| UnsafeCell::new(0)),
            next_notified: AtomicUsize::new(0),
            notified: NotifiedPages(AtomicUsize::new(0)),
        })
    }

    /// Another thread frees.
    fn free(&self, block: usize) {
        // SAFETY: the block is this thread's until it is published, and loom checks that.
        let link =
            |next: Option<usize>| self.links[block / 8].with_mut(|at| unsafe { *at = next.unwrap_or(0) });
        if self.remote.push(block, link) {
            self.notified.push(1, |next| self.next_notified.store(next, Ordering::Relaxed));
        }
    }

    /// The owner takes the list, which is as long as was counted.
    fn drain_remote(&self, found: &mut Vec<usize>) {
        let (mut next, count) = self.remote.take().unwrap_or((0, 0));
        let before = found.len();
        while next != 0 {
            found.push(next);
            // SAFETY: what was taken is the owner's.
            next = self.links[next / 8].with(|at| unsafe { *at });
        }
        assert_eq!(found.len() - before, count as usize);
    }

    /// The owner drains its notified pages. Returns how often the page was there.
    fn drain_notified(&self, found: &mut Vec<usize>) -> usize {
        let (mut page, mut times) = (self.notified.take(), 0);
        while page != 0 {
            assert_eq!(page, 1);
            page = self.next_notified.load(Ordering::Relaxed);
            self.remote.acknowledge();
            self.drain_remote(found);
            times += 1;
        }
        times
    }
}

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn freeing(page: &Arc<Page>, blocks: &'static [usize]) -> loom::thread::JoinHandle<()> {
    let page = Arc::clone(page);
    loom::thread::spawn(move || blocks.iter().for_each(|&block| page.free(block)))
}

fn sorted(mut blocks: Vec<usize>) -> Vec<usize> {
    blocks.sort_unstable();
    blocks
}

#[test]
fn every_block_comes_back_once() {
    explore(|| {
        let page = Page::new();
        let others = [freeing(&page, &[8, 16]), freeing(&page, &[24])];
        let mut found = Vec::new();
        page.drain_remote(&mut found);
        for thread in others {
            thread.join().unwrap();
        }
        assert_eq!(page.remote.count() as usize, 3 - found.len());
        page.drain_remote(&mut found);
        assert_eq!((sorted(found), page.remote.count()), (vec![8, 16, 24], 0));
    });
}

/// A page that is parked while others free: either parking finds the blocks, or the owner is notified, once.
#[test]
fn nothing_is_left_on_a_parked_page() {
    explore(|| {
        let page = Page::new();
        let others = [freeing(&page, &[8]), freeing(&page, &[16, 24])];
        let mut found = Vec::new();
        while page.remote.park() == ParkResult::NotEmpty {
            page.drain_remote(&mut found);
        }
        let early = page.drain_notified(&mut found);
        for thread in others {
            thread.join().unwrap();
        }
        let late = page.drain_notified(&mut found);
        assert!(early + late <= 1, "notified once for being parked once");
        // What came later is found when the owner polls the page.
        page.drain_remote(&mut found);
        assert_eq!(sorted(found), [8, 16, 24]);
    });
}

/// The owner polls the page again because it freed a block of it: a notified page stays so until it is acknowledged, so no page
/// is on the list twice.
#[test]
fn a_page_is_on_the_list_once() {
    explore(|| {
        let page = Page::new();
        assert_eq!(page.remote.park(), ParkResult::Parked);
        let other = freeing(&page, &[8, 16]);
        page.remote.unpark();
        let mut found = Vec::new();
        page.drain_remote(&mut found);
        let was_notified = page.remote.is_notified();
        while page.remote.park() == ParkResult::NotEmpty {
            page.drain_remote(&mut found);
        }
        other.join().unwrap();
        let times = page.drain_notified(&mut found);
        assert!(times <= 1);
        assert!(!was_notified || times == 1, "a thread that is about to notify does so");
        page.drain_remote(&mut found);
        assert_eq!(sorted(found), [8, 16]);
        assert!(!page.remote.is_notified(), "it may become something else");
    });
}
