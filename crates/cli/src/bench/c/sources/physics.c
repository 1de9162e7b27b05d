/* The toy physics engine: what physics/engine.rs is in Rust, function by function. */
#include "serve.h"

#include <math.h>
#include <stdbool.h>

#define RADIUS 1.0
#define DIAMETER 2.0
#define MAX_BODIES 16

typedef struct laws {
    double gravity, drag, stiffness, restitution, time_step, size;
} laws;

typedef struct body {
    vec at, velocity;
} body;

typedef struct world {
    laws laws;
    size_t body_count, spring_count;
    const double *springs; /* the numbers of two bodies, and a length */
    body bodies[MAX_BODIES];
} world;

static inline vec weight(space *out, size_t dimensions, double gravity)
{
    vec result;
    SET_LENGTH(dimensions);
    ALLOCATE(out, dimensions);
    for (size_t i = 0; i < dimensions; ++i) {
        result.at[i] = i == 1 ? -gravity : 0;
    }
    return result;
}

/* The force of a spring of this length at rest, on the body at a. */
static inline vec pull(space *out, space scratch, double stiffness, double at_rest, const vec *a, const vec *b)
{
    OWNED(vec) between = subtract(&scratch, b, a);
    double length = sqrt(dot(&between, &between));
    double by = length > 0 ? stiffness * (length - at_rest) / length : 0;
    return scale(out, &between, by);
}

/* The sum of all forces on a body. */
static inline vec force_on(space *out, space scratch, const world *w, size_t number)
{
    const body *b = &w->bodies[number];
    OWNED(vec) drag = scale(&scratch, &b->velocity, -w->laws.drag);
    OWNED(vec) down = weight(&scratch, LENGTH_OF(&b->at), w->laws.gravity);
    vec sum = add(out, &down, &drag);
    for (size_t i = 0; i < w->spring_count; ++i) {
        const double *spring = w->springs + 3 * i;
        size_t one = (size_t)spring[0], two = (size_t)spring[1];
        if (number == one || number == two) {
            const body *other = &w->bodies[number == one ? two : one];
            space tied = child(&scratch);
            OWNED(vec) force = pull(&tied, child(out), w->laws.stiffness, spring[2], &b->at, &other->at);
            replace(&sum, add(out, &sum, &force));
        }
    }
    return sum;
}

static inline void accelerate(space *held, space *scratch, world *w, size_t number)
{
    space above = child(held);
    OWNED(vec) force = force_on(&above, child(scratch), w, number);
    OWNED(vec) change = scale(&above, &force, w->laws.time_step);
    settle(&w->bodies[number].velocity, add(&above, &w->bodies[number].velocity, &change));
}

static inline bool is_inside(const vec *at, double low, double high)
{
    for (size_t i = 0; i < LENGTH_OF(at); ++i) {
        if (!(at->at[i] >= low && at->at[i] <= high)) {
            return false;
        }
    }
    return true;
}

static inline vec bounced(space *out, const vec *at, const vec *velocity, double low, double high, double kept)
{
    size_t n = LENGTH_OF(at);
    vec result;
    SET_LENGTH(n);
    ALLOCATE(out, n);
    for (size_t i = 0; i < n; ++i) {
        double now = velocity->at[i];
        bool leaves = (at->at[i] < low && now < 0) || (at->at[i] > high && now > 0);
        result.at[i] = leaves ? -kept * now : now;
    }
    return result;
}

static inline vec confined(space *out, const vec *at, double low, double high)
{
    size_t n = LENGTH_OF(at);
    vec result;
    SET_LENGTH(n);
    ALLOCATE(out, n);
    for (size_t i = 0; i < n; ++i) {
        result.at[i] = at->at[i] < low ? low : at->at[i] > high ? high : at->at[i];
    }
    return result;
}

