/* The thread pool. A loop is published as one 64-bit ticket, loop number and tasks left; a thread
 * takes a task by counting the ticket down with compare-and-swap, so a thread that comes late to a
 * loop that is over finds nothing to take, and the caller waits for tasks alone, never for a
 * sleeping thread. */
#ifdef __linux__
#define _GNU_SOURCE
#endif
#include "threads.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../base/memory.h"

/* Rounds of waiting before a thread sleeps: some tens of microseconds, the length of the pauses
 * between the ops of one pass. */
enum { SPIN_ROUNDS = 4000 };

struct thread_pool {
    _Atomic uint64_t ticket; /* number of the loop << 32 | tasks that are not yet taken */
    _Atomic uint32_t n_done;
    _Atomic(thread_task *) run;
    _Atomic(void *) context;
    _Atomic size_t n_tasks;
    _Atomic bool stop;
    _Atomic unsigned n_sleeping;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    size_t n_threads, n_started; /* workers, without the caller */
    bool starting_done;
    struct worker {
        struct thread_pool *pool;
        size_t index;
        pthread_t thread;
    } workers[];
};

static inline void cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Takes and runs tasks until none is left. */
static void tasks_run(struct thread_pool *pool, size_t thread)
{
    uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    while ((uint32_t)ticket) {
        if (!atomic_compare_exchange_weak_explicit(&pool->ticket, &ticket, ticket - 1,
                                                   memory_order_acq_rel, memory_order_acquire))
            continue;
        /* The loop cannot end before this task is counted, so these are its own. */
        thread_task *run = atomic_load_explicit(&pool->run, memory_order_relaxed);
        void *context = atomic_load_explicit(&pool->context, memory_order_relaxed);
        size_t n_tasks = atomic_load_explicit(&pool->n_tasks, memory_order_relaxed);
        run(context, n_tasks - (uint32_t)ticket, thread);
        atomic_fetch_add_explicit(&pool->n_done, 1, memory_order_release);
        ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    }
}

static bool has_work(struct thread_pool *pool)
{
    return (uint32_t)atomic_load(&pool->ticket) || atomic_load(&pool->stop);
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct thread_pool *pool = worker->pool;
    for (;;) {
        for (int i = 0; i < SPIN_ROUNDS && !has_work(pool); i++)
            cpu_pause();
        if (!has_work(pool)) {
            pthread_mutex_lock(&pool->mutex);
            atomic_fetch_add(&pool->n_sleeping, 1);
            while (!has_work(pool))
                pthread_cond_wait(&pool->wake, &pool->mutex);
            atomic_fetch_sub(&pool->n_sleeping, 1);
            pthread_mutex_unlock(&pool->mutex);
        }
        if (atomic_load(&pool->stop))
            return NULL;
        tasks_run(pool, worker->index);
    }
}

static void wake_all(struct thread_pool *pool)
{
    if (!atomic_load(&pool->n_sleeping))
        return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

static void workers_start(struct thread_pool *pool)
{
    pool->starting_done = true;
    for (size_t i = 0; i + 1 < pool->n_threads; i++) {
        struct worker *worker = &pool->workers[i];
        *worker = (struct worker){.pool = pool, .index = i + 1};
        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0)
            return;
        pool->n_started++;
    }
}

void thread_pool_run(struct thread_pool *pool, size_t n_tasks, thread_task *run, void *context)
{
    if (pool->n_threads == 1 || n_tasks < 2) {
        for (size_t task = 0; task < n_tasks; task++)
            run(context, task, 0);
        return;
    }
    assert(n_tasks <= UINT32_MAX);
    if (!pool->starting_done)
        workers_start(pool);
    atomic_store_explicit(&pool->run, run, memory_order_relaxed);
    atomic_store_explicit(&pool->context, context, memory_order_relaxed);
    atomic_store_explicit(&pool->n_tasks, n_tasks, memory_order_relaxed);
    atomic_store_explicit(&pool->n_done, 0, memory_order_relaxed);
    uint64_t loop = (atomic_load(&pool->ticket) >> 32) + 1;
    atomic_store(&pool->ticket, loop << 32 | n_tasks);
    wake_all(pool);
    tasks_run(pool, 0);
    for (int i = 0; atomic_load_explicit(&pool->n_done, memory_order_acquire) != n_tasks; i++) {
        if (i < SPIN_ROUNDS)
            cpu_pause();
        else
            sched_yield();
    }
}

