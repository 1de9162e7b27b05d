/* Allocation through cursors: what it gives, and what it answers to NULL, zero, overflow and misuse. */
#include "check.h"

#include <unistd.h>

#define MIB ((size_t)1 << 20)

static void blocks(void)
{
    hw_arena *arena = arena_of(64 * MIB);
    hw_cursor cursor = hw_arena_cursor(arena);
    char *base = (char *)hw_arena_base(arena);
    CHECK(cursor.position == base && is_aligned(base, 4096));

    char *one = (char *)hw_alloc(&cursor, 1);
    char *nine = (char *)hw_alloc(&cursor, 9);
    int *number = HIGHWATER_NEW(&cursor, int);
    CHECK(one == base && nine == base + 8 && (char *)number == base + 24);
    CHECK(hw_used(cursor) == 32 && hw_remaining(cursor) == 64 * MIB - 32);

    /* Types that need more get more; others cost no padding. */
    long double *wide = HIGHWATER_NEW(&cursor, long double);
    CHECK(is_aligned(wide, HIGHWATER_ALIGNOF_(long double)));
    CHECK(is_aligned(hw_alloc_aligned(&cursor, 1, HIGHWATER_MAX_ALIGN), HIGHWATER_MAX_ALIGN));
    for (size_t align = 1; align <= 4 * MIB; align *= 2) {
        char *block = (char *)hw_alloc_aligned(&cursor, 3, align);
        CHECK(is_aligned(block, align) && is_aligned(cursor.position, HIGHWATER_MIN_ALIGN));
        *block = 1;
    }

    /* Memory that was never used is zero, and writes to all of it are fine. */
    double *array = HIGHWATER_ARRAY(&cursor, double, MIB);
    for (size_t i = 0; i < MIB; ++i) {
        CHECK(array[i] == 0);
        array[i] = (double)i;
    }
    CHECK(array[MIB - 1] == MIB - 1);
    CHECK(hw_arena_committed(arena) >= 8 * MIB && hw_arena_contains(arena, array));
    CHECK(!hw_arena_contains(arena, &cursor));

    /* The same addresses, and what was in them. */
    cursor = hw_arena_reset(arena);
    CHECK(cursor.position == base && hw_used(cursor) == 0);
    *base = 7;
    CHECK(*(char *)hw_alloc_zeroed(&cursor, 100) == 0);
    hw_arena_free(arena);
}

static void zero(void)
{
    hw_arena *arena = arena_of(4096);
    hw_cursor cursor = hw_arena_cursor(arena);
    char *full = (char *)hw_alloc(&cursor, 4096);
    full[4095] = 1;
    CHECK(hw_remaining(cursor) == 0);
    /* Nothing is left, and nothing is what these take. */
    CHECK(is_there(hw_alloc(&cursor, 0)) && hw_try_alloc(&cursor, 0) != NULL);
    CHECK(is_aligned(hw_alloc_aligned(&cursor, 0, 64), 64) && is_aligned(hw_try_alloc_aligned(&cursor, 0, 64), 64));
    CHECK(is_there(hw_alloc_committed(&cursor, 0)) && is_there(hw_alloc_zeroed(&cursor, 0)));
    CHECK(is_there(HIGHWATER_ARRAY(&cursor, long double, 0)) && HIGHWATER_TRY_ARRAY(&cursor, int, 0) != NULL);
    CHECK(is_there(hw_memdup(&cursor, "", 0)));
    CHECK(hw_used(cursor) == 4096);
    CHECK(hw_commit_ahead(cursor, 0, NULL) == HIGHWATER_OK && hw_ensure(full, 0, NULL) == HIGHWATER_OK);
    hw_arena_free(arena);
}

