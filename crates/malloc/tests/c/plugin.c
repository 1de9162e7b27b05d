/* A plugin that is loaded with RTLD_DEEPBIND: its malloc is glibc's. */
#include <stdlib.h>
#include <string.h>

void *plugin_make(size_t bytes, int tag)
{
    void *block = malloc(bytes);
    if (block != NULL) {
        memset(block, tag, bytes);
    }
    return block;
}

void *plugin_make_aligned(size_t align, size_t bytes, int tag)
{
    void *block = NULL;
    if (posix_memalign(&block, align, bytes) == 0) {
        memset(block, tag, bytes);
    }
    return block;
}

void *plugin_malloc(void)
{
    return (void *)malloc;
}
