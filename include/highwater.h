/* highwater.h: arenas that grow when their memory is written.
 *
 * An arena is a large reserved address range, a small head of which is committed. A cursor is a position in it
 * and a limit. Allocating moves the position: it is inlined here, so that the compiler sees through it. A write
 * past what is committed faults, and a signal handler commits more: there is no growth path to compile, addresses
 * never move, and running out of memory is one event with one named cause.
 *
 *     #include <highwater.h>
 *
 *     int main(void)
 *     {
 *         hw_arena *arena = hw_arena_new(NULL);
 *         hw_cursor cursor = hw_arena_cursor(arena);
 *         int *numbers = HIGHWATER_ARRAY(&cursor, int, 1000000);
 *         numbers[999999] = 4;
 *         hw_arena_free(arena);
 *     }
 *
 *     cc prog.c -lhighwater
 *
 * The tutorial is docs/c.md. Functions and types are hw_*, macros and constants HIGHWATER_*; names that end in an
 * underscore are not part of the contract. Sizes are in bytes.
 *
 * C11 and C++17. Define before including it:
 *   HIGHWATER_DEBUG     every allocation checks its cursor and logs where it was made; see the end of this file.
 *   HIGHWATER_EXPLICIT  for a library built with the `explicit` engine, which has no signal handler: the failing
 *                       side of a check commits memory and returns. A program and a library of different engines do
 *                       not link: the missing symbol names the engine that the object file was compiled for.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef HIGHWATER_H
#define HIGHWATER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HIGHWATER_VERSION_MAJOR 0
#define HIGHWATER_VERSION_MINOR 1
#define HIGHWATER_VERSION_PATCH 0

#if defined(__cplusplus) && defined(__GNUC__)
#define HIGHWATER_NOTHROW_ __attribute__((nothrow))
#else
#define HIGHWATER_NOTHROW_
#endif
#if defined(__GNUC__)
#define HIGHWATER_UNREACHABLE_() __builtin_unreachable()
#define HIGHWATER_UNLIKELY_(condition) __builtin_expect(!!(condition), 0)
#define HIGHWATER_ATTRIBUTE_(attributes) __attribute__(attributes)
#else
#define HIGHWATER_UNREACHABLE_() ((void)0)
#define HIGHWATER_UNLIKELY_(condition) (condition)
#define HIGHWATER_ATTRIBUTE_(attributes)
#endif

#ifdef __cplusplus
#define HIGHWATER_NORETURN_ [[noreturn]] HIGHWATER_ATTRIBUTE_((cold))
#define HIGHWATER_ALIGNOF_(T) alignof(T)
#define HIGHWATER_STATIC_ASSERT_(condition, message) static_assert(condition, message)
extern "C" {
#else
#define HIGHWATER_NORETURN_ _Noreturn HIGHWATER_ATTRIBUTE_((cold))
#define HIGHWATER_ALIGNOF_(T) _Alignof(T)
#define HIGHWATER_STATIC_ASSERT_(condition, message) _Static_assert(condition, message)
#endif

/* ------------------------------------------------------------------------------------------------- the cursor */

/* Where the next block goes, and how far blocks may go. A cursor is a value: a copy allocates from the same memory, and
 * what was allocated through the copy is given back when the copy goes out of use. Keep it in a local variable, so that it
 * lives in registers, and pass it by value (two registers), or by pointer to functions that are inlined.
 *
 * The position is a multiple of HIGHWATER_MIN_ALIGN in the arena, never beyond the limit. Cursors come from
 * hw_arena_cursor; the fields are for the compiler and for debuggers. */
typedef struct hw_cursor {
    char *position;
    char *limit;
} hw_cursor;

/* Every block starts at a multiple of this. It is 8 and not malloc's 16, so that small objects are not spread apart;
 * hw_alloc_aligned, HIGHWATER_NEW and HIGHWATER_ARRAY align to what a type needs (a long double, a vector of floats) if
 * that is more. HIGHWATER_MAX_ALIGN is malloc's alignment. */
#define HIGHWATER_MIN_ALIGN ((size_t)8)
#ifdef __cplusplus
#define HIGHWATER_MAX_ALIGN (alignof(max_align_t))
#else
#define HIGHWATER_MAX_ALIGN (_Alignof(max_align_t))
#endif

/* An arena: the address range, its policies and its figures. */
typedef struct hw_arena hw_arena;
typedef struct hw_error hw_error;

/* The failing side of a check: writes a report and aborts, in a function named after the cause. The other functions here
 * are the out-of-line parts of the inline functions below. Each engine has its own, so that an object file that was
 * compiled for the other one does not link. */
#ifdef HIGHWATER_EXPLICIT
#define hw_refuse hw_refuse_explicit_
#define hw_place_ hw_place_explicit_
#endif
HIGHWATER_NORETURN_ HIGHWATER_NOTHROW_ void hw_refuse(const void *position, const void *limit, size_t size, size_t align);
HIGHWATER_NOTHROW_ void *hw_extend_(void *position, void *limit, size_t size, size_t align);
HIGHWATER_NOTHROW_ void *hw_place_(hw_cursor cursor, size_t size, size_t align, hw_error *why);
HIGHWATER_NOTHROW_ void hw_commit_(void *position, void *limit, size_t padding, size_t size);
HIGHWATER_NOTHROW_ hw_cursor hw_engine_fault(hw_arena *arena);
HIGHWATER_NOTHROW_ hw_cursor hw_engine_explicit(hw_arena *arena);

/* The cursor at the arena's first byte. There is one root: what an earlier root cursor allocated is overwritten when a
 * later one allocates. NULL returns a cursor without memory. */
static inline hw_cursor hw_arena_cursor(hw_arena *arena)
{
#ifdef HIGHWATER_EXPLICIT
    return hw_engine_explicit(arena);
#else
    return hw_engine_fault(arena);
#endif
}

/* A cursor on top of this one, a second stack: what is allocated through it is given back when it goes out of use.
 * While it is in use its parent must not allocate; what the parent allocated before is unchanged. */
static inline hw_cursor hw_push(hw_cursor parent)
{
    return parent;
}

/* States an alignment to the compiler. (With __builtin_assume_aligned gcc no longer folds through the pointer.) */
static inline void *hw_aligned_(char *start, size_t align)
{
    if (((uintptr_t)start & (align - 1)) != 0) {
        HIGHWATER_UNREACHABLE_();
    }
    return start;
}

/* The bytes from a position to the next multiple of align. */
static inline size_t hw_padding_(const char *position, size_t align)
{
    return align <= HIGHWATER_MIN_ALIGN ? 0 : (size_t)(-(uintptr_t)position & (align - 1));
}

#define HIGHWATER_SMALL_ ((size_t)1 << 16)