static void overflow(void)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 7, SIZE_MAX - 4096, SIZE_MAX / 2 + 1, SIZE_MAX / 2, 4097 - 16};
    hw_arena *arena = arena_of(4096);
    hw_cursor cursor = hw_arena_cursor(arena);
    char *first = (char *)hw_alloc(&cursor, 16);
    hw_error error;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        hw_cursor before = cursor;
        CHECK(hw_try_alloc(&cursor, sizes[i]) == NULL);
        CHECK(hw_try_alloc_aligned(&cursor, sizes[i], 64) == NULL);
        CHECK(hw_try_alloc_why(&cursor, sizes[i], 8, &error) == NULL);
        CHECK(error.status == HIGHWATER_ERROR_MEMORY && error.cause == HIGHWATER_CAUSE_RESERVATION_EXHAUSTED);
        CHECK(error.requested == sizes[i] && error.used == 16 && error.limit == 4096);
        CHECK(contains(error.message, "arena \"test\" out of memory: requested"));
        CHECK(HIGHWATER_TRY_ARRAY(&cursor, int, sizes[i]) == NULL);
        CHECK(HIGHWATER_TRY_ARRAY(&cursor, long double, sizes[i]) == NULL);
        CHECK(hw_commit_ahead(cursor, sizes[i], &error) == HIGHWATER_ERROR_MEMORY);
        CHECK(hw_ensure(first, sizes[i] < 4096 ? 4097 : sizes[i], &error) == HIGHWATER_ERROR_MEMORY);
        CHECK(hw_arena_ensure(arena, sizes[i] < 4096 ? 4097 : sizes[i], &error) == HIGHWATER_ERROR_MEMORY);
        CHECK(before.position == cursor.position && before.limit == cursor.limit);
    }
    /* Alignments that leave no room, and those that are none. */
    CHECK(hw_try_alloc_aligned(&cursor, 1, (size_t)1 << 63) == NULL);
    CHECK(hw_try_alloc_aligned(&cursor, SIZE_MAX, (size_t)1 << 63) == NULL);
    CHECK(hw_try_alloc_why(&cursor, 1, 3, &error) == NULL && error.status == HIGHWATER_ERROR_ARGUMENT);
    CHECK(contains(error.message, "an alignment of 3 is no power of two"));
    CHECK(hw_try_alloc_why(&cursor, 1, 0, &error) == NULL && error.status == HIGHWATER_ERROR_ARGUMENT);
    /* Exactly what is left. */
    CHECK(hw_try_alloc(&cursor, 4080) == first + 16 && hw_try_alloc(&cursor, 1) == NULL);
    hw_arena_free(arena);
}

/* A cursor that was never made. (A debug build refuses it.) */
static void nowhere(void)
{
    hw_cursor none = {NULL, NULL};
    hw_error error;
    CHECK(hw_try_alloc(&none, 1) == NULL && hw_try_alloc_why(&none, 1, 8, &error) == NULL);
    CHECK(error.status == HIGHWATER_ERROR_ARGUMENT && contains(error.message, "in no arena"));
    CHECK(hw_used(none) == 0 && hw_remaining(none) == 0);
    CHECK(hw_commit_ahead(none, 1, &error) == HIGHWATER_ERROR_ARGUMENT);
    CHECK(hw_refresh(none).limit == NULL && hw_arena_cursor(NULL).position == NULL);
    CHECK(hw_arena_reset(NULL).position == NULL);
    CHECK(hw_alloc(&none, 0) == NULL && hw_alloc_zeroed(&none, 0) == NULL && hw_memdup(&none, "", 0) == NULL);
    CHECK(hw_try_alloc(&none, 0) == NULL && hw_alloc_committed(&none, 0) == NULL);
}

