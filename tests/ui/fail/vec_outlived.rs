//! Nothing outlives its vector.

use highwater::{AppendVec, GrowVec, SharedVec};

fn append<'a>() -> &'a u64 {
    let vec = AppendVec::new();
    vec.push_pinned(1)
}

fn shared<'a>() -> &'a [u64] {
    let vec = SharedVec::from_iter([1]);
    vec.as_slice()
}

fn main() {
    let mut vec = GrowVec::from([1u64, 2]);
    let first = &mut vec[0];
    drop(vec);
    *first = 3;
    let drain = GrowVec::from([1u64, 2]).drain(..);
    assert_eq!(drain.count(), 2);
    assert_eq!((append(), shared()), (&1, &[1][..]));
}
