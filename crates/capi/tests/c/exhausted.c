/* Calls that return an error when malloc has nothing left. */
#include "check.h"

#include <errno.h>

/* malloc as the library sees it: `granted` more calls succeed. */
static size_t granted = SIZE_MAX;
static size_t refused = 0;

static bool refuses(void)
{
    if (granted == SIZE_MAX) {
        return false;
    }
    if (granted > 0) {
        --granted;
        return false;
    }
    ++refused;
    return true;
}

#ifdef __cplusplus
#define THROWS noexcept
extern "C" {
#else
#define THROWS
#endif
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void *malloc(size_t size) THROWS
{
    return refuses() ? NULL : __libc_malloc(size);
}
void *calloc(size_t count, size_t size) THROWS
{
    return refuses() ? NULL : __libc_calloc(count, size);
}
void *realloc(void *block, size_t size) THROWS
{
    return refuses() ? NULL : __libc_realloc(block, size);
}
int posix_memalign(void **block, size_t align, size_t size) THROWS
{
    *block = refuses() ? NULL : __libc_memalign(align, size);
    return *block == NULL ? ENOMEM : 0;
}
#ifdef __cplusplus
}
#endif

typedef HIGHWATER_VEC(int) ints;

static hw_answer answer(void *user, const hw_refusal *refusal)
{
    (void)user;
    (void)refusal;
    return HIGHWATER_ANSWER_DIE;
}

/* The calls; each is an error of memory, or succeeds. */
static hw_status created(const hw_options *options, hw_error *error)
{
    hw_arena *arena = NULL;
    hw_status status = hw_arena_create(options, &arena, error);
    CHECK((status == HIGHWATER_OK) == (arena != NULL));
    hw_arena_free(arena);
    return status;
}

static hw_status plain_arena(hw_error *error)
{
    return created(NULL, error);
}

static hw_status full_arena(hw_error *error)
{
    static const hw_range guards[] = {{65536, 131072}, {262144, 327680}};
    hw_options options = hw_options_init();
    options.name = "a name that is not UTF-8: \xff\xfe, and longer than what is kept of it";
    options.guards = guards;
    options.guard_count = 2;
    options.on_refusal = HIGHWATER_RESPONSE_HOOK;
    options.refusal_hook = answer;
    return created(&options, error);
}

static hw_status file_arena(hw_error *error)
{
    hw_options options = hw_options_init();
    options.reserve = 1 << 20;
    options.backing_directory = "/tmp";
    return created(&options, error);
}

static hw_status vector(hw_error *error)
{
    ints numbers = HIGHWATER_VEC_INIT;
    HIGHWATER_VEC_RESERVE(&numbers, 100, error);
    HIGHWATER_VEC_FREE(&numbers);
    return error->status;
}

static hw_status opened_vector(hw_error *error)
{
    ints numbers = HIGHWATER_VEC_INIT;
    hw_status status = HIGHWATER_VEC_OPEN(&numbers, NULL, error);
    HIGHWATER_VEC_FREE(&numbers);
    return status;
}

static void exhaust(hw_status (*call)(hw_error *))
{
    for (size_t count = 0; count < 64; ++count) {
        hw_error error;
        refused = 0;
        granted = count;
        hw_status status = call(&error);
        granted = SIZE_MAX;
        if (status != HIGHWATER_OK) {
            CHECK(status == HIGHWATER_ERROR_MEMORY && error.cause == HIGHWATER_CAUSE_ALLOCATOR && refused > 0);
            CHECK(contains(error.message, "the global allocator has no "));
        } else if (refused == 0) {
            return;
        }
    }
    CHECK(!"it ends");
}

static void errors(void)
{
    exhaust(plain_arena);
    exhaust(full_arena);
    exhaust(file_arena);
    exhaust(vector);
    exhaust(opened_vector);
    CHECK(strcmp(hw_cause_name(HIGHWATER_CAUSE_ALLOCATOR), "allocator") == 0);
}

static const struct test_case cases[] = {{"errors", errors}};
MAIN(cases)
