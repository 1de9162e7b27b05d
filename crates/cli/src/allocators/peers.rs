//! Other allocators that are installed on this machine.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::preload;

/// The environment variable that names a directory (or several, separated by colons) to search before the system's.
const VARIABLE: &str = "HIGHWATER_PEERS";

/// An allocator that is known to be preloadable.
pub struct PeerFamily {
    /// Its name.
    pub name: &'static str,
    /// The names its file can have, without `.so` and what follows.
    stems: &'static [&'static str],
    /// Its Debian package.
    pub debian: Option<&'static str>,
}

const fn family(
    name: &'static str,
    stems: &'static [&'static str],
    debian: Option<&'static str>,
) -> PeerFamily {
    PeerFamily { name, stems, debian }
}

/// The families that are searched for.
pub const FAMILIES: [PeerFamily; 6] = [
    family("mimalloc", &["libmimalloc"], Some("libmimalloc2.0")),
    family("jemalloc", &["libjemalloc"], Some("libjemalloc2")),
    family("tcmalloc-minimal", &["libtcmalloc_minimal"], Some("libtcmalloc-minimal4")),
    // The same allocator with a profiler.
    family(TCMALLOC, &["libtcmalloc"], None),
    family("rpmalloc", &["librpmalloc"], None),
    family("snmalloc", &["libsnmallocshim", "libsnmalloc"], None),
];

const TCMALLOC: &str = "tcmalloc";

/// A library that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub family: &'static str,
    /// The family, with the variant in the name of a file from [`VARIABLE`] (`libmimalloc-3.so`: `mimalloc-3`).
    pub name: String,
    pub path: PathBuf,
}

/// All installed peers, each file once, in the order of the families.
pub fn all() -> Vec<Peer> {
    let listed_first: Vec<PathBuf> =
        env::var_os(VARIABLE).map(|dirs| env::split_paths(&dirs).collect()).unwrap_or_default();
    let listed_first = listed_first.iter().flat_map(|dir| libraries_in(dir)).map(|path| (path, true));
    let cached = from_loader_cache().into_iter().map(|path| (path, false));
    let standard = standard_dirs().into_iter().flat_map(|dir| libraries_in(&dir)).map(|path| (path, false));
    choose(listed_first.chain(cached).chain(standard))
}

fn choose(files: impl Iterator<Item = (PathBuf, bool)>) -> Vec<Peer> {
    let mut peers: Vec<Peer> = Vec::new();
    for (path, is_own) in files {
        let Some((family, variant)) = family_of(&path) else { continue };
        if !is_own && !variant.is_empty() {
            // A debugging build, or one with a profiler.
            continue;
        }
        let Ok(path) = preload::checked(&path) else { continue };
        if peers.iter().any(|peer| peer.path == path) {
            continue;
        }
        peers.push(Peer { family: family.name, name: format!("{}{variant}", family.name), path });
    }
    peers.sort_by_key(|peer| FAMILIES.iter().position(|family| family.name == peer.family));
    peers
}

/// The family a file belongs to, and the variant in its name.
fn family_of(path: &Path) -> Option<(&'static PeerFamily, String)> {
    let file = path.file_name()?.to_str()?;
    let (stem, _) = file.split_once(".so").filter(|(_, rest)| rest.is_empty() || rest.starts_with('.'))?;
    let stems = FAMILIES.iter().flat_map(|family| family.stems.iter().map(move |prefix| (family, *prefix)));
    let (family, prefix) =
        stems.filter(|(_, prefix)| stem.starts_with(prefix)).max_by_key(|(_, prefix)| prefix.len())?;
    Some((family, stem[prefix.len()..].replace('_', "-")))
}

/// The files of a directory that belong to a family, the shortest name first.
fn libraries_in(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = entries.filter(|path| family_of(path).is_some()).collect();
    files.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    files
}

/// The libraries in the dynamic loader's cache.
fn from_loader_cache() -> Vec<PathBuf> {
    let printed = ["ldconfig", "/sbin/ldconfig"].into_iter().find_map(|command| {
        let ran = Command::new(command).arg("-p").stdin(Stdio::null()).stderr(Stdio::null()).output();
        ran.ok().filter(|output| output.status.success())
    });
    printed.map(|output| parse_loader_cache(&String::from_utf8_lossy(&output.stdout))).unwrap_or_default()
}

/// `\tlibmimalloc.so.2 (libc6,x86-64) => /lib/x86_64-linux-gnu/libmimalloc.so.2`
fn parse_loader_cache(text: &str) -> Vec<PathBuf> {
    let paths = text.lines().filter_map(|line| Some(PathBuf::from(line.split_once(" => ")?.1.trim())));
    paths.filter(|path| family_of(path).is_some()).collect()
}

