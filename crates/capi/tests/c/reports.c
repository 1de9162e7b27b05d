/* Reports, figures, hooks: who is told what. */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* Text that a function is given. */
struct collected {
    size_t length;
    char text[65536];
};

static struct collected collected;

static void collect(void *user, const char *text, size_t length)
{
    struct collected *to = (struct collected *)user;
    for (size_t i = 0; i < length && to->length + 1 < sizeof to->text; ++i) {
        to->text[to->length++] = text[i];
    }
}

static void functions(void)
{
    hw_arena *arena = arena_of(16 * MIB);
    hw_report_to_function(collect, &collected);
    hw_dump();
    CHECK(contains(collected.text, "highwater: arena \"test\": used"));
    CHECK(contains(collected.text, "committed 64 KiB"));
    collected.length = 0;
    CHECK(hw_set_report_format(HIGHWATER_JSON) == HIGHWATER_OK);
    hw_dump();
    CHECK(collected.text[0] == '{' && contains(collected.text, "\"regions\""));
    CHECK(hw_set_report_format((hw_format)2) == HIGHWATER_ERROR_ARGUMENT);
    CHECK(hw_set_report_format(HIGHWATER_TEXT) == HIGHWATER_OK);
    collected.length = 0;
    hw_report_to_function(NULL, NULL);
    hw_arena_free(arena);
    CHECK(collected.length == 0);
}

/* What a file has. */
static const char *read_back(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void files(void)
{
    hw_arena *arena = arena_of(16 * MIB);
    hw_error error;
    const char *directory = getenv("TEST_DIRECTORY");
    char path[4096];
    snprintf(path, sizeof path, "%s/report-%ld", directory == NULL ? "/tmp" : directory, (long)getpid());
    CHECK(hw_report_to_file("/no/such/directory/report", &error) == HIGHWATER_ERROR_SYSTEM);
    CHECK(error.system_error != 0 && error.message[0] != '\0');
    CHECK(hw_report_to_file(path, &error) == HIGHWATER_OK);
    hw_dump();
    CHECK(contains(read_back(path), "arena \"test\""));
    CHECK(hw_report_to_file(NULL, NULL) == HIGHWATER_OK);

    CHECK(hw_report_to_fd(1000, &error) == HIGHWATER_ERROR_SYSTEM);
    int fd = open(path, O_WRONLY | O_TRUNC | O_APPEND);
    CHECK(hw_report_to_fd(fd, &error) == HIGHWATER_OK);
    close(fd); /* the library has its own */
    hw_dump();
    CHECK(contains(read_back(path), "arena \"test\""));

    /* On demand. */
    CHECK(truncate(path, 0) == 0);
    CHECK(hw_dump_on_signal(SIGUSR1, &error) == HIGHWATER_OK);
    raise(SIGUSR1);
    CHECK(contains(read_back(path), "arena \"test\""));
    static const int forbidden[] = {SIGSEGV, SIGKILL, SIGSTOP, SIGILL, SIGFPE};
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; ++i) {
        CHECK(hw_dump_on_signal(forbidden[i], &error) == HIGHWATER_ERROR_ARGUMENT);
    }
    CHECK(hw_dump_on_signal(-1, &error) == HIGHWATER_ERROR_SYSTEM && hw_dump_on_signal(10000, &error) == HIGHWATER_ERROR_SYSTEM);
    CHECK(hw_report_to_fd(-1, &error) == HIGHWATER_OK);
    unlink(path);
    hw_arena_free(arena);
}

static void *watch(void *argument)
{
    hw_monitor *monitor = (hw_monitor *)argument;
    hw_stats stats = HIGHWATER_STATS;
    CHECK(hw_monitor_is_live(*monitor) && hw_monitor_stats(*monitor, &stats) == HIGHWATER_OK);
    CHECK(stats.committed >= 8 * MIB && stats.reserved == 16 * MIB);
    return NULL;
}

