/* A program that allocates while it is being loaded: while its relocations are done, before any constructor, in
 * constructors, and after its end. */
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>

static void *made_by_resolver;
static char *made_before, *made_by_constructor;
static int forks;

static int chosen(void)
{
    return 42;
}

/* The dynamic loader asks which function is meant when it relocates the program: no constructor has run, not even the
 * library of C's. */
static int (*resolve(void))(void)
{
    made_by_resolver = malloc(10000);
    free(malloc(10));
    return chosen;
}

int answer(void) __attribute__((ifunc("resolve")));

static void around_forks(void)
{
    void *block = calloc(7, 100);
    CHECK(block != NULL);
    block = realloc(block, 300000);
    CHECK(block != NULL);
    free(block);
    ++forks;
}

static void before_all(int argc, char **argv, char **environment)
{
    (void)argc, (void)argv, (void)environment;
    made_before = (char *)calloc(1, 5000);
    CHECK(made_before != NULL && made_before[4999] == 0);
    memset(made_before, 5, 5000);
    free(malloc(2000000));
    CHECK(pthread_atfork(around_forks, around_forks, around_forks) == 0);
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(int, char **, char **) = before_all;

static void *in_a_thread(void *unused)
{
    free(malloc(100));
    return unused;
}

__attribute__((constructor)) static void construct(void)
{
    made_by_constructor = (char *)memalign(256, 1000);
    CHECK(made_by_constructor != NULL);
    memset(made_by_constructor, 6, 1000);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, in_a_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
}

__attribute__((destructor)) static void destruct(void)
{
    CHECK(made_by_constructor[999] == 6);
    free(made_by_constructor);
    free(malloc(50000));
}

static void at_exit(void)
{
    CHECK(made_before[0] == 5);
    made_before = (char *)realloc(made_before, 50000);
    CHECK(made_before != NULL && made_before[4999] == 5);
    free(made_before);
}

int main(void)
{
    CHECK(answer() == 42 && made_by_resolver != NULL);
    CHECK(malloc_usable_size(made_by_resolver) >= 10000);
    memset(made_by_resolver, 1, 10000);
    free(made_by_resolver);
    CHECK(made_before[0] == 5 && made_before[4999] == 5 && made_by_constructor[0] == 6);
    CHECK(atexit(at_exit) == 0);
    int (*whole)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "early_blocks_are_whole");
    CHECK(whole == NULL || whole());
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(forks == 2);
        free(malloc(1000));
        exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(forks == 2);
    puts(whole == NULL ? "alone" : "with the library");
    return 0;
}