static inline size_t hw_round_(size_t size)
{
    return (size + (HIGHWATER_MIN_ALIGN - 1)) & ~(HIGHWATER_MIN_ALIGN - 1);
}

static inline bool hw_is_power_(size_t align)
{
    return align != 0 && (align & (align - 1)) == 0;
}

/* The check. Position and limit are multiples of 8, so a size that fits before it is rounded up fits afterwards, and no
 * size overflows. If the compiler knows a small size, the end of its block is compared, which is one instruction less than
 * comparing the difference. */
static inline bool hw_fits_(const char *position, const char *limit, size_t size)
{
#if defined(__GNUC__) && UINTPTR_MAX > UINT32_MAX
    if (__builtin_constant_p(size <= HIGHWATER_SMALL_) && size <= HIGHWATER_SMALL_) {
        return (uintptr_t)position + hw_round_(size) <= (uintptr_t)limit;
    }
#endif
    return size <= (size_t)(limit - position);
}

/* A block of size bytes at a multiple of HIGHWATER_MIN_ALIGN. It is never NULL (except for 0 bytes of a cursor without an
 * arena); the same holds for every function without `try` in its name. Running out of memory is a report and abort():
 * hw_try_alloc is for programs that go on. The bytes are zero where the arena was never used before, and otherwise
 * whatever was left in them.
 *
 * They may not be committed yet: a write by the program commits them. A write by the kernel does not: for read(2) and
 * similar calls see hw_alloc_committed.
 *
 * A size of 0 takes no memory and returns a pointer that must not be dereferenced; blocks of 0 bytes may have the same
 * address as others. No size overflows: a size that does not fit is refused. */
HIGHWATER_ATTRIBUTE_((alloc_size(2)))
static inline void *hw_alloc(hw_cursor *cursor, size_t size)
{
    char *position = (char *)hw_aligned_(cursor->position, HIGHWATER_MIN_ALIGN);
    if (HIGHWATER_UNLIKELY_(!hw_fits_(position, cursor->limit, size))) {
#ifdef HIGHWATER_EXPLICIT
        cursor->limit = (char *)hw_extend_(position, cursor->limit, size, HIGHWATER_MIN_ALIGN);
#else
        hw_refuse(position, cursor->limit, size, HIGHWATER_MIN_ALIGN);
#endif
    }
    cursor->position = position + hw_round_(size);
    return position;
}

/* The same at a multiple of align, a power of two of any size. Another alignment is refused. */
HIGHWATER_ATTRIBUTE_((alloc_size(2)))
static inline void *hw_alloc_aligned(hw_cursor *cursor, size_t size, size_t align)
{
    char *position = (char *)hw_aligned_(cursor->position, HIGHWATER_MIN_ALIGN);
    size_t padding = hw_padding_(position, align);
    size_t room = (size_t)(cursor->limit - position);
    if (HIGHWATER_UNLIKELY_(!hw_is_power_(align))) {
        hw_refuse(position, cursor->limit, size, align);
    }
    if (size == 0) {
        return hw_aligned_(position + padding, align);
    }
    if (HIGHWATER_UNLIKELY_(padding > room || size > room - padding)) {
#ifdef HIGHWATER_EXPLICIT
        cursor->limit = (char *)hw_extend_(position, cursor->limit, size, align);
#else
        hw_refuse(position, cursor->limit, size, align);
#endif
    }
    cursor->position = position + padding + hw_round_(size);
    return hw_aligned_(position + padding, align);
}

/* A block that is committed, or NULL, with the reason in *why (which may be NULL). The cursor is unchanged if there is no
 * memory. It is a call into the library; where that is too slow, commit ahead with hw_commit_ahead and use hw_alloc. */
static inline void *hw_try_alloc_why(hw_cursor *cursor, size_t size, size_t align, hw_error *why)
{
    char *start = (char *)hw_place_(*cursor, size, align, why);
    if (start == NULL) {
        return NULL;
    }
    if (size != 0) {
        cursor->position = start + hw_round_(size);
#ifdef HIGHWATER_EXPLICIT
        /* The library has committed more than this cursor knows of. */
        if (cursor->limit < cursor->position) {
            cursor->limit = cursor->position;
        }
#endif
    }
    return hw_aligned_(start, align);
}

static inline void *hw_try_alloc_aligned(hw_cursor *cursor, size_t size, size_t align)
{
    return hw_try_alloc_why(cursor, size, align, NULL);
}

/* A block of size bytes that is committed, or NULL. A size beyond the limit is refused here, without a call. */
static inline void *hw_try_alloc(hw_cursor *cursor, size_t size)
{
#ifdef HIGHWATER_EXPLICIT
    if (hw_fits_(cursor->position, cursor->limit, size)) {
        return hw_alloc(cursor, size);
    }
#else
    if (!hw_fits_(cursor->position, cursor->limit, size)) {
        return NULL;
    }
#endif
    return hw_try_alloc_why(cursor, size, HIGHWATER_MIN_ALIGN, NULL);
}

/* A block that is committed, although this program may never write it: for memory that the kernel or a device is going to
 * write. Never NULL. */
HIGHWATER_ATTRIBUTE_((alloc_size(2)))
static inline void *hw_alloc_committed_aligned(hw_cursor *cursor, size_t size, size_t align)
{
#ifdef HIGHWATER_EXPLICIT
    return hw_alloc_aligned(cursor, size, align);
#else
    char *position = cursor->position;
    char *start = (char *)hw_alloc_aligned(cursor, size, align);
    if (size != 0) {
        hw_commit_(position, cursor->limit, (size_t)(start - position), size);
    }
    return hw_aligned_(start, align);
#endif
}

HIGHWATER_ATTRIBUTE_((alloc_size(2)))
static inline void *hw_alloc_committed(hw_cursor *cursor, size_t size)
{
    return hw_alloc_committed_aligned(cursor, size, HIGHWATER_MIN_ALIGN);
}

/* A block of zeroes. */
HIGHWATER_ATTRIBUTE_((alloc_size(2)))
static inline void *hw_alloc_zeroed(hw_cursor *cursor, size_t size)
{
    void *block = hw_alloc(cursor, size);
    return size == 0 ? block : memset(block, 0, size);
}

/* The bytes of count elements of size bytes; SIZE_MAX, which never fits, if that overflows. */
static inline size_t hw_product_(size_t count, size_t size)
{
#if defined(__GNUC__)
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
#else
    return size != 0 && count > SIZE_MAX / size ? SIZE_MAX : count * size;
#endif
}

/* count elements of size bytes each, refused if the product overflows. */
HIGHWATER_ATTRIBUTE_((alloc_size(2, 3)))
static inline void *hw_alloc_array(hw_cursor *cursor, size_t count, size_t size, size_t align)
{
    size_t bytes = hw_product_(count, size);
    return align <= HIGHWATER_MIN_ALIGN ? hw_alloc(cursor, bytes) : hw_alloc_aligned(cursor, bytes, align);
}

