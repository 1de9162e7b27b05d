/* Blocks of malloc that only an arena refers to, under LeakSanitizer. */
#include "check.h"

#define COUNT 100
#define APART ((size_t)64 << 10)

static hw_arena *arena;

/* Pointers all over an arena, far beyond its head. */
__attribute__((noinline)) static void hidden(void)
{
    hw_cursor cursor = hw_arena_cursor(arena);
    for (int i = 0; i < COUNT; ++i) {
        void **place = (void **)hw_alloc(&cursor, APART);
        *place = malloc(123);
        CHECK(*place != NULL);
    }
}

/* So that no pointer is left on the stack or in a register. */
__attribute__((noinline)) static void scrubbed(void)
{
    volatile char stack[16384];
    memset((char *)stack, 0, sizeof stack);
}

static void made(hw_engine_choice engine)
{
    hw_options options = HIGHWATER_OPTIONS;
    options.engine = engine;
    options.reserve = (size_t)64 << 20;
    arena = hw_arena_new(&options);
    hidden();
    scrubbed();
}

static void kept(void)
{
    made(HIGHWATER_CHOOSE_DEFAULT);
}

static void paged(void)
{
    made(HIGHWATER_CHOOSE_PAGED);
}

/* With the arena everything that it refers to is lost. */
static void lost(void)
{
    made(HIGHWATER_CHOOSE_DEFAULT);
    hw_arena_free(arena);
    arena = NULL;
}

/* Whether leaks are found at all. */
static void leaky(void)
{
    void *volatile block = malloc(123);
    block = NULL;
    (void)block;
    scrubbed();
}

static void clean(void)
{
}

static const struct test_case cases[] = {
    {"kept", kept}, {"paged", paged}, {"lost", lost}, {"leaky", leaky}, {"clean", clean}};
MAIN(cases)
