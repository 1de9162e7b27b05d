/* The growable array. */
#include "check.h"

#include <sys/resource.h>

struct point {
    double x, y;
};

typedef HIGHWATER_VEC(int) ints;
typedef HIGHWATER_VEC(struct point) points;

#ifdef __cplusplus
#define POINT point
#else
#define POINT (struct point)
#endif

static void pushes(void)
{
    ints numbers = HIGHWATER_VEC_INIT;
    HIGHWATER_FOREACH(int, number, &numbers) { CHECK(number == NULL); }
    CHECK(HIGHWATER_VEC_POP(&numbers) == NULL);
    HIGHWATER_VEC_PUSH(&numbers, 0);
    int *first = numbers.data;
    for (int i = 1; i < 3000000; ++i) {
        HIGHWATER_VEC_PUSH(&numbers, i);
    }
    CHECK(numbers.length == 3000000 && numbers.data == first && numbers.capacity >= numbers.length);
    long long sum = 0;
    HIGHWATER_FOREACH(int, number, &numbers) { sum += *number; }
    CHECK(sum == 2999999LL * 3000000 / 2);

    /* It may be pushed to while it is visited. */
    HIGHWATER_VEC_CLEAR(&numbers);
    HIGHWATER_VEC_PUSH(&numbers, 16);
    HIGHWATER_FOREACH(int, number, &numbers)
    {
        if (*number > 1) {
            HIGHWATER_VEC_PUSH(&numbers, *number / 2);
            HIGHWATER_VEC_PUSH(&numbers, *number / 2);
        }
    }
    CHECK(numbers.length == 31);
    CHECK(*HIGHWATER_VEC_POP(&numbers) == 1 && numbers.length == 30);

    size_t committed = hw_arena_committed(numbers.arena);
    HIGHWATER_VEC_SHRINK(&numbers);
    CHECK(hw_arena_committed(numbers.arena) == 4096 && committed > 4096);
    HIGHWATER_VEC_PUSH(&numbers, 7);
    CHECK(numbers.data[29] == 1 && numbers.data[30] == 7);

    HIGHWATER_VEC_FREE(&numbers);
    CHECK(numbers.data == NULL && numbers.length == 0 && numbers.capacity == 0 && numbers.arena == NULL);
    HIGHWATER_VEC_FREE(&numbers);
    HIGHWATER_VEC_SHRINK(&numbers);
    HIGHWATER_VEC_PUSH(&numbers, 8);
    CHECK(numbers.data[0] == 8);
    /* A value may be made of what the array has. */
    HIGHWATER_VEC_PUSH(&numbers, (int)numbers.length + 40);
    HIGHWATER_VEC_PUSH(&numbers, numbers.data[numbers.length - 1] + 1);
    CHECK(HIGHWATER_VEC_TRY_PUSH(&numbers, numbers.data[numbers.length - 1] + (int)numbers.length));
    CHECK(numbers.length == 4 && numbers.data[1] == 41 && numbers.data[2] == 42 && numbers.data[3] == 45);
    HIGHWATER_VEC_FREE(&numbers);

    points corners = HIGHWATER_VEC_INIT;
    HIGHWATER_VEC_PUSH(&corners, POINT{1, 2});
    CHECK(HIGHWATER_VEC_TRY_PUSH(&corners, POINT{3, 4}) && corners.data[1].y == 4 && corners.length == 2);
    HIGHWATER_VEC_FREE(&corners);
}

