//! The example `json_tree`: queries, random documents, and the whole program.
#![cfg(all(highwater_fault, not(feature = "log")))]

use crate::json;
use crate::json_tree::seen;
use crate::support;
use json::query::{Answer, Query};
use json::{Bumpalo, Handles, Heap, Keep, LARGE, Node, References, Visit};
use json::{document, text_of};
use proptest::prelude::*;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

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
pub fn values() -> impl Strategy<Value = Value> {
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
pub fn escaped(value: &Value, out: &mut String) {
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
