/* What the tests of OpenCL share: a child a case, since what OpenCL is opened with is the process's
 * for good, and a folder of the run with kernels, caches and what the cases make. Includers define
 * _XOPEN_SOURCE 700 first, for nftw. */
#ifndef TOTO_TESTS_UNIT_OPENCL_CASES_H
#define TOTO_TESTS_UNIT_OPENCL_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/opencl/ocl.h"
#include "base/log.h"

static char folder[64]; /* of this run */

/* ---- Children -------------------------------------------------------------------------------- */

enum { CHILD_OK, CHILD_FAILED, CHILD_SKIPPED };
typedef int child_case(const char *argument);

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);       \
            return CHILD_FAILED;                                                          \
        }                                                                                 \
    } while (0)

static char last_line[1024];
static size_t n_warnings;

static inline void keep_line(void *user, enum toto_log_level level, const char *line)
{
    (void)user;
    n_warnings += level == TOTO_LOG_WARN;
    snprintf(last_line, sizeof last_line, "%s", line);
}

/* Runs the case in a child, with "NAME=VALUE" set; the status that it ends with, -1 if killed. */
static inline int run_child(child_case *run, const char *argument, const char *variable,
                            bool normal_exit)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        char name[64];
        const char *equals = variable ? strchr(variable, '=') : NULL;
        if (equals) {
            snprintf(name, sizeof name, "%.*s", (int)(equals - variable), variable);
            setenv(name, equals + 1, 1);
        }
        toto_log_set(TOTO_LOG_DEBUG, keep_line, NULL);
        alarm(300);
        int status = run(argument);
        fflush(NULL);
        if (normal_exit)
            exit(status);
        _exit(status); /* what a driver keeps for itself is not looked for */
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static inline void expect_ok(child_case *run, const char *argument, const char *variable)
{
    int status = run_child(run, argument, variable, false);
    if (status == CHILD_SKIPPED) {
        print_message("there is no OpenCL device: skipped\n");
        skip();
    }
    assert_int_equal(status, CHILD_OK);
}

/* The first device, or NULL. */
static inline const struct ocl_device *device_first(void)
{
    char why[256];
    size_t n;
    const struct ocl_device *list = ocl_devices(&n, why);
    return n ? list : NULL;
}

/* ---- The folder of the run ------------------------------------------------------------------- */

static inline void cache_here(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    setenv("XDG_CACHE_HOME", path, 1);
}

static inline void text_write(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static inline int folder_make(void **state)
{
    (void)state;
    char path[128];
    snprintf(folder, sizeof folder, "/tmp/toto-opencl-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/none", folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/kernels", folder);
    mkdir(path, 0700);
    setenv("TOTO_KERNEL_DIR", path, 1);
    text_write("kernels/prelude.cl", "#define PLUS(x) ((x) + ADDED)\n");
    text_write("kernels/probe.cl",
               "kernel void add(global float *x, ulong first, uint n)\n"
               "{\n"
               "    uint i = get_global_id(0);\n"
               "    if (i < n)\n"
               "        x[first + i] = PLUS(x[first + i]);\n"
               "}\n");
    text_write("kernels/wrong.cl",
               "kernel void add(global float *x)\n{\n    x[0] = undeclared;\n}\n");
    cache_here("cache");
    unsetenv("TOTO_CACHE");
    unsetenv("TOTO_OPENCL_MASK");
    return 0;
}

static inline int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

static inline int folder_remove(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
