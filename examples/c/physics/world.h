/* A toy physics engine: discs in a box, some of them tied into ropes by springs. What its variants share.
 *
 * A step finds the forces, moves the discs, sorts them into the cells of a grid, finds the pairs that touch (only
 * neighbouring cells can have some), and pushes those apart. Forces, cells and contacts live as long as the step.
 *
 * The arithmetic is here, the variants differ in where the forces, cells and contacts are put and in who owns them. */
#ifndef EXAMPLES_WORLD_H
#define EXAMPLES_WORLD_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RADIUS 0.5
#define GRAVITY 9.81
#define TIME_STEP (1.0 / 240)
#define RESTITUTION 0.4
#define ROPE 8 /* discs in each */
#define STIFFNESS 400.0
#define DAMPING 4.0
#define PASSES 4 /* over the contacts in a step */

typedef struct vec2 {
    double x, y;
} vec2;

typedef struct body {
    vec2 at, velocity;
} body;

typedef struct spring {
    size_t a, b;
    double length;
} spring;

typedef struct world {
    size_t body_count, spring_count;
    body *bodies;
    const spring *springs;
    vec2 size;              /* of the box, which begins at 0, 0 */
    size_t columns, rows;   /* cells of a disc's diameter */
    size_t contact_count;   /* of all steps so far */
} world;

/* A disc in a cell's list of them. */
typedef struct member {
    size_t body;
    struct member *next;
} member;

/* Two discs that touch, in the list of all of them. */
typedef struct contact {
    size_t a, b;
    struct contact *next;
} contact;

/* Each makes so many steps. The last one has fixed lengths: it is false for a world beyond them. */
#define MAX_BODIES 1024
#define MAX_CELLS 4096
#define MAX_CONTACTS (16 * MAX_BODIES)
void physics_arena(world *w, size_t steps);
void physics_malloc(world *w, size_t steps);
bool physics_stack(world *w, size_t steps);

static inline vec2 add(vec2 a, vec2 b)
{
    vec2 sum = {a.x + b.x, a.y + b.y};
    return sum;
}

static inline vec2 subtract(vec2 a, vec2 b)
{
    vec2 difference = {a.x - b.x, a.y - b.y};
    return difference;
}

static inline vec2 scale(vec2 a, double by)
{
    vec2 product = {a.x * by, a.y * by};
    return product;
}

static inline double dot(vec2 a, vec2 b)
{
    return a.x * b.x + a.y * b.y;
}

/* The direction and length of a vector; some direction for one without length. */
static inline vec2 direction(vec2 of, double *length)
{
    vec2 right = {1, 0};
    *length = sqrt(dot(of, of));
    return *length > 0 ? scale(of, 1 / *length) : right;
}

/* Adds a spring's force to both of its ends. The discs have a mass of 1. */
static inline void pull(const world *w, const spring *s, vec2 *forces)
{
    const body *a = &w->bodies[s->a], *b = &w->bodies[s->b];
    double length;
    vec2 towards = direction(subtract(b->at, a->at), &length);
    double parting = dot(subtract(b->velocity, a->velocity), towards);
    vec2 force = scale(towards, STIFFNESS * (length - s->length) + DAMPING * parting);
    forces[s->a] = add(forces[s->a], force);
    forces[s->b] = subtract(forces[s->b], force);
}

static inline void sum_forces(const world *w, vec2 *forces)
{
    for (size_t i = 0; i < w->body_count; ++i) {
        forces[i].x = 0;
        forces[i].y = -GRAVITY;
    }
    for (size_t i = 0; i < w->spring_count; ++i) {
        pull(w, &w->springs[i], forces);
    }
}

/* Keeps a coordinate in the box; what runs into a wall bounces. */
static inline void confine(double *at, double *velocity, double size)
{
    if (*at < RADIUS) {
        *at = RADIUS;
        *velocity = *velocity < 0 ? -RESTITUTION * *velocity : *velocity;
    } else if (*at > size - RADIUS) {
        *at = size - RADIUS;
        *velocity = *velocity > 0 ? -RESTITUTION * *velocity : *velocity;
    }
}

static inline void move(world *w, const vec2 *forces)
{
    for (size_t i = 0; i < w->body_count; ++i) {
        body *b = &w->bodies[i];
        b->velocity = add(b->velocity, scale(forces[i], TIME_STEP));
        b->at = add(b->at, scale(b->velocity, TIME_STEP));
        confine(&b->at.x, &b->velocity.x, w->size.x);
        confine(&b->at.y, &b->velocity.y, w->size.y);
    }
}

static inline size_t cell_of(const world *w, const body *b)
{
    return (size_t)(b->at.y / (2 * RADIUS)) * w->columns + (size_t)(b->at.x / (2 * RADIUS));
}

static inline bool touch(const world *w, size_t a, size_t b)
{
    vec2 between = subtract(w->bodies[b].at, w->bodies[a].at);
    return dot(between, between) < 4 * RADIUS * RADIUS;
}

/* Pushes two discs apart and, if they approach each other, lets them bounce. */
static inline void part(world *w, const contact *c)
{
    body *a = &w->bodies[c->a], *b = &w->bodies[c->b];
    double length;
    vec2 towards = direction(subtract(b->at, a->at), &length);
    double overlap = 2 * RADIUS - length, parting = dot(subtract(b->velocity, a->velocity), towards);
    if (overlap > 0) {
        vec2 shift = scale(towards, 0.2 * overlap);
        a->at = subtract(a->at, shift);
        b->at = add(b->at, shift);
    }
    if (parting < 0) {
        vec2 impulse = scale(towards, -0.5 * (1 + RESTITUTION) * parting);
        a->velocity = subtract(a->velocity, impulse);
        b->velocity = add(b->velocity, impulse);
    }
}

static inline void solve(world *w, const contact *contacts)
{
    for (size_t pass = 0; pass < PASSES; ++pass) {
        for (const contact *c = contacts; c != NULL; c = c->next) {
            part(w, c);
        }
    }
    /* Pushed into a wall, possibly. */
    for (size_t i = 0; i < w->body_count; ++i) {
        confine(&w->bodies[i].at.x, &w->bodies[i].velocity.x, w->size.x);
        confine(&w->bodies[i].at.y, &w->bodies[i].velocity.y, w->size.y);
    }
}

#ifdef __cplusplus
}
#endif

#endif
