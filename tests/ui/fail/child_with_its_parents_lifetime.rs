//! A child does not pass for a scope that lives as long as its parent: it could then stand in its place.

use highwater::Scope;

fn rewound<'a>(scope: &mut Scope<'a>) {
    let child: Scope<'a> = scope.scope();
    *scope = child;
}

fn longer<'s, 'l: 's>(scope: Scope<'s>) -> Scope<'l> {
    scope
}

fn main() {
    let mut arena = highwater::Arena::new();
    let mut root = arena.scope();
    rewound(&mut root);
    longer(root).alloc(1u64);
}
