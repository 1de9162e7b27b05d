//! Whether this process runs under valgrind, asked by its client requests.
//!
//! A request is a sequence of instructions that does nothing on a processor: four rotations by a whole turn in
//! all, and an exchange of a register with itself. valgrind's translator knows it, reads the request's arguments from memory
//! and puts the answer into a register. The sequences are those of `valgrind/valgrind.h`, which are a stable interface.
//!
//! Contract: signal-safe; the answer is asked for once and remembered.

use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::Relaxed;

/// `VG_USERREQ__RUNNING_ON_VALGRIND`: how many valgrinds this runs under.
const RUNNING: usize = 0x1001;
/// `VG_USERREQ__HG_CLEAN_MEMORY`: with a length of 0 it does nothing, and only helgrind answers it.
const HELGRIND_CLEAN: usize = (b'H' as usize) << 24 | (b'G' as usize) << 16;

/// Which tool of valgrind's the process runs under, if any.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ValgrindTool {
    None,
    Other,
    Helgrind,
}

fn tool() -> ValgrindTool {
    /// 0: not known yet; otherwise the number of a tool plus one.
    static TOOL: AtomicU8 = AtomicU8::new(0);
    match TOOL.load(Relaxed) {
        1 => return ValgrindTool::None,
        2 => return ValgrindTool::Other,
        3 => return ValgrindTool::Helgrind,
        _ => {}
    }
    let tool = if request(RUNNING, 0) == 0 {
        ValgrindTool::None
    } else if request(HELGRIND_CLEAN, usize::MAX) != usize::MAX {
        ValgrindTool::Helgrind
    } else {
        ValgrindTool::Other
    };
    TOOL.store(tool as u8 + 1, Relaxed);
    tool
}

/// Whether the process runs under valgrind, whichever tool. A string instruction that is resumed there after a fault has
/// lost an element, so memory must not grow by faults.
pub(crate) fn under_valgrind() -> bool {
    tool() != ValgrindTool::None
}

/// Whether the tool is helgrind. It allocates shadow memory for a writable mapping when that is made (800 MiB and 0.7 s
/// for each GiB), and none for an inaccessible one that is made writable later. memcheck is the other way round: it takes
/// 2.7 s for each GiB to make an inaccessible mapping writable.
pub(super) fn under_helgrind() -> bool {
    tool() == ValgrindTool::Helgrind
}

/// A client request without arguments; `otherwise` is the answer where the request is not known.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn request(code: usize, otherwise: usize) -> usize {
    let arguments = [code, 0, 0, 0, 0, 0];
    let answer;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the rotations add up to two turns, so RDI keeps its value, and the exchange does nothing. valgrind reads six
    // words at RAX and writes RDX.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") arguments.as_ptr(),
            inout("rdx") otherwise => answer,
            options(nostack),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the rotations add up to two turns, so X12 keeps its value, and the last instruction does nothing. valgrind
    // reads six words at X4 and writes X3.
    unsafe {
        core::arch::asm!(
            "ror x12, x12, #3",
            "ror x12, x12, #13",
            "ror x12, x12, #51",
            "ror x12, x12, #61",
            "orr x10, x10, x10",
            in("x4") arguments.as_ptr(),
            inout("x3") otherwise => answer,
            options(nostack),
        );
    }
    answer
}

/// Not known for this processor, which has no fault engine either.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn request(_code: usize, otherwise: usize) -> usize {
    otherwise
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_answers_nothing() {
        // (The tests themselves may be run under valgrind.)
        if !under_valgrind() {
            assert_eq!((request(RUNNING, 0), request(RUNNING, 7)), (0, 7));
            assert!(!under_helgrind());
        }
    }
}
