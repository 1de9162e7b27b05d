/* hw_options: every field, every wrong value, other versions of the structure; and statuses in words. */
#include "check.h"

#define MIB ((size_t)1 << 20)

/* The arena that the options make. */
static hw_arena *made(const hw_options *options)
{
    hw_error error;
    hw_arena *arena = NULL;
    hw_status status = hw_arena_create(options, &arena, &error);
    if (status != HIGHWATER_OK) {
        fprintf(stderr, "%s: %s\n", hw_strerror(status), error.message);
    }
    CHECK(status == HIGHWATER_OK && error.status == HIGHWATER_OK && error.message[0] == '\0' && arena != NULL);
    return arena;
}

/* The options are refused, in these words. */
static void refused(const hw_options *options, hw_status status, const char *words)
{
    hw_error error;
    hw_arena *arena = (hw_arena *)&error;
    hw_status answer = hw_arena_create(options, &arena, &error);
    CHECK(contains(error.message, words));
    CHECK(answer == status && arena == NULL && error.status == status);
    arena = (hw_arena *)&error;
    CHECK(hw_arena_create(options, &arena, NULL) == status && arena == NULL);
}

static void fields(void)
{
    hw_options options = HIGHWATER_OPTIONS;
    hw_arena *arena = made(NULL);
    CHECK(hw_arena_reserved(arena) >= 64 * MIB && hw_arena_committed(arena) == 65536);
    hw_arena_free(arena);
    arena = made(&options);
    CHECK(hw_arena_reserved(arena) >= 64 * MIB && hw_arena_committed(arena) == 65536);
    hw_arena_free(arena);

    hw_range guards[] = {{8 * MIB, 9 * MIB}, {12 * MIB, 13 * MIB}};
    options.name = "named";
    options.reserve = 16 * MIB;
    options.head = MIB;
    options.limit = 15 * MIB;
    options.growth = HIGHWATER_GROWTH_FIXED;
    options.growth_first = 2 * MIB;
    options.populate = HIGHWATER_NO;
    options.huge_pages = HIGHWATER_NO;
    options.guard_mechanism = HIGHWATER_GUARD_PROTECT;
    options.guard_before = 3 * 4096;
    options.guard_after = HIGHWATER_NONE;
    options.guard_reach = 8 * MIB;
    options.guards = guards;
    options.guard_count = 2;
    options.on_violation = HIGHWATER_VIOLATION_ABORT;
    options.violation_format = HIGHWATER_JSON;
    options.headroom = HIGHWATER_NONE;
    arena = made(&options);
    char name[8];
    CHECK(hw_monitor_name(hw_arena_monitor(arena), name, sizeof name) == 5 && strcmp(name, "named") == 0);
    CHECK(hw_monitor_name(hw_arena_monitor(arena), name, 4) == 3 && strcmp(name, "nam") == 0);
    CHECK(hw_monitor_name(hw_arena_monitor(arena), name, 0) == 0 && hw_monitor_name(hw_arena_monitor(arena), NULL, 9) == 0);
    CHECK(hw_arena_reserved(arena) == 16 * MIB && hw_arena_committed(arena) == MIB);
    CHECK(hw_arena_limit(arena) == 8 * MIB); /* to the first guard */
    hw_cursor cursor = hw_arena_cursor(arena);
    memset(hw_alloc(&cursor, MIB + 1), 1, MIB + 1);
    CHECK(hw_arena_committed(arena) == 4 * MIB || hw_arena_committed(arena) == 2 * MIB);
    hw_stats stats = HIGHWATER_STATS;
    CHECK(hw_arena_stats(arena, &stats) == HIGHWATER_OK && stats.populated == 0);
    hw_arena_free(arena);

    options = hw_options_init();
    options.head = HIGHWATER_NONE;
    options.limit = HIGHWATER_NONE;
    options.reserve = HIGHWATER_PHYSICAL;
    options.growth_first = 64 * MIB; /* more than the default largest step, which gives way */
    options.headroom = MIB;
    options.populate = HIGHWATER_YES;
    options.huge_pages = HIGHWATER_YES;
    arena = made(&options);
    CHECK(hw_arena_committed(arena) == 0 && hw_arena_reserved(arena) > 64 * MIB);
    hw_arena_free(arena);

    /* A cursor at the first byte is this arena's, whatever lies before it. */
    options = hw_options_init();
    options.guard_before = HIGHWATER_NONE;
    options.guard_after = HIGHWATER_NONE;
    arena = made(&options);
    CHECK(hw_monitor_is_live(hw_monitor_of((char *)hw_arena_base(arena) - 1)));
    hw_arena_free(arena);

    options = hw_options_init();
    options.growth = HIGHWATER_GROWTH_UPFRONT;
    options.reserve = 4 * MIB;
    arena = made(&options);
    CHECK(hw_arena_committed(arena) == 4 * MIB);
    hw_arena_free(arena);

    options.growth = HIGHWATER_GROWTH_STRESS;
    options.growth_seed = 9;
    arena = made(&options);
    CHECK(hw_arena_committed(arena) == 4096);
    cursor = hw_arena_cursor(arena);
    memset(hw_alloc(&cursor, 40000), 1, 40000);
    CHECK(hw_arena_stats(arena, &stats) == HIGHWATER_OK && stats.commits >= 1);
    cursor = hw_arena_reset(arena); /* gives everything back but the head */
    CHECK(hw_arena_committed(arena) == 4096);
    memset(hw_alloc(&cursor, 40000), 1, 40000);
    hw_arena_free(arena);
}

