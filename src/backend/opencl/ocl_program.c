/* Programs: sources, builds, kernels, launches. */
#include "ocl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../base/log.h"
#include "../../base/memory.h"

enum { SOURCE_MAX = 4 << 20, OPTIONS_BYTES = 1024 };

/* ---- Sources --------------------------------------------------------------------------------- */

/* Reads DIR/NAME.cl whole; NULL with the message in err. */
static char *source_read(const char *dir, const char *name, struct toto_error *err)
{
    char path[4096];
    char *text = NULL;
    size_t length = 0;
    snprintf(path, sizeof path, "%s/%s.cl", dir, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        toto_fail(err, TOTO_STATUS_RESOURCE, "%s (of TOTO_KERNEL_DIR): %s", path, strerror(errno));
        return NULL;
    }
    if (!(text = mem_alloc(SOURCE_MAX)))
        toto_fail_memory(err, path, SOURCE_MAX);
    else
        length = fread(text, 1, SOURCE_MAX, file);
    if (text && (ferror(file) || length == SOURCE_MAX)) {
        toto_fail(err, TOTO_STATUS_RESOURCE, "%s (of TOTO_KERNEL_DIR) cannot be read", path);
        mem_free(text);
        text = NULL;
    }
    fclose(file);
    if (!text)
        return NULL;
    text[length] = '\0';
    return text;
}

/* The text of kernels/NAME.cl; *owned is what to free. NULL with the message in err. */
static const char *source_find(const char *name, char **owned, struct toto_error *err)
{
    const char *dir = getenv("TOTO_KERNEL_DIR");
    *owned = NULL;
    if (dir && *dir)
        return *owned = source_read(dir, name, err);
    for (const struct ocl_source *source = ocl_sources; source->name; source++)
        if (strcmp(source->name, name) == 0)
            return (const char *)source->text;
    toto_fail(err, TOTO_STATUS_BUG, "there is no kernels/%s.cl", name);
    return NULL;
}

/* ---- Builds ---------------------------------------------------------------------------------- */

static size_t lines_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* NVIDIA's compiler passes over #line and counts lines from the start of all the text, as
 * "<kernel>:LINE:". Writes the log on one line into out, with such places named as #line says:
 * `before` lines stand before the file's first. */
static void log_tidy(const char *log, const char *file, size_t before, char *out, size_t size)
{
    static const char mark[] = "<kernel>:";
    size_t n = 0;
    while (*log && n + 1 < size) {
        char *end;
        unsigned long line =
            strncmp(log, mark, sizeof mark - 1) == 0 ? strtoul(log + sizeof mark - 1, &end, 10) : 0;
        if (line > before) {
            int length = snprintf(out + n, size - n, "kernels/%s.cl:%lu", file,
                                  line - (unsigned long)before);
            n = (size_t)length < size - n ? n + (size_t)length : size - 1;
            log = end;
        } else {
            out[n++] = *log == '\n' || *log == '\r' ? ' ' : *log;
            log++;
        }
    }
    out[n] = '\0';
}

/* "clBuildProgram of FILE failed" with the start of the compiler's log. `before`: lines before the
 * file's first. */
static void build_log(const struct ocl_backend *backend, cl_program program, const char *file,
                      size_t before, cl_int code, struct toto_error *err)
{
    size_t bytes = 0;
    char *log = NULL, tidy[sizeof err->message] = "no build log";
    if (!ocl.clGetProgramBuildInfo(program, backend->device->id, CL_PROGRAM_BUILD_LOG, 0, NULL,
                                   &bytes) &&
        bytes)
        log = mem_calloc(1, bytes + 1);
    if (log && !ocl.clGetProgramBuildInfo(program, backend->device->id, CL_PROGRAM_BUILD_LOG, bytes,
                                          log, NULL)) {
        log_debug("the build log of kernels/%s.cl: %s", file, log);
        log_tidy(log, file, before, tidy, sizeof tidy);
    }
    mem_free(log);
    toto_fail(err, TOTO_STATUS_RESOURCE,
              "OpenCL device %s: clBuildProgram of kernels/%s.cl failed: %s (%d): %s",
              backend->device->name, file, ocl_code_name(code), (int)code, tidy);
}

/* A program from its cached binary, or NULL. */
static cl_program program_load(const struct ocl_backend *backend, const struct ocl_cache_key *key)
{
    size_t bytes;
    cl_int each = CL_SUCCESS, code;
    unsigned char *payload = ocl_cache_load(key, &bytes);
    if (!payload)
        return NULL;
    cl_program program =
        ocl.clCreateProgramWithBinary(backend->context, 1, &backend->device->id, &bytes,
                                      (const unsigned char **)&payload, &each, &code);
    mem_free(payload);
    if (program &&
        (code || each || ocl.clBuildProgram(program, 1, &backend->device->id, "", NULL, NULL))) {
        ocl.clReleaseProgram(program);
        return NULL;
    }
    return program;
}