/* The same, committed, or NULL. */
static inline void *hw_try_alloc_array(hw_cursor *cursor, size_t count, size_t size, size_t align)
{
    return hw_try_alloc_aligned(cursor, hw_product_(count, size), align);
}

/* One T, or an array of count T, aligned as T is and not initialized; the first two never NULL. `cursor` is a pointer
 * to the cursor: HIGHWATER_NEW(&cursor, struct node). */
#define HIGHWATER_NEW(cursor, T) ((T *)hw_alloc_array((cursor), 1, sizeof(T), HIGHWATER_ALIGNOF_(T)))
#define HIGHWATER_ARRAY(cursor, T, count) ((T *)hw_alloc_array((cursor), (count), sizeof(T), HIGHWATER_ALIGNOF_(T)))
#define HIGHWATER_TRY_NEW(cursor, T) ((T *)hw_try_alloc_array((cursor), 1, sizeof(T), HIGHWATER_ALIGNOF_(T)))
#define HIGHWATER_TRY_ARRAY(cursor, T, count) \
    ((T *)hw_try_alloc_array((cursor), (count), sizeof(T), HIGHWATER_ALIGNOF_(T)))

/* A copy of size bytes; NULL only if source is NULL. The source may have been allocated through a copy of the cursor, which
 * is how a function returns a result from its scratch memory: it moves down. */
HIGHWATER_ATTRIBUTE_((alloc_size(3)))
static inline void *hw_memdup(hw_cursor *cursor, const void *source, size_t size)
{
    void *block;
    if (source == NULL) {
        return NULL;
    }
    block = hw_alloc(cursor, size);
    return size == 0 ? block : memmove(block, source, size);
}

/* A copy of a string; NULL only if text is NULL. */
static inline char *hw_strdup(hw_cursor *cursor, const char *text)
{
    return text == NULL ? NULL : (char *)hw_memdup(cursor, text, strlen(text) + 1);
}

/* Text formatted as by vsprintf, of any length. The arguments may have been allocated through a copy of the cursor. NULL, and
 * no memory taken, if vsnprintf fails (a wide character that has no multibyte form) or format is NULL. */
HIGHWATER_ATTRIBUTE_((format(printf, 2, 0)))
static inline char *hw_vsprintf(hw_cursor *cursor, const char *format, va_list arguments)
{
    char small[512], *text = NULL, *large;
    va_list again;
    int length;
    if (format == NULL) {
        return NULL;
    }
    va_copy(again, arguments);
    /* The arguments may have been allocated through a copy of the cursor, at the place of the text: so it is formatted
     * elsewhere, and then moved. */
    length = vsnprintf(small, sizeof small, format, arguments);
    if (length >= 0 && (size_t)length < sizeof small) {
        text = (char *)hw_memdup(cursor, small, (size_t)length + 1);
    } else if (length >= 0) {
        large = (char *)malloc((size_t)length + 1);
        if (large == NULL) {
            hw_refuse(cursor->position, cursor->limit, (size_t)length + 1, HIGHWATER_MIN_ALIGN);
        }
        if (vsnprintf(large, (size_t)length + 1, format, again) == length) {
            text = (char *)hw_memdup(cursor, large, (size_t)length + 1);
        }
        free(large);
    }
    va_end(again);
    return text;
}

/* Text formatted as by sprintf. The cursor's address is passed to a function that cannot be inlined: a loop that should
 * keep the cursor in registers calls it with a copy, and assigns the copy back. */
HIGHWATER_ATTRIBUTE_((format(printf, 2, 3)))
static inline char *hw_sprintf(hw_cursor *cursor, const char *format, ...)
{
    va_list arguments;
    char *text;
    va_start(arguments, format);
    text = hw_vsprintf(cursor, format, arguments);
    va_end(arguments);
    return text;
}

/* --------------------------------------------------------------------------------------------------- errors */

/* What a function that may fail returns. hw_strerror has a sentence for each, hw_error the figures. */
typedef enum hw_status {
    HIGHWATER_OK = 0,
    HIGHWATER_ERROR_MEMORY = 1,      /* memory or address space ran out; the error's cause says why */
    HIGHWATER_ERROR_ARGUMENT = 2,    /* a null pointer, or a value that cannot be honored */
    HIGHWATER_ERROR_OPTIONS = 3,     /* the same in a hw_options */
    HIGHWATER_ERROR_GUARD = 4,       /* a guard cannot be placed there, or not by this mechanism */
    HIGHWATER_ERROR_SYSTEM = 5,      /* the system refused; the error's system_error is an errno */
    HIGHWATER_ERROR_INTERNAL = 6     /* a bug of the library: it caught a panic, and the call had no effect */
} hw_status;

/* Why memory ran out: exactly one cause. hw_cause_name has the word that reports use. */
typedef enum hw_cause {
    HIGHWATER_CAUSE_NONE = 0,
    HIGHWATER_CAUSE_RESERVATION_EXHAUSTED = 1,  /* beyond the address space reserved */
    HIGHWATER_CAUSE_REGION_LIMIT = 2,           /* beyond the arena's limit, or its first placed guard */
    HIGHWATER_CAUSE_PROCESS_LIMIT = 3,          /* beyond hw_set_process_limit */
    HIGHWATER_CAUSE_ADDRESS_SPACE = 4,          /* arenas together may take a quarter of the address space */
    HIGHWATER_CAUSE_CGROUP_LIMIT = 5,           /* a memory cgroup has no room */
    HIGHWATER_CAUSE_SYSTEM_MEMORY = 6,          /* the machine has no memory available */
    HIGHWATER_CAUSE_RLIMIT_DATA = 7,
    HIGHWATER_CAUSE_RLIMIT_AS = 8,
    HIGHWATER_CAUSE_OVERCOMMIT = 9,             /* vm.overcommit_memory is strict */
    HIGHWATER_CAUSE_MAP_COUNT = 10,             /* vm.max_map_count */
    HIGHWATER_CAUSE_LOCKED_LIMIT = 11,          /* RLIMIT_MEMLOCK */
    HIGHWATER_CAUSE_DISK_FULL = 12,
    HIGHWATER_CAUSE_HUGE_PAGES = 13,
    HIGHWATER_CAUSE_NOT_INHERITED = 14,         /* a file-backed arena in a forked child */
    HIGHWATER_CAUSE_INJECTED = 15,              /* requested by hw_inject */
    HIGHWATER_CAUSE_KERNEL = 16,                /* the error's system_error, with no other explanation */
    HIGHWATER_CAUSE_ALLOCATOR = 17              /* malloc had no memory for an arena's metadata */
} hw_cause;

