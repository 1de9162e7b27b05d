//! A vector reserves for the length that it knows: under a limit on address space, where many arenas are alive, and
//! beyond a default reservation.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{AppendVec, Arena, Cause, GrowVec, SharedVec};
use std::panic::catch_unwind;
use support::limits::limit_address_space;
use support::oom::{child, text_of};

const MIB: usize = 1 << 20;

/// Large ones, so that there are few.
type Block = [u8; 16 << 10];
const ONES: Block = [1; 16 << 10];

/// Blocks of 100 MiB: more than a default reservation gets where the cases run.
const LEN: usize = 100 * MIB / size_of::<Block>();

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("capacity", || under_a_limit(capacity)),
    ("reserve", || under_a_limit(reserve)),
    ("std's", || under_a_limit(from_std)),
    ("clone", || under_a_limit(clones)),
    ("collect", || under_a_limit(collected)),
    ("hints", || under_a_limit(hints)),
    ("unannounced", || under_a_limit(unannounced)),
    ("serde", || under_a_limit(deserialised)),
    ("among many", among_many),
    ("beyond 64 GiB", beyond_the_default),
];

fn under_a_limit(body: fn()) {
    limit_address_space(1_000_000 << 10);
    assert!(
        GrowVec::from([ONES]).max_len() < LEN,
        "a default reservation has no room for what is tried here"
    );
    body();
}

fn assert_ones(values: &[Block]) {
    assert_eq!(values.len(), LEN);
    assert!(values.iter().all(|value| *value == ONES));
}

fn ones() -> Vec<Block> {
    vec![ONES; LEN]
}

fn capacity() {
    let vec = GrowVec::<Block>::try_with_capacity(LEN).unwrap();
    assert!(vec.capacity() >= LEN && vec.is_empty());
    drop(vec);
    assert!(GrowVec::<Block>::with_capacity(LEN).capacity() >= LEN);
    // (An alignment beyond the page's takes a part of the reservation.)
    #[derive(Clone, Copy)]
    #[repr(align(16384))]
    struct Aligned(#[expect(dead_code, reason = "it is as large as its alignment")] u8);
    let len = 100 * MIB / size_of::<Aligned>();
    assert!(GrowVec::<Aligned>::try_with_capacity(len).unwrap().max_len() >= len);
}

fn reserve() {
    let mut vec = GrowVec::<Block>::new();
    vec.try_reserve(LEN).unwrap();
    drop(vec);
    let mut vec = GrowVec::<Block>::new();
    vec.try_reserve_exact(LEN).unwrap();
    drop(vec);
    let mut vec = GrowVec::<Block>::new();
    vec.resize(LEN, ONES);
    assert_ones(&vec);
    drop(vec);
    let mut vec = GrowVec::<Block>::new();
    vec.resize_with(LEN, || ONES);
    assert_ones(&vec);
    let mut other = GrowVec::<Block>::new();
    other.append(&mut vec);
    assert_ones(&other);
    assert!(vec.is_empty());
    drop(vec);
    assert_ones(&other.split_off(0));
    // More than there is names what there is not, and the vector is none the worse.
    let mut vec = GrowVec::<u8>::new();
    let error = vec.try_reserve(1 << 31).unwrap_err();
    assert_eq!(error.cause(), Cause::RlimitAs, "{error}");
    vec.push(1);
    assert_eq!(vec, [1]);
}

fn from_std() {
    let source = ones();
    assert_ones(&GrowVec::from(&source[..]));
    assert_ones(&GrowVec::from(source.clone()));
    let mut vec = GrowVec::new();
    vec.try_extend_from_slice(&source).unwrap();
    assert_ones(&vec);
}

fn clones() {
    let vec = GrowVec::from(ones());
    assert_ones(&vec.clone());
    let append = AppendVec::from(vec);
    assert_ones(&append.clone());
}

fn collected() {
    assert_ones(&std::iter::repeat_n(ONES, LEN).collect::<GrowVec<Block>>());
    assert_ones(&std::iter::repeat_n(ONES, LEN).collect::<AppendVec<Block>>());
    assert_ones(&std::iter::repeat_n(ONES, LEN).collect::<SharedVec<Block>>());
    let mut vec = GrowVec::new();
    vec.extend(std::iter::repeat_n(ONES, LEN));
    assert_ones(&vec);
    drop(vec);
    let mut vec = GrowVec::new();
    vec.try_extend(std::iter::repeat_n(ONES, LEN)).unwrap();
    assert_ones(&vec);
    drop(vec);
    let shared = SharedVec::try_from(GrowVec::from(ones())).unwrap();
    assert_ones(&shared);
    assert!(shared.max_len() > LEN, "it has room to grow");
    assert_eq!(shared.push(ONES), LEN);
    assert_eq!(shared.into_vec()[LEN - 1..], [ONES; 2]);
}

/// An iterator that yields a few values and says that it has more.
struct Says(usize, usize);

impl Iterator for Says {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.1 = self.1.checked_sub(1)?;
        Some(self.1 as u64)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0, None)
    }
}

