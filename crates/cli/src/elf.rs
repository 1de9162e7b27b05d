//! Reads from a program's file whether a library can be preloaded into it.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use object::{
    Endianness, Object as _, ObjectSymbol as _, ReadCache, elf,
    read::elf::{ElfFile, FileHeader, ProgramHeader as _},
};

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A program or library that the dynamic loader links.
    Dynamic {
        /// It defines a `malloc`, which takes precedence over a preloaded library's.
        has_malloc: bool,
    },
    /// A program without the dynamic loader.
    Static,
    /// For another kind of machine than this process runs on.
    Foreign,
    /// `#!`: an interpreter runs it.
    Script,
    /// None of these.
    Other,
}

/// Reads what kind of file it is.
pub fn file_kind(path: &Path) -> io::Result<FileKind> {
    let mut file = File::open(path)?;
    let mut head = [0; 20];
    let read = file.read(&mut head)?;
    if head.starts_with(b"#!") {
        return Ok(FileKind::Script);
    }
    if read < head.len() || !head.starts_with(&elf::ELFMAG) {
        return Ok(FileKind::Other);
    }
    if !is_native(&head) {
        return Ok(FileKind::Foreign);
    }
    Ok(if cfg!(target_pointer_width = "64") {
        dynamic_kind::<elf::FileHeader64<Endianness>>(file)
    } else {
        dynamic_kind::<elf::FileHeader32<Endianness>>(file)
    })
}

/// Whether class, byte order and machine are those of this process.
fn is_native(head: &[u8; 20]) -> bool {
    let class = if cfg!(target_pointer_width = "64") { elf::ELFCLASS64 } else { elf::ELFCLASS32 };
    let order = if cfg!(target_endian = "little") { elf::ELFDATA2LSB } else { elf::ELFDATA2MSB };
    let machine = u16::from_ne_bytes([head[18], head[19]]);
    let own = match std::env::consts::ARCH {
        "x86_64" => Some(elf::EM_X86_64),
        "aarch64" => Some(elf::EM_AARCH64),
        // Not checked for other machines: the loader will report it.
        _ => None,
    };
    head[4] == class && head[5] == order && own.is_none_or(|own| own == machine)
}

fn dynamic_kind<H: FileHeader<Endian = Endianness>>(file: File) -> FileKind {
    let cache = ReadCache::new(file);
    let Ok(file) = ElfFile::<H, _>::parse(&cache) else { return FileKind::Other };
    let endian = file.endian();
    let has = |kind| file.elf_program_headers().iter().any(|header| header.p_type(endian) == kind);
    // A static PIE program has a dynamic section as well, but no interpreter.
    let is_library = file.exports().is_ok_and(|exports| !exports.is_empty());
    let is_dynamic = has(elf::PT_INTERP) || has(elf::PT_DYNAMIC) && is_library;
    if !is_dynamic {
        return FileKind::Static;
    }
    let has_malloc =
        file.dynamic_symbols().any(|symbol| symbol.is_definition() && symbol.name() == Ok("malloc"));
    FileKind::Dynamic { has_malloc }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_dynamic() {
        let own = std::env::current_exe().unwrap();
        let expected = if cfg!(target_feature = "crt-static") {
            FileKind::Static
        } else {
            FileKind::Dynamic { has_malloc: false }
        };
        assert_eq!(file_kind(&own).unwrap(), expected);
    }

    #[test]
    fn other_kinds_of_files() {
        let dir = tempfile::tempdir().unwrap();
        let of = |bytes: &[u8]| {
            let path = dir.path().join("file");
            std::fs::write(&path, bytes).unwrap();
            file_kind(&path).unwrap()
        };
        assert_eq!(of(b""), FileKind::Other);
        assert_eq!(of(b"#!/bin/sh\n"), FileKind::Script);
        assert_eq!(of(b"\x7fELF"), FileKind::Other);
        let mut own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        own.truncate(100);
        assert_ne!(of(&own), FileKind::Foreign, "cut short");
        own[18..20].copy_from_slice(&0x1234_u16.to_ne_bytes());
        if matches!(std::env::consts::ARCH, "x86_64" | "aarch64") {
            assert_eq!(of(&own), FileKind::Foreign);
        }
        assert!(file_kind(&dir.path().join("none")).is_err());
    }
}
