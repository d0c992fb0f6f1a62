#define _XOPEN_SOURCE 700 /* nftw */
/* Each call of OpenCL fails in its turn: either all is right, or the error names what failed, and
 * nothing is kept. */
#include "opencl_cases.h"

#include "base/memory.h"

/* ---- A use of the backend -------------------------------------------------------------------- */

/* A whole use of the backend but for the ops; what it computes is checked. */
static enum toto_status use(enum dtype dtype, bool *right, struct toto_error *err)
{
    enum { N = 700000, MOVED = 5, ADDED = 1000 };
    struct backend *backend = NULL;
    struct tensor tensor = {0};
    struct weight *weight = NULL;
    float *in = mem_alloc(N * sizeof *in), *out = mem_alloc(N * sizeof *out);
    *right = false;
    for (size_t i = 0; i < N; i++)
        in[i] = (float)(i % 251);
    enum toto_status status = ocl_backend_open(device_first(), dtype, 0, &backend, err);
    if (status)
        goto done;
    const struct weight_part part = {DTYPE_F32, in, 100};
    if ((status = backend->ops->alloc(backend, TENSOR_ACTIVATION, N, &tensor, err)) ||
        (status = backend->ops->weight_open(backend, &part, 1, 1000, &weight, err)))
        goto done;
    backend->ops->upload(backend, tensor, in);
    cl_ulong first = MOVED;
    cl_uint n = ADDED;
    const struct ocl_arg args[] = {{sizeof(cl_mem), &tensor.memory}, OCL_ARG(first), OCL_ARG(n)};
    size_t global = ADDED, group = 64;
    if (dtype == DTYPE_F32)
        ocl_launch(ocl_of(backend), ocl_kernel_get(ocl_of(backend), "probe", "add", "-DADDED=1"),
                   args, 3, 1, &global, &group);
    if ((status = backend->ops->download(backend, tensor, out, err)))
        goto done;
    *right = true;
    for (size_t i = 0; i < N; i++)
        if (out[i] != in[i] + (dtype == DTYPE_F32 && i >= MOVED && i < MOVED + ADDED ? 1.0f : 0.0f))
            *right = false;
    status = backend->ops->sync(backend, err);
done:
    if (backend) {
        backend->ops->weight_close(backend, weight);
        backend->ops->free(backend, &tensor);
        backend->ops->close(backend);
    }
    mem_free(in);
    mem_free(out);
    return status;
}

static int use_case(const char *argument)
{
    struct toto_error err = {""};
    size_t before = toto_memory_used();
    bool right;
    if (!device_first())
        return CHILD_SKIPPED;
    for (int dtype = DTYPE_F32; dtype <= DTYPE_BF16; dtype++) {
        if (use((enum dtype)dtype, &right, &err))
            fprintf(stderr, "%s\n", err.message);
        CHECK(right);
        if (argument) /* one is enough */
            break;
    }
    CHECK(toto_memory_used() == before);
    return CHILD_OK;
}

