//! The example `json_tree`: what it accepts and refuses, and that its four trees are the same one.
// The same with every engine and feature: once is enough.
#![cfg(all(highwater_fault, not(feature = "log")))]

use crate::json;
use json::flat::hash;
use json::{Bumpalo, Error, Handles, Heap, Keep, Kind, LARGE, MAX_DEPTH, Node, References, Visit};
use json::{count, document, text_of, write};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The tree as JSON, and as what serde_json would have made of it.
struct Seen;

impl Visit for Seen {
    type Result = (String, Value);

    fn visit<'t>(self, root: impl Node<'t>, _: Option<usize>) -> Self::Result {
        let mut text = String::new();
        write(root, &mut text);
        let value = value_of(root);
        assert_eq!(count(root), values_in(&value));
        (text, value)
    }
}

/// Numbers are floats in our trees, and are compared as such.
fn value_of<'t>(node: impl Node<'t>) -> Value {
    match node.kind() {
        Kind::Null => Value::Null,
        Kind::Bool(value) => value.into(),
        Kind::Number(value) => value.into(),
        Kind::Text(text) => text.into(),
        Kind::Array => {
            let items: Vec<_> = node.items().map(value_of).collect();
            assert_eq!((items.len(), node.item(items.len()).is_none()), (node.len(), true));
            for (i, item) in node.items().enumerate() {
                assert_eq!(node.item(i).expect("there is an item").kind(), item.kind());
            }
            items.into()
        }
        Kind::Object => {
            let members: Vec<_> = node.members().collect();
            assert_eq!(members.len(), node.len());
            assert!(members.is_sorted_by(|a, b| a.0 < b.0), "in order, and none twice");
            for (key, value) in &members {
                assert_eq!(node.member(key).expect("there is a member").kind(), value.kind());
                assert!(node.member(&format!("{key}\0no")).is_none());
            }
            members
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value_of(value)))
                .collect::<Map<_, _>>()
                .into()
        }
    }
}

fn values_in(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values_in).sum(),
        Value::Object(members) => members.values().map(values_in).sum(),
        _ => 0,
    }
}

