/* The sum of two hard-coded vectors, in three variants: in an arena, with malloc and free, and on the stack.
 *
 *     vector_sum [SUMS]
 *
 * What a compiler makes of the three is in docs/c-assembly.md: with the arena it is a constant and three checks. */
#include "compare.h"

#include <highwater.h>

#define LENGTH 4

/* In an arena. The functions return what they allocate; the arena has it until the cursor is forgotten. */

static inline int *arena_vector(hw_cursor *out, int a, int b, int c, int d)
{
    int *vector = HIGHWATER_ARRAY(out, int, LENGTH);
    vector[0] = a;
    vector[1] = b;
    vector[2] = c;
    vector[3] = d;
    return vector;
}

static inline int *arena_add_vv(hw_cursor *out, const int *a, const int *b)
{
    return arena_vector(out, a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]);
}

int arena_sum(hw_arena *arena);
int arena_sum(hw_arena *arena)
{
    hw_cursor cursor = hw_arena_cursor(arena);
    int *a = arena_vector(&cursor, 1, 2, 3, 4), *b = arena_vector(&cursor, 3, 0, -1, 1);
    return arena_add_vv(&cursor, a, b)[0];
}

/* With malloc. Every vector has an owner, who frees it at the end of its scope. */

static inline int *malloc_vector(int a, int b, int c, int d)
{
    int *vector = (int *)malloc(LENGTH * sizeof(int));
    if (vector == NULL) {
        abort();
    }
    vector[0] = a;
    vector[1] = b;
    vector[2] = c;
    vector[3] = d;
    return vector;
}

static inline int *malloc_add_vv(const int *a, const int *b)
{
    return malloc_vector(a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]);
}

int malloc_sum(hw_arena *unused);
int malloc_sum(hw_arena *unused)
{
    int *a = malloc_vector(1, 2, 3, 4), *b = malloc_vector(3, 0, -1, 1), *sum = malloc_add_vv(a, b);
    int first = sum[0];
    free(sum);
    free(b);
    free(a);
    (void)unused;
    return first;
}

/* On the stack. The length is part of the type. */

typedef struct vector {
    int at[LENGTH];
} vector;

static inline vector stack_vector(int a, int b, int c, int d)
{
    vector made = {{a, b, c, d}};
    return made;
}

static inline vector stack_add_vv(vector a, vector b)
{
    return stack_vector(a.at[0] + b.at[0], a.at[1] + b.at[1], a.at[2] + b.at[2], a.at[3] + b.at[3]);
}

int stack_sum(hw_arena *unused);
int stack_sum(hw_arena *unused)
{
    (void)unused;
    return stack_add_vv(stack_vector(1, 2, 3, 4), stack_vector(3, 0, -1, 1)).at[0];
}

/* The three side by side. */

typedef struct sums {
    size_t count;
    hw_arena *arena;
} sums;

typedef int sum_function(hw_arena *arena);

static bool run(sum_function *sum, const void *problem, void *result)
{
    const sums *asked = (const sums *)problem;
    /* Looked up each time, so that the compiler does not compute the sum once and for all. */
    sum_function *volatile opaque = sum;
    int64_t total = 0;
    for (size_t i = 0; i < asked->count; ++i) {
        total += opaque(asked->arena);
    }
    memcpy(result, &total, sizeof total);
    return true;
}

static bool run_arena(const void *problem, void *result)
{
    return run(arena_sum, problem, result);
}

static bool run_malloc(const void *problem, void *result)
{
    return run(malloc_sum, problem, result);
}

static bool run_stack(const void *problem, void *result)
{
    return run(stack_sum, problem, result);
}

int main(int count, char **arguments)
{
    const variant variants[] = {{"arena", run_arena}, {"malloc", run_malloc}, {"stack", run_stack}};
    sums asked = {argument(count, arguments, 1, 1000000), hw_arena_new(NULL)};
    int64_t total;
    bool same;
    printf("vector_sum: %zu sums of two vectors of %d\n", asked.count, LENGTH);
    same = compare(variants, 3, &asked, &total, sizeof total, asked.count);
    printf("  the first element is %lld\n", (long long)(total / (int64_t)asked.count));
    hw_arena_free(asked.arena);
    return same ? 0 : 1;
}
