/* Threads, signal handlers and forks of a program that knows nothing of Rust. */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* Fills an arena, and finds everything there. */
static void fill(hw_arena *arena, size_t bytes)
{
    hw_cursor cursor = hw_arena_cursor(arena);
    size_t count = bytes / 64;
    for (size_t i = 0; i < count; ++i) {
        size_t *block = HIGHWATER_ARRAY(&cursor, size_t, 8);
        block[0] = i;
        block[7] = ~i;
    }
    size_t *all = (size_t *)hw_arena_base(arena);
    for (size_t i = 0; i < count; ++i) {
        CHECK(all[8 * i] == i && all[8 * i + 7] == ~i);
    }
}

static void *of_its_own(void *unused)
{
    hw_arena *arena = arena_of(64 * MIB);
    fill(arena, 32 * MIB);
    hw_arena_free(arena);
    return unused;
}

static void *blocked(void *argument)
{
    sigset_t all;
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
    CHECK(hw_library_engine() == HIGHWATER_ENGINE_EXPLICIT || !hw_fault_is_thread_prepared());
    hw_error error;
    CHECK(hw_fault_prepare_thread(&error) == HIGHWATER_OK && error.status == HIGHWATER_OK);
    CHECK(hw_fault_is_thread_prepared());
    fill((hw_arena *)argument, 32 * MIB);
    /* An arena that is made on such a thread prepares it. */
    CHECK(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
    return of_its_own(NULL);
}

static void threads(void)
{
    pthread_t made[4];
    for (int i = 0; i < 4; ++i) {
        CHECK(pthread_create(&made[i], NULL, of_its_own, NULL) == 0);
    }
    for (int i = 0; i < 4; ++i) {
        CHECK(pthread_join(made[i], NULL) == 0);
    }
    hw_arena *arena = arena_of(64 * MIB);
    CHECK(pthread_create(&made[0], NULL, blocked, arena) == 0 && pthread_join(made[0], NULL) == 0);
    hw_arena_free(arena);
}

static void forks(void)
{
    hw_arena *arena = arena_of(64 * MIB);
    fill(arena, 4 * MIB);
    for (int i = 0; i < 3; ++i) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            fill(arena, 32 * MIB);
            of_its_own(NULL);
            hw_arena_free(arena);
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    CHECK(hw_arena_committed(arena) < 32 * MIB);
    fill(arena, 32 * MIB);
    hw_arena_free(arena);
}

/* The program's own handler: makes a page of its own accessible, and counts. */
static char *own_page;
static volatile sig_atomic_t own_faults, foreign_faults;
static struct sigaction before_ours;

static void own_handler(int signal, siginfo_t *info, void *context)
{
    char *address = (char *)info->si_addr;
    if (address >= own_page && address < own_page + 4096) {
        ++own_faults;
        CHECK(mprotect(own_page, 4096, PROT_READ | PROT_WRITE) == 0);
        return;
    }
    ++foreign_faults;
    if ((before_ours.sa_flags & SA_SIGINFO) != 0 && before_ours.sa_sigaction != NULL) {
        before_ours.sa_sigaction(signal, info, context);
        return;
    }
    _exit(9);
}

static void asking_handler(int signal, siginfo_t *info, void *context)
{
    if (!hw_fault_try_handle(signal, info, context)) {
        own_handler(signal, info, context);
    }
}

static void install(void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    CHECK(sigaction(SIGSEGV, &action, &before_ours) == 0);
    own_page = (char *)mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(own_page != MAP_FAILED);
}

static void both_are_served(hw_arena *arena)
{
    fill(arena, 8 * MIB);
    *(volatile char *)own_page = 1;
    CHECK(own_faults == 1);
    fill(arena, 32 * MIB);
    hw_arena_free(arena);
}

static void handler_before(void)
{
    install(own_handler);
    hw_arena *arena = arena_of(64 * MIB);
    CHECK(hw_library_engine() == HIGHWATER_ENGINE_EXPLICIT || hw_fault_is_front());
    both_are_served(arena);
    CHECK(foreign_faults == 0);
}

static void handler_after(void)
{
    hw_arena *arena = arena_of(64 * MIB);
    install(own_handler);
    CHECK(!hw_fault_is_front());
    both_are_served(arena);
    CHECK(hw_library_engine() == HIGHWATER_ENGINE_EXPLICIT || foreign_faults > 0);
}

static void handler_overtaken(void)
{
    hw_arena *arena = arena_of(64 * MIB);
    install(own_handler);
    hw_error error;
    CHECK(hw_fault_ensure_front(&error) == HIGHWATER_OK && hw_fault_ensure_front(NULL) == HIGHWATER_OK);
    CHECK(hw_library_engine() == HIGHWATER_ENGINE_EXPLICIT || hw_fault_is_front());
    both_are_served(arena);
    CHECK(foreign_faults == 0);
}

static void handler_in_front(void)
{
    CHECK(hw_fault_install(NULL) == HIGHWATER_OK);
    hw_arena *arena = arena_of(64 * MIB);
    install(asking_handler);
    both_are_served(arena);
    CHECK(foreign_faults == 0);
    CHECK(!hw_fault_try_handle(SIGSEGV, NULL, NULL) && !hw_fault_try_handle(SIGBUS, &own_page, &own_page));
}

static void dies_of_a_foreign_fault(void)
{
    hw_arena *arena = arena_of(64 * MIB);
    fill(arena, 8 * MIB);
    *(char *volatile *)(uintptr_t)own_faults = NULL;
}

/* A thread that is to be cancelled, and grows before it comes to a point where it may be. */
static void *to_be_cancelled(void *told)
{
    hw_arena *arena = arena_of(64 * MIB);
    hw_error error;
    CHECK(pthread_cancel(pthread_self()) == 0);
    fill(arena, 32 * MIB);
    hw_cursor cursor = hw_arena_cursor(arena);
    CHECK(hw_try_alloc(&cursor, 48 * MIB) != NULL);
    CHECK(hw_commit_ahead(cursor, MIB, &error) == HIGHWATER_OK);
    hw_dump();
    *(bool *)told = true;
    pthread_testcancel();
    CHECK(!"cancelled by now");
    return NULL;
}

static void cancelled(void)
{
    pthread_t thread;
    void *result = NULL;
    bool came_through = false;
    CHECK(pthread_create(&thread, NULL, to_be_cancelled, &came_through) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == PTHREAD_CANCELED && came_through);
}

static const struct test_case cases[] = {
    {"cancelled", cancelled},
    {"threads", threads},
    {"forks", forks},
    {"handler before", handler_before},
    {"handler after", handler_after},
    {"handler overtaken", handler_overtaken},
    {"handler in front", handler_in_front},
    {"dies of a foreign fault", dies_of_a_foreign_fault},
};
MAIN(cases)
