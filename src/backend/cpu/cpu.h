/* The CPU backend: OpenBLAS for passes of many rows, weight-streaming kernels of our own for the rest,
 * plain C for everything else. */
#ifndef TOTO_BACKEND_CPU_CPU_H
#define TOTO_BACKEND_CPU_CPU_H

#include "../backend.h"

/* n_threads 0: the processors that the affinity mask and the cgroup quota allow. */
enum toto_status cpu_backend_open(size_t n_threads, struct backend **backend, struct toto_error *err);

/* What tells a CPU backend from others. */
const struct backend_ops *cpu_backend_ops(void);

#endif