static void limits(void)
{
    hw_options options = hw_options_init();
    hw_error error;
    options.limit = 1003; /* 1000, as every block is a multiple of 8 */
    hw_arena *arena = hw_arena_new(&options);
    hw_cursor cursor = hw_arena_cursor(arena);
    CHECK(hw_arena_limit(arena) == 1003 && hw_remaining(cursor) == 1000);
    CHECK(hw_try_alloc_why(&cursor, 1001, 8, &error) == NULL && error.cause == HIGHWATER_CAUSE_REGION_LIMIT);
    CHECK(hw_try_alloc(&cursor, 1000) != NULL && hw_try_alloc(&cursor, 1) == NULL);

    /* Below what is in use a limit stops what follows, and nothing else. */
    CHECK(hw_arena_set_limit(arena, &cursor, 500) == HIGHWATER_OK);
    CHECK(cursor.limit == cursor.position && hw_remaining(cursor) == 0);
    CHECK(hw_try_alloc(&cursor, 1) == NULL && is_there(hw_alloc(&cursor, 0)));
    hw_cursor root = hw_arena_cursor(arena);
    CHECK(hw_remaining(root) == 496);
    CHECK(hw_arena_set_limit(arena, &cursor, 0) == HIGHWATER_OK && hw_remaining(hw_arena_cursor(arena)) == 0);
    root = hw_arena_cursor(arena);
    CHECK(root.position != NULL && hw_try_alloc(&root, 1) == NULL);

    /* The smaller of the two holds. */
    CHECK(hw_arena_set_limit(arena, NULL, HIGHWATER_NONE) == HIGHWATER_OK && hw_arena_limit(arena) == 1003);
    CHECK(hw_arena_set_limit(NULL, NULL, 1) == HIGHWATER_ERROR_ARGUMENT);
    hw_arena_free(arena);

    /* A guard in the arena is where it ends. */
    arena = arena_of(16 * MIB);
    cursor = hw_arena_cursor(arena);
    CHECK(is_there(hw_alloc(&cursor, 100)));
    CHECK(hw_arena_guard(arena, &cursor, 0, MIB, &error) == HIGHWATER_ERROR_GUARD);
    CHECK(hw_arena_guard(arena, &cursor, MIB, 1, &error) == HIGHWATER_ERROR_GUARD);
    CHECK(hw_arena_guard(arena, &cursor, MIB, 0, &error) == HIGHWATER_ERROR_GUARD);
    CHECK(hw_arena_guard(arena, &cursor, MIB, SIZE_MAX, &error) == HIGHWATER_ERROR_ARGUMENT);
    CHECK(hw_arena_guard(arena, &cursor, 32 * MIB, MIB, &error) == HIGHWATER_ERROR_GUARD);
    CHECK(hw_arena_guard(NULL, &cursor, MIB, MIB, &error) == HIGHWATER_ERROR_ARGUMENT);
    CHECK(hw_arena_guard(arena, &cursor, MIB, MIB, &error) == HIGHWATER_OK && error.status == HIGHWATER_OK);
    CHECK(hw_remaining(cursor) == MIB - 104 && hw_try_alloc(&cursor, MIB) == NULL);
    memset(hw_alloc(&cursor, MIB - 104), 1, MIB - 104);
    hw_arena_free(arena);
}

static void second_stack(void)
{
    hw_arena *arena = arena_of(64 * MIB);
    hw_cursor cursor = hw_arena_cursor(arena);
    int *kept = HIGHWATER_NEW(&cursor, int);
    char *result = NULL;
    *kept = 5;
    for (int i = 0; i < 1000; ++i) {
        hw_cursor scratch = hw_push(cursor);
        memset(hw_alloc(&scratch, MIB), i, MIB);
        if (i == 999) {
            /* A result goes down, over the memory it came from. */
            char *long_text = (char *)hw_alloc(&scratch, 0);
            char *text = hw_sprintf(&scratch, "%0200d", i);
            CHECK(text == long_text);
            result = hw_strdup(&cursor, text);
        }
    }
    CHECK(*kept == 5 && strlen(result) == 200 && strcmp(result + 197, "999") == 0);
    CHECK(hw_used(cursor) == 8 + 208 && hw_arena_committed(arena) < 8 * MIB);

    char *moved = (char *)hw_alloc(&cursor, 0);
    hw_cursor scratch = hw_push(cursor);
    hw_alloc(&scratch, 8);
    char *pattern = (char *)hw_alloc(&scratch, 100);
    for (int i = 0; i < 100; ++i) {
        pattern[i] = (char)i;
    }
    char *copy = (char *)hw_memdup(&cursor, pattern, 100);
    CHECK(copy == moved && copy[0] == 0 && copy[99] == 99);
    hw_arena_free(arena);
}

static char *formatted(hw_cursor *cursor, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = hw_vsprintf(cursor, format, arguments);
    va_end(arguments);
    return text;
}

