//! Vectors that are appended to while they are borrowed are not changed meanwhile.

fn main() {
    let mut append = highwater::AppendVec::new();
    let first: &u64 = append.push_pinned(1);
    append.as_mut_slice()[0] = 2;
    assert_eq!(*first, 1);
    let slice = append.as_slice();
    append.as_mut_vec().clear();
    assert_eq!(slice, [2]);
    let slice = append.as_slice();
    let owned = append.into_vec();
    assert_eq!(slice, owned);

    let mut shared = highwater::SharedVec::new();
    let first: &u64 = shared.push_pinned(1);
    shared.clear();
    assert_eq!(*first, 1);
}
