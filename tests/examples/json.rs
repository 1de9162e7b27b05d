//! The example `json_tree`: what it accepts and refuses, and that its four trees are the same one.
// The same with every engine and feature: once is enough.
#![cfg(all(highwater_fault, not(feature = "log")))]

#[allow(dead_code, unused_imports, reason = "the test uses a part of it")]
#[path = "../../examples/json_tree/json/mod.rs"]
mod json;
use crate::support;
use json::flat::hash;
use json::query::{Answer, Query};
use json::{Bumpalo, Error, Handles, Heap, Keep, Kind, LARGE, MAX_DEPTH, Node, References, Visit};
use json::{count, document, text_of, write};
use proptest::prelude::*;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

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
fn seen(text: &str) -> Result<(String, Value), Error> {
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

/// Answers to questions, the same for all trees.
#[track_caller]
fn answer(text: &str, query: &str) -> Answer {
    struct Ask(Query);
    impl Visit for Ask {
        type Result = Answer;

        fn visit<'t>(self, root: impl Node<'t>, _: Option<usize>) -> Answer {
            self.0.answer(root)
        }
    }
    let ask = || Ask(query.parse().unwrap());
    let answer = Handles::default().with_tree(text, ask()).unwrap();
    assert_eq!(References::default().with_tree(text, ask()).as_ref(), Ok(&answer));
    assert_eq!(Bumpalo::default().with_tree(text, ask()).as_ref(), Ok(&answer));
    assert_eq!(Heap.with_tree(text, ask()).as_ref(), Ok(&answer));
    answer
}

#[test]
fn queries_are_answered() {
    let text = r#"{"users": [{"name": "Ada", "age": 36, "x.y": true}, {"name": "Zoë"}, {"age": 4.5}, 7],
        "empty": [], "map": {"b": 2, "a": 1, "c": "no number"}, "deep": [[1, 2], [3]]}"#;
    for (query, values) in [
        ("users[*].name", &["\"Ada\"", "\"Zoë\""][..]),
        ("users[1]", &["{\"name\":\"Zoë\"}"]),
        ("users[0][\"x.y\"]", &["true"]),
        ("$.map.b", &["2"]),
        ("[\"map\"][*]", &["1", "2", "\"no number\""]),
        ("deep[*][*]", &["1", "2", "3"]),
        ("deep[1][0]", &["3"]),
        ("empty[*]", &[]),
        ("users[4]", &[]),
        ("users.name", &[]),
        ("map[0]", &[]),
        ("nothing[*].here", &[]),
    ] {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        assert_eq!(answer(text, query), Answer::Values(values), "{query}");
    }
    for (query, number) in [
        ("count(users[*])", Some(4.0)),
        ("count($)", Some(1.0)),
        ("sum(users[*].age)", Some(40.5)),
        ("mean(users[*].age)", Some(20.25)),
        ("min(map[*])", Some(1.0)),
        ("max(deep[*][*])", Some(3.0)),
        ("sum(empty[*])", Some(0.0)),
        ("mean(empty[*])", None),
        ("max(users[*].name)", None),
    ] {
        assert_eq!(answer(text, query), Answer::Number(number), "{query}");
    }
    assert_eq!(answer("[1]", "$"), Answer::Values(vec!["[1]".into()]));
    for wrong in ["", "a..b", "a[", "a[x]", "a[-1]", "a[\"b]", "sum(a", "a b)", "a]"] {
        assert!(wrong.parse::<Query>().is_err(), "{wrong}");
    }
}

/// Any value, of a few dozen nodes.
fn values() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()),
        (-100i32..100).prop_map(f64::from),
        any::<i64>().prop_map(|number| number as f64),
    ];
    let text = prop_oneof![any::<String>(), "[a-c]{0,2}"];
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number.prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    scalar.prop_recursive(5, 100, 50, move |inner| {
        let member = (text.clone(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..10).prop_map(Value::from),
            prop::collection::vec(member, 0..2 * LARGE).prop_map(|members| Map::from_iter(members).into()),
        ]
    })
}