/* Moves a body; one that leaves the box is put back, and bounces. */
static inline void advance(space *held, const laws *l, body *b)
{
    space above = child(held);
    double low = RADIUS, high = l->size - RADIUS;
    OWNED(vec) change = scale(&above, &b->velocity, l->time_step);
    vec at = add(&above, &b->at, &change);
    if (is_inside(&at, low, high)) {
        settle(&b->at, at);
    } else {
        settle(&b->velocity, bounced(&above, &at, &b->velocity, low, high, l->restitution));
        replace(&at, confined(&above, &at, low, high));
        settle(&b->at, at);
    }
}

/* Lets two bodies bounce off each other if they touch. Returns whether they do. */
static inline bool collide(space *held, const laws *l, body *a, body *b)
{
    space above = child(held);
    OWNED(vec) between = subtract(&above, &b->at, &a->at);
    double square = dot(&between, &between);
    if (!(square < DIAMETER * DIAMETER && square > 0)) {
        return false;
    }
    double distance = sqrt(square);
    OWNED(vec) shift = scale(&above, &between, 0.5 * (DIAMETER - distance) / distance);
    settle(&a->at, subtract(&above, &a->at, &shift));
    settle(&b->at, add(&above, &b->at, &shift));
    OWNED(vec) difference = subtract(&above, &b->velocity, &a->velocity);
    double approach = dot(&difference, &between);
    if (approach < 0) {
        OWNED(vec) impulse = scale(&above, &between, -0.5 * (1 + l->restitution) * approach / square);
        settle(&a->velocity, subtract(&above, &a->velocity, &impulse));
        settle(&b->velocity, add(&above, &b->velocity, &impulse));
    }
    return true;
}

/* One step. Returns how many pairs touched. */
static inline size_t step(space *held, space *scratch, world *w)
{
    size_t touches = 0;
    for (size_t i = 0; i < w->body_count; ++i) {
        accelerate(held, scratch, w, i);
    }
    for (size_t i = 0; i < w->body_count; ++i) {
        advance(held, &w->laws, &w->bodies[i]);
    }
    for (size_t later = 1; later < w->body_count; ++later) {
        for (size_t before = 0; before < later; ++before) {
            touches += collide(held, &w->laws, &w->bodies[before], &w->bodies[later]) ? 1 : 0;
        }
    }
    return touches;
}

/* The problem: the dimensions, the numbers of bodies and springs, the laws, the springs, and position and velocity of each
 * body. The result: position and velocity of each body, and the number of pairs that touched. */
static size_t solve(space *results, space *scratch, const double *problem, size_t steps, double *result)
{
#ifdef LENGTH
    size_t n = LENGTH;
#else
    size_t n = (size_t)problem[0];
#endif
    world w;
    laws given = {problem[3], problem[4], problem[5], problem[6], problem[7], problem[8]};
    const double *bodies = problem + 9 + 3 * (size_t)problem[2];
    size_t touches = 0;
    w.laws = given;
    w.body_count = (size_t)problem[1];
    w.spring_count = (size_t)problem[2];
    w.springs = problem + 9;
    if (w.body_count > MAX_BODIES) {
        abort();
    }
    for (size_t i = 0; i < w.body_count; ++i) {
        w.bodies[i].at = copy(results, n, bodies + 2 * i * n);
        w.bodies[i].velocity = copy(results, n, bodies + (2 * i + 1) * n);
    }
    for (size_t i = 0; i < steps; ++i) {
        touches += step(results, scratch, &w);
    }
    for (size_t i = 0; i < w.body_count; ++i) {
        copy_into(n, result + 2 * i * n, w.bodies[i].at.at);
        copy_into(n, result + (2 * i + 1) * n, w.bodies[i].velocity.at);
#ifdef SPACE_HEAP
        free_vec(&w.bodies[i].at);
        free_vec(&w.bodies[i].velocity);
#endif
    }
    result[2 * w.body_count * n] = (double)touches;
    return 2 * w.body_count * n + 1;
}
