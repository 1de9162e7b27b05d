//! What a program's file says about whether a library can be preloaded into it.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use object::{
    Endianness, Object as _, ObjectSymbol as _, ReadCache, elf,
    read::elf::{ElfFile, FileHeader, ProgramHeader as _},
};

/// What was found in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A program or a library that the dynamic loader puts together.
    Dynamic {
        /// It brings a `malloc` of its own, which comes before that of a preloaded library.
        has_malloc: bool,
    },
    /// It never meets the dynamic loader.
    Static,
    /// For another machine than this process.
    Foreign,
    /// `#!`: another program runs it.
    Script,
    /// None of these.
    Other,
}

/// Looks at a file.
pub fn look(path: &Path) -> io::Result<Form> {
    let mut file = File::open(path)?;
    let mut head = [0; 20];
    let read = file.read(&mut head)?;
    if head.starts_with(b"#!") {
        return Ok(Form::Script);
    }
    if read < head.len() || !head.starts_with(&elf::ELFMAG) {
        return Ok(Form::Other);
    }
    if !is_ours(&head) {
        return Ok(Form::Foreign);
    }
    Ok(if cfg!(target_pointer_width = "64") {
        form::<elf::FileHeader64<Endianness>>(file)
    } else {
        form::<elf::FileHeader32<Endianness>>(file)
    })
}

/// Class, byte order and machine are those of the code that runs here.
fn is_ours(head: &[u8; 20]) -> bool {
    let class = if cfg!(target_pointer_width = "64") { elf::ELFCLASS64 } else { elf::ELFCLASS32 };
    let order = if cfg!(target_endian = "little") { elf::ELFDATA2LSB } else { elf::ELFDATA2MSB };
    let machine = u16::from_ne_bytes([head[18], head[19]]);
    let own = match std::env::consts::ARCH {
        "x86_64" => Some(elf::EM_X86_64),
        "aarch64" => Some(elf::EM_AARCH64),
        // Not told apart: the loader will say.
        _ => None,
    };
    head[4] == class && head[5] == order && own.is_none_or(|own| own == machine)
}

fn form<H: FileHeader<Endian = Endianness>>(file: File) -> Form {
    let cache = ReadCache::new(file);
    let Ok(file) = ElfFile::<H, _>::parse(&cache) else { return Form::Other };
    let endian = file.endian();
    let has = |kind| file.elf_program_headers().iter().any(|header| header.p_type(endian) == kind);
    // A static program that may be placed anywhere has a dynamic section as well, and no interpreter.
    let is_library = file.exports().is_ok_and(|exports| !exports.is_empty());
    let is_dynamic = has(elf::PT_INTERP) || has(elf::PT_DYNAMIC) && is_library;
    if !is_dynamic {
        return Form::Static;
    }
    let has_malloc =
        file.dynamic_symbols().any(|symbol| symbol.is_definition() && symbol.name() == Ok("malloc"));
    Form::Dynamic { has_malloc }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_dynamic() {
        let own = std::env::current_exe().unwrap();
        let expected = if cfg!(target_feature = "crt-static") {
            Form::Static
        } else {
            Form::Dynamic { has_malloc: false }
        };
        assert_eq!(look(&own).unwrap(), expected);
    }

    #[test]
    fn others() {
        let dir = tempfile::tempdir().unwrap();
        let of = |bytes: &[u8]| {
            let path = dir.path().join("file");
            std::fs::write(&path, bytes).unwrap();
            look(&path).unwrap()
        };
        assert_eq!(of(b""), Form::Other);
        assert_eq!(of(b"#!/bin/sh\n"), Form::Script);
        assert_eq!(of(b"\x7fELF"), Form::Other);
        let mut own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        own.truncate(100);
        assert_ne!(of(&own), Form::Foreign, "cut short");
        own[18..20].copy_from_slice(&0x1234_u16.to_ne_bytes());
        if matches!(std::env::consts::ARCH, "x86_64" | "aarch64") {
            assert_eq!(of(&own), Form::Foreign);
        }
        assert!(look(&dir.path().join("none")).is_err());
    }
}
