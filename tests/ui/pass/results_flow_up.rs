//! Results are allocated in the caller's scope, temporary values in a child's, whatever order the calls nest
//! in; a scope is handed on by reference, by value and inside structures.

use highwater::{Arena, Frame, Scope};

struct Parser<'s, 'a> {
    out: &'s mut Scope<'a>,
    words: Vec<&'a str>,
}

impl<'a> Parser<'_, 'a> {
    fn parse(mut self, text: &str) -> &'a [&'a str] {
        for word in text.split(' ') {
            let scratch = self.out.scope();
            let upper = scratch.alloc_str(word);
            upper.make_ascii_uppercase();
            let upper = upper.to_string();
            self.words.push(self.out.alloc_str(&upper));
        }
        self.out.alloc_slice_copy(&self.words)
    }
}

fn consume(scope: Scope<'_>) -> usize {
    scope.alloc_slice_fill_default::<u64>(10);
    scope.allocated_bytes()
}

fn pair<'a>(frame: Frame<'a, 16>) -> (&'a mut u64, &'a mut u64) {
    (frame.alloc(1), frame.alloc(2))
}

fn main() {
    let mut arena = Arena::new();
    let mut root = arena.scope();
    let words = Parser { out: &mut root, words: Vec::new() }.parse("a bc d");
    let more = Parser { out: &mut root, words: Vec::new() }.parse("e");
    let used = root.allocated_bytes();
    assert_eq!(consume(root.scope()), used + 80);
    let (a, b) = pair(root.frame());
    assert_eq!((words, more, *a + *b), (&["A", "BC", "D"][..], &["E"][..], 3));
}
