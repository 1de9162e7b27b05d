/* The debug build of the header: what it logs and what it refuses. */
#ifndef HIGHWATER_DEBUG
#define HIGHWATER_DEBUG
#endif
#include "check.h"

#define MIB ((size_t)1 << 20)

static char lines[1 << 16];

static void collect(void *user, const char *text, size_t length)
{
    CHECK(user == (void *)lines && text[length - 1] == '\n');
    strncat(lines, text, length);
}

/* What the next allocation is expected to log, apart from the start and the end of the arena. */
static void logged(const char *call, size_t size, int line, const void *at, const hw_cursor *cursor, const void *base)
{
    char expected[512];
    snprintf(expected, sizeof expected, "highwater: %s:%d: %s: %zu bytes at %p, start %p, current %p, end %p\n", __FILE__,
             line, call, size, at, base, (void *)cursor->position, (void *)cursor->limit);
    if (at == NULL) { /* %p of NULL is the C library's own */
        snprintf(expected, sizeof expected, "highwater: %s:%d: %s: %zu bytes at 0x0, ", __FILE__, line, call, size);
        lines[strlen(expected)] = '\0';
    }
    if (strcmp(lines, expected) != 0) {
        fprintf(stderr, "expected %s     got %s", expected, lines);
        exit(1);
    }
    lines[0] = '\0';
}

static char *formatted(hw_cursor *cursor, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = hw_vsprintf(cursor, format, arguments);
    va_end(arguments);
    return text;
}

static void logs(void)
{
    hw_arena *arena = arena_of(MIB);
    hw_cursor cursor = hw_arena_cursor(arena);
    void *base = hw_arena_base(arena), *made;
    hw_debug_log(true, collect, lines);
#define LOGGED(call, size, expression) \
    do { \
        made = (void *)(expression); \
        logged(call, size, __LINE__, made, &cursor, base); \
    } while (0)
    LOGGED("hw_alloc", 10, hw_alloc(&cursor, 10));
    LOGGED("hw_alloc_aligned", 10, hw_alloc_aligned(&cursor, 10, 64));
    LOGGED("hw_alloc_committed", 10, hw_alloc_committed(&cursor, 10));
    LOGGED("hw_alloc_committed_aligned", 10, hw_alloc_committed_aligned(&cursor, 10, 64));
    LOGGED("hw_alloc_zeroed", 10, hw_alloc_zeroed(&cursor, 10));
    LOGGED("hw_try_alloc", 10, hw_try_alloc(&cursor, 10));
    LOGGED("hw_try_alloc", SIZE_MAX, hw_try_alloc(&cursor, SIZE_MAX));
    LOGGED("hw_try_alloc_why", 10, hw_try_alloc_aligned(&cursor, 10, 64));
    LOGGED("hw_try_alloc_why", 10, hw_try_alloc_why(&cursor, 10, 64, NULL));
    LOGGED("hw_alloc_array", sizeof(int), HIGHWATER_NEW(&cursor, int));
    LOGGED("hw_alloc_array", 6 * sizeof(long double), HIGHWATER_ARRAY(&cursor, long double, 6));
    LOGGED("hw_try_alloc_array", sizeof(int), HIGHWATER_TRY_NEW(&cursor, int));
    LOGGED("hw_memdup", 5, hw_memdup(&cursor, "abcde", 5));
    LOGGED("hw_strdup", 6, hw_strdup(&cursor, "abcde"));
    LOGGED("hw_sprintf", 3, hw_sprintf(&cursor, "%d", 42));
    CHECK(strcmp(formatted(&cursor, "%d", 43), "43") == 0 && contains(lines, "hw_vsprintf: 3 bytes at 0x"));
    lines[0] = '\0';
    hw_cursor scratch = hw_push(cursor);
    CHECK(contains(lines, "hw_push: 0 bytes at 0x"));
    lines[0] = '\0';
    CHECK(scratch.position == cursor.position && sizeof scratch == 2 * sizeof(void *));
    hw_debug_log(false, NULL, NULL);
    CHECK(hw_alloc(&cursor, 1) != made && lines[0] == '\0');
    hw_debug_log(true, NULL, NULL);
    hw_alloc(&cursor, 77); /* on standard error */
    hw_arena_free(arena);
}

static hw_cursor quiet(hw_arena **arena)
{
    hw_debug_log(false, NULL, NULL);
    *arena = arena_of(MIB);
    return hw_arena_cursor(*arena);
}

static void dies_of_null(void)
{
    hw_alloc(NULL, 1);
}
static void dies_of_nowhere(void)
{
    hw_cursor cursor = {NULL, NULL};
    hw_sprintf(&cursor, "%d", 1);
}
static void dies_of_skew(void)
{
    hw_arena *arena;
    hw_cursor cursor = quiet(&arena);
    cursor.position += 3;
    hw_alloc(&cursor, 1);
}
static void dies_beyond(void)
{
    hw_arena *arena;
    hw_cursor cursor = quiet(&arena);
    cursor.position = cursor.limit + 8;
    hw_strdup(&cursor, "x");
}
static void dies_of_a_freed_arena(void)
{
    hw_arena *arena;
    hw_cursor cursor = quiet(&arena);
    hw_arena_free(arena);
    hw_push(cursor);
}
static void dies_of_a_stale_limit(void)
{
    hw_arena *arena;
    hw_cursor cursor = quiet(&arena);
    hw_arena_set_limit(arena, NULL, 64);
    hw_alloc_zeroed(&cursor, 8);
}
static void dies_of_an_alignment(void)
{
    hw_arena *arena;
    hw_cursor cursor = quiet(&arena);
    hw_alloc_aligned(&cursor, 8, 12);
}

static const struct test_case cases[] = {
    {"logs", logs},
    {"dies of NULL", dies_of_null},
    {"dies of nowhere", dies_of_nowhere},
    {"dies of skew", dies_of_skew},
    {"dies beyond", dies_beyond},
    {"dies of a freed arena", dies_of_a_freed_arena},
    {"dies of a stale limit", dies_of_a_stale_limit},
    {"dies of an alignment", dies_of_an_alignment},
};
MAIN(cases)
