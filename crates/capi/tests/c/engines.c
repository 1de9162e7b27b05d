/* Engines that are chosen at run time. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#define BYTES ((size_t)30000000)
#define COUNT (BYTES / sizeof(unsigned))

/* Fills memory by one copy, and finds all of it there. */
static void copied(void *to)
{
    static unsigned numbers[COUNT];
    for (size_t i = 0; i < COUNT; ++i) {
        numbers[i] = (unsigned)i * 2654435769u;
    }
    memcpy(to, numbers, BYTES);
    CHECK(memcmp(to, numbers, BYTES) == 0);
}

static hw_engine engine_of(const hw_arena *arena)
{
    hw_stats stats = HIGHWATER_STATS;
    CHECK(hw_arena_stats(arena, &stats) == HIGHWATER_OK);
    return stats.engine;
}

/* An arena's memory in every way there is to get it. */
static void used(hw_arena *arena)
{
    hw_cursor cursor = hw_arena_cursor(arena);
    copied(hw_alloc(&cursor, BYTES));
    copied(hw_try_alloc(&cursor, BYTES));
    copied(hw_alloc_committed(&cursor, BYTES));
    CHECK(hw_used(cursor) == 3 * BYTES);
    CHECK(hw_try_alloc(&cursor, (size_t)1 << 50) == NULL);
    cursor = hw_arena_reset(arena);
    CHECK(hw_arena_trim(arena, &cursor, 0) > 0);
    CHECK(((char *)hw_alloc(&cursor, BYTES))[BYTES - 1] == 0);
}

/* No handler is installed, and none is missed, although the signal is blocked. */
static void paged(void)
{
    struct sigaction action;
    sigset_t all;
    sigfillset(&all);
    CHECK(sigprocmask(SIG_BLOCK, &all, NULL) == 0);

    hw_options options = HIGHWATER_OPTIONS;
    options.engine = HIGHWATER_CHOOSE_PAGED;
    options.reserve = (size_t)1 << 28;
    hw_arena *arena = hw_arena_new(&options);
    CHECK(engine_of(arena) == HIGHWATER_ENGINE_PAGED && hw_arena_committed(arena) == hw_arena_reserved(arena));
    used(arena);
    /* The kernel is given memory that was never touched. */
    hw_cursor cursor = hw_arena_reset(arena);
    (void)hw_arena_trim(arena, &cursor, 0);
    int zero = open("/dev/zero", O_RDONLY);
    CHECK(zero >= 0 && read(zero, hw_alloc(&cursor, BYTES), BYTES) == (ssize_t)BYTES && close(zero) == 0);
    hw_arena_free(arena);

    options.limit = 1000;
    arena = hw_arena_new(&options);
    cursor = hw_arena_cursor(arena);
    hw_error error;
    CHECK(hw_try_alloc_why(&cursor, 1001, 8, &error) == NULL && error.cause == HIGHWATER_CAUSE_REGION_LIMIT);
    hw_arena_free(arena);

    CHECK(hw_set_engine(HIGHWATER_CHOOSE_PAGED, &error) == HIGHWATER_OK);
    CHECK(hw_default_engine() == HIGHWATER_ENGINE_PAGED);
    arena = hw_arena_new(NULL);
    CHECK(engine_of(arena) == HIGHWATER_ENGINE_PAGED);
    used(arena);
    hw_arena_free(arena);
    HIGHWATER_VEC(size_t) vec = HIGHWATER_VEC_INIT;
    for (size_t i = 0; i < 1000000; ++i) {
        HIGHWATER_VEC_PUSH(&vec, i);
    }
    CHECK(vec.data[999999] == 999999);
    HIGHWATER_VEC_FREE(&vec);

    CHECK(sigaction(SIGSEGV, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    CHECK(hw_set_engine(HIGHWATER_CHOOSE_DEFAULT, NULL) == HIGHWATER_OK);
    CHECK(hw_default_engine() == hw_library_engine());
}

static void chosen(void)
{
    hw_error error;
    hw_arena *arena;
    hw_options options = HIGHWATER_OPTIONS;
    const bool is_fault = hw_library_engine() == HIGHWATER_ENGINE_FAULT;
    const hw_engine_choice own = is_fault ? HIGHWATER_CHOOSE_FAULT : HIGHWATER_CHOOSE_EXPLICIT;
    const hw_engine_choice other = is_fault ? HIGHWATER_CHOOSE_EXPLICIT : HIGHWATER_CHOOSE_FAULT;
    options.engine = own;
    CHECK(hw_arena_create(&options, &arena, &error) == HIGHWATER_OK);
    CHECK(engine_of(arena) == hw_library_engine());
    hw_arena_free(arena);
    options.engine = other;
    CHECK(hw_arena_create(&options, &arena, &error) == HIGHWATER_ERROR_OPTIONS);
    CHECK(strstr(error.message, "is chosen when the library is built") != NULL);
    CHECK(hw_set_engine(other, &error) == HIGHWATER_ERROR_OPTIONS && hw_set_engine(own, &error) == HIGHWATER_OK);
    options.engine = (hw_engine_choice)4;
    CHECK(hw_arena_create(&options, &arena, &error) == HIGHWATER_ERROR_OPTIONS);
    CHECK(hw_set_engine((hw_engine_choice)4, NULL) == HIGHWATER_ERROR_OPTIONS);
    options.engine = HIGHWATER_CHOOSE_DEFAULT;
    options.reserved_2_ = 1;
    CHECK(hw_arena_create(&options, &arena, &error) == HIGHWATER_ERROR_OPTIONS);
}

/* What a program does that knows nothing of valgrind, and may be run under it. */
static void ordinary(void)
{
    hw_arena *arena = hw_arena_new(NULL);
    used(arena);
    HIGHWATER_VEC(unsigned) vec = HIGHWATER_VEC_INIT;
    for (unsigned i = 0; i < 100000; ++i) {
        HIGHWATER_VEC_PUSH(&vec, i);
    }
    CHECK(vec.data[99999] == 99999);
    HIGHWATER_VEC_FREE(&vec);
    hw_arena_free(arena);
}

static const struct test_case cases[] = {{"paged", paged}, {"chosen", chosen}, {"ordinary", ordinary}};
MAIN(cases)