/// A text of the value with escapes wherever there may be one, and some keys twice.
fn escaped(value: &Value, out: &mut String) {
    let quote = |text: &str, out: &mut String| {
        out.push('"');
        text.encode_utf16().for_each(|unit| _ = write!(out, "\\u{unit:04X}"));
        out.push('"');
    };
    match value {
        Value::String(text) => quote(text, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "\t,\n" } else { " " });
                escaped(item, out);
            }
            out.push_str("\r]");
        }
        Value::Object(members) => {
            out.push('{');
            for (key, _) in members.iter().take(3) {
                quote(key, out);
                out.push_str(":[\"overruled\"],");
            }
            for (i, (key, value)) in members.iter().rev().enumerate() {
                out.push_str(if i > 0 { " , " } else { "" });
                quote(key, out);
                out.push_str(" : ");
                escaped(value, out);
            }
            out.push('}');
        }
        other => _ = write!(out, "{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn all_trees_are_the_value_that_was_written(value in values()) {
        let plain = serde_json::to_string(&value).unwrap();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let mut strange = String::new();
        escaped(&value, &mut strange);
        for text in [plain, pretty, strange] {
            let (written, ours) = seen(&text).unwrap();
            prop_assert_eq!(&ours, &value, "{}", text);
            // What we write is read as the same again.
            prop_assert_eq!(&seen(&written).unwrap().1, &value);
        }
    }

    /// With one byte changed, put in or left out, a text is accepted by either parser or by none.
    #[test]
    fn what_serde_json_refuses_is_refused(
        value in values(),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(&b"[]{},:\"\\ue-+.0 "[..])],
        change in 0..3,
    ) {
        let mut bytes = serde_json::to_vec(&value).unwrap();
        let at = at.index(bytes.len());
        match change {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => _ = bytes.remove(at),
        }
        let ours = text_of(&bytes).and_then(seen);
        let theirs = serde_json::from_slice::<Value>(&bytes);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours.err(), theirs.err());
    }
}

/// The example, built where this test was, which has all that it depends on: a run of all tests builds it anyway, a
/// run of this one does not.
fn built() -> PathBuf {
    let this = std::env::current_exe().expect("a test binary has a path");
    let profile = this.ancestors().nth(2).expect("it is in a profile's directory");
    let target = profile.parent().expect("which is in the target directory");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--example", "json_tree"]).env("CARGO_TARGET_DIR", target);
    cargo.args(profile.ends_with("release").then_some("--release"));
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    profile.join("examples/json_tree")
}

#[test]
fn the_example_runs_from_file_to_figures() {
    let path = built();
    let example = |arguments: &[&str]| {
        let mut command = Command::new(&path);
        command.args(arguments);
        support::run(command)
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (one, two, broken) = (path("one.json"), path("two"), path("broken.json"));
    std::fs::write(&one, r#"{"users": [{"name": "Ada", "age": 36}, {"name": "Zoë", "age": 4}]}"#).unwrap();
    std::fs::write(&two, document::generate(100_000, 3)).unwrap();
    std::fs::write(&broken, "{\n  \"a\": [1, 2,]\n}").unwrap();

    let shown = example(&[&one, &two, "users[*].name", "sum(users[*].age)"]);
    shown.assert_success();
    assert!(shown.stdout.contains("users[*].name: 2 values: \"Ada\", \"Zoë\"\n"), "{shown:?}");
    assert!(shown.stdout.contains("sum(users[*].age): 40\n"), "{shown:?}");
    assert!(shown.stdout.contains("  8 values in "), "{shown:?}");

    let refused = example(&[&broken]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.contains("broken.json: line 2, column 14: a value is expected"), "{refused:?}");
    for wrong in [&["--nonsense"][..], &["users[x]"], &["missing.json"], &["--mib", "many"]] {
        assert_eq!(example(wrong).status.code(), Some(2), "{wrong:?}");
    }

    let compared = example(&["--compare", &one, &two, "count(users[*])"]);
    compared.assert_success();
    for way in [Handles::NAME, References::NAME, Bumpalo::NAME, Heap::NAME] {
        let row = compared.stdout.lines().find(|line| line.starts_with(way));
        let row = row.unwrap_or_else(|| panic!("no row {way}: {compared:?}"));
        assert_eq!(row.matches(" ms").count(), 3, "{row}");
        let peak = row.split(" MiB").next().and_then(|row| row.rsplit(' ').next()?.parse::<f64>().ok());
        assert!(peak.is_some_and(|peak| peak > 0.0 || !cfg!(target_os = "linux")), "{row}");
    }
}
