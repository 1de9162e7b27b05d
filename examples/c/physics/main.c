/* A toy physics engine, in three variants: in an arena, with malloc and free, and on the stack.
 *
 *     physics [BODIES [STEPS]]
 *
 * A step is a 240th of a second. Half of the discs are tied into ropes. */
#include "../compare.h"

#include "world.h"

typedef struct problem {
    const world *start;
    size_t steps;
} problem;

/* Bodies, and behind them the number of contacts. */
static size_t result_size(size_t bodies)
{
    return bodies * sizeof(body) + sizeof(size_t);
}

static bool run(bool (*steps)(world *, size_t), const void *of, void *result)
{
    const problem *p = (const problem *)of;
    world w = *p->start;
    bool ran;
    w.bodies = (body *)result;
    memcpy(w.bodies, p->start->bodies, w.body_count * sizeof(body));
    ran = steps(&w, p->steps);
    memcpy(w.bodies + w.body_count, &w.contact_count, sizeof w.contact_count);
    return ran;
}

static bool in_arena(world *w, size_t steps)
{
    physics_arena(w, steps);
    return true;
}

static bool with_malloc(world *w, size_t steps)
{
    physics_malloc(w, steps);
    return true;
}

static bool run_arena(const void *of, void *result)
{
    return run(in_arena, of, result);
}

static bool run_malloc(const void *of, void *result)
{
    return run(with_malloc, of, result);
}

static bool run_stack(const void *of, void *result)
{
    return run(physics_stack, of, result);
}

/* A number from -1 to 1: the same ones in every run and on every machine. */
static double random_number(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (double)(int64_t)(*state >> 32) / 2147483648.0 - 1;
}

/* Discs in rows, a diameter and a half apart, each with a velocity of its own; the box has room for as many again. */
static void make_world(world *w, size_t count, body *bodies, spring *springs)
{
    size_t across = 1;
    uint64_t state = 42;
    while (across * across < count) {
        ++across;
    }
    memset(w, 0, sizeof *w);
    w->body_count = count;
    w->bodies = bodies;
    w->springs = springs;
    w->columns = 3 * across / 2 + 2;
    w->rows = 2 * across + 2;
    w->size.x = 2 * RADIUS * (double)w->columns;
    w->size.y = 2 * RADIUS * (double)w->rows;
    for (size_t i = 0; i < count; ++i) {
        bodies[i].at.x = RADIUS * (2 + 3 * (double)(i % across));
        bodies[i].at.y = RADIUS * (2 + 3 * (double)(i / across));
        bodies[i].velocity.x = 5 * random_number(&state);
        bodies[i].velocity.y = 5 * random_number(&state);
        if (i < count / 2 && i % ROPE != 0 && i % across != 0) {
            spring tie = {i - 1, i, 3 * RADIUS};
            springs[w->spring_count++] = tie;
        }
    }
}

/* What a disc has on average, motion and height; the springs' is left out. */
static double energy_of(const world *w, const body *bodies)
{
    double sum = 0;
    for (size_t i = 0; i < w->body_count; ++i) {
        sum += dot(bodies[i].velocity, bodies[i].velocity) / 2 + GRAVITY * bodies[i].at.y;
    }
    return sum / (double)w->body_count;
}

static size_t count_outside(const world *w, const body *bodies)
{
    size_t outside = 0;
    for (size_t i = 0; i < w->body_count; ++i) {
        vec2 at = bodies[i].at;
        bool inside = at.x >= RADIUS && at.x <= w->size.x - RADIUS && at.y >= RADIUS && at.y <= w->size.y - RADIUS;
        outside += inside ? 0 : 1;
    }
    return outside;
}

int main(int count, char **arguments)
{
    const variant variants[] = {{"arena", run_arena}, {"malloc", run_malloc}, {"stack", run_stack}};
    size_t body_count = argument(count, arguments, 1, 400), steps = argument(count, arguments, 2, 4000);
    body *bodies = (body *)calloc(body_count, sizeof(body)), *end = (body *)malloc(result_size(body_count));
    spring *springs = (spring *)calloc(body_count, sizeof(spring));
    world start;
    problem p = {&start, steps};
    size_t contact_count;
    bool same;
    if (bodies == NULL || end == NULL || springs == NULL) {
        abort();
    }
    make_world(&start, body_count, bodies, springs);
    printf("physics: %zu discs, %zu springs, %zu steps\n", start.body_count, start.spring_count, steps);
    same = compare(variants, 3, &p, end, result_size(body_count), steps);
    memcpy(&contact_count, end + body_count, sizeof contact_count);
    printf("  contacts a step %.1f\n", (double)contact_count / (double)steps);
    printf("  energy before %.3f after %.3f\n", energy_of(&start, bodies), energy_of(&start, end));
    printf("  outside %zu\n", count_outside(&start, end));
    free(springs);
    free(end);
    free(bodies);
    return same ? 0 : 1;
}
