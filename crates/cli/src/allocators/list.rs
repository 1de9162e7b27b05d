//! Parses a list of allocators, and finds those it selects on this machine.

use std::path::Path;

use super::{
    Allocator, AllocatorKind, AllocatorSet, MallocPolicy, ours,
    peers::{self, FAMILIES, Peer},
    policy, preload, probe,
};
use crate::failure::Failure;

const SYSTEM: &str = "system";
const OURS: &str = "highwater";

/// The list that is used if none is given.
pub const DEFAULT: &str = "default";

/// Splits a list at its commas, except for commas between a policy's options.
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
                selector(part)?;
                names.push(part.to_owned());
            }
        }
    }
    for name in &names {
        selector(name)?;
    }
    Ok(names)
}

/// What a name of the list selects.
#[derive(Debug, PartialEq, Eq)]
enum Selector<'n> {
    Default,
    System,
    Ours(MallocPolicy),
    Policies,
    Peers,
    Peer(&'n str),
    File(&'n str, &'n str),
}

fn selector(name: &str) -> Result<Selector<'_>, String> {
    if let Some((name, path)) =
        name.split_once('=').filter(|(name, path)| !name.contains(':') && path.contains('/'))
    {
        return if name.is_empty() {
            Err(format!("={path}: a name is needed before the ="))
        } else {
            Ok(Selector::File(name, path))
        };
    }
    if name.contains('/') {
        let file = Path::new(name).file_name().and_then(|file| file.to_str()).unwrap_or(name);
        return Ok(Selector::File(file, name));
    }
    let policy = name.strip_prefix("highwater:");
    let first = policy.unwrap_or(name).split(':').next().unwrap_or_default();
    if policy.is_some() || policy::NAMES.contains(&first) {
        return policy.unwrap_or(name).parse().map(Selector::Ours);
    }
    Ok(match name {
        DEFAULT => Selector::Default,
        SYSTEM => Selector::System,
        OURS => Selector::Ours(MallocPolicy::general()),
        "policies" => Selector::Policies,
        "peers" => Selector::Peers,
        _ if FAMILIES.iter().any(|family| name.starts_with(family.name)) => Selector::Peer(name),
        _ => {
            let families: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
            return Err(format!(
                "no allocator is called {name:?} (known are {DEFAULT}, {SYSTEM}, {OURS}[:POLICY], policies, peers, {}, \
                 and paths of libraries)",
                families.join(", ")
            ));
        }
    })
}

/// See [`super::find`].
pub fn find(names: &[String], malloc_lib: Option<&Path>) -> Result<AllocatorSet, Failure> {
    let mut search = Search { malloc_lib, peers: None, found: Vec::new() };
    let mut all_peers = false;
    for name in names {
        all_peers |= search.add(selector(name).map_err(Failure::refused)?)?;
    }
    let missing = if all_peers { peers::missing(search.peers()) } else { Vec::new() };
    Ok(AllocatorSet { allocators: search.found, missing })
}

struct Search<'a> {
    malloc_lib: Option<&'a Path>,
    peers: Option<Vec<Peer>>,
    found: Vec<Allocator>,
}

