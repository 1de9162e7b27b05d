/* Every macro and every inline function of the header, compiled with all warnings and never run. */
#include <highwater.h>
#include <highwater.h>

struct pair {
    int x, y;
};
typedef HIGHWATER_VEC(int) ints;
typedef HIGHWATER_VEC(struct pair) pairs;

#ifdef __cplusplus
#define PAIR pair
#else
#define PAIR (struct pair)
static hw_options constant_options = HIGHWATER_OPTIONS;
hw_options *the_options(void);
hw_options *the_options(void)
{
    return &constant_options;
}
#endif

int everything(hw_arena *arena, size_t n, const char *format, va_list arguments);
char *formatted(hw_cursor *cursor, const char *text);

char *formatted(hw_cursor *cursor, const char *text)
{
    return hw_sprintf(cursor, "%s", text);
}

int everything(hw_arena *arena, size_t n, const char *format, va_list arguments)
{
    hw_options options = HIGHWATER_OPTIONS, others = hw_options_init();
    hw_stats stats = HIGHWATER_STATS;
    hw_error error;
    hw_cursor cursor = hw_arena_cursor(arena);
    hw_cursor scratch = hw_push(cursor);
    int *one = HIGHWATER_NEW(&cursor, int), *some = HIGHWATER_ARRAY(&cursor, int, n);
    long double *wide = HIGHWATER_TRY_NEW(&scratch, long double), *more = HIGHWATER_TRY_ARRAY(&scratch, long double, n);
    void *blocks[] = {
        hw_alloc(&cursor, n),
        hw_alloc_aligned(&cursor, n, HIGHWATER_MAX_ALIGN),
        hw_alloc_array(&cursor, n, 8, 8),
        hw_alloc_zeroed(&cursor, n),
        hw_alloc_committed(&cursor, n),
        hw_alloc_committed_aligned(&cursor, n, 64),
        hw_try_alloc(&cursor, n),
        hw_try_alloc_aligned(&cursor, n, 64),
        hw_try_alloc_array(&cursor, n, 8, 8),
        hw_try_alloc_why(&cursor, n, 8, &error),
        hw_memdup(&cursor, format, n),
    };
    char *texts[] = {
        hw_strdup(&cursor, format),
        hw_vsprintf(&cursor, format, arguments),
        hw_sprintf(&cursor, "%d %s", 1, "two"),
        formatted(&cursor, format),
    };
    ints numbers = HIGHWATER_VEC_INIT;
    pairs points = HIGHWATER_VEC_INIT;
    int sum = 0;
    HIGHWATER_VEC_PUSH(&numbers, 1);
    HIGHWATER_VEC_PUSH(&points, PAIR{1, 2});
    if (HIGHWATER_VEC_OPEN(&numbers, &options, &error) != HIGHWATER_OK || !HIGHWATER_VEC_TRY_PUSH(&numbers, 2)
        || !HIGHWATER_VEC_RESERVE(&numbers, n, NULL)) {
        return -1;
    }
    HIGHWATER_FOREACH(int, number, &numbers)
    {
        HIGHWATER_FOREACH(struct pair, point, &points) { sum += *number * point->x; }
    }
    int *last = HIGHWATER_VEC_POP(&numbers);
    HIGHWATER_VEC_CLEAR(&numbers);
    HIGHWATER_VEC_SHRINK(&numbers);
    HIGHWATER_VEC_FREE(&numbers);
    HIGHWATER_VEC_FREE(&points);
    cursor = hw_arena_reset(arena);
    sum += (int)hw_arena_trim(arena, &cursor, 0) + (int)hw_arena_set_limit(arena, &cursor, HIGHWATER_NONE);
    sum += (int)hw_arena_guard(arena, NULL, 4096, 4096, NULL) + (int)hw_arena_stats(arena, &stats);
    return sum + *one + *some + (int)*wide + (int)*more + (blocks[0] == texts[0]) + *last + (int)others.size;
}