/* Puts the program's binary into the cache. Called when a kernel exists, since some drivers compile
 * only then. */
static void program_store(const struct ocl_backend *backend, struct ocl_program *entry)
{
    size_t bytes = 0;
    unsigned char *binary = NULL;
    (void)backend;
    if (entry->stored)
        return;
    entry->stored = true;
    if (ocl.clGetProgramInfo(entry->program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) ||
        !bytes)
        return;
    binary = mem_alloc(bytes);
    if (binary &&
        !ocl.clGetProgramInfo(entry->program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL))
        ocl_cache_store(&entry->cache, binary, bytes);
    mem_free(binary);
}

static void all_options(const struct ocl_backend *backend, const char *options,
                        char out[OPTIONS_BYTES])
{
    static const struct {
        unsigned bit;
        const char *define;
    } defines[] = {
        {OCL_CAP_FP64, " -DHAS_FP64"},           {OCL_CAP_FP16, " -DHAS_FP16"},
        {OCL_CAP_LOCAL_32K, " -DHAS_LOCAL_32K"}, {OCL_CAP_GROUP_256, " -DHAS_GROUP_256"},
        {OCL_CAP_NVIDIA, " -DHAS_NVIDIA"},
    };
    size_t n = (size_t)snprintf(out, OPTIONS_BYTES, "-cl-std=CL1.2 -DDTYPE_%s",
                                dtype_name(backend->dtype));
    for (size_t i = 0; i < sizeof defines / sizeof *defines; i++)
        if (backend->caps & defines[i].bit)
            n += (size_t)snprintf(out + n, OPTIONS_BYTES - n, "%s", defines[i].define);
    /* Some compilers say on standard error how many warnings there were. */
    if (!getenv("TOTO_KERNEL_DIR"))
        n += (size_t)snprintf(out + n, OPTIONS_BYTES - n, " -w");
    if (options && *options)
        snprintf(out + n, OPTIONS_BYTES - n, " %s", options);
}

static enum toto_status program_build(struct ocl_backend *backend, const char *file,
                                      const char *options, const char *prelude, const char *text,
                                      struct ocl_program *entry, struct toto_error *err)
{
    char line[256], all[OPTIONS_BYTES];
    cl_int code;
    double start = clock_seconds();
    snprintf(line, sizeof line, "\n#line 1 \"kernels/%s.cl\"\n", file);
    all_options(backend, options, all);
    const char *parts[] = {"#line 1 \"kernels/prelude.cl\"\n", prelude, line, text, "\n", all};
    ocl_cache_key_make(backend->device, parts, sizeof parts / sizeof *parts, &entry->cache);
    entry->program = program_load(backend, &entry->cache);
    entry->stored = entry->program != NULL;
    if (!entry->program) {
        entry->program = ocl.clCreateProgramWithSource(backend->context, 5, parts, NULL, &code);
        if (!entry->program)
            return ocl_error(backend->device, "clCreateProgramWithSource", code, err);
        code = ocl.clBuildProgram(entry->program, 1, &backend->device->id, all, NULL, NULL);
        if (code) {
            build_log(backend, entry->program, file, lines_of(prelude) + 3, code, err);
            ocl.clReleaseProgram(entry->program);
            entry->program = NULL;
            return TOTO_STATUS_RESOURCE;
        }
    }
    log_debug("kernels/%s.cl %s in %.1f ms (%s)", file,
              entry->stored ? "taken from the cache" : "built", 1e3 * (clock_seconds() - start),
              all);
    return TOTO_STATUS_OK;
}

