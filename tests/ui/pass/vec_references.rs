//! References into an append vector stay while it grows, and vectors hold references of any lifetime.

use highwater::{AppendVec, GrowVec, SharedVec};

/// A vector that only its owner changes holds what lives longer.
fn shortened<'a>(vec: GrowVec<&'static str>, more: &'a str) -> GrowVec<&'a str> {
    let mut vec: GrowVec<&'a str> = vec;
    vec.push(more);
    vec
}

struct Interner(AppendVec<String>);

impl Interner {
    fn intern(&self, text: &str) -> &str {
        match self.0.iter().find(|known| *known == text) {
            Some(known) => known,
            None => self.0.push_pinned(text.to_owned()),
        }
    }
}

fn main() {
    let interner = Interner(AppendVec::new());
    let (first, second) = (interner.intern("first"), interner.intern("second"));
    for n in 0..1000 {
        interner.intern(&n.to_string());
    }
    assert_eq!((first, second, interner.intern("first").as_ptr()), ("first", "second", first.as_ptr()));

    let text = String::from("more");
    assert_eq!(shortened(GrowVec::from(["one"]), &text), ["one", "more"]);

    let shared = SharedVec::<&str>::new();
    let prefix = std::thread::scope(|threads| {
        shared.push(&text);
        let prefix = shared.as_slice();
        threads.spawn(|| (0..100).for_each(|_| _ = shared.push("other")));
        prefix
    });
    assert_eq!((prefix, shared.len()), (&["more"][..], 101));

    // Leaked, they are good for ever.
    let leaked: &'static mut [u64] = GrowVec::from([1, 2, 3]).leak();
    leaked[0] = 7;
    assert_eq!(leaked, [7, 2, 3]);

    // What is in a vector may refer to what is in another.
    let names = AppendVec::<String>::new();
    let tree = AppendVec::<(&str, Option<usize>)>::new();
    let root = tree.push_pinned((names.push_pinned("root".into()), None));
    tree.push_pinned((names.push_pinned("leaf".into()), Some(0)));
    assert_eq!((root.0, tree[1].0), ("root", "leaf"));
}
