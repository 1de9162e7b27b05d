/* Loads the plug-ins that it is told of, and has each do its work, twice. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#ifdef LINKED
#include <highwater.h>
#endif

int main(int argc, char **argv)
{
    int (*plugs[8])(void);
    int flags = RTLD_NOW | RTLD_LOCAL;
#ifdef LINKED
    /* This program's own library comes first in every look-up, but for those of a plug-in that looks in its own first. */
    flags |= RTLD_DEEPBIND;
    hw_arena *arena = hw_arena_new(NULL);
#endif
    for (int i = 1; i < argc && i < 8; ++i) {
        void *loaded = dlopen(argv[i], flags);
        if (loaded == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        void *symbol = dlsym(loaded, "plug");
        memcpy(&plugs[i], &symbol, sizeof symbol);
    }
    for (int round = 0; round < 2; ++round) {
        for (int i = 1; i < argc && i < 8; ++i) {
            int answer = plugs[i]();
            if (answer != 0) {
                fprintf(stderr, "%s: %d\n", argv[i], answer);
                return 1;
            }
        }
    }
#ifdef LINKED
    hw_arena_free(arena);
#endif
    return argc < 2;
}
