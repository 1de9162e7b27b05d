/* Runge-Kutta integration, in three variants: in an arena, with malloc and free, and on the stack.
 *
 *     rk4 [LENGTH [STEPS [STEPS_PER_UNIT]]]
 *
 * LENGTH is that of a state, two for each mass of the chain, so even. A unit of time is divided into STEPS_PER_UNIT
 * steps. Without arguments a few lengths are run. */
#include "../compare.h"

#include "rk4.h"

#include <math.h>

#define STIFFNESS 1.0
#define DAMPING 0.1
#define PI 3.14159265358979323846

/* The chain's shape in one of its normal modes, 1 to masses: the position of mass i. */
static double shape(size_t masses, size_t mode, size_t i)
{
    return sin((double)mode * PI * (double)(i + 1) / (double)(masses + 1));
}

/* Column j starts in a mode of its own, from the fastest on. */
static size_t mode_of(size_t masses, size_t j)
{
    return masses - j % masses;
}

static void make_system(size_t length, double *system)
{
    size_t masses = length / 2;
    for (size_t j = 0; j < masses; ++j) {
        double *by_position = system + j * length + masses, *by_velocity = system + (masses + j) * length;
        /* Forces: of the two springs at a mass itself, and of its spring at each neighbour. */
        by_position[j] = -2 * STIFFNESS;
        if (j > 0) {
            by_position[j - 1] = STIFFNESS;
        }
        if (j + 1 < masses) {
            by_position[j + 1] = STIFFNESS;
        }
        by_velocity[j] = 1;
        by_velocity[masses + j] = -DAMPING;
    }
}

static void make_start(size_t length, double *start)
{
    size_t masses = length / 2;
    for (size_t j = 0; j < COLUMNS; ++j) {
        for (size_t i = 0; i < masses; ++i) {
            start[j * length + i] = shape(masses, mode_of(masses, j), i);
        }
    }
}

/* The largest difference from the exact solution: a mode keeps its shape, swings and fades. */
static double error_of(const problem *p, const double *end)
{
    size_t masses = p->length / 2;
    double time = p->time_step * (double)p->steps, worst = 0;
    for (size_t j = 0; j < COLUMNS; ++j) {
        size_t mode = mode_of(masses, j);
        double square = 2 * STIFFNESS * (1 - cos((double)mode * PI / (double)(masses + 1)));
        double rate = DAMPING / 2, speed = sqrt(square - rate * rate), fade = exp(-rate * time);
        double position = fade * (cos(speed * time) + rate / speed * sin(speed * time));
        double velocity = -fade * square / speed * sin(speed * time);
        const double *found = end + j * p->length;
        for (size_t i = 0; i < masses; ++i) {
            worst = fmax(worst, fabs(found[i] - position * shape(masses, mode, i)));
            worst = fmax(worst, fabs(found[masses + i] - velocity * shape(masses, mode, i)));
        }
    }
    return worst;
}

static bool run_arena(const void *of, void *end)
{
    rk4_arena((const problem *)of, (double *)end);
    return true;
}

static bool run_malloc(const void *of, void *end)
{
    rk4_malloc((const problem *)of, (double *)end);
    return true;
}

static bool run_stack(const void *of, void *end)
{
    return rk4_stack((const problem *)of, (double *)end);
}

static bool integrate(size_t length, size_t steps, size_t steps_per_unit)
{
    const variant variants[] = {{"arena", run_arena}, {"malloc", run_malloc}, {"stack", run_stack}};
    double *system = (double *)calloc(length * length, sizeof(double));
    double *start = (double *)calloc(length * COLUMNS, sizeof(double));
    double *end = (double *)calloc(length * COLUMNS, sizeof(double));
    problem p = {length, steps, 1.0 / (double)steps_per_unit, system, start};
    bool same;
    if (system == NULL || start == NULL || end == NULL) {
        abort();
    }
    make_system(length, system);
    make_start(length, start);
    printf("rk4: %d states of length %zu, %zu steps of 1/%zu\n", COLUMNS, length, steps, steps_per_unit);
    same = compare(variants, 3, &p, end, length * COLUMNS * sizeof(double), steps);
    printf("  error %.3e\n", error_of(&p, end));
    free(end);
    free(start);
    free(system);
    return same;
}

int main(int count, char **arguments)
{
    static const size_t lengths[] = {2, 4, 8, 16, 32, 64};
    size_t asked = argument(count, arguments, 1, 0), steps = argument(count, arguments, 2, 2000);
    size_t steps_per_unit = argument(count, arguments, 3, 100);
    bool same = true;
    if (asked != 0) {
        if (asked % 2 != 0 || asked > 1024) {
            fprintf(stderr, "%s: a state has a position and a velocity for each mass: 2, 4, ... 1024\n", arguments[0]);
            return 2;
        }
        return integrate(asked, steps, steps_per_unit) ? 0 : 1;
    }
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; ++i) {
        same = integrate(lengths[i], steps, steps_per_unit) && same;
    }
    return same ? 0 : 1;
}
