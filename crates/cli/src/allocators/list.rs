//! A list of allocators as it is written, and what that means here.

use std::path::Path;

use super::{
    Allocator, Found, Kind, Policy, ours,
    peers::{self, FAMILIES, Peer},
    policy, preload, probe,
};
use crate::failure::Failure;

const SYSTEM: &str = "system";
const OURS: &str = "highwater";

/// What to compare with if nobody says.
pub const DEFAULT: &str = "default";

/// Parts a list at its commas; those between a policy's options part nothing.
pub fn parse_list(text: &str) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for part in text.split(',') {
        let is_option = |name: &String| {
            let spec = name.strip_prefix("highwater:").unwrap_or(name);
            spec.split_once(':').is_some_and(|(policy, _)| policy::is_option(policy, part))
        };
        match names.last_mut() {
            Some(last) if is_option(last) => {
                last.push(',');
                last.push_str(part);
            }
            _ => {
                wish(part)?;
                names.push(part.to_owned());
            }
        }
    }
    for name in &names {
        wish(name)?;
    }
    Ok(names)
}

/// What a name asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wish<'n> {
    Default,
    System,
    Ours(Policy),
    Policies,
    Peers,
    Peer(&'n str),
    File(&'n str, &'n str),
}

fn wish(name: &str) -> Result<Wish<'_>, String> {
    if let Some((name, path)) =
        name.split_once('=').filter(|(name, path)| !name.contains(':') && path.contains('/'))
    {
        return if name.is_empty() {
            Err(format!("={path}: a name goes in front"))
        } else {
            Ok(Wish::File(name, path))
        };
    }
    if name.contains('/') {
        let file = Path::new(name).file_name().and_then(|file| file.to_str()).unwrap_or(name);
        return Ok(Wish::File(file, name));
    }
    let spec = name.strip_prefix("highwater:");
    let first = spec.unwrap_or(name).split(':').next().unwrap_or_default();
    if spec.is_some() || policy::NAMES.contains(&first) {
        return spec.unwrap_or(name).parse().map(Wish::Ours);
    }
    Ok(match name {
        DEFAULT => Wish::Default,
        SYSTEM => Wish::System,
        OURS => Wish::Ours(Policy::general()),
        "policies" => Wish::Policies,
        "peers" => Wish::Peers,
        _ if FAMILIES.iter().any(|family| name.starts_with(family.name)) => Wish::Peer(name),
        _ => {
            let families: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
            return Err(format!(
                "no allocator is called {name:?} (there are {DEFAULT}, {SYSTEM}, {OURS}[:POLICY], policies, peers, {}, \
                 and paths of libraries)",
                families.join(", ")
            ));
        }
    })
}

/// See [`super::find`].
pub fn find(names: &[String], malloc_lib: Option<&Path>) -> Result<Found, Failure> {
    let mut search = Search { malloc_lib, peers: None, found: Vec::new() };
    let mut is_whole = false;
    for name in names {
        is_whole |= search.add(wish(name).map_err(Failure::asked)?)?;
    }
    let missing = if is_whole { peers::missing(search.peers()) } else { Vec::new() };
    Ok(Found { allocators: search.found, missing })
}

struct Search<'a> {
    malloc_lib: Option<&'a Path>,
    peers: Option<Vec<Peer>>,
    found: Vec<Allocator>,
}