fn hints() {
    for says in [0, 1, 1 << 30, 1 << 50, usize::MAX] {
        assert_eq!(Says(says, 3).collect::<GrowVec<u64>>(), [2, 1, 0]);
        assert_eq!(Says(says, 3).collect::<SharedVec<u64>>()[..], [2, 1, 0]);
        let mut vec = GrowVec::new();
        vec.extend(Says(says, 3));
        vec.extend(Says(says, 1));
        assert_eq!(vec, [2, 1, 0, 0]);
        let mut vec = GrowVec::new();
        vec.try_extend(Says(says, 3)).unwrap();
        assert_eq!(vec, [2, 1, 0]);
        assert!(Says(says, 0).collect::<GrowVec<u64>>().is_empty());
    }
}

/// Of an iterator that says nothing the values move to larger reservations while they come.
fn unannounced() {
    let ones = || (0..LEN).filter_map(|n| n.checked_add(1)).map(|_| ONES);
    assert_eq!(ones().size_hint().0, 0);
    assert_ones(&ones().collect::<GrowVec<Block>>());
    let boxed: GrowVec<Box<usize>> = (0..1000).filter(|n| n % 3 == 0).map(Box::new).collect();
    assert!(boxed.iter().zip(0..).all(|(value, n)| **value == 3 * n));
    // There is an end to that: the panic says which.
    let text =
        catch_unwind(|| (0..).filter(|_| true).map(|_: u32| ONES).collect::<GrowVec<Block>>()).unwrap_err();
    assert!(text_of(&*text).contains("out of memory"), "{}", text_of(&*text));
}

#[cfg(feature = "serde")]
fn deserialised() {
    use serde::Deserialize;
    use serde::de::value::{Error, SeqDeserializer};
    /// A large value of a small one.
    #[derive(Clone, Copy)]
    struct Large(Block);
    impl<'de> Deserialize<'de> for Large {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Ok(Large([u8::deserialize(deserializer)?; size_of::<Block>()]))
        }
    }
    let is_ones = |values: &[Large]| values.len() == LEN && values.iter().all(|value| value.0 == ONES);
    let ones = || SeqDeserializer::<_, Error>::new(std::iter::repeat_n(1u8, LEN));
    assert!(is_ones(&GrowVec::deserialize(ones()).unwrap()));
    assert!(is_ones(&SharedVec::deserialize(ones()).unwrap()));
    let silent = SeqDeserializer::<_, Error>::new((0..LEN).filter(|_| true).map(|_| 1u8));
    assert!(is_ones(&AppendVec::deserialize(silent).unwrap()));
}

#[cfg(not(feature = "serde"))]
fn deserialised() {}

#[test]
fn a_known_length_is_reserved_for() {
    if !support::reserves() {
        return;
    }
    for case in ["capacity", "reserve", "std's", "clone", "collect", "hints", "unannounced", "serde"] {
        child(case).expect("it runs anywhere").assert_success();
    }
}

fn among_many() {
    let mut arenas: Vec<Arena> = (0..2000).map(|_| Arena::new()).collect();
    assert!(GrowVec::from([ONES]).max_len() < LEN, "the default has become small");
    assert!(GrowVec::<Block>::try_with_capacity(LEN).unwrap().capacity() >= LEN);
    let vec = GrowVec::from(ones());
    assert_ones(&vec.clone());
    assert_ones(&vec.iter().copied().collect::<SharedVec<Block>>());
    arenas.clear();
}

#[test]
fn a_known_length_is_reserved_for_where_defaults_are_small() {
    if support::reserves() {
        child("among many").expect("it runs anywhere").assert_success();
    }
}

fn beyond_the_default() {
    const LEN: usize = 10 << 30;
    let default = GrowVec::from([0u64]).max_len();
    assert!(default < LEN, "80 GiB are more than a default reservation");
    let vec: GrowVec<u64> = Says(LEN, 3).collect();
    assert_eq!(vec, [2, 1, 0]);
    assert!(vec.max_len() > LEN, "and it has room to grow");
    let mut vec = GrowVec::<u64>::new();
    vec.extend(Says(LEN, 3));
    assert!(vec.max_len() > LEN);
    let shared = SharedVec::try_from(vec).unwrap();
    assert!(shared.max_len() > LEN);
    // The memory is another matter.
    if let Err(error) = GrowVec::<u64>::try_with_capacity(LEN) {
        assert_ne!(error.cause(), Cause::ReservationExhausted, "{error}");
    }
}

#[test]
fn a_known_length_is_reserved_for_beyond_64_gib() {
    if support::reserves() {
        child("beyond 64 GiB").expect("it runs anywhere").assert_success();
    }
}
