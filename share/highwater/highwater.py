"""Highwater in a debugger: growth is passed, crashes stop, and the regions can be listed.

gdb:   (gdb) source highwater.py
lldb:  (lldb) command script import highwater.py

After that SIGSEGV does not stop the program when memory grows. A fault that is not growth stops in
highwater_foreign_fault, and the frame that faulted is selected. gdb also stops where no handler gets SIGSEGV: before the
first region, and on threads that block the signal. New commands:

    highwater regions            a line for every live region, of a process or of a core dump
    highwater address EXPRESSION the region that an address lies in, and the state of that address
    highwater break              a breakpoint for programs without symbols

See docs/debugging.md.
"""

import re
import struct

FUNCTION = "highwater_foreign_fault"
SECTION = "highwater_debug"
MAGIC = b"highwater-debug\0"
VERSION = 1
OFFSETS = (
    "generation id base reserved limit frontier peak used faults commits "
    "guards guard_count file name name_bytes guard_bytes"
).split()
HEADER = struct.Struct("=16s6I3Q16I")
LISTED_GUARDS = 16
COLUMNS = ("region", "base", "frontier", "committed", "used", "reserved", "guards", "faults")


def size(count):
    """Bytes in the format of the library's reports."""
    for unit, name in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return ("%d %s" if count % unit == 0 else "%.1f %s") % (count / unit, name)
    return "%d B" % count


class Region:
    """A live region, read from its control block."""

    def __init__(self, block, offsets, read):
        def word(name):
            return struct.unpack_from("=Q", block, offsets[name])[0]

        self.is_live = word("generation") % 2 == 1
        self.id, self.base, self.reserved = word("id"), word("base"), word("reserved")
        self.committed, self.used = word("frontier"), word("used")
        self.limit, self.peak = word("limit"), word("peak")
        self.faults, self.commits = word("faults"), word("commits")
        self.is_in_file = struct.unpack_from("=i", block, offsets["file"])[0] >= 0
        name = block[offsets["name"] : offsets["name"] + offsets["name_bytes"]]
        self.name = name.split(b"\0")[0].decode("utf-8", "replace")
        self.guards = []
        if self.is_live and word("guards") != 0:
            count, stride = min(word("guard_count"), 4096), offsets["guard_bytes"]
            places = read(word("guards"), count * stride) if count else b""
            self.guards = [struct.unpack_from("=QQ", places, i * stride) for i in range(count)]

    def title(self):
        return '"%s"' % self.name if self.name else "#%d" % self.id

    def row(self):
        guards = "%d" % len(self.guards) if self.guards else "-"
        return (
            self.title() + (" (file)" if self.is_in_file else ""),
            "0x%x" % self.base,
            "0x%x" % (self.base + self.committed),
            size(self.committed),
            size(self.used),
            size(self.reserved),
            guards,
            "%d" % self.faults,
        )

    def guard_lines(self):
        for start, end in self.guards[:LISTED_GUARDS]:
            yield "  guard 0x%x-0x%x (offset %s)" % (self.base + start, self.base + end, size(start))
        if len(self.guards) > LISTED_GUARDS:
            yield "  and %d more guards" % (len(self.guards) - LISTED_GUARDS)

    def place(self, address):
        offset = address - self.base
        if any(start <= offset < end for start, end in self.guards):
            return "in a guard"
        if offset < self.committed:
            return "committed, %s below the frontier" % size(self.committed - offset)
        if offset < self.limit:
            return "not committed, %s past the frontier: a touch is growth" % size(offset - self.committed)
        return "not committed, past the limit of %s" % size(self.limit)


class Copy:
    """One copy of the library in a process, read from its description."""

    def __init__(self, data):
        fields = HEADER.unpack(data)
        _, _, _, self.block_bytes, self.first, self.chunks, _ = fields[:7]
        self.chunk, self.numbered, self.foreign_fault = fields[7:10]
        self.offsets = dict(zip(OFFSETS, fields[10:]))

    def is_there(self, read):
        try:
            read(self.numbered, 4)
            return True
        except Exception:
            return False

    def regions(self, read):
        number = struct.unpack("=I", read(self.numbered, 4))[0]
        for chunk in range(self.chunks):
            count = min(self.first << chunk, number)
            start = struct.unpack("=Q", read(self.chunk + 8 * chunk, 8))[0]
            if count == 0 or start == 0:
                return
            for index in range(count):
                block = read(start + index * self.block_bytes, self.block_bytes)
                region = Region(block, self.offsets, read)
                if region.is_live:
                    yield region
            number -= count