static void wrong(void)
{
    hw_options options;
#define REFUSED(field, value, status, words) \
    do { \
        options = hw_options_init(); \
        options.field = value; \
        refused(&options, status, words); \
    } while (0)
    options = hw_options_init();
    options.reserve = MIB;
    options.head = 2 * MIB;
    refused(&options, HIGHWATER_ERROR_OPTIONS, "a head of 2097152 bytes is more than");
    options.head = 0;
    options.limit = 3 * MIB;
    refused(&options, HIGHWATER_ERROR_OPTIONS, "a limit of 3145728 bytes is more than the reserve");
    REFUSED(reserve, (size_t)1 << 60, HIGHWATER_ERROR_MEMORY, "a reserve of 1152921504606846976 bytes");
    REFUSED(growth, (hw_growth)17, HIGHWATER_ERROR_OPTIONS, "hw_options.growth is 17");
    REFUSED(growth, HIGHWATER_GROWTH_FIXED, HIGHWATER_ERROR_OPTIONS, "hw_options.growth_first is 0");
    REFUSED(growth_max, 4096, HIGHWATER_ERROR_OPTIONS, "a first growth step of 65536 bytes is more than");
    REFUSED(populate, (hw_choice)3, HIGHWATER_ERROR_OPTIONS, "hw_options.populate is 3");
    REFUSED(huge_pages, (hw_choice)3, HIGHWATER_ERROR_OPTIONS, "hw_options.huge_pages is 3");
    REFUSED(guard_mechanism, (hw_guard_mechanism)3, HIGHWATER_ERROR_OPTIONS, "hw_options.guard_mechanism is 3");
    REFUSED(guard_count, 1, HIGHWATER_ERROR_OPTIONS, "hw_options.guards is NULL");
    REFUSED(on_violation, (hw_on_violation)2, HIGHWATER_ERROR_OPTIONS, "hw_options.on_violation is 2");
    REFUSED(violation_format, (hw_format)2, HIGHWATER_ERROR_OPTIONS, "hw_options.violation_format is 2");
    REFUSED(on_refusal, (hw_response)9, HIGHWATER_ERROR_OPTIONS, "hw_options.on_refusal is 9");
    REFUSED(on_refusal, HIGHWATER_RESPONSE_SPILL, HIGHWATER_ERROR_OPTIONS, "spill_directory is NULL");
    REFUSED(on_refusal, HIGHWATER_RESPONSE_HOOK, HIGHWATER_ERROR_OPTIONS, "refusal_hook is NULL");
    REFUSED(backing_directory, "/no/such/directory", HIGHWATER_ERROR_SYSTEM, "/no/such/directory");
    REFUSED(reserved_, 1, HIGHWATER_ERROR_OPTIONS, "hw_options.reserved_ is 1");
    hw_range crooked = {1, 2};
    options = hw_options_init();
    options.guards = &crooked;
    options.guard_count = 1;
    refused(&options, HIGHWATER_ERROR_GUARD, "a guard at 1..2");
    hw_error error;
    CHECK(hw_arena_create(NULL, NULL, &error) == HIGHWATER_ERROR_ARGUMENT && contains(error.message, "NULL"));
}

