/* A pool of threads that share the tasks of one parallel loop at a time. */
#ifndef TOTO_BACKEND_CPU_THREADS_H
#define TOTO_BACKEND_CPU_THREADS_H

#include "../../base/status.h"

struct thread_pool;

/* Runs task `task`; thread < n_threads tells the running threads apart (0: the caller). */
typedef void thread_task(void *context, size_t task, size_t thread);

/* Processors that the affinity mask and the cgroup's quota allow; at least 1. */
size_t thread_count_available(void);

/* Threads are started by the first loop that has more than one task. If the system gives fewer than
 * n_threads, those that there are do all the work. */
enum toto_status thread_pool_open(size_t n_threads, struct thread_pool **pool,
                                  struct toto_error *err);
/* Takes NULL. */
void thread_pool_close(struct thread_pool *pool);

/* Runs tasks 0 .. n_tasks - 1 in any order and returns when all are done. One loop at a time: not
 * from a task, and not from two threads at once. n_tasks < 2^32. */
void thread_pool_run(struct thread_pool *pool, size_t n_tasks, thread_task *run, void *context);

#endif