/* The program of a file with these options, built on first use. */
static enum toto_status program_get(struct ocl_backend *backend, const char *file,
                                    const char *options, struct ocl_program **program,
                                    struct toto_error *err)
{
    char key[OPTIONS_BYTES], *owned_prelude = NULL, *owned_text = NULL;
    enum toto_status status = TOTO_STATUS_RESOURCE;
    snprintf(key, sizeof key, "%s %s", file, options ? options : "");
    for (size_t i = 0; i < backend->n_programs; i++)
        if (strcmp(backend->programs[i].key, key) == 0) {
            *program = &backend->programs[i];
            return TOTO_STATUS_OK;
        }
    if (backend->n_programs == OCL_PROGRAMS_MAX)
        return toto_fail(err, TOTO_STATUS_BUG, "more than %d OpenCL programs are in use",
                         OCL_PROGRAMS_MAX);
    struct ocl_program entry = {.key = mem_strdup(key)};
    if (!entry.key)
        return toto_fail_memory(err, "an OpenCL program", strlen(key) + 1);
    const char *prelude = source_find("prelude", &owned_prelude, err);
    const char *text = prelude ? source_find(file, &owned_text, err) : NULL;
    if (text)
        status = program_build(backend, file, options, prelude, text, &entry, err);
    mem_free(owned_prelude);
    mem_free(owned_text);
    if (status) {
        mem_free(entry.key);
        return status;
    }
    *program = &backend->programs[backend->n_programs++];
    **program = entry;
    return TOTO_STATUS_OK;
}

static enum toto_status kernel_make(struct ocl_backend *backend, const char *file, const char *name,
                                    const char *options, const char *key, struct toto_error *err)
{
    struct ocl_program *program = NULL;
    cl_int code;
    if (backend->n_kernels == OCL_KERNELS_MAX)
        return toto_fail(err, TOTO_STATUS_BUG, "more than %d OpenCL kernels are in use",
                         OCL_KERNELS_MAX);
    enum toto_status status = program_get(backend, file, options, &program, err);
    if (status)
        return status;
    struct ocl_kernel entry = {.key = mem_strdup(key)};
    if (!entry.key)
        return toto_fail_memory(err, "an OpenCL kernel", strlen(key) + 1);
    entry.kernel = ocl.clCreateKernel(program->program, name, &code);
    if (!entry.kernel) {
        mem_free(entry.key);
        return toto_fail(err, TOTO_STATUS_RESOURCE,
                         "OpenCL device %s: clCreateKernel of %s in kernels/%s.cl failed: %s (%d)",
                         backend->device->name, name, file, ocl_code_name(code), (int)code);
    }
    program_store(backend, program);
    backend->kernels[backend->n_kernels++] = entry;
    return TOTO_STATUS_OK;
}

cl_kernel ocl_kernel_get(struct ocl_backend *backend, const char *file, const char *name,
                         const char *options)
{
    char key[OPTIONS_BYTES];
    struct toto_error err;
    if (backend->base.status)
        return NULL;
    snprintf(key, sizeof key, "%s %s %s", name, file, options ? options : "");
    for (size_t i = 0; i < backend->n_kernels; i++)
        if (strcmp(backend->kernels[i].key, key) == 0)
            return backend->kernels[i].kernel;
    enum toto_status status = kernel_make(backend, file, name, options, key, &err);
    if (status) {
        backend_fail(&backend->base, status, &err);
        return NULL;
    }
    return backend->kernels[backend->n_kernels - 1].kernel;
}

void ocl_programs_close(struct ocl_backend *backend)
{
    for (size_t i = 0; i < backend->n_kernels; i++) {
        ocl.clReleaseKernel(backend->kernels[i].kernel);
        mem_free(backend->kernels[i].key);
    }
    for (size_t i = 0; i < backend->n_programs; i++) {
        ocl.clReleaseProgram(backend->programs[i].program);
        mem_free(backend->programs[i].key);
    }
    backend->n_kernels = backend->n_programs = 0;
}

/* ---- Launches -------------------------------------------------------------------------------- */

void ocl_fail(struct ocl_backend *backend, const char *call, cl_int code)
{
    struct toto_error err;
    backend_fail(&backend->base, ocl_error(backend->device, call, code, &err), &err);
}

void ocl_launch(struct ocl_backend *backend, cl_kernel kernel, const struct ocl_arg *args,
                size_t n_args, unsigned dims, const size_t *global, const size_t *group)
{
    size_t rounded[3] = {1, 1, 1};
    cl_int code;
    if (backend->base.status || !kernel)
        return;
    for (unsigned i = 0; i < dims; i++) {
        if (!global[i])
            return;
        rounded[i] = group ? (global[i] + group[i] - 1) / group[i] * group[i] : global[i];
    }
    for (size_t i = 0; i < n_args; i++)
        if ((code = ocl.clSetKernelArg(kernel, (cl_uint)i, args[i].size, args[i].value))) {
            ocl_fail(backend, "clSetKernelArg", code);
            return;
        }
    code = ocl.clEnqueueNDRangeKernel(backend->queue, kernel, dims, NULL, rounded, group, 0, NULL,
                                      NULL);
    if (code)
        ocl_fail(backend, "clEnqueueNDRangeKernel", code);
}
