//! `highwater report`.

use std::{fs, path::Path};

use crate::common::{highwater, interrupted, number, positive, refused, stderr, stdout, succeeds};
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::Value;

/// The sections every report has.
const SECTIONS: [&str; 6] = ["grow", "growth", "scratch", "rk4", "physics", "malloctest"];

fn parsed(text: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).expect("the page is well-formed")
}

fn named<'d>(node: Node<'d, 'd>, name: &'static str) -> impl Iterator<Item = Node<'d, 'd>> {
    node.descendants().filter(move |node| node.tag_name().name() == name)
}

fn text_of(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

/// Checks that the page refers to nothing outside it.
#[track_caller]
fn stands_alone(document: &Document<'_>) {
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        for banned in ["script", "link", "img", "iframe", "object", "image", "use"] {
            assert_ne!(name, banned);
        }
        for attribute in node.attributes() {
            let (key, value) = (attribute.name(), attribute.value());
            assert!(!["src", "data", "srcset", "action"].contains(&key), "{key}={value} of {name}");
            assert!(!key.starts_with("on"), "{key}={value} of {name}");
            assert!(!value.contains("url("), "{key}={value} of {name}");
            if key == "href" {
                let id = value.strip_prefix('#').unwrap_or_else(|| panic!("{value} is elsewhere"));
                let found = document.descendants().filter(|node| node.attribute("id") == Some(id)).count();
                assert_eq!(found, 1, "{value}");
            }
        }
    }
}

fn sections<'d>(document: &'d Document<'d>) -> Vec<Node<'d, 'd>> {
    named(document.root_element(), "section").filter(|node| node.attribute("id") != Some("reading")).collect()
}

/// The examples of a help text, without `highwater report`.
fn examples(help: &str) -> Vec<String> {
    let help = stdout(&highwater().args(["report", help]).output().unwrap());
    let found = help.lines().filter_map(|line| line.trim().strip_prefix("highwater report"));
    let found: Vec<_> = found.map(|line| line.trim().to_owned()).collect();
    assert!(!found.is_empty(), "an example in\n{help}");
    found
}

fn in_dir(dir: &Path, line: &str) -> String {
    let mut command = highwater();
    let output = command.current_dir(dir).arg("report").args(line.split_whitespace()).output().unwrap();
    succeeds(&output);
    stdout(&output)
}

#[test]
fn a_page_with_all_sections() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(examples("-h"), ["--quick"]);
    let printed = in_dir(dir.path(), "--quick --json figures.json");
    assert!(printed.contains("highwater-report.html"), "{printed}");
    let page = fs::read_to_string(dir.path().join("highwater-report.html")).unwrap();
    let document = parsed(&page);
    stands_alone(&document);
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "html");
    assert_eq!(root.tag_name().namespace(), Some("http://www.w3.org/1999/xhtml"));
    let figures: Value =
        serde_json::from_str(&fs::read_to_string(dir.path().join("figures.json")).unwrap()).unwrap();
    assert_eq!((&figures["partial"], &figures["quick"]), (&false.into(), &true.into()));
    let told = figures["sections"].as_array().unwrap();
    let parts = sections(&document);
    assert_eq!(parts.len(), told.len());
    for name in SECTIONS {
        assert!(told.iter().any(|section| section["key"] == name), "{name}");
    }
    for (part, section) in parts.iter().zip(told) {
        let key = section["key"].as_str().unwrap();
        assert_eq!(part.attribute("id"), Some(key));
        assert_eq!(section["outcome"], "found", "{section}");
        let findings = &section["findings"];
        let text = text_of(*part);
        assert!(text.contains(findings["command"].as_str().unwrap()), "the command that repeats {key}");
        assert!(named(*part, "svg").count() >= 2, "charts of {key}");
        assert_eq!(named(*part, "svg").count(), named(*part, "figure").count());
        let cases = findings["cases"].as_array().unwrap();
        assert!(!cases.is_empty());
        assert_eq!(named(*part, "table").count(), cases.len(), "a table for each case of {key}");
        assert!(!text.contains("NaN") && !text.contains("inf "), "{key}");
        for row in cases.iter().flat_map(|case| case["rows"].as_array().unwrap()) {
            assert!(text.contains(row["contender"].as_str().unwrap()), "{row}");
            for figure in row["figures"].as_array().unwrap().iter().filter(|figure| !figure.is_null()) {
                assert!(number(figure, "median") >= 0.0);
                if !figure["ratio"].is_null() {
                    number(&figure["ratio"], "times");
                }
            }
            let first = &row["figures"][0];
            assert!(first.is_null() || positive(first, "median") > 0.0, "{row}");
        }
    }
    let text = text_of(root);
    for word in ["QUICK", "highwater report --quick", "processor", "Linux", "tie", "baseline"] {
        assert!(text.contains(word), "{word:?} on the page");
    }
    assert!(!text.contains("PARTIAL"), "all of it was done");
}

