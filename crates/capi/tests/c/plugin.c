/* A plug-in that uses the library whose engine it was compiled for. */
#include <highwater.h>

#ifdef __cplusplus
extern "C"
#endif
int plug(void);

int plug(void)
{
#ifdef HIGHWATER_EXPLICIT
    const hw_engine mine = HIGHWATER_ENGINE_EXPLICIT;
#else
    const hw_engine mine = HIGHWATER_ENGINE_FAULT;
#endif
    if (hw_library_engine() != mine) {
        return 1;
    }
    hw_arena *arena = hw_arena_new(NULL);
    hw_cursor cursor = hw_arena_cursor(arena);
    int good = 1;
    for (size_t i = 0; i < 100000; ++i) {
        size_t *block = HIGHWATER_ARRAY(&cursor, size_t, 8);
        block[0] = i;
        block[7] = ~i;
    }
    for (size_t i = 0; i < 100000; ++i) {
        const size_t *block = (const size_t *)hw_arena_base(arena) + 8 * i;
        good &= block[0] == i && block[7] == ~i;
    }
    hw_stats stats = HIGHWATER_STATS;
    good &= hw_arena_stats(arena, &stats) == HIGHWATER_OK && stats.engine == mine;
    good &= (stats.faults > 0) == (mine == HIGHWATER_ENGINE_FAULT);
    hw_arena_free(arena);
    return good ? 0 : 2;
}