fn standard_dirs() -> Vec<PathBuf> {
    let arch = env::consts::ARCH;
    let multi = [format!("/usr/lib/{arch}-linux-gnu"), format!("/lib/{arch}-linux-gnu")];
    let plain = ["/usr/local/lib", "/usr/local/lib64", "/usr/lib64", "/usr/lib", "/lib64", "/lib"];
    plain.into_iter().map(String::from).chain(multi).map(PathBuf::from).collect()
}

/// How to install the families that were not found, a line each.
pub fn missing(found: &[Peer]) -> Vec<String> {
    let has = |name: &str| found.iter().any(|peer| peer.family == name);
    // One of the two tcmallocs is enough.
    let is_missing = |family: &&PeerFamily| {
        !has(family.name) && family.name != TCMALLOC && !(family.name.starts_with(TCMALLOC) && has(TCMALLOC))
    };
    let (packaged, others): (Vec<_>, Vec<_>) =
        FAMILIES.iter().filter(is_missing).partition(|family| family.debian.is_some());
    let names =
        |families: &[&PeerFamily]| families.iter().map(|family| family.name).collect::<Vec<_>>().join(", ");
    let mut lines = Vec::new();
    if !packaged.is_empty() {
        let packages: Vec<_> = packaged.iter().filter_map(|family| family.debian).collect();
        lines.push(format!(
            "not found: {} (Debian: apt-get install {}; Fedora: mimalloc jemalloc gperftools-libs)",
            names(&packaged),
            packages.join(" ")
        ));
    }
    if !others.is_empty() {
        lines.push(format!(
            "not found: {} (put a shared library into a directory that {VARIABLE} names; in a checkout of \
             this project, benches/peers.sh DIR builds some)",
            names(&others)
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_families() {
        let of = |file: &str| family_of(Path::new(file)).map(|(family, variant)| (family.name, variant));
        let plain = |name| Some((name, String::new()));
        assert_eq!(of("/lib/libmimalloc.so.2.0"), plain("mimalloc"));
        assert_eq!(of("/lib/libmimalloc.so"), plain("mimalloc"));
        assert_eq!(of("libmimalloc-3.so"), Some(("mimalloc", "-3".into())));
        assert_eq!(of("/lib/libtcmalloc_minimal.so.4"), plain("tcmalloc-minimal"));
        assert_eq!(of("/lib/libtcmalloc_minimal_debug.so.4"), Some(("tcmalloc-minimal", "-debug".into())));
        assert_eq!(of("/lib/libtcmalloc.so.4"), plain("tcmalloc"));
        assert_eq!(of("/lib/libsnmallocshim.so"), plain("snmalloc"));
        assert_eq!(of("libsnmalloc-0.7.6.so"), Some(("snmalloc", "-0.7.6".into())));
        for other in ["/lib/libmimalloc.a", "/lib/libmimalloc.sox", "/lib/libc.so.6", "/", "mimalloc.so"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn the_cache_of_the_loader_is_read() {
        let text = "523 libs found in cache `/etc/ld.so.cache'\n\
                    \tlibz.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libz.so.1\n\
                    \tlibjemalloc.so.2 (libc6,x86-64) => /lib/x86_64-linux-gnu/libjemalloc.so.2\n\
                    Cache generated by: ldconfig (Debian GLIBC 2.36) stable release version 2.36\n";
        assert_eq!(parse_loader_cache(text), [PathBuf::from("/lib/x86_64-linux-gnu/libjemalloc.so.2")]);
        assert!(parse_loader_cache("").is_empty());
    }

    #[test]
    fn files_that_are_no_library_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("libmimalloc.so"), "text").unwrap();
        fs::write(dir.path().join("notes"), "text").unwrap();
        let files = libraries_in(dir.path());
        assert_eq!(files, [dir.path().join("libmimalloc.so")]);
        assert!(choose(files.into_iter().map(|file| (file, true))).is_empty());
        assert!(libraries_in(&dir.path().join("none")).is_empty());
    }

    #[test]
    fn hints_name_the_packages_to_install() {
        let lines = missing(&[]);
        assert!(lines[0].contains("apt-get install libmimalloc2.0 libjemalloc2 libtcmalloc-minimal4"));
        assert!(lines[1].contains("rpmalloc, snmalloc"), "{}", lines[1]);
        let of =
            |family: &PeerFamily| Peer { family: family.name, name: String::new(), path: PathBuf::new() };
        let minimal = |peers: &[Peer]| missing(peers).concat().contains("tcmalloc-minimal");
        assert!(minimal(&[]) && !minimal(&[of(&FAMILIES[2])]) && !minimal(&[of(&FAMILIES[3])]));
        assert!(missing(&FAMILIES.iter().map(of).collect::<Vec<_>>()).is_empty());
    }
}