def copies(sections, read):
    """The copies of the library that are described in sections (start, length)."""
    for start, length in sections:
        data = read(start, length)
        at = data.find(MAGIC)
        while at >= 0:
            fields = struct.unpack_from("=16s3I", data, at)
            if fields[1] != VERSION or fields[2] != HEADER.size:
                raise RuntimeError("highwater.py is of another version than the library")
            copy = Copy(data[at : at + HEADER.size])
            # Before the program has been relocated there is nothing to follow.
            if copy.chunk != 0 and copy.is_there(read):
                yield copy
            at = data.find(MAGIC, at + HEADER.size)


def table(rows):
    rows = [COLUMNS] + rows
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip()


def list_regions(sections, read):
    found = list(copies(sections, read))
    if not found:
        yield "no highwater in this program (or it has not started)"
        return
    regions = [region for copy in found for region in copy.regions(read)]
    if not regions:
        yield "no live regions"
        return
    lines = list(table([region.row() for region in regions]))
    yield lines[0]
    for line, region in zip(lines[1:], regions):
        yield line
        yield from region.guard_lines()


def describe(address, sections, read):
    for copy in copies(sections, read):
        for region in copy.regions(read):
            if region.base <= address < region.base + region.reserved:
                place = region.place(address)
                return "0x%x: region %s, offset 0x%x, %s" % (address, region.title(), address - region.base, place)
    return "0x%x: in no region" % address


def is_caught(status, signal):
    """Whether a process has a handler for a signal, by /proc/PID/status."""
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.M)
    return caught is None or int(caught.group(1), 16) >> (signal - 1) & 1 == 1


def fault_text(info, read):
    """A line about the SIGSEGV of a siginfo."""
    code = struct.unpack("=i", read(info + 8, 4))[0]
    if code <= 0:
        return "highwater: SIGSEGV was sent by a process"
    return "highwater: a fault at 0x%x that is not growth" % struct.unpack("=Q", read(info + 16, 8))[0]


# --- gdb ---


