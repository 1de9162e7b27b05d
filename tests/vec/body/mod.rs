//! What the tests of the vectors share: values that know whether they live, and calls that fail when they are told to.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub mod calls;

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};

thread_local! {
    /// Whether the value of each number lives.
    static LIVES: RefCell<Vec<bool>> = const { RefCell::new(Vec::new()) };
    /// How many values without a size live.
    static UNITS: Cell<isize> = const { Cell::new(0) };
    /// How many calls succeed before one panics; below zero none does.
    static FUSE: Cell<isize> = const { Cell::new(-1) };
}

/// Forgets all values of this thread.
pub fn begin() {
    LIVES.with_borrow_mut(Vec::clear);
    UNITS.set(0);
    disarm();
}

/// How many values of this thread live.
pub fn living() -> isize {
    LIVES.with_borrow(|lives| lives.iter().filter(|&&lives| lives).count() as isize) + UNITS.get()
}

/// Has the `n`-th call from here on panic, counted from 0.
pub fn arm(n: usize) {
    FUSE.set(n as isize);
}

/// Ends [`arm`]; whether a call has panicked.
pub fn disarm() -> bool {
    FUSE.replace(-1) < 0
}

/// A call of the user's.
pub fn call() {
    let left = FUSE.get();
    if left >= 0 {
        FUSE.set(left - 1);
    }
    if left == 0 {
        panic!("as told");
    }
}

fn born() -> usize {
    LIVES.with_borrow_mut(|lives| {
        lives.push(true);
        lives.len() - 1
    })
}

/// A value with a number of its own, of which every use is checked.
pub struct Counted {
    pub n: u64,
    id: usize,
    check: u64,
}

impl Counted {
    pub fn new(n: u64) -> Self {
        let id = born();
        Counted { n, id, check: n ^ id as u64 ^ !0 }
    }

    #[track_caller]
    pub fn assert_lives(&self) {
        assert_eq!(self.check, self.n ^ self.id as u64 ^ !0, "this is no value");
        assert!(LIVES.with_borrow(|lives| lives[self.id]), "{} was dropped", self.n);
    }

    pub fn set(&mut self, n: u64) {
        self.assert_lives();
        self.check ^= self.n ^ n;
        self.n = n;
    }
}

impl Debug for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.n.fmt(f)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.assert_lives();
        LIVES.with_borrow_mut(|lives| lives[self.id] = false);
        call();
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.assert_lives();
        call();
        Counted::new(self.n)
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        self.assert_lives();
        other.assert_lives();
        call();
        self.n == other.n
    }
}

impl Eq for Counted {}

impl PartialOrd for Counted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Counted {
    fn cmp(&self, other: &Self) -> Ordering {
        self.n.cmp(&other.n)
    }
}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.n.hash(state);
    }
}

/// A counted value without a size.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit(());

impl Unit {
    pub fn new() -> Self {
        UNITS.set(UNITS.get() + 1);
        Unit(())
    }
}

impl Clone for Unit {
    fn clone(&self) -> Self {
        call();
        Unit::new()
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        UNITS.set(UNITS.get() - 1);
        assert!(UNITS.get() >= 0, "more were dropped than there were");
        call();
    }
}

/// A counted value with an alignment above a page's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(align(8192))]
pub struct Paged(pub Counted);

/// What the vectors are filled with.
pub trait Value: Clone + Ord + Hash + Debug + 'static {
    /// Whether [`living`] counts them.
    const COUNTED: bool;

    fn make(n: u64) -> Self;
    /// What predicates decide by.
    fn key(&self) -> u64;
    fn change(&mut self);
}

impl Value for u8 {
    const COUNTED: bool = false;

    fn make(n: u64) -> Self {
        n as u8
    }

    fn key(&self) -> u64 {
        u64::from(*self)
    }

    fn change(&mut self) {
        *self = self.wrapping_add(3);
    }
}

impl Value for u64 {
    const COUNTED: bool = false;

    fn make(n: u64) -> Self {
        n
    }

    fn key(&self) -> u64 {
        *self
    }

    fn change(&mut self) {
        *self += 3;
    }
}

impl Value for String {
    const COUNTED: bool = false;

    fn make(n: u64) -> Self {
        n.to_string()
    }

    fn key(&self) -> u64 {
        self.len() as u64
    }

    fn change(&mut self) {
        self.push('3');
    }
}

impl Value for Unit {
    const COUNTED: bool = true;

    fn make(_: u64) -> Self {
        Unit::new()
    }

    fn key(&self) -> u64 {
        0
    }

    fn change(&mut self) {}
}

impl Value for Counted {
    const COUNTED: bool = true;

    fn make(n: u64) -> Self {
        Counted::new(n)
    }

    fn key(&self) -> u64 {
        self.assert_lives();
        self.n
    }

    fn change(&mut self) {
        self.set(self.n + 3);
    }
}

impl Value for Paged {
    const COUNTED: bool = true;

    fn make(n: u64) -> Self {
        Paged(Counted::new(n))
    }

    fn key(&self) -> u64 {
        assert!((self as *const Self).addr().is_multiple_of(8192));
        self.0.key()
    }

    fn change(&mut self) {
        self.0.change();
    }
}

/// What an iterator says of its length.
#[derive(Clone, Copy, Debug)]
pub enum Hint {
    Right,
    Nothing,
    TooFew,
    TooMany,
    Absurd,
}

/// Numbers as values, with any hint; `None` is an end, after which it may go on.
pub struct Lying<'n, T> {
    pub numbers: std::slice::Iter<'n, Option<u64>>,
    pub hint: Hint,
    pub make: fn(u64) -> T,
}

impl<'n, T: Value> Lying<'n, T> {
    pub fn new(numbers: &'n [Option<u64>], hint: Hint) -> Self {
        Lying { numbers: numbers.iter(), hint, make: T::make }
    }
}

impl<T> Iterator for Lying<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        call();
        self.numbers.next()?.map(self.make)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.numbers.len();
        match self.hint {
            Hint::Right => (left, Some(left)),
            Hint::Nothing => (0, None),
            Hint::TooFew => (left / 2, Some(left / 2)),
            Hint::TooMany => (left + 100, Some(left + 100)),
            Hint::Absurd => (usize::MAX, None),
        }
    }
}