impl Search<'_> {
    /// Whether every other allocator was wished for.
    fn add(&mut self, wish: Wish<'_>) -> Result<bool, Failure> {
        match wish {
            Wish::Default => {
                self.add(Wish::System)?;
                self.add(Wish::Ours(Policy::general()))?;
                return self.add(Wish::Peers);
            }
            Wish::System => self.push(Allocator {
                name: SYSTEM.into(),
                kind: Kind::System,
                library: None,
                environment: Vec::new(),
                version: "the C library's".into(),
            })?,
            Wish::Policies => {
                for policy in policy::NAMES {
                    self.add(Wish::Ours(policy.parse().map_err(Failure::asked)?))?;
                }
            }
            Wish::Ours(policy) => self.push(Allocator {
                name: if policy == Policy::general() { OURS.into() } else { format!("{OURS}:{policy}") },
                environment: std::iter::once((preload::POLICY, policy.as_str().to_owned()))
                    .chain(preload::inherited())
                    .collect(),
                kind: Kind::Highwater(policy),
                library: Some(ours::library(self.malloc_lib)?),
                version: format!("highwater {}", env!("CARGO_PKG_VERSION")),
            })?,
            Wish::Peers => {
                for peer in self.peers().to_vec() {
                    self.push_peer(peer)?;
                }
                return Ok(true);
            }
            Wish::Peer(name) => {
                let found =
                    self.peers().iter().find(|peer| peer.name == name || peer.family == name).cloned();
                // It may be called after its version, which only asking all of them tells.
                match found {
                    Some(peer) => self.push_peer(peer)?,
                    None => self.by_version(name)?,
                }
            }
            Wish::File(name, path) => {
                let library = preload::checked(Path::new(path)).map_err(Failure::asked)?;
                let version = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let (name, kind) = (name.to_owned(), Kind::Path);
                self.push(Allocator {
                    name,
                    kind,
                    library: Some(library),
                    environment: Vec::new(),
                    version,
                })?;
            }
        }
        Ok(false)
    }

    fn peers(&mut self) -> &[Peer] {
        self.peers.get_or_insert_with(peers::all)
    }

    fn push_peer(&mut self, peer: Peer) -> Result<(), Failure> {
        let version = peer.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = Kind::Peer(peer.family.into());
        let library = Some(peer.path);
        self.push(Allocator { name: peer.name, kind, library, environment: Vec::new(), version })
    }

    fn by_version(&mut self, name: &str) -> Result<(), Failure> {
        let mut all = Search { malloc_lib: None, peers: Some(self.peers().to_vec()), found: Vec::new() };
        all.add(Wish::Peers)?;
        let known: Vec<_> = all.found.iter().map(|allocator| allocator.name.clone()).collect();
        match all.found.into_iter().find(|allocator| allocator.name == name) {
            Some(allocator) => {
                self.found.push(allocator);
                Ok(())
            }
            None => {
                let mut said = vec![format!("{name} is not here (found: {})", known.join(", "))];
                said.extend(peers::missing(self.peers()));
                Err(Failure::asked(said.join("; ")))
            }
        }
    }

    /// Tries it, and names it like no other.
    fn push(&mut self, mut allocator: Allocator) -> Result<(), Failure> {
        let is_same = |other: &Allocator| {
            (&other.library, &other.environment) == (&allocator.library, &allocator.environment)
        };
        if self.found.iter().any(is_same) {
            return Ok(());
        }
        let told = probe::try_out(&allocator)
            .map_err(|why| Failure::asked(format!("{} cannot be used: {why}", allocator.name)))?;
        if let Some(version) = told {
            allocator.version = version;
        }
        allocator.name = unlike(&self.found, &allocator.name, &allocator.version);
        self.found.push(allocator);
        Ok(())
    }
}

/// A second one of a name is called after its version, or counted.
fn unlike(others: &[Allocator], name: &str, version: &str) -> String {
    let is_free = |name: &String| !others.iter().any(|other| other.name == *name);
    let number = version.split(' ').nth(1).map(|number| format!("{name}-{number}"));
    let counted = (2..).map(|count| format!("{name}-{count}"));
    let mut names = std::iter::once(name.to_owned()).chain(number).chain(counted);
    names.find(is_free).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_of_options_part_nothing() {
        let parsed =
            parse_list("system,highwater:stack:align=32,errno,mimalloc,bump:grain=8,diagnose,./a.so")
                .unwrap();
        let expected =
            ["system", "highwater:stack:align=32,errno", "mimalloc", "bump:grain=8,diagnose", "./a.so"];
        assert_eq!(parsed, expected);
        assert_eq!(parse_list("stack:errno,stack").unwrap(), ["stack:errno", "stack"]);
    }

    #[test]
    fn lists_that_mean_nothing() {
        for (text, why) in [
            ("", "no allocator is called \"\""),
            ("system,", "no allocator is called \"\""),
            ("glibc", "no allocator is called \"glibc\""),
            ("stack:align=3", "power of two"),
            ("highwater:heap", "no policy"),
            ("errno", "no allocator is called \"errno\""),
            ("stack,errno", "no allocator is called \"errno\""),
            ("=/lib/a.so", "a name goes in front"),
        ] {
            let said = parse_list(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn what_names_mean() {
        assert_eq!(wish("highwater"), Ok(Wish::Ours(Policy::general())));
        assert_eq!(wish("general"), wish("highwater:general"));
        assert_eq!(wish("mimalloc-3.1.5"), Ok(Wish::Peer("mimalloc-3.1.5")));
        assert_eq!(wish("new=/opt/lib/x.so"), Ok(Wish::File("new", "/opt/lib/x.so")));
        assert_eq!(wish("/opt/lib/x.so"), Ok(Wish::File("x.so", "/opt/lib/x.so")));
    }

    #[test]
    fn no_two_names_are_the_same() {
        let of = |name: &str| Allocator {
            name: name.into(),
            kind: Kind::Path,
            library: None,
            environment: Vec::new(),
            version: String::new(),
        };
        let others = [of("mimalloc"), of("mimalloc-2.0.9")];
        assert_eq!(unlike(&others, "jemalloc", "jemalloc 5.3.0"), "jemalloc");
        assert_eq!(unlike(&others, "mimalloc", "mimalloc 3.1.5"), "mimalloc-3.1.5");
        assert_eq!(unlike(&others, "mimalloc", "mimalloc 2.0.9"), "mimalloc-2");
        assert_eq!(unlike(&others, "mimalloc", "libmimalloc.so"), "mimalloc-2");
    }
}