/* What went wrong. A function that takes one accepts NULL too. It is filled in by every call, also by one that
 * succeeds. */
struct hw_error {
    hw_status status;
    hw_cause cause;         /* of HIGHWATER_ERROR_MEMORY, HIGHWATER_CAUSE_NONE otherwise */
    int32_t system_error;   /* an errno, 0 if there is none */
    uint32_t reserved_;
    uint64_t requested;     /* bytes requested */
    uint64_t used;          /* bytes in use in the arena */
    uint64_t limit;         /* the limit that was reached, 0 if the cause has none */
    char message[216];      /* one line, cut to fit */
};

/* A sentence for a status, a word for a cause. Never NULL, never freed. */
const char *hw_strerror(hw_status status);
const char *hw_cause_name(hw_cause cause);

/* -------------------------------------------------------------------------------------------------- options */

/* Where 0 means the default, this means nothing (a head, a guard after, a reach) or no limit. */
#define HIGHWATER_NONE SIZE_MAX
/* A reserve of as much as the machine has physical memory. */
#define HIGHWATER_PHYSICAL (SIZE_MAX - 1)

/* How far the frontier, the end of what is committed, moves in one growth step. */
typedef enum hw_growth {
    HIGHWATER_GROWTH_GEOMETRIC = 0, /* from growth_first (64 KiB) up to growth_max (16 MiB), with what is used */
    HIGHWATER_GROWTH_FIXED = 1,     /* steps of growth_first bytes */
    HIGHWATER_GROWTH_UPFRONT = 2,   /* accessible as a whole from the start, and paged in by the kernel */
    HIGHWATER_GROWTH_STRESS = 3     /* for tests: a page at a time after a random delay, drawn from growth_seed */
} hw_growth;

typedef enum hw_choice {
    HIGHWATER_DEFAULT = 0,
    HIGHWATER_YES = 1,
    HIGHWATER_NO = 2
} hw_choice;

typedef enum hw_guard_mechanism {
    HIGHWATER_GUARD_AUTO = 0,    /* the first of the following that the kernel has */
    HIGHWATER_GUARD_ADVICE = 1,  /* MADV_GUARD_INSTALL, Linux 6.13: any number of them */
    HIGHWATER_GUARD_PROTECT = 2  /* mprotect: each takes two of the process's 65,000 mappings */
} hw_guard_mechanism;

typedef enum hw_on_violation {
    HIGHWATER_VIOLATION_DIE = 0,   /* SIGSEGV goes to the handler before ours; without one the process dies */
    HIGHWATER_VIOLATION_ABORT = 1  /* abort(), in a function named after the kind */
} hw_on_violation;

typedef enum hw_format {
    HIGHWATER_TEXT = 0,
    HIGHWATER_JSON = 1
} hw_format;

typedef enum hw_response {
    HIGHWATER_RESPONSE_ABORT = 0, /* a report, and abort() in a function named after the cause */
    HIGHWATER_RESPONSE_SPILL = 1, /* the arena goes on in a file in spill_directory */
    HIGHWATER_RESPONSE_HOOK = 2   /* refusal_hook is called first, if a fault is refused */
} hw_response;

typedef enum hw_answer {
    HIGHWATER_ANSWER_DIE = 0,
    HIGHWATER_ANSWER_RETRY = 1    /* memory was given back: try again, at most eight times in a row */
} hw_answer;

/* A commit that was refused. The pointers are valid during the call. */
typedef struct hw_refusal {
    size_t size;            /* sizeof(hw_refusal) as the library knows it */
    const char *name;       /* the arena's, empty if it has none */
    uint64_t arena;         /* its hw_arena_id */
    hw_cause cause;
    int32_t system_error;
    size_t requested;       /* the growth step */
    size_t used;            /* at least */
    size_t committed;
    size_t reserved;
    uint64_t limit;         /* the limit that was reached, 0 if the cause has none */
} hw_refusal;

/* Called for a commit that is refused inside a fault, in the signal handler: it may only do what is async-signal-safe,
 * must return (no longjmp, no throw), and must not touch memory that has to grow. */
typedef hw_answer (*hw_refusal_hook)(void *user, const hw_refusal *refusal);

/* How an arena grows. */
typedef enum hw_engine {
    HIGHWATER_ENGINE_FAULT = 0,    /* a SIGSEGV handler commits what a write touches */
    HIGHWATER_ENGINE_EXPLICIT = 1, /* the failing side of a check commits: HIGHWATER_EXPLICIT, above */
    HIGHWATER_ENGINE_PAGED = 2     /* it does not: it is accessible from the start, and the kernel pages it in */
} hw_engine;

/* The choice of an engine. Fault or explicit is decided when the library is built; every library also has paged, for a
 * program that is compiled for that library. It needs no handler, so it is for programs in which another runtime owns
 * SIGSEGV, and it is the engine of arenas under valgrind. The available memory is queried once, when the arena is made: its
 * reserve is cut to what is left then. No growth is refused later, no refusal_hook is called, nothing spills; limits hold. */
typedef enum hw_engine_choice {
    HIGHWATER_CHOOSE_DEFAULT = 0, /* what hw_set_engine chose; or paged under valgrind; or the library's own */
    HIGHWATER_CHOOSE_FAULT = 1,
    HIGHWATER_CHOOSE_EXPLICIT = 2,
    HIGHWATER_CHOOSE_PAGED = 3
} hw_engine_choice;

/* A part of an arena: offsets from its first byte, whole pages. */
typedef struct hw_range {
    size_t start;
    size_t end;
} hw_range;

/* The policies of an arena. All zero except for the size is the default of everything:
 *
 *     hw_options options = HIGHWATER_OPTIONS;
 *     options.reserve = (size_t)1 << 30;
 *
 * A library accepts the smaller structure of an older header, and a larger one as long as the bytes that it does not
 * know are zero. */
typedef struct hw_options {
    size_t size;                        /* sizeof(hw_options) */
    const char *name;                   /* in reports and /proc/PID/maps; the first 40 bytes of it */
    size_t reserve;                     /* address space; default 64 GiB, less as arenas add up */
    size_t head;                        /* committed at once; default 64 KiB */
    size_t limit;                       /* bytes that may be used, exact to 8 bytes; default all of the reserve */
    hw_growth growth;
    hw_choice populate;                 /* make the pages of a growth step present at once */
    size_t growth_first;
    size_t growth_max;
    uint64_t growth_seed;
    hw_choice huge_pages;               /* default yes */
    hw_guard_mechanism guard_mechanism;
    size_t guard_before;                /* bytes before the first one; default and min a page */
    size_t guard_after;                 /* bytes after the last one; default a page */
    size_t guard_reach;                 /* how far past the frontier a touch is growth; default everywhere */
    const hw_range *guards;             /* guards inside the arena, which ends at the first one */
    size_t guard_count;
    hw_on_violation on_violation;
    hw_format violation_format;
    size_t headroom;                    /* bytes that stay free; default a 64th of the nearest limit; HIGHWATER_NONE
                                           queries nothing */
    const char *backing_directory;      /* live in a file of its own there; default anonymous memory */
    hw_response on_refusal;
    uint32_t reserved_;
    const char *spill_directory;
    hw_refusal_hook refusal_hook;
    void *refusal_user;
    hw_engine_choice engine;
    uint32_t reserved_2_;
} hw_options;

