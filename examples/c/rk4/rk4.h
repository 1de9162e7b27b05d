/* Runge-Kutta integration of a chain of masses, springs and dampers: what its variants share.
 *
 * The chain's ends are held. Its state is one vector, all positions and then all velocities, and its equation is
 * linear: the derivative of a state is a matrix times the state. A few states are integrated at once; they are the
 * columns of a matrix. Matrices are stored by columns.
 *
 * The arithmetic is here, the variants differ in where its results are put and in who owns them. */
#ifndef EXAMPLES_RK4_H
#define EXAMPLES_RK4_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Only the target needs it: what is written overlaps with nothing that is read. docs/c-assembly.md shows what the
 * compiler makes of that. (gcc ignores it at a local variable, so the loops are functions with parameters.) */
#ifndef RESTRICT
#ifdef __cplusplus
#define RESTRICT __restrict
#else
#define RESTRICT restrict
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define COLUMNS 4

typedef struct problem {
    size_t length;          /* of a state: two for each mass */
    size_t steps;
    double time_step;
    const double *system;   /* length * length */
    const double *start;    /* length * COLUMNS */
} problem;

/* Each writes the states after the last step to `end`, length * COLUMNS. The last one is for a few lengths only; it is
 * false for others. */
void rk4_arena(const problem *p, double *end);
void rk4_malloc(const problem *p, double *end);
bool rk4_stack(const problem *p, double *end);

static inline void add_into(size_t n, double *RESTRICT to, const double *a, const double *b)
{
    for (size_t i = 0; i < n; ++i) {
        to[i] = a[i] + b[i];
    }
}

static inline void scale_into(size_t n, double *RESTRICT to, const double *a, double by)
{
    for (size_t i = 0; i < n; ++i) {
        to[i] = a[i] * by;
    }
}

static inline void copy_into(size_t n, double *RESTRICT to, const double *from)
{
    memcpy(to, from, n * sizeof *to);
}

/* A matrix times a vector, column by column: the inner loop has no sum to carry, and can be vectorised. */
static inline void apply_into(size_t rows, size_t columns, double *RESTRICT to, const double *matrix, const double *vector)
{
    for (size_t i = 0; i < rows; ++i) {
        to[i] = 0;
    }
    for (size_t j = 0; j < columns; ++j) {
        for (size_t i = 0; i < rows; ++i) {
            to[i] += matrix[j * rows + i] * vector[j];
        }
    }
}

#ifdef __cplusplus
}
#endif

#endif
