/* What a program here is run by. It is told on standard input, in words apart: how many numbers the problem is; each of
 * them, the bits in hexadecimal; and then, as often as it is to run, by how many steps. For each run it prints the
 * nanoseconds that the run took, how many numbers its result is, and each of them. It ends with its input. */
#ifndef SERVE_H
#define SERVE_H

/* For clock_gettime; before every other header. */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "functions.h"

/* A program's own: from the start of the problem, so many steps. The result has room for as many numbers as the problem
 * has; how many it is, is returned. */
static size_t solve(space *results, space *scratch, const double *problem, size_t steps, double *result);

/* The processor's time, and not that on the wall: other programs may be running. */
static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double *numbers(size_t count)
{
    double *all = (double *)calloc(count, sizeof(double));
    if (all == NULL) {
        abort();
    }
    return all;
}

int main(void)
{
    size_t count, steps;
    double *problem, *result;
    if (scanf("%zu", &count) != 1 || count == 0) {
        return 2;
    }
    problem = numbers(count);
    result = numbers(count);
    for (size_t i = 0; i < count; ++i) {
        uint64_t bits;
        if (scanf("%" SCNx64, &bits) != 1) {
            return 2;
        }
        memcpy(&problem[i], &bits, sizeof bits);
    }
#ifdef SPACE_ARENA
    hw_arena *one = hw_arena_new(NULL), *other = hw_arena_new(NULL);
    space results = hw_arena_cursor(one), scratch = hw_arena_cursor(other);
#else
    space results = {0}, scratch = {0};
#endif
    while (scanf("%zu", &steps) == 1) {
        space mine = child(&results), temporary = child(&scratch);
        double start = now_ns(), took;
        size_t length = solve(&mine, &temporary, problem, steps, result);
        took = now_ns() - start;
        printf("%.0f %zu", took, length);
        for (size_t i = 0; i < length; ++i) {
            uint64_t bits;
            memcpy(&bits, &result[i], sizeof bits);
            printf(" %" PRIx64, bits);
        }
        putchar('\n');
        fflush(stdout);
    }
#ifdef SPACE_ARENA
    hw_arena_free(other);
    hw_arena_free(one);
#endif
    free(result);
    free(problem);
    return 0;
}

#endif