impl Search<'_> {
    /// Adds what is selected; returns whether that is every peer there is.
    fn add(&mut self, selector: Selector<'_>) -> Result<bool, Failure> {
        match selector {
            Selector::Default => {
                self.add(Selector::System)?;
                self.add(Selector::Ours(MallocPolicy::general()))?;
                return self.add(Selector::Peers);
            }
            Selector::System => self.push(Allocator {
                name: SYSTEM.into(),
                kind: AllocatorKind::System,
                library: None,
                environment: Vec::new(),
                version: "the C library's".into(),
            })?,
            Selector::Policies => {
                for policy in policy::NAMES {
                    self.add(Selector::Ours(policy.parse().map_err(Failure::refused)?))?;
                }
            }
            Selector::Ours(policy) => self.push(Allocator {
                name: if policy == MallocPolicy::general() {
                    OURS.into()
                } else {
                    format!("{OURS}:{policy}")
                },
                environment: std::iter::once((preload::POLICY, policy.as_str().to_owned()))
                    .chain(preload::inherited())
                    .collect(),
                kind: AllocatorKind::Highwater(policy),
                library: Some(ours::library(self.malloc_lib)?),
                version: format!("highwater {}", env!("CARGO_PKG_VERSION")),
            })?,
            Selector::Peers => {
                for peer in self.peers().to_vec() {
                    self.push_peer(peer)?;
                }
                return Ok(true);
            }
            Selector::Peer(name) => {
                let found =
                    self.peers().iter().find(|peer| peer.name == name || peer.family == name).cloned();
                // The name may contain a version, which is known only after trying all of them.
                match found {
                    Some(peer) => self.push_peer(peer)?,
                    None => self.by_version(name)?,
                }
            }
            Selector::File(name, path) => {
                let library = preload::checked(Path::new(path)).map_err(Failure::refused)?;
                let version = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let (name, kind) = (name.to_owned(), AllocatorKind::Path);
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
        let kind = AllocatorKind::Peer(peer.family.into());
        let library = Some(peer.path);
        self.push(Allocator { name: peer.name, kind, library, environment: Vec::new(), version })
    }

    fn by_version(&mut self, name: &str) -> Result<(), Failure> {
        let mut all = Search { malloc_lib: None, peers: Some(self.peers().to_vec()), found: Vec::new() };
        all.add(Selector::Peers)?;
        let known: Vec<_> = all.found.iter().map(|allocator| allocator.name.clone()).collect();
        match all.found.into_iter().find(|allocator| allocator.name == name) {
            Some(allocator) => {
                self.found.push(allocator);
                Ok(())
            }
            None => {
                let mut reasons = vec![format!("{name} was not found (found: {})", known.join(", "))];
                reasons.extend(peers::missing(self.peers()));
                Err(Failure::refused(reasons.join("; ")))
            }
        }
    }

    /// Tries an allocator, and adds it under a name that no other has.
    fn push(&mut self, mut allocator: Allocator) -> Result<(), Failure> {
        let is_same = |other: &Allocator| {
            (&other.library, &other.environment) == (&allocator.library, &allocator.environment)
        };
        if self.found.iter().any(is_same) {
            return Ok(());
        }
        let version = probe::try_out(&allocator)
            .map_err(|reason| Failure::refused(format!("{} cannot be used: {reason}", allocator.name)))?;
        if let Some(version) = version {
            allocator.version = version;
        }
        allocator.name = unique_name(&self.found, &allocator.name, &allocator.version);
        self.found.push(allocator);
        Ok(())
    }
}

/// The name itself, or with the version if another has it, or with a number.
fn unique_name(others: &[Allocator], name: &str, version: &str) -> String {
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
    fn commas_between_options_do_not_split() {
        let parsed =
            parse_list("system,highwater:stack:align=32,errno,mimalloc,bump:grain=8,diagnose,./a.so")
                .unwrap();
        let expected =
            ["system", "highwater:stack:align=32,errno", "mimalloc", "bump:grain=8,diagnose", "./a.so"];
        assert_eq!(parsed, expected);
        assert_eq!(parse_list("stack:errno,stack").unwrap(), ["stack:errno", "stack"]);
    }

    #[test]
    fn invalid_lists() {
        for (text, expected) in [
            ("", "no allocator is called \"\""),
            ("system,", "no allocator is called \"\""),
            ("glibc", "no allocator is called \"glibc\""),
            ("stack:align=3", "power of two"),
            ("highwater:heap", "no policy"),
            ("errno", "no allocator is called \"errno\""),
            ("stack,errno", "no allocator is called \"errno\""),
            ("=/lib/a.so", "a name is needed before the ="),
        ] {
            let error = parse_list(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_names_select() {
        assert_eq!(selector("highwater"), Ok(Selector::Ours(MallocPolicy::general())));
        assert_eq!(selector("general"), selector("highwater:general"));
        assert_eq!(selector("mimalloc-3.1.5"), Ok(Selector::Peer("mimalloc-3.1.5")));
        assert_eq!(selector("new=/opt/lib/x.so"), Ok(Selector::File("new", "/opt/lib/x.so")));
        assert_eq!(selector("/opt/lib/x.so"), Ok(Selector::File("x.so", "/opt/lib/x.so")));
    }

    #[test]
    fn names_are_unique() {
        let of = |name: &str| Allocator {
            name: name.into(),
            kind: AllocatorKind::Path,
            library: None,
            environment: Vec::new(),
            version: String::new(),
        };
        let others = [of("mimalloc"), of("mimalloc-2.0.9")];
        assert_eq!(unique_name(&others, "jemalloc", "jemalloc 5.3.0"), "jemalloc");
        assert_eq!(unique_name(&others, "mimalloc", "mimalloc 3.1.5"), "mimalloc-3.1.5");
        assert_eq!(unique_name(&others, "mimalloc", "mimalloc 2.0.9"), "mimalloc-2");
        assert_eq!(unique_name(&others, "mimalloc", "libmimalloc.so"), "mimalloc-2");
    }
}
