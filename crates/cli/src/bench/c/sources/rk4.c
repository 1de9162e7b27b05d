/* The classic Runge-Kutta method of fourth order: the functions of rk4/method.rs in C. */
#include "serve.h"

typedef struct equation {
    mat rest, springs;
    double softening;
} equation;

static inline double stiffness(double softening, double time)
{
    return 1 + softening / (1 + time * time);
}

/* The derivative of a state. */
static inline vec slope(space *out, space scratch, const equation *e, double time, const vec *x)
{
    OWNED(mat) springs = scale_matrix(&scratch, &e->springs, stiffness(e->softening, time));
    OWNED(mat) matrix = add_matrices(&scratch, &e->rest, &springs);
    return apply(out, &matrix, x);
}

/* The derivative after a step h with the derivative k. */
static inline vec slope_ahead(space *out, space scratch, const equation *e, double time, double h, const vec *x,
                              const vec *k)
{
    OWNED(vec) change = scale(&scratch, k, h);
    OWNED(vec) ahead = add(&scratch, x, &change);
    return slope(out, child(&scratch), e, time + h, &ahead);
}

/* The state one step later. */
static inline vec step(space *out, space scratch, const equation *e, double time, double h, const vec *x)
{
    OWNED(vec) k1 = slope(&scratch, child(out), e, time, x);
    OWNED(vec) k2 = slope_ahead(&scratch, child(out), e, time, h / 2, x, &k1);
    OWNED(vec) k3 = slope_ahead(&scratch, child(out), e, time, h / 2, x, &k2);
    OWNED(vec) k4 = slope_ahead(&scratch, child(out), e, time, h, x, &k3);
    OWNED(vec) inner = add(&scratch, &k2, &k3);
    OWNED(vec) middle = scale(&scratch, &inner, 2);
    OWNED(vec) three = add(&scratch, &k1, &middle);
    OWNED(vec) sum = add(&scratch, &three, &k4);
    OWNED(vec) change = scale(&scratch, &sum, h / 6);
    return add(out, x, &change);
}

/* The problem: the length of a state, the time step, the softening, both matrices, and the state at time 0. */
static size_t solve(space *results, space *scratch, const double *problem, size_t steps, double *result)
{
#ifdef LENGTH
    size_t length = LENGTH;
#else
    size_t length = (size_t)problem[0];
#endif
    double h = problem[1];
    const double *rest = problem + 3, *springs = rest + BANDS * length, *start = springs + BANDS * length;
    OWNED(mat) held_rest = copy_matrix(results, length, rest);
    OWNED(mat) held_springs = copy_matrix(results, length, springs);
    equation e = {held_rest, held_springs, problem[2]};
    OWNED(vec) state = copy(results, length, start);
    for (size_t i = 0; i < steps; ++i) {
        space above = child(results);
        settle(&state, step(&above, child(scratch), &e, (double)i * h, h, &state));
    }
    copy_into(length, result, state.at);
    return length;
}
