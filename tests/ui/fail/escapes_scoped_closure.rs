//! What a closure's scope allocated is neither returned from it nor left in a variable around it.

fn main() {
    let mut arena = highwater::Arena::new();
    let returned = arena.scoped(|scope| scope.alloc(1u64));
    let mut left = None;
    arena.scoped(|scope| left = Some(scope.alloc(2u64)));
    assert_eq!((*returned, left), (1, Some(&mut 2)));
}