fn floats(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => items.into_iter().map(floats).collect::<Vec<_>>().into(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, floats(value))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

/// What all four trees of a text are, or why there is none; they agree.
#[track_caller]
pub fn seen(text: &str) -> Result<(String, Value), Error> {
    let handles = Handles::default().with_tree(text, Seen);
    assert_eq!(References::default().with_tree(text, Seen), handles);
    assert_eq!(Bumpalo::default().with_tree(text, Seen), handles);
    assert_eq!(Heap.with_tree(text, Seen), handles);
    handles
}

#[test]
fn what_is_json_is_accepted() {
    for (text, canonical) in [
        ("null", "null"),
        (" \t\r\n true \n", "true"),
        ("false", "false"),
        ("0", "0"),
        ("-0", "-0"),
        ("-0.0e-7", "-0"),
        ("-12", "-12"),
        ("1.5", "1.5"),
        ("1E2", "100"),
        ("1e+2", "100"),
        ("25e-1", "2.5"),
        ("0e999", "0"),
        ("1e-999", "0"),
        ("999999999999999", "999999999999999"),
        ("9007199254740993", "9007199254740992"),
        ("123456789012345678901234567890", "123456789012345680000000000000"),
        ("0.1000000000000000055511151231257827", "0.1"),
        (r#""""#, r#""""#),
        (r#""\"\\\/\b\f\n\r\t""#, r#""\"\\/\u0008\u000c\u000a\u000d\u0009""#),
        (r#""\u0041\u00e9\u6771\uD834\udd1e\u0000""#, "\"Aé東𝄞\\u0000\""),
        ("\"é東𝄞\u{7f}\u{2028}\"", "\"é東𝄞\u{7f}\u{2028}\""),
        ("[]", "[]"),
        ("[ ]", "[]"),
        ("[[],[[]]]", "[[],[[]]]"),
        ("[1 , 2\n,3]", "[1,2,3]"),
        ("{}", "{}"),
        (r#"{ "b" : 1 , "a" : [ ] }"#, r#"{"a":[],"b":1}"#),
        (r#"{"":0}"#, r#"{"":0}"#),
        (r#"{"a":1,"b":2,"a":3,"\u0061":4}"#, r#"{"a":4,"b":2}"#),
        (r#"{"a":{"a":{"a":[{}]}}}"#, r#"{"a":{"a":{"a":[{}]}}}"#),
    ] {
        assert_eq!(seen(text).map(|seen| seen.0).as_deref(), Ok(canonical), "{text}");
        assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
    }
}

#[test]
fn what_is_no_json_is_refused_where_it_goes_wrong() {
    for (text, line, column, message) in [
        ("", 1, 1, "too early"),
        (" \n ", 2, 2, "too early"),
        ("nul", 1, 1, "a value"),
        ("True", 1, 1, "a value"),
        ("nullx", 1, 5, "nothing may follow"),
        ("[1] x", 1, 5, "nothing may follow"),
        ("{} {}", 1, 4, "nothing may follow"),
        ("\u{feff}1", 1, 1, "a value"),
        ("+1", 1, 1, "a value"),
        (".5", 1, 1, "a value"),
        ("01", 1, 2, "nothing may follow"),
        ("-", 1, 2, "too early"),
        ("-a", 1, 2, "a digit"),
        ("1.", 1, 3, "too early"),
        ("[1.]", 1, 4, "a digit"),
        ("[1e]", 1, 4, "a digit"),
        ("[1e+]", 1, 5, "a digit"),
        ("[0x1]", 1, 3, "a comma"),
        ("NaN", 1, 1, "a value"),
        ("[1e400]", 1, 2, "too large"),
        ("-1e400", 1, 1, "too large"),
        ("[1,]", 1, 4, "a value"),
        ("[,1]", 1, 2, "a value"),
        ("[1 2]", 1, 4, "a comma"),
        ("[1", 1, 3, "too early"),
        ("[1}", 1, 3, "a comma"),
        ("]", 1, 1, "a value"),
        ("{\"a\":1,}", 1, 8, "a key"),
        ("{a:1}", 1, 2, "a key"),
        ("{'a':1}", 1, 2, "a key"),
        ("{\"a\" 1}", 1, 6, "a colon"),
        ("{\"a\":}", 1, 6, "a value"),
        ("{\"a\":1]", 1, 7, "a comma"),
        ("{\"a\"", 1, 5, "too early"),
        ("\"abc", 1, 5, "too early"),
        ("\"a\\", 1, 4, "too early"),
        ("[\"é東𝄞\",\n \"a\\x\"]", 2, 5, "escape"),
        ("\"a\nb\"", 1, 3, "control"),
        ("\"a\\n\tb\"", 1, 5, "control"),
        ("\"\\u12g4\"", 1, 6, "hexadecimal"),
        ("\"\\u12", 1, 6, "too early"),
        ("\"\\ud800\"", 1, 2, "surrogate"),
        ("\"ab\\udc00\"", 1, 4, "surrogate"),
        ("\"\\ud800\\u0041\"", 1, 2, "surrogate"),
        ("\"\\ud800\\ud800\"", 1, 2, "surrogate"),
        ("\"\\ud800\\n\"", 1, 2, "surrogate"),
        ("[1, // no\n 2]", 1, 5, "a value"),
    ] {
        let error = seen(text).expect_err(text);
        assert_eq!((error.line, error.column), (line, column), "{text:?}: {error}");
        assert!(error.message.contains(message), "{text:?}: {error}");
        assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
    }
    let error = text_of(b"[\n\"\xc3\xa9\xff\"]").expect_err("no UTF-8");
    assert_eq!(error.to_string(), "line 2, column 3: not UTF-8");
}

#[test]
fn nesting_ends_at_a_limit() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(seen(&nested(MAX_DEPTH)).expect("just not too deep").0, nested(MAX_DEPTH));
        let error = seen(&nested(MAX_DEPTH + 1)).expect_err("too deep");
        assert_eq!(error.column, MAX_DEPTH * open.len() + 1);
        seen(&open.repeat(1_000_000)).expect_err("too deep by far");
    }
}

/// An object of these keys, each with its place.
fn object_of(keys: impl Iterator<Item = String>) -> String {
    let mut text = String::from("{");
    for (i, key) in keys.enumerate() {
        let _ = write!(text, "{}\"{key}\":{i}", if i > 0 { "," } else { "" });
    }
    text + "}"
}

#[test]
fn large_objects_find_every_key_and_no_other() {
    for members in [LARGE - 1, LARGE, LARGE + 1, 5000] {
        let text = object_of((0..members).map(|i| format!("key {}", i * 7919 % 10007)));
        assert_eq!(seen(&text).unwrap().1.as_object().unwrap().len(), members);
    }
    // Every key twice: what counts is how many are left.
    for members in [LARGE, LARGE + 1] {
        let (_, value) = seen(&object_of((0..2 * members).map(|i| (i % members).to_string()))).unwrap();
        assert_eq!(value["0"], members as f64);
    }
}

/// Keys for the same slot, chosen by somebody who knows the function.
#[test]
fn keys_that_collide_are_found_too() {
    let colliding = (0u32..).map(|i| i.to_string()).filter(|key| hash(key).is_multiple_of(1 << 10));
    let text = object_of(colliding.take(300));
    assert_eq!(seen(&text).unwrap().1.as_object().unwrap().len(), 300);
}

/// How much of an arena a tree takes.
struct Used;

impl Visit for Used {
    type Result = Option<usize>;

    fn visit<'t>(self, _: impl Node<'t>, used: Option<usize>) -> Option<usize> {
        used
    }
}

#[test]
fn the_next_file_has_the_same_memory() {
    let text = document::generate(100_000, 1);
    let mut handles = Handles::default();
    let mut references = References::default();
    let first = handles.with_tree(&text, Used).unwrap();
    for _ in 0..10 {
        let broken = handles.with_tree(&text[..text.len() / 2], Used);
        assert!(broken.expect_err("it is half of one").message.contains("too early"));
        assert_eq!(handles.with_tree(&text, Used).unwrap(), first);
    }
    assert!(references.with_tree(&text, Used).unwrap() > first.map(|first| first / 2 * 3));
}

#[test]
fn handles_halve_the_nodes() {
    assert_eq!((Handles::SIZES, References::SIZES), ([12, 20], [24, 40]));
    assert_eq!(Bumpalo::SIZES, References::SIZES);
}

#[test]
fn the_made_up_document_is_the_same_every_time_and_correct() {
    let text = document::generate(200_000, 7);
    assert_eq!(text, document::generate(200_000, 7));
    assert_ne!(text, document::generate(200_000, 8));
    assert!((200_000..210_000).contains(&text.len()));
    let ours = seen(&text).unwrap().1;
    let theirs: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(ours, floats(theirs));
}