static void versions(void)
{
    /* An older, smaller structure: what it does not have is the default, whatever follows it in memory. */
    hw_options options;
    memset(&options, 0xff, sizeof options);
    options.size = offsetof(hw_options, head);
    options.name = "older";
    options.reserve = MIB;
    hw_arena *arena = made(&options);
    CHECK(hw_arena_reserved(arena) == MIB && hw_arena_committed(arena) == 65536);
    hw_arena_free(arena);
    options.size = sizeof options.size;
    hw_arena_free(made(&options));

    /* A newer, larger one: fine while it does not ask for what is not known here. */
    struct {
        hw_options known;
        uint64_t unknown[4];
    } newer;
    memset(&newer, 0, sizeof newer);
    newer.known.size = sizeof newer;
    newer.known.reserve = MIB;
    arena = made(&newer.known);
    CHECK(hw_arena_reserved(arena) == MIB);
    hw_arena_free(arena);
    newer.unknown[2] = 1;
    refused(&newer.known, HIGHWATER_ERROR_OPTIONS, "is not zero, and version 0.1.0 of the library knows only");

    options = hw_options_init();
    options.size = 0;
    refused(&options, HIGHWATER_ERROR_OPTIONS, "hw_options.size is 0");
    options.size = 3;
    refused(&options, HIGHWATER_ERROR_OPTIONS, "hw_options.size is 3");
    options.size = SIZE_MAX;
    refused(&options, HIGHWATER_ERROR_OPTIONS, "hw_options.size is 18446744073709551615");

    /* Figures the same way. */
    arena = arena_of(MIB);
    hw_stats stats = HIGHWATER_STATS;
    stats.size = offsetof(hw_stats, committed);
    stats.committed = 77;
    CHECK(hw_arena_stats(arena, &stats) == HIGHWATER_OK && stats.reserved == MIB && stats.committed == 77);
    CHECK(stats.size == offsetof(hw_stats, committed));
    struct {
        hw_stats known;
        uint64_t unknown;
    } more = {HIGHWATER_STATS, 5};
    more.known.size = sizeof more;
    CHECK(hw_arena_stats(arena, &more.known) == HIGHWATER_OK && more.known.committed == 65536 && more.unknown == 5);
    stats.size = 0;
    CHECK(hw_arena_stats(arena, &stats) == HIGHWATER_ERROR_ARGUMENT);
    CHECK(hw_arena_stats(arena, NULL) == HIGHWATER_ERROR_ARGUMENT);
    CHECK(hw_arena_stats(NULL, &stats) == HIGHWATER_ERROR_ARGUMENT);
    hw_arena_free(arena);
}

static void words(void)
{
    for (int status = HIGHWATER_OK; status <= HIGHWATER_ERROR_INTERNAL; ++status) {
        CHECK(strlen(hw_strerror((hw_status)status)) > 5);
        CHECK(strcmp(hw_strerror((hw_status)status), hw_strerror((hw_status)1000)) != 0);
    }
    CHECK(strcmp(hw_cause_name(HIGHWATER_CAUSE_NONE), "none") == 0);
    CHECK(strcmp(hw_cause_name(HIGHWATER_CAUSE_KERNEL), "kernel") == 0);
    CHECK(strcmp(hw_cause_name(HIGHWATER_CAUSE_ALLOCATOR), "allocator") == 0);
    CHECK(strcmp(hw_cause_name((hw_cause)18), "unknown") == 0);
    CHECK(strcmp(hw_violation_name(HIGHWATER_VIOLATION_PLACED_GUARD), "placed-guard") == 0);
    CHECK(strcmp(hw_violation_name((hw_violation_kind)9), "unknown") == 0);
    CHECK(strcmp(hw_version(), "0.1.0") == 0);
    CHECK(hw_version_number() == (HIGHWATER_VERSION_MAJOR << 16 | HIGHWATER_VERSION_MINOR << 8 | HIGHWATER_VERSION_PATCH));
#ifdef HIGHWATER_EXPLICIT
    CHECK(hw_library_engine() == HIGHWATER_ENGINE_EXPLICIT);
#else
    CHECK(hw_library_engine() == HIGHWATER_ENGINE_FAULT);
#endif
    /* Nothing of nothing. */
    hw_arena_free(NULL);
    CHECK(hw_arena_base(NULL) == NULL && hw_arena_reserved(NULL) == 0 && hw_arena_committed(NULL) == 0);
    CHECK(hw_arena_limit(NULL) == 0 && hw_arena_id(NULL) == 0 && !hw_arena_contains(NULL, hw_version()));
}

static const struct test_case cases[] = {
    {"fields", fields},
    {"wrong", wrong},
    {"versions", versions},
    {"words", words},
};
MAIN(cases)