enum toto_status thread_pool_open(size_t n_threads, struct thread_pool **pool,
                                  struct toto_error *err)
{
    size_t bytes;
    *pool = NULL;
    if (!size_mul(n_threads, sizeof(struct worker), &bytes) ||
        !size_add(bytes, sizeof **pool, &bytes) || !(*pool = mem_calloc(1, bytes)))
        return toto_fail_memory(err, "the threads", bytes);
    (*pool)->n_threads = n_threads;
    if (pthread_mutex_init(&(*pool)->mutex, NULL) != 0)
        goto done;
    if (pthread_cond_init(&(*pool)->wake, NULL) == 0)
        return TOTO_STATUS_OK;
    pthread_mutex_destroy(&(*pool)->mutex);
done:
    mem_free(*pool);
    *pool = NULL;
    return toto_fail(err, TOTO_STATUS_RESOURCE, "the system has no mutex left for the threads");
}

void thread_pool_close(struct thread_pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    wake_all(pool);
    for (size_t i = 0; i < pool->n_started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    mem_free(pool);
}

#ifdef __linux__
/* A cgroup path of this process for a controller ("" for version 2), or false. /proc/self/cgroup
 * has lines "id:controllers:path"; cgroups(7). */
static bool cgroup_path(const char *controller, char *path, size_t size)
{
    char line[1024];
    bool found = false;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        char *names = strchr(line, ':');
        char *at = names ? strchr(names + 1, ':') : NULL;
        if (!at)
            continue;
        *at++ = '\0';
        at[strcspn(at, "\n")] = '\0';
        names++;
        if (!*controller)
            found = !*names;
        for (char *name = names; *controller && name && !found; name = strchr(name, ',')) {
            name += *name == ',';
            size_t length = strcspn(name, ",");
            found = length == strlen(controller) && strncmp(name, controller, length) == 0;
        }
        if (found)
            snprintf(path, size, "%s", at);
    }
    if (file)
        fclose(file);
    return found;
}

/* One or two numbers of a file; false if there are none ("max", no file). */
static bool numbers_read(const char *path, const char *format, long long *a, long long *b)
{
    FILE *file = fopen(path, "re");
    bool found = file && fscanf(file, format, a, b) >= 1;
    if (file)
        fclose(file);
    return found;
}

/* The smallest quota, in processors rounded up, of the process's cgroup and those above it; 0:
 * none. */
static size_t cgroup_processors(void)
{
    const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/cpu"};
    size_t least = 0;
    for (int version = 2; version >= 1; version--) {
        char path[1024], name[2048];
        if (!cgroup_path(version == 2 ? "" : "cpu", path, sizeof path))
            continue;
        for (;;) {
            long long quota = -1, period = 100000, unused;
            const char *root = roots[2 - version];
            const char *inner = strcmp(path, "/") == 0 ? "" : path;
            snprintf(name, sizeof name, version == 2 ? "%s%s/cpu.max" : "%s%s/cpu.cfs_quota_us",
                     root, inner);
            bool found = numbers_read(name, "%lld %lld", &quota, &period);
            if (found && version == 1) {
                snprintf(name, sizeof name, "%s%s/cpu.cfs_period_us", root, inner);
                found = numbers_read(name, "%lld %lld", &period, &unused);
            }
            if (found && quota > 0 && period > 0) {
                size_t n = (size_t)((quota + period - 1) / period);
                if (!least || n < least)
                    least = n;
            }
            char *slash = strrchr(path, '/');
            if (!slash || !*inner)
                break;
            slash[slash == path] = '\0';
        }
    }
    return least;
}

static size_t affinity_processors(void)
{
    for (int n_cpus = 1024; n_cpus <= 1 << 20; n_cpus *= 2) {
        size_t bytes = CPU_ALLOC_SIZE(n_cpus);
        cpu_set_t *set = mem_alloc(bytes);
        if (!set)
            return 0;
        bool known = sched_getaffinity(0, bytes, set) == 0;
        int count = known ? CPU_COUNT_S(bytes, set) : 0;
        mem_free(set);
        if (known)
            return (size_t)count;
    }
    return 0;
}
#endif

size_t thread_count_available(void)
{
    size_t n = 0;
#ifdef __linux__
    n = affinity_processors();
#endif
    if (!n) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        n = online > 0 ? (size_t)online : 1;
    }
#ifdef __linux__
    size_t quota = cgroup_processors();
    if (quota && quota < n)
        n = quota;
#endif
    return n;
}
