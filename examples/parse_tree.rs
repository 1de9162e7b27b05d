//! A parser that builds a tree in an arena, from a real file: an outline of the braces of a source file.
//!
//! `cargo run --release --example parse_tree -- src/lib.rs`
//!
//! Nodes and strings refer to each other freely, since all of them live as long as the arena does; the tree
//! is never walked to be freed.

use highwater::{Arena, Scope};
use std::process::ExitCode;

/// A block in braces, and what it is called: the text before the brace.
struct Node<'a> {
    title: &'a str,
    line: usize,
    lines: usize,
    children: &'a [Node<'a>],
}

/// A brace that has not been closed yet.
struct Open<'a> {
    title: &'a str,
    line: usize,
    children: Vec<Node<'a>>,
}

impl<'a> Open<'a> {
    fn close(self, at: usize, out: &Scope<'a>) -> Node<'a> {
        let Open { title, line, children } = self;
        Node { title, line, lines: at - line + 1, children: out.alloc_slice_fill_iter(children) }
    }
}

/// Finds the blocks of a text. Strings and comments are taken as they come: this is an outline, not a
/// compiler.
fn parse<'a>(text: &str, out: &Scope<'a>) -> Node<'a> {
    let mut open = vec![Open { title: "", line: 1, children: Vec::new() }];
    let mut last = 1;
    for (i, line) in text.lines().enumerate() {
        last = i + 1;
        let code = line.split("//").next().unwrap_or_default();
        for (at, c) in code.char_indices() {
            match c {
                '{' => {
                    let title = out.alloc_str(code[..at].trim());
                    open.push(Open { title, line: last, children: Vec::new() });
                }
                '}' if open.len() > 1 => {
                    let node = open.pop().expect("more than one is open").close(last, out);
                    open.last_mut().expect("the outermost stays open").children.push(node);
                }
                _ => {}
            }
        }
    }
    while open.len() > 1 {
        let node = open.pop().expect("more than one is open").close(last, out);
        open.last_mut().expect("the outermost stays open").children.push(node);
    }
    open.pop().expect("the outermost stays open").close(last, out)
}

fn count(node: &Node<'_>) -> usize {
    1 + node.children.iter().map(count).sum::<usize>()
}

fn print(node: &Node<'_>, depth: usize) {
    for child in node.children {
        if !child.title.is_empty() && depth < 3 {
            println!("{:>5} {:>4} lines  {}{}", child.line, child.lines, "  ".repeat(depth), child.title);
        }
        print(child, depth + 1);
    }
}

fn main() -> ExitCode {
    let path = std::env::args().nth(1).unwrap_or_else(|| file!().to_owned());
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::from(2);
        }
    };
    let mut arena = Arena::builder().name("tree").build();
    let root = arena.scope();
    let tree = parse(&text, &root);
    print(&tree, 0);
    println!("{}: {} blocks in {} bytes of the arena", path, count(&tree), root.allocated_bytes());
    ExitCode::SUCCESS
}