static void fallible(void)
{
    hw_error error;
    hw_options options = hw_options_init();
    options.name = "few";
    options.reserve = 4096;
    ints numbers = HIGHWATER_VEC_INIT;
    CHECK(HIGHWATER_VEC_OPEN(&numbers, &options, &error) == HIGHWATER_OK && numbers.length == 0);
    CHECK(HIGHWATER_VEC_RESERVE(&numbers, 1024, &error) && error.status == HIGHWATER_OK);
    CHECK(!HIGHWATER_VEC_RESERVE(&numbers, 1025, &error) && error.cause == HIGHWATER_CAUSE_RESERVATION_EXHAUSTED);
    CHECK(contains(error.message, "vector \"few\" out of memory"));
    CHECK(!HIGHWATER_VEC_RESERVE(&numbers, SIZE_MAX, &error) && !HIGHWATER_VEC_RESERVE(&numbers, SIZE_MAX / 4 + 2, NULL));
    int pushed = 0;
    while (HIGHWATER_VEC_TRY_PUSH(&numbers, pushed)) {
        ++pushed;
    }
    CHECK(pushed == 1024 && numbers.length == 1024 && numbers.data[1023] == 1023);
    CHECK(HIGHWATER_VEC_RESERVE(&numbers, 0, NULL));

    /* Opened again it is empty, and has the new policies. */
    options.limit = 800;
    CHECK(HIGHWATER_VEC_OPEN(&numbers, &options, NULL) == HIGHWATER_OK && numbers.length == 0);
    CHECK(HIGHWATER_VEC_RESERVE(&numbers, 200, NULL) && !HIGHWATER_VEC_RESERVE(&numbers, 201, NULL));
    options.size = 0;
    CHECK(HIGHWATER_VEC_OPEN(&numbers, &options, &error) == HIGHWATER_ERROR_OPTIONS && numbers.arena == NULL);
    ints *none = NULL;
    CHECK(hw_vec_open_(none, 4, NULL, &error) == HIGHWATER_ERROR_ARGUMENT && !hw_vec_try_grow_(none, 4, 1, &error));
    hw_vec_free_(none);
    hw_vec_shrink_(none, 4);

    /* A refused commit is a "no" too. */
    hw_inject(HIGHWATER_INJECT_ABOVE, 1 << 20, 0);
    CHECK(!HIGHWATER_VEC_RESERVE(&numbers, 1 << 20, &error) && error.cause == HIGHWATER_CAUSE_INJECTED);
    hw_inject(HIGHWATER_INJECT_NOTHING, 0, 0);
    HIGHWATER_VEC_FREE(&numbers);
}

/* A length that is known is reserved for, where a default reservation is smaller. */
static void reserves(void)
{
    struct rlimit limit = {1000000ull << 10, 1000000ull << 10};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    size_t many = ((size_t)100 << 20) / sizeof(int);
    ints numbers = HIGHWATER_VEC_INIT;
    HIGHWATER_VEC_PUSH(&numbers, 1);
    CHECK(hw_arena_reserved(numbers.arena) < many * sizeof(int));
    HIGHWATER_VEC_FREE(&numbers);
    hw_error error;
    CHECK(HIGHWATER_VEC_RESERVE(&numbers, many, &error) && numbers.capacity >= many);
    HIGHWATER_VEC_FREE(&numbers);
    CHECK(!HIGHWATER_VEC_RESERVE(&numbers, 10 * many, &error) && error.cause == HIGHWATER_CAUSE_RLIMIT_AS);
    CHECK(numbers.arena == NULL && numbers.length == 0);
}

static void dies_when_full(void)
{
    hw_options options = hw_options_init();
    options.name = "few";
    options.reserve = 4096;
    ints numbers = HIGHWATER_VEC_INIT;
    CHECK(HIGHWATER_VEC_OPEN(&numbers, &options, NULL) == HIGHWATER_OK);
    for (int i = 0; i < 1025; ++i) {
        HIGHWATER_VEC_PUSH(&numbers, i);
    }
}

static void dies_of_no_array(void)
{
    hw_vec_grow_(NULL, 4, 1);
}

static const struct test_case cases[] = {
    {"pushes", pushes},
    {"fallible", fallible},
    {"reserves", reserves},
    {"dies when full", dies_when_full},
    {"dies of no array", dies_of_no_array},
};
MAIN(cases)
