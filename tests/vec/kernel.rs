//! What the kernel writes into a vector's spare capacity, and what is written to a vector of bytes.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Backing, Builder, GrowVec, Growth, HugePages};
use std::fs::File;
use std::io::{self, PipeReader, Read, Seek, SeekFrom, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};

const KIB: usize = 1 << 10;
const LEN: usize = 6 << 20;

fn byte(i: usize) -> u8 {
    (i / 7 + i / 4096) as u8
}

/// `read(2)` as it is: the bytes read or the error number.
fn read(fd: RawFd, to: &mut [MaybeUninit<u8>]) -> Result<usize, i32> {
    // SAFETY: the kernel writes into the slice only, or refuses.
    let read = unsafe { libc::read(fd, to.as_mut_ptr().cast(), to.len()) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error().raw_os_error().unwrap())
}

/// Every way to grow, with huge pages and without.
fn vectors() -> impl Iterator<Item = GrowVec<u8>> {
    let growths = [
        Growth::default(),
        Growth::Fixed(4 * KIB),
        Growth::Fixed(64 * KIB),
        Growth::Fixed(2048 * KIB),
        Growth::Geometric { first: 4 * KIB, max: 8 << 20 },
        Growth::Stress { seed: 3 },
        Growth::Upfront,
    ];
    let huge = [HugePages::Advise, HugePages::Never];
    let made = move |growth| huge.map(|huge| builder().growth(growth).huge_pages(huge).build());
    growths.into_iter().flat_map(made).chain([
        GrowVec::new(),
        GrowVec::with_max(LEN),
        builder().head(0).build(),
    ])
}

fn builder() -> Builder<GrowVec<u8>> {
    GrowVec::builder().reserve(64 << 20)
}

/// Reads to the end, as a program would: reserve, read, say how much it was.
fn read_all(vec: &mut GrowVec<u8>, fd: RawFd, piece: usize) {
    loop {
        vec.reserve(piece.min(vec.max_len().max(LEN) - vec.len()));
        let committed = vec.capacity();
        let spare = vec.spare_capacity_mut();
        assert!(spare.len() >= piece || committed == LEN);
        // All of the spare capacity is the kernel's to write, not only what was reserved.
        let got = read(fd, spare).expect("committed memory is no EFAULT");
        if got == 0 {
            return;
        }
        // SAFETY: the kernel wrote so many bytes.
        unsafe { vec.set_len(vec.len() + got) };
    }
}

/// What the files and the pipes have in them: made once, and compared as a whole.
fn pattern() -> &'static [u8] {
    static PATTERN: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    PATTERN.get_or_init(|| (0..LEN).map(byte).collect())
}

#[track_caller]
fn assert_pattern(bytes: &[u8], len: usize) {
    assert_eq!(bytes.len(), len);
    assert!(bytes == &pattern()[..len]);
}

#[test]
fn read_fills_the_spare_capacity_from_a_file() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(pattern()).unwrap();
    for mut vec in vectors() {
        for piece in [4 << 20, 1 << 18] {
            file.seek(SeekFrom::Start(0)).unwrap();
            vec.clear();
            read_all(&mut vec, file.as_raw_fd(), piece);
            assert_pattern(&vec, LEN);
            vec.truncate(1000);
            vec.shrink_to_fit();
        }
        assert_eq!(vec.region().unwrap().stats().faults, 0, "nothing of this enters the handler");
    }
}

/// A pipe with that pattern in it, from a thread of its own.
fn pipe(len: usize) -> PipeReader {
    let (reader, mut writer) = io::pipe().unwrap();
    std::thread::spawn(move || writer.write_all(&pattern()[..len]).unwrap());
    reader
}

#[test]
fn read_fills_the_spare_capacity_from_a_pipe() {
    const LEN: usize = 1 << 20;
    for mut vec in vectors() {
        let pipe = pipe(LEN);
        loop {
            vec.reserve(5000);
            let got = read(pipe.as_raw_fd(), vec.spare_capacity_mut()).unwrap();
            if got == 0 {
                break;
            }
            // SAFETY: the kernel wrote so many bytes.
            unsafe { vec.set_len(vec.len() + got) };
        }
        assert_pattern(&vec, LEN);
    }
}

/// There is spare capacity where something is committed, also after the vector has grown by touch, and what was given
/// back is none.
#[test]
fn the_spare_capacity_is_what_is_committed() {
    for mut vec in vectors() {
        let zero = File::open("/dev/zero").unwrap();
        for round in 0..4 {
            vec.extend((0..100_000).map(byte));
            let (len, capacity) = (vec.len(), vec.capacity());
            let spare = vec.spare_capacity_mut();
            assert_eq!(spare.len(), capacity - len);
            let wanted = spare.len().min(LEN);
            assert_eq!(read(zero.as_raw_fd(), &mut spare[..wanted]), Ok(wanted));
            assert_eq!(read(zero.as_raw_fd(), &mut spare[..0]), Ok(0));
            vec.truncate(len - 50_000 * (round % 2));
            vec.shrink_to_fit();
            let spare = vec.spare_capacity_mut();
            let wanted = spare.len().min(LEN);
            assert_eq!(read(zero.as_raw_fd(), &mut spare[..wanted]), Ok(wanted));
        }
    }
}

#[test]
fn a_vector_in_a_file_is_read_into_as_well() {
    let Some(dir) = support::files::directory() else { return };
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(pattern()).unwrap();
    file.rewind().unwrap();
    let mut vec = builder().backing(Backing::Temp(dir.path().to_owned())).build();
    read_all(&mut vec, file.as_raw_fd(), 1 << 20);
    assert_pattern(&vec, LEN);
}

/// A vector that was never written to has nothing to read into.
#[test]
fn before_anything_is_reserved_there_is_no_spare_capacity() {
    let mut vec = GrowVec::<u8>::new();
    assert_eq!((vec.capacity(), vec.max_len(), vec.spare_capacity_mut().len()), (0, 0, 0));
    assert_eq!((vec.shrink_to_fit(), vec.region().is_none()), (0, true));
    vec.reserve(0);
    assert!(vec.region().is_none(), "nothing is reserved for nothing");
    vec.reserve(1);
    assert!(vec.region().is_some() && vec.capacity() > 0);
}

#[test]
fn a_vector_of_bytes_is_written_to() {
    let mut vec = GrowVec::<u8>::builder().reserve(1 << 20).limit(100_000).build();
    assert_eq!(vec.write(b"first ").unwrap(), 6);
    write!(vec, "{:>5}", 42).unwrap();
    vec.write_all(b"\n").unwrap();
    vec.flush().unwrap();
    assert_eq!(vec, b"first    42\n");
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![7; 50_000]).unwrap();
    file.rewind().unwrap();
    assert_eq!(io::copy(&mut file, &mut vec).unwrap(), 50_000);
    let before = vec.len();
    // What does not fit as a whole is not written in part.
    let error = vec.write(&[8; 50_000]).unwrap_err();
    assert_eq!((error.kind(), vec.len()), (io::ErrorKind::OutOfMemory, before));
    assert!(error.to_string().contains("out of memory"), "{error}");
    assert!(error.get_ref().unwrap().is::<highwater::OutOfMemory>());
    assert_eq!(vec.write(&[9; 49_988]).unwrap(), 49_988);
    assert_eq!((vec.len(), vec.write_all(&[1]).is_err(), vec.write(&[]).unwrap()), (100_000, true, 0));
    // And read from, as a slice.
    let mut text = [0; 5];
    (&vec[..]).read_exact(&mut text).unwrap();
    assert_eq!(&text, b"first");
}
