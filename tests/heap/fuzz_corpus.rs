//! What fuzzing found, and a part of what it tried, once more: every file in `fuzz/corpus`, with what the targets do.

use crate::heap_model;
use crate::math_model;
use arbitrary::{Arbitrary, Unstructured};
use heap_model::Policy;
use std::path::Path;

fn each(target: &str, run: impl Fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files: Vec<_> = std::fs::read_dir(&directory).expect("it is checked in").collect();
    assert!(!files.is_empty(), "{} is empty", directory.display());
    for file in files {
        let path = file.expect("it can be listed").path();
        // What fails says which it was.
        println!("{}", path.display());
        run(&std::fs::read(path).expect("it can be read"));
    }
}

fn each_heap(target: &str, policy: Policy) {
    each(target, |bytes| heap_model::run(policy, bytes));
}

/// As libFuzzer's glue reads a value.
fn read<T: for<'a> Arbitrary<'a>>(bytes: &[u8]) -> T {
    T::arbitrary_take_rest(Unstructured::new(bytes)).expect("whatever is missing is zero")
}

#[test]
fn heap_general() {
    each_heap("heap_general", Policy::General);
}

#[test]
fn heap_blocks() {
    each_heap("heap_blocks", Policy::Blocks);
}

#[test]
fn heap_stack() {
    each_heap("heap_stack", Policy::Stack);
}

#[test]
fn heap_bump() {
    each_heap("heap_bump", Policy::Bump);
}

#[test]
fn math() {
    each("math_bump", |bytes| read::<math_model::Bump>(bytes).agrees());
    each("math_page", |bytes| read::<math_model::Page>(bytes).agrees());
    each("math_step", |bytes| read::<math_model::Growth>(bytes).agrees());
}