static void figures(void)
{
    hw_arena *arena = arena_of(16 * MIB);
    hw_cursor cursor = hw_arena_cursor(arena);
    memset(hw_alloc(&cursor, 8 * MIB), 1, 8 * MIB);
    hw_stats stats = HIGHWATER_STATS;
    CHECK(hw_arena_stats(arena, &stats) == HIGHWATER_OK);
    CHECK(stats.reserved == 16 * MIB && stats.committed == hw_arena_committed(arena) && stats.committed >= 8 * MIB);
    CHECK(stats.commits > 0 && stats.growth_ns > 0 && stats.used <= 8 * MIB && stats.peak_committed >= 8 * MIB);
    CHECK(hw_library_engine() == HIGHWATER_ENGINE_EXPLICIT ? stats.faults == 0 : stats.faults > 0);

    hw_monitor monitor = hw_arena_monitor(arena), none;
    memset(&none, 0, sizeof none);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, watch, &monitor) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(!hw_monitor_is_live(none) && hw_monitor_stats(none, &stats) == HIGHWATER_ERROR_ARGUMENT);
    CHECK(hw_monitor_stats(monitor, NULL) == HIGHWATER_ERROR_ARGUMENT);
    CHECK(!hw_monitor_is_live(hw_monitor_of(&arena)) && !hw_monitor_is_live(hw_monitor_of(NULL)));
    CHECK(!hw_monitor_is_live(hw_arena_monitor(NULL)));
    CHECK(hw_monitor_stats(hw_monitor_of(cursor.position), &stats) == HIGHWATER_OK && stats.reserved == 16 * MIB);

    hw_arena *second = arena_of(MIB);
    hw_monitor all[4];
    CHECK(hw_monitors(all, 4) == 2 && hw_monitors(all, 1) == 2 && hw_monitors(NULL, 4) == 2 && hw_monitors(NULL, 0) == 2);
    CHECK(hw_monitor_is_live(all[0]) && hw_monitor_is_live(all[1]));
    CHECK(hw_arena_id(arena) != hw_arena_id(second) && hw_arena_id(second) != 0);
    CHECK(hw_process_committed() == hw_arena_committed(arena) + hw_arena_committed(second));

    hw_error error;
    CHECK(hw_process_limit() == HIGHWATER_NONE);
    hw_set_process_limit(hw_process_committed() + 4096);
    CHECK(hw_process_limit() == hw_process_committed() + 4096);
    hw_cursor other = hw_arena_cursor(second);
    CHECK(hw_commit_ahead(other, MIB, &error) == HIGHWATER_ERROR_MEMORY && error.cause == HIGHWATER_CAUSE_PROCESS_LIMIT);
    CHECK(hw_try_alloc(&other, MIB) == NULL && hw_try_alloc(&other, 66000) != NULL);
    hw_set_process_limit(HIGHWATER_NONE);
    CHECK(hw_try_alloc(&other, MIB / 2) != NULL);

    hw_arena_free(second);
    hw_arena_free(arena);
    CHECK(!hw_monitor_is_live(monitor) && hw_monitor_stats(monitor, &stats) == HIGHWATER_ERROR_ARGUMENT);
    char name[4] = "xyz";
    CHECK(hw_monitor_name(monitor, name, sizeof name) == 0 && name[0] == '\0');
}

static void injected(void)
{
    hw_arena *arena = arena_of(64 * MIB);
    hw_cursor cursor = hw_arena_cursor(arena);
    hw_error error;
    CHECK(hw_inject((hw_injection)5, 0, 0) == HIGHWATER_ERROR_ARGUMENT);
    CHECK(hw_inject(HIGHWATER_INJECT_NTH, 2, 0) == HIGHWATER_OK);
    CHECK(hw_commit_ahead(cursor, MIB, &error) == HIGHWATER_OK);
    CHECK(hw_commit_ahead(cursor, 2 * MIB, &error) == HIGHWATER_ERROR_MEMORY && error.cause == HIGHWATER_CAUSE_INJECTED);
    CHECK(hw_commit_ahead(cursor, 2 * MIB, &error) == HIGHWATER_OK);
    CHECK(hw_inject(HIGHWATER_INJECT_AFTER, 0, 0) == HIGHWATER_OK);
    CHECK(hw_commit_ahead(cursor, 3 * MIB, NULL) == HIGHWATER_ERROR_MEMORY);
    CHECK(hw_inject(HIGHWATER_INJECT_ABOVE, 4 * MIB, 0) == HIGHWATER_OK);
    CHECK(hw_commit_ahead(cursor, 3 * MIB, NULL) == HIGHWATER_OK);
    CHECK(hw_commit_ahead(cursor, 9 * MIB, NULL) == HIGHWATER_ERROR_MEMORY);
    CHECK(hw_inject(HIGHWATER_INJECT_RATE, 1000000, 1) == HIGHWATER_OK);
    CHECK(hw_commit_ahead(cursor, 4 * MIB, NULL) == HIGHWATER_ERROR_MEMORY);
    CHECK(hw_inject(HIGHWATER_INJECT_NOTHING, 0, 0) == HIGHWATER_OK);
    CHECK(hw_commit_ahead(cursor, 9 * MIB, NULL) == HIGHWATER_OK);
    hw_arena_free(arena);
}

/* The rest is of the fault engine. */

static int asked;

static hw_answer lift(void *user, const hw_refusal *refusal)
{
    CHECK(refusal->size == sizeof *refusal && refusal->cause == HIGHWATER_CAUSE_INJECTED);
    CHECK(strcmp(refusal->name, "hooked") == 0 && refusal->arena == hw_arena_id(*(hw_arena **)user));
    CHECK(refusal->requested > 0 && refusal->committed == 65536 && refusal->reserved == 64 * MIB && refusal->limit == 0);
    ++asked;
    hw_inject(HIGHWATER_INJECT_NOTHING, 0, 0);
    return HIGHWATER_ANSWER_RETRY;
}

static hw_answer give_up(void *user, const hw_refusal *refusal)
{
    static const char last_words[] = "the hook was asked\n";
    CHECK(user == (void *)&asked && refusal->cause == HIGHWATER_CAUSE_INJECTED);
    return write(2, last_words, sizeof last_words - 1) > 0 ? HIGHWATER_ANSWER_DIE : HIGHWATER_ANSWER_RETRY;
}