def load_into_gdb(gdb):
    def read(address, length):
        return gdb.selected_inferior().read_memory(address, length).tobytes()

    def sections():
        pattern = re.compile(r"^\s*(0x[0-9a-f]+) - (0x[0-9a-f]+) is %s(?: in .*)?$" % SECTION, re.M)
        text = gdb.execute("info files", to_string=True)
        return [(int(start, 16), int(end, 16) - int(start, 16)) for start, end in set(pattern.findall(text))]

    def say(lines):
        for line in lines:
            print(line)

    class ForeignFault(gdb.Breakpoint):
        """Stops at a fault that is not growth."""

    def select_fault(event):
        """Prints what faulted, and selects the frame that did."""
        stopped = getattr(event, "breakpoints", [])
        if not any(isinstance(breakpoint, ForeignFault) for breakpoint in stopped):
            return
        frame = gdb.newest_frame()
        register = "rsi" if "x86" in frame.architecture().name() else "x1"
        print(fault_text(int(frame.read_register(register)) & (1 << 64) - 1, read))
        while frame is not None and frame.type() != gdb.SIGTRAMP_FRAME:
            frame = frame.older()
        if frame is not None and frame.older() is not None:
            frame.older().select()
            gdb.execute("frame")

    class IsFatal(gdb.Function):
        """$_highwater_is_fatal(): whether a SIGSEGV ends the program now, because no handler gets it.

        The kernel takes the handler away itself where a thread faults that blocks the signal.
        """

        def __init__(self):
            super().__init__("_highwater_is_fatal")

        def invoke(self):
            # Processes of other machines are not in /proc.
            connection = getattr(gdb.selected_inferior(), "connection", None)
            if connection is not None and connection.type != "native":
                return 0
            try:
                process, thread, _ = gdb.selected_thread().ptid
                with open("/proc/%d/task/%d/status" % (process, thread)) as status:
                    return 0 if is_caught(status.read(), 11) else 1
            except OSError:
                return 0

    class Highwater(gdb.Command):
        """Highwater: regions of memory that grow when they are touched."""

        def __init__(self):
            super().__init__("highwater", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)

    class Regions(gdb.Command):
        """highwater regions: a line for every live region, and its guards."""

        def __init__(self):
            super().__init__("highwater regions", gdb.COMMAND_DATA)

        def invoke(self, argument, from_tty):
            say(list_regions(sections(), read))

    class Address(gdb.Command):
        """highwater address EXPRESSION: the region that an address lies in."""

        def __init__(self):
            super().__init__("highwater address", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

        def invoke(self, argument, from_tty):
            address = int(gdb.parse_and_eval(argument).cast(gdb.lookup_type("unsigned long")))
            print(describe(address, sections(), read))

    class Break(gdb.Command):
        """highwater break: stops at faults that are not growth, in every copy of the library, with symbols or without."""

        def __init__(self):
            super().__init__("highwater break", gdb.COMMAND_BREAKPOINTS)

        def invoke(self, argument, from_tty):
            places = {copy.foreign_fault for copy in copies(sections(), read)} - {0}
            for place in places:
                ForeignFault("*0x%x" % place)
            if not places:
                print("no highwater in this program (or it has not started)")

    Highwater(), Regions(), Address(), Break(), IsFatal()
    gdb.execute("handle SIGSEGV nostop noprint pass", to_string=True)
    gdb.execute("catch signal SIGSEGV", to_string=True)
    gdb.execute("condition $bpnum $_highwater_is_fatal()")
    gdb.events.stop.connect(select_fault)
    ForeignFault(FUNCTION)


# --- lldb ---


def lldb_reader(process):
    import lldb

    def read(address, length):
        error = lldb.SBError()
        data = process.ReadMemory(address, length, error)
        if not error.Success():
            raise RuntimeError(error.GetCString())
        return data

    return read


def lldb_sections(target):
    for module in target.module_iter():
        section = module.FindSection(SECTION)
        if section.IsValid():
            yield section.GetLoadAddress(target), section.GetByteSize()


def lldb_command(debugger, command, context, result, _):
    """highwater regions | address EXPRESSION | break"""
    target, process = context.GetTarget(), context.GetProcess()
    read, sections = lldb_reader(process), list(lldb_sections(target))
    what, _, argument = command.strip().partition(" ")
    if what == "regions":
        for line in list_regions(sections, read):
            result.AppendMessage(line)
    elif what == "address":
        value = context.GetFrame().EvaluateExpression(argument) if context.GetFrame() else None
        address = value.GetValueAsUnsigned() if value and value.GetError().Success() else int(argument, 0)
        result.AppendMessage(describe(address, sections, read))
    elif what == "break":
        for place in {copy.foreign_fault for copy in copies(sections, read)} - {0}:
            lldb_stop(target.BreakpointCreateByAddress(place))
    else:
        result.SetError("highwater regions | address EXPRESSION | break")


def lldb_stop(breakpoint):
    breakpoint.SetScriptCallbackFunction(__name__ + ".lldb_select_fault")


def lldb_select_fault(frame, location, _):
    """Prints what faulted, and selects the frame that did: the one after the kernel's."""
    thread = frame.GetThread()
    register = "rsi" if frame.FindRegister("rsi").IsValid() else "x1"
    print(fault_text(frame.FindRegister(register).GetValueAsUnsigned(), lldb_reader(thread.GetProcess())))
    for index in range(thread.GetNumFrames() - 1):
        name = thread.GetFrameAtIndex(index).GetFunctionName() or ""
        if "restore_rt" in name or "rt_sigreturn" in name:
            thread.SetSelectedFrame(index + 1)
            print(thread.GetFrameAtIndex(index + 1))
            break
    return True


def __lldb_init_module(debugger, _):
    debugger.HandleCommand("command script add -f %s.lldb_command highwater" % __name__)
    target = debugger.GetSelectedTarget()
    if target.IsValid():
        lldb_stop(target.BreakpointCreateByName(FUNCTION))
        debugger.HandleCommand("process handle SIGSEGV --stop false --notify false --pass true")
    else:
        print("highwater: import this again once there is a target, to stop at crashes")


try:
    import gdb as _gdb
except ImportError:
    _gdb = None
if _gdb is not None:
    load_into_gdb(_gdb)
