//! A reference into a vector does not survive what may remove or change values, though nothing moves.

fn main() {
    let mut vec = highwater::GrowVec::from([1u64, 2]);
    let first = &vec[0];
    vec.push(3);
    assert_eq!(*first, 1);
    let slice = vec.as_slice();
    vec.reserve(1000);
    assert_eq!(slice, [1, 2, 3]);
    for value in vec.drain(..) {
        vec.push(value);
    }
}