static void text(void)
{
    hw_arena *arena = arena_of(16 * MIB);
    hw_cursor cursor = hw_arena_cursor(arena);
    CHECK(strcmp(hw_strdup(&cursor, "rope"), "rope") == 0 && hw_used(cursor) == 8);
    CHECK(strcmp(hw_strdup(&cursor, ""), "") == 0);
    CHECK(strcmp(hw_sprintf(&cursor, "%s-%d", "ab", 42), "ab-42") == 0);
    CHECK(strcmp(formatted(&cursor, "%c%c", 'x', 'y'), "xy") == 0);
    CHECK(memcmp(hw_memdup(&cursor, "a\0b", 3), "a\0b", 3) == 0);
    size_t used = hw_used(cursor);
    const char *none = NULL;
    CHECK(hw_strdup(&cursor, none) == NULL && hw_memdup(&cursor, none, 8) == NULL);
    CHECK(formatted(&cursor, none) == NULL && hw_used(cursor) == used);

    /* Longer than what is committed, to the byte. */
    char *wide = hw_sprintf(&cursor, "%*d", 3000000, 7);
    CHECK(strlen(wide) == 3000000 && wide[2999999] == '7' && hw_used(cursor) == used + 3000008);
    CHECK(hw_sprintf(&cursor, "%s", "") != NULL && hw_used(cursor) == used + 3000016);

    /* Made of what a copy of the cursor has, which lies where the text is going to; short and long. */
    hw_cursor scratch = hw_push(cursor);
    char *word = hw_strdup(&scratch, "hello");
    CHECK(strcmp(hw_sprintf(&cursor, "[%s]", word), "[hello]") == 0);
    scratch = hw_push(cursor);
    char *letters = HIGHWATER_ARRAY(&scratch, char, 2001);
    memset(letters, 'x', 2000);
    letters[2000] = 0;
    char *twice = hw_sprintf(&cursor, "%s-%s", letters, letters);
    CHECK(strlen(twice) == 4001 && strspn(twice, "x") == 2000 && strspn(twice + 2001, "x") == 2000);
    hw_arena_free(arena);

    arena = arena_of(4096);
    cursor = hw_arena_cursor(arena);
    CHECK(strlen(hw_sprintf(&cursor, "%*d", 4095, 1)) == 4095 && hw_remaining(cursor) == 0);
    hw_arena_free(arena);
}

static void committed(void)
{
    hw_arena *arena = arena_of(64 * MIB);
    hw_cursor cursor = hw_arena_cursor(arena);
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    for (int i = 0; i < 3; ++i) {
        hw_alloc(&cursor, 5 * MIB); /* never touched */
        char *buffer = (char *)(i == 0   ? hw_alloc_committed(&cursor, MIB)
                                : i == 1 ? hw_alloc_committed_aligned(&cursor, MIB, 4096)
                                         : hw_try_alloc(&cursor, MIB));
        CHECK(write(pipes[1], "word", 4) == 4);
        CHECK(read(pipes[0], buffer + MIB - 4, 4) == 4 && memcmp(buffer + MIB - 4, "word", 4) == 0);
    }
    hw_error error;
    hw_alloc(&cursor, 5 * MIB);
    CHECK(hw_commit_ahead(cursor, MIB, &error) == HIGHWATER_OK && error.status == HIGHWATER_OK);
    CHECK(hw_arena_committed(arena) >= hw_used(cursor) + MIB);
    char *ahead = (char *)hw_alloc(&cursor, MIB);
    CHECK(write(pipes[1], "word", 4) == 4 && read(pipes[0], ahead + MIB - 4, 4) == 4);

    char *later = (char *)hw_alloc(&cursor, 7 * MIB);
    CHECK(hw_ensure(later + 6 * MIB, 4, &error) == HIGHWATER_OK);
    CHECK(write(pipes[1], "word", 4) == 4 && read(pipes[0], later + 6 * MIB, 4) == 4);
    /* Memory that is nobody's business. */
    CHECK(hw_ensure(&error, sizeof error, NULL) == HIGHWATER_OK && hw_ensure(NULL, 1, NULL) == HIGHWATER_OK);

    CHECK(hw_arena_ensure(arena, 60 * MIB, NULL) == HIGHWATER_OK && hw_arena_committed(arena) == 60 * MIB);
    CHECK(hw_arena_ensure(NULL, 1, NULL) == HIGHWATER_ERROR_ARGUMENT);

    cursor = hw_arena_reset(arena);
    hw_alloc(&cursor, 3 * MIB + 1);
    CHECK(hw_arena_trim(arena, &cursor, 0) == 57 * MIB - 4096);
    CHECK(hw_arena_trim(arena, &cursor, 0) == 0 && hw_arena_trim(NULL, &cursor, 0) == 0);
    hw_arena *other = arena_of(MIB);
    hw_cursor wrong = hw_arena_cursor(other);
    CHECK(hw_arena_trim(arena, &wrong, 0) == 0 && hw_arena_guard(arena, &wrong, 8 * MIB, 4096, NULL) != HIGHWATER_OK);
    hw_arena_free(other);
    memset(hw_alloc(&cursor, 20 * MIB), 1, 20 * MIB);
    cursor = hw_arena_reset(arena);
    CHECK(hw_arena_trim(arena, NULL, 0) > 20 * MIB && hw_arena_committed(arena) == 0);
    cursor = hw_refresh(cursor);
    CHECK(*(char *)hw_alloc(&cursor, 1) == 0);
    hw_arena_free(arena);
}

