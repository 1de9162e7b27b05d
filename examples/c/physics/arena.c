/* A step of the physics engine in an arena: forces, cells and contacts are allocated one after the other, and returning
 * forgets them. */
#include "world.h"

#include <highwater.h>

static const vec2 *forces_of(hw_cursor *out, const world *w)
{
    vec2 *forces = HIGHWATER_ARRAY(out, vec2, w->body_count);
    sum_forces(w, forces);
    return forces;
}

/* For each cell the list of the discs in it. */
static member **sort_into_cells(hw_cursor *out, const world *w)
{
    size_t count = w->columns * w->rows;
    member **cells = HIGHWATER_ARRAY(out, member *, count);
    for (size_t i = 0; i < count; ++i) {
        cells[i] = NULL;
    }
    for (size_t i = 0; i < w->body_count; ++i) {
        member **cell = &cells[cell_of(w, &w->bodies[i])];
        member *made = HIGHWATER_NEW(out, member);
        made->body = i;
        made->next = *cell;
        *cell = made;
    }
    return cells;
}

/* The contacts of a disc with those that follow it in a list, in front of those there are. */
static contact *find_with(hw_cursor *out, const world *w, size_t disc, const member *others, contact *contacts)
{
    for (const member *other = others; other != NULL; other = other->next) {
        if (touch(w, disc, other->body)) {
            contact *made = HIGHWATER_NEW(out, contact);
            made->a = disc;
            made->b = other->body;
            made->next = contacts;
            contacts = made;
        }
    }
    return contacts;
}

static contact *find_contacts(hw_cursor *out, const world *w, member *const *cells)
{
    contact *contacts = NULL;
    for (size_t row = 0; row < w->rows; ++row) {
        for (size_t column = 0; column < w->columns; ++column) {
            member *const *cell = &cells[row * w->columns + column];
            for (const member *one = *cell; one != NULL; one = one->next) {
                /* Each pair of cells once: the rest of this one, right, and the three above. */
                contacts = find_with(out, w, one->body, one->next, contacts);
                if (column + 1 < w->columns) {
                    contacts = find_with(out, w, one->body, cell[1], contacts);
                }
                for (size_t i = column == 0 ? 1 : 0; row + 1 < w->rows && i < 3 && column + i <= w->columns; ++i) {
                    contacts = find_with(out, w, one->body, cell[w->columns + i - 1], contacts);
                }
            }
        }
    }
    return contacts;
}

/* The cursor is a value: what is allocated here is given back by returning. */
static void step(hw_cursor scratch, world *w)
{
    const contact *contacts;
    move(w, forces_of(&scratch, w));
    contacts = find_contacts(&scratch, w, sort_into_cells(&scratch, w));
    solve(w, contacts);
    for (const contact *c = contacts; c != NULL; c = c->next) {
        ++w->contact_count;
    }
}

void physics_arena(world *w, size_t steps)
{
    hw_arena *arena = hw_arena_new(NULL);
    hw_cursor cursor = hw_arena_cursor(arena);
    for (size_t i = 0; i < steps; ++i) {
        step(hw_push(cursor), w);
    }
    hw_arena_free(arena);
}