/* Every default. */
static inline hw_options hw_options_init(void)
{
    hw_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    return options;
}

#ifdef __cplusplus
#define HIGHWATER_OPTIONS hw_options_init()
#else
#define HIGHWATER_OPTIONS { .size = sizeof(hw_options) }
#endif

/* --------------------------------------------------------------------------------------------------- arenas */

/* Makes an arena; NULL options are the defaults. On failure *arena is NULL. */
hw_status hw_arena_create(const hw_options *options, hw_arena **arena, hw_error *error);

/* The same; a failure is a message on standard error and abort(). Never NULL. */
HIGHWATER_ATTRIBUTE_((warn_unused_result, returns_nonnull))
hw_arena *hw_arena_new(const hw_options *options);

/* Releases the address range with everything in it. No thread may use a cursor of the arena any more. Does nothing for
 * NULL. */
void hw_arena_free(hw_arena *arena);

void hw_arena_reset_(hw_arena *arena);

/* Frees everything that was allocated and returns the cursor at the first byte. Committed memory is kept and not
 * cleared. */
HIGHWATER_ATTRIBUTE_((warn_unused_result))
static inline hw_cursor hw_arena_reset(hw_arena *arena)
{
    hw_arena_reset_(arena);
    return hw_arena_cursor(arena);
}

/* The cursor with its current limit. */
HIGHWATER_ATTRIBUTE_((warn_unused_result))
hw_cursor hw_refresh(hw_cursor cursor);

size_t hw_arena_trim_(hw_arena *arena, hw_cursor in_use, size_t keep);
hw_status hw_arena_set_limit_(hw_arena *arena, size_t bytes);
hw_status hw_arena_guard_(hw_arena *arena, hw_cursor in_use, size_t offset, size_t size, hw_error *error);

static inline hw_cursor hw_furthest_(const hw_cursor *cursor)
{
    hw_cursor none = {NULL, NULL};
    return cursor == NULL ? none : *cursor;
}

static inline void hw_refresh_(hw_cursor *cursor)
{
    if (cursor != NULL) {
        *cursor = hw_refresh(*cursor);
    }
}

/* The next three change what the cursors of the arena may use. `cursor` is the one with the highest position, NULL if
 * nothing is in use; it is refreshed. Refresh other cursors (hw_refresh) before they allocate again. */

/* Gives committed memory back to the system: what lies past the cursor and past the first keep bytes. Returns the number
 * of bytes; 0 if the system refuses, or the cursor is not the arena's. Bytes that are committed again are zero. */
static inline size_t hw_arena_trim(hw_arena *arena, hw_cursor *cursor, size_t keep)
{
    size_t given_back = hw_arena_trim_(arena, hw_furthest_(cursor), keep);
    hw_refresh_(cursor);
    return given_back;
}

/* Sets how many bytes may be used from now on, rounded down to 8; HIGHWATER_NONE removes the limit. The limit that the
 * arena was made with (options.limit) stays: it is the max of this one. */
static inline hw_status hw_arena_set_limit(hw_arena *arena, hw_cursor *cursor, size_t bytes)
{
    hw_status status = hw_arena_set_limit_(arena, bytes);
    hw_refresh_(cursor);
    return status;
}

/* Places a guard of size bytes at an offset from the first byte, both whole pages. The arena ends there. */
static inline hw_status hw_arena_guard(hw_arena *arena, hw_cursor *cursor, size_t offset, size_t size, hw_error *error)
{
    hw_status status = hw_arena_guard_(arena, hw_furthest_(cursor), offset, size, error);
    hw_refresh_(cursor);
    return status;
}

/* Commits the first `bytes` bytes, exactly: for a program that uses the range without a cursor. */
hw_status hw_arena_ensure(hw_arena *arena, size_t bytes, hw_error *error);

/* The first byte, a multiple of the page size, and of 2 MiB if the arena is that large. NULL for NULL. */
void *hw_arena_base(const hw_arena *arena);
/* The bytes reserved, which may be fewer than requested. 0 for NULL, as with the functions below. */
size_t hw_arena_reserved(const hw_arena *arena);
/* The bytes committed. */
size_t hw_arena_committed(const hw_arena *arena);
/* The bytes that may be used. */
size_t hw_arena_limit(const hw_arena *arena);
/* A number that no other arena of this process has or had. */
uint64_t hw_arena_id(const hw_arena *arena);
/* Whether an address is one of the arena's. */
bool hw_arena_contains(const hw_arena *arena, const void *address);

/* The bytes from the arena's first one to the position, and from the position to the arena's current limit. 0 for a cursor
 * without an arena. */
size_t hw_used(hw_cursor cursor);
size_t hw_remaining(hw_cursor cursor);

/* Commits the next `bytes` bytes of a cursor, exactly. Allocations within them do not fault. */
hw_status hw_commit_ahead(hw_cursor cursor, size_t bytes, hw_error *error);

/* Commits the pages of a range, for a buffer that is handed to the kernel: read(2) into memory that is not committed
 * fails with EFAULT and raises no signal; if only the end of the buffer is not committed, it returns a short count. Memory
 * that belongs to no arena is left alone, which is a success. */
hw_status hw_ensure(const void *start, size_t size, hw_error *error);

/* How many of the first bytes of a range are committed at this moment, so that the kernel can write them: size if all are,
 * or if the memory belongs to no arena. For assertions: assert(hw_committed_of(buffer, size) == size). */
size_t hw_committed_of(const void *start, size_t size);

/* -------------------------------------------------------------------------------------------------- figures */

typedef struct hw_stats {
    size_t size;            /* sizeof(hw_stats), set by the caller */
    size_t reserved;
    size_t committed;
    size_t peak_committed;
    size_t used;            /* a lower bound: as far as growth has seen. hw_used is exact. */
    uint64_t faults;        /* growths by fault */
    uint64_t commits;       /* growths in all */
    uint64_t populated;     /* bytes whose pages were made present at once */
    uint64_t growth_ns;     /* nanoseconds spent growing */
    hw_engine engine;       /* how it grows */
    uint32_t reserved_;
} hw_stats;

