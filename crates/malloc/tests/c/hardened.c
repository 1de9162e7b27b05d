/* Programs that are wrong, each in one way. */
#include "check.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

static const size_t SIZES[] = { 1, 10, 16, 24, 100, 1000, 1024, 5000, 8192, 30000, 70000, 1048576, 3000000 };

static size_t chosen;

static char *make(void)
{
    free(malloc(size(chosen)));
    char *block = (char *)malloc(size(chosen));
    CHECK(block != NULL);
    memset(block, 1, chosen);
    return (char *)hidden(block);
}

static void double_free(void)
{
    char *block = make();
    free(block);
    free(hidden(block));
}

static void double_free_later(void)
{
    char *block = make(), *others[10];
    free(block);
    for (size_t i = 0; i < COUNT(others); ++i) {
        others[i] = (char *)malloc(size(2 * chosen + 300 * i));
    }
    for (size_t i = 0; i < COUNT(others); ++i) {
        free(others[i]);
    }
    free(hidden(block));
}

static void *frees(void *block)
{
    free(block);
    return NULL;
}

static void double_free_elsewhere(void)
{
    char *block = make();
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, frees, block) == 0 && pthread_join(thread, NULL) == 0);
    free(hidden(block));
}

static void realloc_of_a_freed_block(void)
{
    char *block = make();
    free(block);
    void *moved = realloc(hidden(block), size(2 * chosen));
    CHECK(moved == NULL);
}

static void interior(void)
{
    free(hidden(make() + 16));
}

static void interior_middle(void)
{
    free(hidden(make() + chosen / 2));
}

static void interior_by_one(void)
{
    free(hidden(make() + 1));
}

static void interior_realloc(void)
{
    void *moved = realloc(hidden(make() + 16), size(200));
    CHECK(moved == NULL);
}

static void on_the_stack(void)
{
    _Alignas(16) char local[64] = {0};
    make();
    free(hidden(local + 16));
}

static void *frees_a_local(void *unused)
{
    _Alignas(16) char local[64] = {0};
    free(malloc(10));
    free(hidden(local));
    return unused;
}

static void on_a_threads_stack(void)
{
    pthread_t thread;
    make();
    CHECK(pthread_create(&thread, NULL, frees_a_local, NULL) == 0 && pthread_join(thread, NULL) == 0);
}

static _Alignas(64) char of_the_program[4096];

static void a_variable(void)
{
    make();
    free(hidden(of_the_program + 64));
}

static void a_function(void)
{
    make();
    free(hidden((const void *)(uintptr_t)a_function));
}

static void made_up_low(void)
{
    make();
    free(hidden((const void *)0x10));
}

static void made_up(void)
{
    make();
    free(hidden((const void *)0x123456789ab0));
}

static void made_up_high(void)
{
    make();
    free(hidden((const void *)0xffff800000001000));
}

static void realloc_of_a_variable(void)
{
    make();
    void *moved = realloc(hidden(of_the_program + 64), size(100));
    CHECK(moved == NULL);
}

static void overflow(void)
{
    char *block = make();
    block[chosen] ^= (char)0xff;
    free(hidden(block));
}

static void overflow_by_zero(void)
{
    /* What a string's end does that was counted without it. */
    char *block = make();
    block[chosen] = 0;
    free(hidden(block));
}

static void overflow_then_realloc(void)
{
    char *block = make();
    block[chosen] ^= (char)0xff;
    void *moved = realloc(hidden(block), size(3 * chosen));
    CHECK(moved == NULL);
}

static void overflow_of_calloc(void)
{
    char *block = (char *)hidden(calloc(chosen, 1));
    CHECK(block != NULL);
    block[chosen] ^= (char)0xff;
    free(hidden(block));
}

static void overflow_after_realloc(void)
{
    char *block = (char *)hidden(realloc(make(), size(chosen + 5)));
    CHECK(block != NULL);
    block[chosen + 5] ^= (char)0xff;
    free(hidden(block));
}

static void overflow_after_shrinking(void)
{
    char *block = (char *)hidden(realloc(make(), size(chosen / 2 + 1)));
    CHECK(block != NULL);
    block[chosen / 2 + 1] ^= (char)0xff;
    free(hidden(block));
}

static void overflow_of_aligned(void)
{
    char *block = (char *)hidden(memalign(256, size(chosen)));
    CHECK(block != NULL);
    block[chosen] ^= (char)0xff;
    free(hidden(block));
}

static void overflow_freed_elsewhere(void)
{
    char *block = make();
    block[chosen] ^= (char)0xff;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, frees, block) == 0 && pthread_join(thread, NULL) == 0);
}

static void write_after_free(void)
{
    char *volatile block = make();
    free(block);
    block[chosen / 2] = 9;
}

/* SIGSEGV is ignored when the program starts: what is sent does nothing. A fault is no signal that can be ignored. */
static void write_after_free_and_signals(void)
{
    make();
    CHECK(raise(SIGSEGV) == 0 && raise(SIGSEGV) == 0);
    write_after_free();
}

static void read_after_free(void)
{
    char *volatile block = make();
    free(block);
    CHECK(block[0] != 1);
}

static void write_beyond(void)
{
    char *volatile block = make();
    block[(chosen + 15) / 16 * 16] = 1;
}

static const struct test_case CASES[] = {
    { "double free", double_free },
    { "double free later", double_free_later },
    { "double free elsewhere", double_free_elsewhere },
    { "realloc of a freed block", realloc_of_a_freed_block },
    { "interior", interior },
    { "interior middle", interior_middle },
    { "interior by one", interior_by_one },
    { "interior realloc", interior_realloc },
    { "stack", on_the_stack },
    { "stack of a thread", on_a_threads_stack },
    { "variable", a_variable },
    { "function", a_function },
    { "made up low", made_up_low },
    { "made up", made_up },
    { "made up high", made_up_high },
    { "realloc of a variable", realloc_of_a_variable },
    { "overflow", overflow },
    { "overflow by zero", overflow_by_zero },
    { "overflow then realloc", overflow_then_realloc },
    { "overflow of calloc", overflow_of_calloc },
    { "overflow after realloc", overflow_after_realloc },
    { "overflow after shrinking", overflow_after_shrinking },
    { "overflow of aligned", overflow_of_aligned },
    { "overflow freed elsewhere", overflow_freed_elsewhere },
    { "write after free", write_after_free },
    { "write after free and signals", write_after_free_and_signals },
    { "read after free", read_after_free },
    { "write beyond", write_beyond },
};

/* The case, and the number of a size. */
int main(int argc, char **argv)
{
    CHECK(argc == 3);
    size_t number = (size_t)atoi(argv[2]);
    if (number >= COUNT(SIZES)) {
        return 7;
    }
    chosen = SIZES[number];
    run_cases(CASES, COUNT(CASES), 2, argv);
    return 0;
}