static void touch(hw_arena *arena, size_t bytes)
{
    hw_cursor cursor = hw_arena_cursor(arena);
    memset(hw_alloc(&cursor, bytes), 1, bytes);
}

static void hooks(void)
{
    /* Two arenas, each with its own. */
    hw_arena *arenas[2];
    hw_options options = HIGHWATER_OPTIONS;
    options.name = "hooked";
    options.reserve = 64 * MIB;
    options.on_refusal = HIGHWATER_RESPONSE_HOOK;
    options.refusal_hook = lift;
    for (int i = 0; i < 2; ++i) {
        options.refusal_user = &arenas[i];
        arenas[i] = hw_arena_new(&options);
    }
    for (int i = 0; i < 2; ++i) {
        hw_inject(HIGHWATER_INJECT_AFTER, 0, 0);
        touch(arenas[i], 8 * MIB);
        CHECK(asked == i + 1);
    }
    /* A hook goes with its arena, and its place is used again. */
    hw_arena_free(arenas[0]);
    options.refusal_user = &arenas[0];
    arenas[0] = hw_arena_new(&options);
    hw_inject(HIGHWATER_INJECT_AFTER, 0, 0);
    touch(arenas[0], 8 * MIB);
    CHECK(asked == 3);
    hw_arena_free(arenas[0]);
    hw_arena_free(arenas[1]);
}

static void dies_after_the_hook(void)
{
    hw_options options = HIGHWATER_OPTIONS;
    options.on_refusal = HIGHWATER_RESPONSE_HOOK;
    options.refusal_hook = give_up;
    options.refusal_user = &asked;
    hw_arena *arena = hw_arena_new(&options);
    hw_inject(HIGHWATER_INJECT_AFTER, 0, 0);
    touch(arena, 8 * MIB);
}

static void dies_of_a_refusal(void)
{
    hw_arena *arena = arena_of(64 * MIB);
    hw_inject(HIGHWATER_INJECT_AFTER, 0, 0);
    touch(arena, 8 * MIB);
}

static void spills(void)
{
    const char *directory = getenv("TEST_DIRECTORY");
    hw_options options = HIGHWATER_OPTIONS;
    hw_error error;
    hw_arena *arena;
    options.reserve = 64 * MIB;
    options.on_refusal = HIGHWATER_RESPONSE_SPILL;
    options.spill_directory = directory == NULL ? "/tmp" : directory;
    if (hw_arena_create(&options, &arena, &error) != HIGHWATER_OK) {
        CHECK(contains(error.message, "tmpfs"));
        printf("tmpfs\n");
        return;
    }
    hw_set_process_limit(MIB);
    touch(arena, 32 * MIB);
    CHECK(hw_process_committed() <= MIB && hw_arena_committed(arena) >= 32 * MIB);
    CHECK(((char *)hw_arena_base(arena))[32 * MIB - 1] == 1);
    hw_arena_free(arena);
}

static void backed(void)
{
    const char *directory = getenv("TEST_DIRECTORY");
    hw_options options = HIGHWATER_OPTIONS;
    options.reserve = 64 * MIB;
    options.backing_directory = directory == NULL ? "/tmp" : directory;
    hw_arena *arena = hw_arena_new(&options);
    touch(arena, 32 * MIB);
    CHECK(((char *)hw_arena_base(arena))[32 * MIB - 1] == 1);
    hw_arena_free(arena);
}

static void tell(void *user, const hw_violation *violation)
{
    CHECK(user == (void *)&asked && violation->size == sizeof *violation);
    CHECK(strcmp(violation->name, "test") == 0 && violation->kind == HIGHWATER_VIOLATION_END_OF_RESERVATION);
    CHECK(violation->access == HIGHWATER_ACCESS_WRITE || violation->access == HIGHWATER_ACCESS_UNKNOWN);
    CHECK(violation->offset == (ptrdiff_t)MIB + 3 && violation->distance == 4 && violation->program_counter != 0);
    CHECK(violation->address != 0 && violation->thread == (uint32_t)getpid());
    static const char words[] = "the hook was told\n";
    CHECK(write(2, words, sizeof words - 1) > 0);
}

static void dies_in_a_guard(void)
{
    hw_arena *arena = arena_of(MIB);
    char *base = (char *)hw_arena_base(arena);
    hw_set_violation_hook(tell, &asked);
    hw_set_violation_hook(NULL, NULL);
    hw_set_violation_hook(tell, &asked);
    char *volatile end = base + MIB;
    end[3] = 1;
}

static const struct test_case cases[] = {
    {"functions", functions},
    {"files", files},
    {"figures", figures},
    {"injected", injected},
    {"hooks", hooks},
    {"spills", spills},
    {"backed", backed},
    {"dies after the hook", dies_after_the_hook},
    {"dies of a refusal", dies_of_a_refusal},
    {"dies in a guard", dies_in_a_guard},
};
MAIN(cases)