#ifdef __cplusplus
#define HIGHWATER_STATS { sizeof(hw_stats), 0, 0, 0, 0, 0, 0, 0, 0, HIGHWATER_ENGINE_FAULT, 0 }
#else
#define HIGHWATER_STATS { .size = sizeof(hw_stats) }
#endif

hw_status hw_arena_stats(const hw_arena *arena, hw_stats *stats);

/* A view of an arena that any thread may keep, also when the arena is gone. A zeroed one belongs to no arena. */
typedef struct hw_monitor {
    uint64_t opaque_[2];
} hw_monitor;

hw_monitor hw_arena_monitor(const hw_arena *arena);
/* The monitor of the arena that an address lies in. */
hw_monitor hw_monitor_of(const void *address);
/* Writes monitors of the process's arenas, at most `max` of them, and returns how many arenas there are. */
size_t hw_monitors(hw_monitor *monitors, size_t max);
bool hw_monitor_is_live(hw_monitor monitor);
/* HIGHWATER_ERROR_ARGUMENT once the arena is gone. */
hw_status hw_monitor_stats(hw_monitor monitor, hw_stats *stats);
/* Writes the name, cut to fit and terminated, and returns its length; 0 once the arena is gone. */
size_t hw_monitor_name(hw_monitor monitor, char *name, size_t size);

/* How many bytes all arenas together may commit; HIGHWATER_NONE removes the limit. */
void hw_set_process_limit(size_t bytes);
size_t hw_process_limit(void);
size_t hw_process_committed(void);

/* -------------------------------------------------------------------------------------------------- reports */

/* Receives the text of reports piece by piece, not terminated. Called inside the signal handler too: it may only do what is
 * async-signal-safe, with 1 KiB of stack, and must return. */
typedef void (*hw_text_function)(void *user, const char *text, size_t length);

/* Where reports go instead of standard error: a file, which is created and appended to; a descriptor, which is
 * duplicated; a function. NULL, -1 and NULL restore standard error. What was opened or duplicated is never closed. */
hw_status hw_report_to_file(const char *path, hw_error *error);
hw_status hw_report_to_fd(int fd, hw_error *error);
void hw_report_to_function(hw_text_function function, void *user);

/* The format of refusals and dumps from now on. Violations use their arena's violation_format. */
hw_status hw_set_report_format(hw_format format);

/* Writes the state of the process: all arenas, the last growths, limits and the system's figures. */
void hw_dump(void);
/* The same whenever a signal arrives, for example SIGUSR1. */
hw_status hw_dump_on_signal(int signal, hw_error *error);

/* The kinds of touches of a guard. */
typedef enum hw_violation_kind {
    HIGHWATER_VIOLATION_NONE = 0,
    HIGHWATER_VIOLATION_OVERFLOW = 1,
    HIGHWATER_VIOLATION_UNDERFLOW = 2,
    HIGHWATER_VIOLATION_USE_AFTER_RESET = 3,
    HIGHWATER_VIOLATION_UNALLOCATED = 4,
    HIGHWATER_VIOLATION_BEYOND_REACH = 5,
    HIGHWATER_VIOLATION_END_OF_RESERVATION = 6,
    HIGHWATER_VIOLATION_BEFORE_HEAD = 7,
    HIGHWATER_VIOLATION_PLACED_GUARD = 8
} hw_violation_kind;

typedef enum hw_access {
    HIGHWATER_ACCESS_UNKNOWN = 0,
    HIGHWATER_ACCESS_READ = 1,
    HIGHWATER_ACCESS_WRITE = 2
} hw_access;

/* A touch of a guard. The pointers are valid during the call. */
typedef struct hw_violation {
    size_t size;                /* sizeof(hw_violation) as the library knows it */
    const char *name;           /* the arena's, empty if it has none */
    uint64_t arena;             /* its hw_arena_id */
    hw_violation_kind kind;
    hw_access access;
    uintptr_t address;          /* the touched byte */
    ptrdiff_t offset;           /* its offset from the arena's first byte */
    size_t distance;            /* how many bytes out of bounds it is */
    uintptr_t program_counter;  /* 0 if unknown */
    uint32_t thread;            /* the kernel's thread id */
    uint32_t reserved_;
} hw_violation;

const char *hw_violation_name(hw_violation_kind kind);

/* Called with every violation after its report and before what follows, inside the signal handler: it may only do what is
 * async-signal-safe, and must return. NULL removes it. */
typedef void (*hw_violation_hook)(void *user, const hw_violation *violation);
void hw_set_violation_hook(hw_violation_hook hook, void *user);

/* Refusals on demand, for tests. An admission is one question whether an arena may grow. */
typedef enum hw_injection {
    HIGHWATER_INJECT_NOTHING = 0,
    HIGHWATER_INJECT_NTH = 1,    /* the n-th admission from now on, counted from 1 */
    HIGHWATER_INJECT_AFTER = 2,  /* every admission after the first n */
    HIGHWATER_INJECT_ABOVE = 3,  /* every admission of more than n bytes */
    HIGHWATER_INJECT_RATE = 4    /* n in a million, drawn from seed */
} hw_injection;
hw_status hw_inject(hw_injection what, uint64_t n, uint64_t seed);

/* -------------------------------------------------------------------------------------------------- signals */

/* Installs the SIGSEGV handler; making an arena does so too. The handler before it gets what is not growth. If the program
 * restored the default action or ignored the signal in the meantime, ours is installed again. */
hw_status hw_fault_install(hw_error *error);
/* Whether SIGSEGV goes to this library first. */
bool hw_fault_is_front(void);
/* Puts the handler in front again, for when one was installed after it that does not pass faults on. It does not last: that
 * handler restores what it found when it is removed. Call this again then, or make an arena. */
hw_status hw_fault_ensure_front(hw_error *error);
/* Unblocks SIGSEGV on this thread, as making an arena does: the kernel kills a process that faults while it is blocked.
 * (PulseAudio's threaded main loop, ZeroMQ's I/O thread and SIGEV_THREAD of glibc block it where they call back.) */
hw_status hw_fault_prepare_thread(hw_error *error);
/* Whether it is unblocked. If it is blocked, hw_try_* and everything that commits by request still work. */
bool hw_fault_is_thread_prepared(void);
/* For a SIGSEGV handler that stays in front: pass it the handler's own arguments (a siginfo_t and a ucontext_t), and return
 * if this returns true. Async-signal-safe. */
bool hw_fault_try_handle(int signal, void *info, void *context);

/* ----------------------------------------------------------------------------------------------- the library */

/* The engine that the library was built with, and its version: "0.1.0", and major * 65536 + minor * 256 + patch. */
hw_engine hw_library_engine(void);
/* Chooses the engine of arenas made from now on whose options do not name one; HIGHWATER_ERROR_OPTIONS if the library does
 * not have it. Where no handler may be installed (a plug-in of a JVM or a Go program), call it before the first arena is made. */