#[test]
fn the_same_tables_for_documentation() {
    let all = examples("--help");
    let [_, line, help] = all.as_slice() else { panic!("{all:?}") };
    let dir = tempfile::tempdir().unwrap();
    in_dir(dir.path(), help);
    in_dir(dir.path(), line);
    let page = fs::read_to_string(dir.path().join("page.html")).unwrap();
    let document = parsed(&page);
    let ids: Vec<_> = sections(&document).iter().map(|part| part.attribute("id").unwrap()).collect();
    assert_eq!(ids, ["grow", "malloctest"], "in the page's order");
    let file = dir.path().join("tables.md");
    let text = fs::read_to_string(&file).unwrap();
    let rows = text.lines().filter(|line| line.starts_with('|')).count();
    assert_eq!(rows, named(document.root_element(), "tr").count() - facts(&document) + 2, "{text}");
    for line in text.lines().filter(|line| line.starts_with('|')) {
        assert!(line.ends_with('|'), "{line}");
    }
    // The text around the tables is kept.
    fs::write(&file, format!("# Mine\n\n{text}\nThe end.\n")).unwrap();
    in_dir(dir.path(), "--quick --only grow --markdown tables.md");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# Mine\n\n<!--") && text.ends_with("-->\n\nThe end.\n"), "{text}");
    assert!(text.contains("highwater grow") && !text.contains("malloctest"), "{text}");
    assert!(text.contains("\nMeasured by `highwater report "), "{text}");
}

/// The number of rows of the table of facts. (In Markdown a table has one line more than rows, and the page has two tables.)
fn facts(document: &Document<'_>) -> usize {
    let table =
        named(document.root_element(), "table").find(|table| table.attribute("class") == Some("facts"));
    named(table.unwrap(), "tr").count()
}

#[test]
fn invalid_arguments_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("own.md");
    fs::write(&own, "# Mine\n").unwrap();
    let own = own.to_str().unwrap();
    let page = dir.path().join("page.html");
    let page = page.to_str().unwrap();
    for (args, expected) in [
        (&[page, "--only", "nothing"][..], "--only nothing"),
        (&["/dev/null/page.html"], "/dev/null/page.html"),
        (&[page, "--json", "/dev/null/figures"], "/dev/null/figures"),
        (&[page, "--markdown", own], "own.md exists"),
        (&[page, "--budget", "0s"], "at least a second"),
        (&[page, "--budget", "soon"], "soon"),
        (&[page, "--malloc-lib", "/no/such.so"], "/no/such.so"),
    ] {
        refused(&highwater().arg("report").args(args).output().unwrap(), expected);
    }
    assert_eq!(fs::read_to_string(own).unwrap(), "# Mine\n");
}

#[test]
fn ctrl_c_leaves_a_partial_page() {
    let dir = tempfile::tempdir().unwrap();
    let result = interrupted(
        highwater().current_dir(dir.path()).args([
            "report",
            "page.html",
            "--only",
            "malloctest,grow",
            "--json",
            "figures.json",
        ]),
        // The first section starts.
        |line| line.starts_with("grow: 0 of"),
    );
    assert!(result.contains("PARTIAL"), "{result}");
    let page = fs::read_to_string(dir.path().join("page.html")).unwrap();
    let document = parsed(&page);
    stands_alone(&document);
    let notices: Vec<_> = named(document.root_element(), "p")
        .filter(|node| node.attribute("class") == Some("notice"))
        .map(text_of)
        .collect();
    assert!(notices.iter().any(|notice| notice.contains("PARTIAL: interrupted")), "{notices:?}");
    // The first section may have one run already.
    let printed: Vec<_> = sections(&document).into_iter().map(text_of).collect();
    assert!(
        printed[0].contains("PARTIAL: interrupted") || printed[0].contains("Left out: interrupted"),
        "{}",
        printed[0]
    );
    assert!(printed[1].contains("Left out: interrupted"), "{}", printed[1]);
    let figures: Value =
        serde_json::from_str(&fs::read_to_string(dir.path().join("figures.json")).unwrap()).unwrap();
    assert_eq!(figures["partial"], true);
}

#[test]
fn a_section_without_time_is_stopped_or_left_out() {
    let dir = tempfile::tempdir().unwrap();
    // A round takes much longer than the budget.
    let output = highwater()
        .current_dir(dir.path())
        .args(["report", "page.html", "--only", "malloctest,scratch", "--budget", "1s"])
        .output()
        .unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", stderr(&output));
    let page = fs::read_to_string(dir.path().join("page.html")).unwrap();
    let document = parsed(&page);
    let text = text_of(document.root_element());
    assert!(text.contains("PARTIAL: not all of scratch, malloctest was measured"), "{text}");
    assert!(text.contains("stopped"), "{text}");
    assert!(text.contains("no time left for it"), "{text}");
}