static void test_use(void **state)
{
    (void)state;
    expect_ok(use_case, NULL, NULL);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static unsigned long count_of(const char *call)
{
    char path[128], name[64];
    unsigned long n, found = 0;
    snprintf(path, sizeof path, "%s/counts", folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fscanf(file, "%63s %lu", name, &n) == 2)
        if (strcmp(name, call) == 0)
            found = n;
    fclose(file);
    return found;
}

/* Either all is right, or the error names the call or the device, and nothing is kept. */
static int fault_case(const char *argument)
{
    struct toto_error err = {""};
    bool right;
    size_t before = toto_memory_used();
    if (!device_first())
        return CHILD_OK;
    size_t listed = toto_memory_used();
    enum toto_status status = use(DTYPE_F32, &right, &err);
    CHECK(before == listed && toto_memory_used() == before);
    if (status == TOTO_STATUS_OK) {
        CHECK(right);
        return CHILD_OK;
    }
    if (!strstr(err.message, "CL_") || !strstr(err.message, device_first()->name))
        fprintf(stderr, "%s: %s\n", argument, err.message);
    CHECK(status == TOTO_STATUS_RESOURCE);
    CHECK(strstr(err.message, "CL_") && strstr(err.message, device_first()->name));
    return CHILD_OK;
}

/* The call that fails is one that a use cannot do without. */
static int failing_case(const char *argument)
{
    struct toto_error err = {""};
    bool right;
    if (!device_first())
        return CHILD_SKIPPED;
    CHECK(use(DTYPE_F32, &right, &err) == TOTO_STATUS_RESOURCE && !right);
    if (!strstr(err.message, argument))
        fprintf(stderr, "%s: %s\n", argument, err.message);
    CHECK(strstr(err.message, argument));
    return CHILD_OK;
}

static void test_errors_name_the_call(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"clCreateContext failed: CL_DEVICE_NOT_AVAILABLE (-2)", "clCreateContext:1"},
        {"clCreateCommandQueue failed: CL_OUT_OF_RESOURCES", "clCreateCommandQueue:1"},
        {"CL_MEM_OBJECT_ALLOCATION_FAILURE", "clCreateBuffer:1"},
        {"CL_MEM_OBJECT_ALLOCATION_FAILURE", "clCreateBuffer:2"},
        {"clEnqueueFillBuffer failed: CL_OUT_OF_RESOURCES", "clEnqueueFillBuffer:1"},
        {"clEnqueueMapBuffer failed: CL_MAP_FAILURE", "clEnqueueMapBuffer:1"},
        {"clEnqueueWriteBuffer failed", "clEnqueueWriteBuffer:2"},
        {"clSetKernelArg failed", "clSetKernelArg:2"},
        {"clEnqueueNDRangeKernel failed: CL_OUT_OF_RESOURCES (-5)", "clEnqueueNDRangeKernel:1"},
        {"clEnqueueReadBuffer failed", "clEnqueueReadBuffer:1"},
        {"clBuildProgram of kernels/probe.cl failed", "clBuildProgram:1+"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char variable[128];
        snprintf(variable, sizeof variable, "TOTO_OPENCL_FAIL=%s", cases[i][1]);
        expect_ok(failing_case, cases[i][0], variable);
    }
}

/* Counts the calls of a use, and of each handle that was made. */
static void count_calls(void)
{
    char variable[128];
    snprintf(variable, sizeof variable, "TOTO_OPENCL_COUNT=%s/counts", folder);
    int status = run_child(use_case, "once", variable, true);
    if (status == CHILD_SKIPPED)
        skip();
}

static void test_nothing_is_kept(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"clCreateContext", "clReleaseContext"}, {"clCreateCommandQueue", "clReleaseCommandQueue"},
        {"clCreateBuffer", "clReleaseMemObject"}, {"clCreateKernel", "clReleaseKernel"},
        {"clEnqueueMapBuffer", "clEnqueueUnmapMemObject"},
    };
    count_calls();
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_true(count_of(pairs[i][0]) > 0);
        assert_int_equal(count_of(pairs[i][0]), count_of(pairs[i][1]));
    }
    assert_int_equal(count_of("clCreateProgramWithSource") + count_of("clCreateProgramWithBinary"),
                     count_of("clReleaseProgram"));
}

static void test_every_call_fails(void **state)
{
    (void)state;
    static const char *const calls[] = {
#define NAME(name) #name,
        OCL_CALLS(NAME)
#undef NAME
    };
    count_calls();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        bool questions = strncmp(calls[i], "clGet", 5) == 0 ||
                         strncmp(calls[i], "clRelease", 9) == 0 ||
                         strcmp(calls[i], "clSetKernelArg") == 0;
        unsigned long n = count_of(calls[i]), most = questions && n ? 1 : n;
        for (unsigned long at = 1; at <= most; at++) {
            char variable[128];
            snprintf(variable, sizeof variable, "TOTO_OPENCL_FAIL=%s:%lu", calls[i], at);
            int status = run_child(fault_case, variable, variable, false);
            if (status != CHILD_OK)
                fail_msg("%s: the child ended with %d", variable, status);
        }
    }
    assert_int_equal(run_child(fault_case, "build", "TOTO_OPENCL_FAIL=clBuildProgram:1+", false),
                     CHILD_OK);
    assert_int_equal(run_child(fault_case, "lost", "TOTO_OPENCL_FAIL=clFinish:1+", false),
                     CHILD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_use),
        cmocka_unit_test(test_errors_name_the_call),
        cmocka_unit_test(test_nothing_is_kept),
        cmocka_unit_test(test_every_call_fails),
    };
    return cmocka_run_group_tests_name("opencl_faults", tests, folder_make, folder_remove);
}