hw_status hw_set_engine(hw_engine_choice engine, hw_error *error);
/* The engine that such arenas get. */
hw_engine hw_default_engine(void);
const char *hw_version(void);
uint32_t hw_version_number(void);

/* --------------------------------------------------------------------------------------------------- arrays */

/* An array of T that grows in an arena of its own: it never moves, so pointers into it stay valid. It starts as
 * HIGHWATER_VEC_INIT (or zeroed) and reserves nothing before the first push.
 *
 *     typedef HIGHWATER_VEC(int) ints;
 *     ints primes = HIGHWATER_VEC_INIT;
 *     HIGHWATER_VEC_PUSH(&primes, 2);
 *     HIGHWATER_FOREACH(int, prime, &primes) { printf("%d\n", *prime); }
 *     HIGHWATER_VEC_FREE(&primes);
 *
 * `vec` is a pointer to it, and is evaluated more than once. Index with vec.data[i], below vec.length. A value that is
 * pushed may be computed from the array, and must not change it. The max alignment of T is a page (4096). The arena belongs
 * to the array: its limits are those it was opened with (HIGHWATER_VEC_OPEN). */
#define HIGHWATER_VEC(T) struct { T *data; size_t length; size_t capacity; hw_arena *arena; }
#define HIGHWATER_VEC_INIT { NULL, 0, 0, NULL }

HIGHWATER_NOTHROW_ void hw_vec_grow_(void *vec, size_t element, size_t more);
bool hw_vec_try_grow_(void *vec, size_t element, size_t more, hw_error *error);
hw_status hw_vec_open_(void *vec, size_t element, const hw_options *options, hw_error *error);
void hw_vec_free_(void *vec);
void hw_vec_shrink_(void *vec, size_t element);

/* Makes the array's arena, with policies of your own; what the array has is freed first. */
#define HIGHWATER_VEC_OPEN(vec, options, error) hw_vec_open_((vec), sizeof *(vec)->data, (options), (error))

/* Appends a value. Running out of memory is a report and abort(). */
#define HIGHWATER_VEC_PUSH(vec, ...) \
    ((void)(HIGHWATER_UNLIKELY_((vec)->length >= (vec)->capacity) \
                ? hw_vec_grow_((vec), sizeof *(vec)->data, 1) \
                : (void)0), \
     (void)((vec)->data[(vec)->length] = (__VA_ARGS__)), \
     (void)++(vec)->length)

/* Appends a value to committed memory and is true; false, with nothing appended, if there is no memory. */
#define HIGHWATER_VEC_TRY_PUSH(vec, ...) \
    (hw_vec_try_grow_((vec), sizeof *(vec)->data, 1, NULL) \
         ? ((void)((vec)->data[(vec)->length] = (__VA_ARGS__)), (void)++(vec)->length, true) \
         : false)

/* Commits room for `count` more values; false if there is none. */
#define HIGHWATER_VEC_RESERVE(vec, count, error) hw_vec_try_grow_((vec), sizeof *(vec)->data, (count), (error))

/* Removes the last value and is its address, valid until the next push; NULL if there is none. */
#define HIGHWATER_VEC_POP(vec) ((vec)->length == 0 ? NULL : &(vec)->data[--(vec)->length])

#define HIGHWATER_VEC_CLEAR(vec) ((void)((vec)->length = 0))

/* Gives the memory past the last value back to the system. */
#define HIGHWATER_VEC_SHRINK(vec) hw_vec_shrink_((vec), sizeof *(vec)->data)

/* Frees the arena; the array is empty and can be used again. */
#define HIGHWATER_VEC_FREE(vec) hw_vec_free_((vec))

/* Iterates with `item`, a T *, over the values. The array may be pushed to in the loop; new values are visited too. */
#define HIGHWATER_FOREACH(T, item, vec) \
    for (T *item = (vec)->data; item != NULL && item < (vec)->data + (vec)->length; ++item)

/* ------------------------------------------------------------------------------------------------ debugging */

/* Sets the function that receives the lines of the debug build's log; on == false turns the log off. A null function is
 * standard error, the default. */
void hw_debug_log(bool on, hw_text_function function, void *user);

/* With HIGHWATER_DEBUG every call below first checks its cursor (that there is one, that it lies in an arena that
 * exists, that position and limit are where they may be, that the alignment is a power of two), and logs a line with
 * the file and line of the call and the start, the position and the end that the cursor has afterwards. A failed check is
 * a message and abort(). The layout of hw_cursor is the same, so parts of a program may be compiled either way. */
void hw_debug_check_(const hw_cursor *cursor, size_t align, const char *call, const char *file, int line);
void hw_debug_made_(hw_cursor cursor, const void *start, size_t size, const char *call, const char *file, int line);

#ifdef HIGHWATER_DEBUG
static inline void *hw_alloc_at_(hw_cursor *cursor, size_t size, const char *file, int line)
{
    void *start;
    hw_debug_check_(cursor, HIGHWATER_MIN_ALIGN, "hw_alloc", file, line);
    start = hw_alloc(cursor, size);
    hw_debug_made_(*cursor, start, size, "hw_alloc", file, line);
    return start;
}

static inline void *hw_alloc_aligned_at_(hw_cursor *cursor, size_t size, size_t align, const char *file, int line)
{
    void *start;
    hw_debug_check_(cursor, align, "hw_alloc_aligned", file, line);
    start = hw_alloc_aligned(cursor, size, align);
    hw_debug_made_(*cursor, start, size, "hw_alloc_aligned", file, line);
    return start;
}

static inline void *hw_try_alloc_why_at_(hw_cursor *cursor, size_t size, size_t align, hw_error *why, const char *file, int line)
{
    void *start;
    hw_debug_check_(cursor, HIGHWATER_MIN_ALIGN, "hw_try_alloc_why", file, line);
    start = hw_try_alloc_why(cursor, size, align, why);
    hw_debug_made_(*cursor, start, size, "hw_try_alloc_why", file, line);
    return start;
}

static inline void *hw_try_alloc_at_(hw_cursor *cursor, size_t size, const char *file, int line)
{
    void *start;
    hw_debug_check_(cursor, HIGHWATER_MIN_ALIGN, "hw_try_alloc", file, line);
    start = hw_try_alloc(cursor, size);
    hw_debug_made_(*cursor, start, size, "hw_try_alloc", file, line);
    return start;
}

static inline void *hw_alloc_committed_aligned_at_(hw_cursor *cursor, size_t size, size_t align, const char *file, int line)
{
    void *start;
    hw_debug_check_(cursor, align, "hw_alloc_committed_aligned", file, line);
    start = hw_alloc_committed_aligned(cursor, size, align);
    hw_debug_made_(*cursor, start, size, "hw_alloc_committed_aligned", file, line);
    return start;
}

