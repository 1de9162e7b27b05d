/* A program that tells valgrind of its arena, as docs/c.md says; run with errors counted. */
#include "check.h"

#include <valgrind/memcheck.h>

static void quiet(void)
{
    hw_arena *arena = hw_arena_new(NULL);
    void *base = hw_arena_base(arena);
    unsigned told = VALGRIND_DISABLE_ADDR_ERROR_REPORTING_IN_RANGE(base, hw_arena_reserved(arena));
    hw_cursor cursor = hw_arena_cursor(arena);
    int *numbers = HIGHWATER_ARRAY(&cursor, int, 1000000);
    for (int i = 0; i < 1000000; ++i) {
        numbers[i] = i;
    }
    CHECK(numbers[999999] == 999999);
    VALGRIND_ENABLE_ADDR_ERROR_REPORTING_IN_RANGE(base, hw_arena_reserved(arena));
    hw_arena_free(arena);
    (void)told;
}

static const struct test_case cases[] = {{"quiet", quiet}};
MAIN(cases)
