//! Values are dropped with their vector, so what they refer to is there until then.

use highwater::{AppendVec, GrowVec, SharedVec};

struct Loud<'a>(&'a str);

impl Drop for Loud<'_> {
    fn drop(&mut self) {
        println!("{}", self.0);
    }
}

fn owned() {
    let mut vec = GrowVec::new();
    let text = String::from("gone");
    vec.push(Loud(&text));
}

fn appended() {
    let vec = AppendVec::new();
    let text = String::from("gone");
    vec.push_pinned(Loud(&text));
}

fn shared() {
    let vec = SharedVec::new();
    let text = String::from("gone");
    vec.push(Loud(&text));
}

fn main() {
    owned();
    appended();
    shared();
}