static inline void *hw_alloc_committed_at_(hw_cursor *cursor, size_t size, const char *file, int line)
{
    void *start;
    hw_debug_check_(cursor, HIGHWATER_MIN_ALIGN, "hw_alloc_committed", file, line);
    start = hw_alloc_committed(cursor, size);
    hw_debug_made_(*cursor, start, size, "hw_alloc_committed", file, line);
    return start;
}

static inline void *hw_alloc_zeroed_at_(hw_cursor *cursor, size_t size, const char *file, int line)
{
    void *start;
    hw_debug_check_(cursor, HIGHWATER_MIN_ALIGN, "hw_alloc_zeroed", file, line);
    start = hw_alloc_zeroed(cursor, size);
    hw_debug_made_(*cursor, start, size, "hw_alloc_zeroed", file, line);
    return start;
}

static inline void *hw_alloc_array_at_(hw_cursor *cursor, size_t count, size_t size, size_t align, const char *file, int line)
{
    void *start;
    hw_debug_check_(cursor, align, "hw_alloc_array", file, line);
    start = hw_alloc_array(cursor, count, size, align);
    hw_debug_made_(*cursor, start, hw_product_(count, size), "hw_alloc_array", file, line);
    return start;
}

static inline void *hw_try_alloc_array_at_(hw_cursor *cursor, size_t count, size_t size, size_t align, const char *file, int line)
{
    void *start;
    hw_debug_check_(cursor, HIGHWATER_MIN_ALIGN, "hw_try_alloc_array", file, line);
    start = hw_try_alloc_array(cursor, count, size, align);
    hw_debug_made_(*cursor, start, hw_product_(count, size), "hw_try_alloc_array", file, line);
    return start;
}

static inline void *hw_memdup_at_(hw_cursor *cursor, const void *source, size_t size, const char *file, int line)
{
    void *start;
    hw_debug_check_(cursor, HIGHWATER_MIN_ALIGN, "hw_memdup", file, line);
    start = hw_memdup(cursor, source, size);
    hw_debug_made_(*cursor, start, size, "hw_memdup", file, line);
    return start;
}

static inline char *hw_strdup_at_(hw_cursor *cursor, const char *text, const char *file, int line)
{
    char *start;
    hw_debug_check_(cursor, HIGHWATER_MIN_ALIGN, "hw_strdup", file, line);
    start = hw_strdup(cursor, text);
    hw_debug_made_(*cursor, start, start == NULL ? 0 : strlen(start) + 1, "hw_strdup", file, line);
    return start;
}

HIGHWATER_ATTRIBUTE_((format(printf, 2, 0)))
static inline char *hw_vsprintf_at_(hw_cursor *cursor, const char *format, va_list arguments, const char *file, int line)
{
    char *start;
    hw_debug_check_(cursor, HIGHWATER_MIN_ALIGN, "hw_vsprintf", file, line);
    start = hw_vsprintf(cursor, format, arguments);
    hw_debug_made_(*cursor, start, start == NULL ? 0 : strlen(start) + 1, "hw_vsprintf", file, line);
    return start;
}

HIGHWATER_ATTRIBUTE_((format(printf, 4, 5)))
static inline char *hw_sprintf_at_(hw_cursor *cursor, const char *file, int line, const char *format, ...)
{
    va_list arguments;
    char *start;
    hw_debug_check_(cursor, HIGHWATER_MIN_ALIGN, "hw_sprintf", file, line);
    va_start(arguments, format);
    start = hw_vsprintf(cursor, format, arguments);
    va_end(arguments);
    hw_debug_made_(*cursor, start, start == NULL ? 0 : strlen(start) + 1, "hw_sprintf", file, line);
    return start;
}

static inline hw_cursor hw_push_at_(hw_cursor parent, const char *file, int line)
{
    hw_debug_check_(&parent, HIGHWATER_MIN_ALIGN, "hw_push", file, line);
    hw_debug_made_(parent, parent.position, 0, "hw_push", file, line);
    return parent;
}

#define hw_alloc(cursor, size) hw_alloc_at_((cursor), (size), __FILE__, __LINE__)
#define hw_alloc_aligned(cursor, size, align) hw_alloc_aligned_at_((cursor), (size), (align), __FILE__, __LINE__)
#define hw_try_alloc_why(cursor, size, align, why) \
    hw_try_alloc_why_at_((cursor), (size), (align), (why), __FILE__, __LINE__)
#define hw_try_alloc_aligned(cursor, size, align) \
    hw_try_alloc_why_at_((cursor), (size), (align), NULL, __FILE__, __LINE__)
#define hw_try_alloc(cursor, size) hw_try_alloc_at_((cursor), (size), __FILE__, __LINE__)
#define hw_alloc_committed_aligned(cursor, size, align) \
    hw_alloc_committed_aligned_at_((cursor), (size), (align), __FILE__, __LINE__)
#define hw_alloc_committed(cursor, size) hw_alloc_committed_at_((cursor), (size), __FILE__, __LINE__)
#define hw_alloc_zeroed(cursor, size) hw_alloc_zeroed_at_((cursor), (size), __FILE__, __LINE__)
#define hw_alloc_array(cursor, count, size, align) \
    hw_alloc_array_at_((cursor), (count), (size), (align), __FILE__, __LINE__)
#define hw_try_alloc_array(cursor, count, size, align) \
    hw_try_alloc_array_at_((cursor), (count), (size), (align), __FILE__, __LINE__)
#define hw_memdup(cursor, source, size) hw_memdup_at_((cursor), (source), (size), __FILE__, __LINE__)
#define hw_strdup(cursor, text) hw_strdup_at_((cursor), (text), __FILE__, __LINE__)
#define hw_vsprintf(cursor, format, arguments) \
    hw_vsprintf_at_((cursor), (format), (arguments), __FILE__, __LINE__)
#define hw_sprintf(cursor, ...) hw_sprintf_at_((cursor), __FILE__, __LINE__, __VA_ARGS__)
#define hw_push(parent) hw_push_at_((parent), __FILE__, __LINE__)

#endif /* HIGHWATER_DEBUG */

#ifdef __cplusplus
}
#endif

HIGHWATER_STATIC_ASSERT_(sizeof(hw_cursor) == 2 * sizeof(void *), "a cursor is two words");
HIGHWATER_STATIC_ASSERT_(sizeof(hw_error) == 256, "an error is 256 bytes");
HIGHWATER_STATIC_ASSERT_(sizeof(hw_status) == 4, "enumerations are 32 bits wide (no -fshort-enums)");

#endif /* HIGHWATER_H */
