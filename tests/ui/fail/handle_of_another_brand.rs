//! A handle of one arena is not followed in another, whichever of the two lives longer.

use highwater::{Arena, Branded};

fn values<'a, 'b>(a: &Branded<'a>, b: &Branded<'b>) -> u64 {
    *a.get(b.handle(b.alloc(1)))
}

fn slices<'a, 'b>(a: &Branded<'a>, b: &Branded<'b>) -> u64 {
    a.slice(b.slice_handle(b.alloc_iter([1, 2])))[0]
}

fn texts<'a, 'b>(a: &Branded<'a>, b: &Branded<'b>) -> usize {
    a.str(b.str_handle(b.alloc_str("text"))).len()
}

fn handled<'a, 'b>(a: &Branded<'a>, b: &Branded<'b>) {
    a.handle(b.alloc(1));
}

fn main() {
    let (mut one, mut other) = (Arena::new(), Arena::new());
    one.scoped_branded(|a| {
        other.scoped_branded(|b| {
            values(&a, &b);
            slices(&b, &a);
            texts(&a, &b);
            handled(&a, &b);
        });
        let outer = a.handle(a.alloc(1u64));
        other.scoped_branded(|b| *b.get(outer));
    });
}
