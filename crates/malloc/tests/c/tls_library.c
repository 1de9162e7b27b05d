/* A library with variables of each thread, of which there are many copies. */
#include <string.h>

static __thread char buffer[3000];
static __thread long counter = 17;
static __thread void *kept;

long touch(void *block)
{
    memset(buffer, (int)counter, sizeof buffer);
    kept = block;
    return counter++;
}

void *give_back(void)
{
    void *block = kept;
    kept = 0;
    return block;
}
