//! The pages of `docs/` and README: every page is in the guide, and every link leads somewhere, in the repository and in
//! rustdoc.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let files = std::fs::read_dir(root().join("docs")).expect("the directory is there");
    files.map(|file| file.expect("it can be listed").path()).chain([root().join("README.md")]).collect()
}

/// The link definitions of a text: `[label]: target`.
fn definitions(text: &str) -> Vec<(&str, &str)> {
    text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ")).collect()
}

/// The text outside of fenced blocks.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect()
}

/// The anchors of a page's headings, as GitHub and rustdoc make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = heading
            .trim_start_matches('#')
            .trim()
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_page_is_in_the_guide_and_linked_from_readme() {
    let guide = read_to_string(root().join("src/guide/mod.rs")).unwrap();
    let readme = read_to_string(root().join("README.md")).unwrap();
    for page in pages().iter().filter(|page| !page.ends_with("README.md")) {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(guide.contains(&format!("{name:?}")), "{name} is not in src/guide/mod.rs");
        assert!(readme.contains(&format!("[docs/{name}]")), "{name} is not linked from README.md");
    }
}

#[test]
fn every_link_leads_to_a_heading_and_is_defined_for_rustdoc() {
    let links = read_to_string(root().join("src/guide/links.md")).unwrap();
    let in_rustdoc: BTreeSet<_> = definitions(&links).into_iter().map(|(label, _)| label).collect();
    for page in pages() {
        let text = read_to_string(&page).unwrap();
        let at = page.display();
        // An inline link to a file would lead to the file in rustdoc as well, where there is none.
        let prose = prose(&text);
        let inline =
            prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        for target in inline {
            let is_here = target.strip_prefix('#').is_some_and(|anchor| anchors(&text).contains(anchor));
            assert!(is_here || target.starts_with("https://"), "{at}: [..]({target})");
        }
        for (label, target) in definitions(&text) {
            assert!(in_rustdoc.contains(label), "{at}: [{label}] is not in src/guide/links.md");
            if target.starts_with("https://docs.rs/highwater/") {
                continue;
            }
            let (file, anchor) =
                target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
            let other = read_to_string(page.with_file_name(file))
                .unwrap_or_else(|_| panic!("{at}: no file {target}"));
            assert!(
                anchor.is_none_or(|anchor| anchors(&other).contains(anchor)),
                "{at}: no heading {target}"
            );
        }
        // And a label without a definition is no link at all.
        for label in prose.split('[').skip(1).filter_map(|rest| Some(rest.split_once(']')?.0)) {
            let is_page = label.split('#').next().is_some_and(|file| file.ends_with(".md"));
            let is_defined = definitions(&text).iter().any(|(defined, _)| *defined == label);
            assert!(!is_page || is_defined, "{at}: [{label}] has no definition");
        }
    }
}
