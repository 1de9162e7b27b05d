//! A parent is not replaced while what its child allocated is in use.

fn renew<'a>(scope: &mut highwater::Scope<'a>, fresh: highwater::Scope<'a>) {
    *scope = fresh;
}

fn main() {
    let (mut one, mut two) = (highwater::Arena::new(), highwater::Arena::new());
    let mut root = one.scope();
    let value = root.scope().alloc(1u64);
    renew(&mut root, two.scope());
    assert_eq!(*value, 1);
}
