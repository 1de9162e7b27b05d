//! What is pushed through a shared reference lives as long as the vector says.

use highwater::{AppendVec, SharedVec};

fn main() {
    let (append, shared) = (AppendVec::<&'static str>::new(), SharedVec::<&'static str>::new());
    {
        let text = String::from("short-lived");
        let short: &AppendVec<&str> = &append;
        short.push_pinned(&text);
        let short: &SharedVec<&str> = &shared;
        short.push(&text);
    }
    println!("{} {}", append[0], shared[0]);
}
