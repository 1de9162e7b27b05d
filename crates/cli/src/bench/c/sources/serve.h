/* The main function of the programs. It reads from standard input, separated by white space: the count of numbers of the
 * problem; each number, as its bits in hexadecimal; and then a number of steps for each run. For each run it prints the time
 * in nanoseconds, the count of numbers of the result, and each of them. It ends at the end of its input. */
#ifndef SERVE_H
#define SERVE_H

/* For clock_gettime; before every other header. */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "functions.h"

/* Defined by each program: computes this many steps from the start of the problem. `result` has room for as many numbers
 * as the problem has; returns how many are used. */
static size_t solve(space *results, space *scratch, const double *problem, size_t steps, double *result);

/* Processor time, which other programs do not affect. */
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
        double start = now_ns(), elapsed;
        size_t length = solve(&mine, &temporary, problem, steps, result);
        elapsed = now_ns() - start;
        printf("%.0f %zu", elapsed, length);
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