/* The cases that end the program. */

static hw_cursor small(void)
{
    return hw_arena_cursor(arena_of(4096));
}

/* Written, so that no compiler leaves the allocation out. */
static void use(void *pointer)
{
    *(volatile char *)pointer = 1;
}

static volatile size_t three = 3, huge = SIZE_MAX, half = SIZE_MAX / 8 + 2;

static void dies_of_size(void)
{
    hw_cursor cursor = small();
    use(hw_alloc(&cursor, 5000));
}
static void dies_of_largest(void)
{
    hw_cursor cursor = small();
    use(hw_alloc(&cursor, huge));
}
static void dies_of_product(void)
{
    hw_cursor cursor = small();
    use(HIGHWATER_ARRAY(&cursor, double, half));
}
static void dies_of_wide_product(void)
{
    hw_cursor cursor = small();
    use(HIGHWATER_ARRAY(&cursor, long double, half));
}
static void dies_of_alignment(void)
{
    hw_cursor cursor = small();
    use(hw_alloc_aligned(&cursor, 1, three));
}
static void dies_of_no_alignment(void)
{
    hw_cursor cursor = small();
    use(hw_alloc_aligned(&cursor, 1, three - 3));
}
static void dies_of_far_alignment(void)
{
    hw_cursor cursor = small();
    hw_alloc(&cursor, 8);
    use(hw_alloc_aligned(&cursor, 1, (size_t)1 << 62));
}
static void dies_of_no_cursor(void)
{
    hw_cursor cursor = {NULL, NULL};
    use(hw_alloc(&cursor, 1));
}
static void dies_of_stale_limit(void)
{
    hw_arena *arena = arena_of(MIB);
    hw_arena_set_limit(arena, NULL, 64);
    hw_cursor cursor = hw_arena_cursor(arena);
    hw_arena_set_limit(arena, NULL, HIGHWATER_NONE);
    use(hw_alloc(&cursor, 100));
#ifdef HIGHWATER_EXPLICIT
    abort(); /* asks again, and is given it */
#endif
}
static void dies_of_commit(void)
{
    hw_cursor cursor = hw_arena_cursor(arena_of(64 * MIB));
    hw_inject(HIGHWATER_INJECT_AFTER, 0, 0);
    use(hw_alloc_committed(&cursor, 8 * MIB));
}
static void dies_of_reserve(void)
{
    arena_of(SIZE_MAX - 4096);
}

static const struct test_case cases[] = {
    {"blocks", blocks},
    {"zero", zero},
    {"overflow", overflow},
    {"nowhere", nowhere},
    {"limits", limits},
    {"second stack", second_stack},
    {"text", text},
    {"committed", committed},
    {"dies of size", dies_of_size},
    {"dies of largest", dies_of_largest},
    {"dies of product", dies_of_product},
    {"dies of wide product", dies_of_wide_product},
    {"dies of alignment", dies_of_alignment},
    {"dies of no alignment", dies_of_no_alignment},
    {"dies of far alignment", dies_of_far_alignment},
    {"dies of no cursor", dies_of_no_cursor},
    {"dies of stale limit", dies_of_stale_limit},
    {"dies of commit", dies_of_commit},
    {"dies of reserve", dies_of_reserve},
};
MAIN(cases)
