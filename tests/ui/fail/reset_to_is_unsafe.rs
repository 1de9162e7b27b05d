//! Going back to a checkpoint is for whoever can promise that nothing refers to what comes after it.

fn main() {
    let arena = highwater::Arena::new();
    let checkpoint = arena.checkpoint();
    arena.reset_to(checkpoint);
}
