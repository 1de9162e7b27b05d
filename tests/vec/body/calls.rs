//! Random calls of a vector.

use super::Hint;
use proptest::prelude::*;
use std::ops::Bound;

/// The longest that a vector of the test gets without a call that appends.
pub const LEN: usize = 60;

pub type Range = (Bound<usize>, Bound<usize>);

/// One call. Indices are taken modulo what is allowed.
#[derive(Clone, Debug)]
pub enum Call {
    Push(u64, bool),
    Pop,
    PopIf(u64),
    Insert(usize, u64, bool),
    Remove(usize),
    SwapRemove(usize),
    Truncate(usize),
    Clear,
    Drain(usize, usize, u8, [usize; 2], bool),
    Retain(u64),
    RetainMut(u64),
    Dedup,
    DedupBy(u64),
    DedupByKey(u64),
    SplitOff(usize),
    Append(Vec<u64>),
    Resize(usize, u64),
    ResizeWith(usize, u64),
    Extend(Vec<Option<u64>>, Hint, bool),
    ExtendFromSlice(Vec<u64>, bool),
    ExtendFromWithin(usize, usize, u8),
    Reserve(usize, bool),
    Shrink,
    Spare(Vec<u64>),
    Sort(bool),
    Change(usize, usize),
    Clone,
    CloneFrom(Vec<u64>),
    IntoIter(usize, usize),
    Collect(Vec<Option<u64>>, Hint),
    Leak,
    Convert(u8),
}

fn hints() -> impl Strategy<Value = Hint> {
    prop_oneof![
        Just(Hint::Right),
        Just(Hint::Nothing),
        Just(Hint::TooFew),
        Just(Hint::TooMany),
        Just(Hint::Absurd)
    ]
}

pub fn calls() -> impl Strategy<Value = Vec<Call>> {
    let n = || prop_oneof![0u64..4, 0u64..1000];
    let at = || 0..2 * LEN;
    let many = || prop::collection::vec(n(), 0..20);
    let some = || prop::collection::vec(prop::option::weighted(0.95, n()), 0..20);
    let kind = || 0u8..9;
    let call = prop_oneof![
        4 => (n(), any::<bool>()).prop_map(|(n, fallible)| Call::Push(n, fallible)),
        1 => Just(Call::Pop),
        1 => (1u64..4).prop_map(Call::PopIf),
        2 => (at(), n(), any::<bool>()).prop_map(|(at, n, fallible)| Call::Insert(at, n, fallible)),
        1 => at().prop_map(Call::Remove),
        1 => at().prop_map(Call::SwapRemove),
        1 => at().prop_map(Call::Truncate),
        1 => Just(Call::Clear),
        3 => (at(), at(), kind(), [at(), at()], prop::bool::weighted(0.2))
            .prop_map(|(a, b, kind, take, forget)| Call::Drain(a, b, kind, take, forget)),
        1 => (1u64..4).prop_map(Call::Retain),
        1 => (1u64..4).prop_map(Call::RetainMut),
        1 => Just(Call::Dedup),
        1 => (1u64..4).prop_map(Call::DedupBy),
        1 => (1u64..4).prop_map(Call::DedupByKey),
        1 => at().prop_map(Call::SplitOff),
        1 => many().prop_map(Call::Append),
        1 => (at(), n()).prop_map(|(len, n)| Call::Resize(len, n)),
        1 => (at(), n()).prop_map(|(len, n)| Call::ResizeWith(len, n)),
        4 => (some(), hints(), any::<bool>()).prop_map(|(n, hint, fallible)| Call::Extend(n, hint, fallible)),
        2 => (many(), any::<bool>()).prop_map(|(n, fallible)| Call::ExtendFromSlice(n, fallible)),
        2 => (at(), at(), kind()).prop_map(|(a, b, kind)| Call::ExtendFromWithin(a, b, kind)),
        1 => (0usize..300, any::<bool>()).prop_map(|(n, fallible)| Call::Reserve(n, fallible)),
        1 => Just(Call::Shrink),
        1 => many().prop_map(Call::Spare),
        1 => any::<bool>().prop_map(Call::Sort),
        1 => (at(), at()).prop_map(|(a, b)| Call::Change(a, b)),
        1 => Just(Call::Clone),
        1 => many().prop_map(Call::CloneFrom),
        1 => (at(), at()).prop_map(|(front, back)| Call::IntoIter(front, back)),
        1 => (some(), hints()).prop_map(|(n, hint)| Call::Collect(n, hint)),
        1 => Just(Call::Leak),
        1 => (0u8..4).prop_map(Call::Convert),
    ];
    prop::collection::vec(call, 1..60)
}

/// A range of a vector of `len`, of every kind that there is.
pub fn range(a: usize, b: usize, kind: u8, len: usize) -> Range {
    let (a, b) = (a % (len + 1), b % (len + 1));
    let (from, to) = (a.min(b), a.max(b));
    match kind {
        1 => (Bound::Unbounded, Bound::Unbounded),
        2 => (Bound::Included(from), Bound::Unbounded),
        3 => (Bound::Unbounded, Bound::Excluded(to)),
        4 if to < len => (Bound::Included(from), Bound::Included(to)),
        5 if to < len => (Bound::Unbounded, Bound::Included(to)),
        6 if from < to => (Bound::Excluded(from), Bound::Excluded(to)),
        7 if to < len => (Bound::Excluded(from), Bound::Included(to)),
        8 if from < len => (Bound::Excluded(from), Bound::Unbounded),
        _ => (Bound::Included(from), Bound::Excluded(to)),
    }
}
