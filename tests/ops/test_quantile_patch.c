/* quantile_patch: the CPU against the definition in float64, each OpenCL device against the CPU;
 * overflow and what settles it, caps, order with NaN, medians that go back to the values. */
#include "devices.h"

enum { Q = 9, ROWS = 7, SERIES = 4, MOST_PATCH = 130, WIDTH = 3 * MOST_PATCH };

struct quantile_case {
    size_t patch;
    float cap_k;
    struct quantile_row rows[ROWS];
    float head[ROWS * MOST_PATCH * Q], loc[ROWS], scale[ROWS], caps[2 * SERIES];
};

struct quantile_result {
    float out[SERIES * Q * WIDTH], values[SERIES * WIDTH];
    uint8_t mask[SERIES * WIDTH];
};

/* ---- Running an op --------------------------------------------------------------------------- */

static struct tensor uploaded(struct backend *backend, enum tensor_kind kind, size_t n, const void *src)
{
    struct tensor tensor;
    struct toto_error err;
    if (backend->ops->alloc(backend, kind, n, &tensor, &err))
        fail_msg("%s", err.message);
    backend->ops->upload(backend, tensor, src);
    return tensor;
}

static void taken(struct backend *backend, struct tensor tensor, void *to)
{
    struct toto_error err;
    if (backend->ops->download(backend, tensor, to, &err))
        fail_msg("%s", err.message);
    backend->ops->free(backend, &tensor);
}

/* What is not written stays NaN, and 7 in the mask. */
static void quantiles_run(struct backend *backend, const struct quantile_case *c, struct quantile_result *result)
{
    for (size_t i = 0; i < SERIES * Q * WIDTH; i++)
        result->out[i] = NAN;
    for (size_t i = 0; i < SERIES * WIDTH; i++)
        result->values[i] = NAN;
    memset(result->mask, 7, sizeof result->mask);
    struct quantile_patch_args args = {
        .head = uploaded(backend, TENSOR_F32, ROWS * c->patch * Q, c->head),
        .loc = uploaded(backend, TENSOR_F32, ROWS, c->loc),
        .scale = uploaded(backend, TENSOR_F32, ROWS, c->scale),
        .caps = uploaded(backend, TENSOR_F32, 2 * SERIES, c->caps),
        .rows = uploaded(backend, TENSOR_I32, sizeof c->rows / 4, c->rows),
        .n_rows = ROWS,
        .patch = c->patch,
        .cap_k = c->cap_k,
        .out = uploaded(backend, TENSOR_F32, SERIES * Q * WIDTH, result->out),
        .out_width = WIDTH,
        .values = uploaded(backend, TENSOR_F32, SERIES * WIDTH, result->values),
        .mask = uploaded(backend, TENSOR_U8, SERIES * WIDTH, result->mask)};
    backend->ops->quantile_patch(backend, &args);
    taken(backend, args.out, result->out);
    taken(backend, args.values, result->values);
    taken(backend, args.mask, result->mask);
    struct tensor inputs[] = {args.head, args.loc, args.scale, args.caps, args.rows};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
        backend->ops->free(backend, &inputs[i]);
}

/* ---- The definition -------------------------------------------------------------------------- */

static float settled(float x, const float *all, size_t n)
{
    float most = -INFINITY, least = INFINITY;
    for (size_t i = 0; i < n; i++)
        if (isfinite(all[i])) {
            most = fmaxf(most, all[i]);
            least = fminf(least, all[i]);
        }
    return !isinf(x) ? x : x > 0 ? most : least;
}

/* NaN last. */
static int values_compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    if (isnan(x) || isnan(y))
        return (isnan(x) != 0) - (isnan(y) != 0);
    return (x > y) - (x < y);
}

/* Sums and products in float64; only what a float cannot hold is infinite. */
static void want_row(const struct quantile_case *c, const struct quantile_row *row, struct quantile_result *want)
{
    float v[Q][MOST_PATCH], fixed[MOST_PATCH][Q];
    for (size_t t = 0; t < c->patch; t++)
        for (size_t q = 0; q < Q; q++) {
            double y = (double)c->head[((size_t)row->head_row * c->patch + t) * Q + q];
            float sine = (float)sinh(y);
            float spread = (float)((double)sine * (double)c->scale[row->scale_row]);
            v[q][t] = (float)((double)spread + (double)c->loc[row->scale_row]);
        }
    for (size_t t = 0; t < c->patch; t++) {
        for (size_t q = 0; q < Q; q++) {
            float x = settled(v[q][t], v[q], c->patch);
            const float *caps = c->caps + 2 * row->cap;
            if (c->cap_k > 0 && !isnan(x))
                x = fminf(fmaxf(x, caps[0]), caps[1]);
            fixed[t][q] = x;
        }
        qsort(fixed[t], Q, sizeof(float), values_compare);
        for (size_t q = 0; q < Q; q++)
            want->out[((size_t)row->out_row * Q + q) * WIDTH + (size_t)row->out_step + t] = fixed[t][q];
        if (row->feedback >= 0) {
            want->values[(size_t)row->feedback + t] = fixed[t][Q / 2];
            want->mask[(size_t)row->feedback + t] = 1;
        }
    }
}

static void result_compare(const struct quantile_result *got, const struct quantile_result *want, double least,
                           const char *what)
{
    for (size_t i = 0; i < SERIES * Q * WIDTH; i++)
        if (!(isnan(got->out[i]) && isnan(want->out[i])) && got->out[i] != want->out[i])
            assert_close((double)got->out[i], (double)want->out[i],
                         16 * FLT_EPSILON * fabs((double)want->out[i]) + least, "%s: out %zu of series %zu", what,
                         i % (Q * WIDTH), i / (Q * WIDTH));
    for (size_t i = 0; i < SERIES * WIDTH; i++)
        if (!(isnan(got->values[i]) && isnan(want->values[i])) && got->values[i] != want->values[i])
            assert_close((double)got->values[i], (double)want->values[i],
                         16 * FLT_EPSILON * fabs((double)want->values[i]) + least, "%s: value %zu", what, i);
    assert_bytes(got->mask, want->mask, sizeof got->mask, "%s: mask", what);
}

/* ---- Cases ----------------------------------------------------------------------------------- */

/* Rows: plain; small; large (sinh near and past the end of float); with NaN; all infinite; scaled to infinity; a
 * padding row. */
static void case_make(struct quantile_case *c, size_t patch, float cap_k)
{
    *c = (struct quantile_case){.patch = patch, .cap_k = cap_k};
    for (size_t i = 0; i < ROWS * patch * Q; i++) {
        size_t row = i / (patch * Q);
        float r = random_float();
        c->head[i] = row == 0   ? 2 * r
                     : row == 1 ? 1e-4f * r
                     : row == 2 ? 95 * r
                     : row == 3 ? (random_bits() % 5 ? r : NAN)
                     : row == 4 ? (i % Q % 2 ? 100 : -100) + r
                     : row == 5 ? 70 + 3 * r
                                : r;
    }
    for (size_t i = 0; i < ROWS; i++) {
        c->loc[i] = 10 * random_float();
        c->scale[i] = i == 2 ? 0.5f : i == 5 ? 1e8f : 1.5f + random_float();
        c->rows[i] = (struct quantile_row){
            .head_row = i == 6 ? -1 : (int32_t)(5 - i), .scale_row = i == 6 ? 0 : (int32_t)(5 - i),
            .cap = (int32_t)(i % SERIES), .out_row = (int32_t)(i % SERIES),
            .out_step = (int32_t)(i / SERIES * patch + (i % 2)),
            .feedback = i % 3 == 1 ? -1 : (int32_t)(i % SERIES * WIDTH + i / SERIES * patch + 2)};
    }
    for (size_t s = 0; s < SERIES; s++) {
        c->caps[2 * s] = -5 + (float)s;
        c->caps[2 * s + 1] = s == 3 ? 1e30f : 6 + (float)s;
    }
}

static const size_t patches[] = {1, 2, 4, 32, 64, 65, 130};

static void test_cpu(void **state)
{
    (void)state;
    struct quantile_case *c = mem_alloc(sizeof *c);
    struct quantile_result *got = mem_alloc(sizeof *got), *want = mem_alloc(sizeof *want);
    for (size_t i = 0; i < sizeof patches / sizeof *patches; i++)
        for (int capped = 0; capped < 2; capped++) {
            struct backend *backend = backend_start(1 + i % 3);
            struct quantile_case empty;
            case_make(c, patches[i], capped ? 2.0f : 0.0f);
            empty = *c;
            for (size_t r = 0; r < ROWS; r++)
                empty.rows[r].head_row = -1;
            quantiles_run(backend, &empty, want); /* padding rows alone: nothing is written */
            for (size_t at = 0; at < SERIES * Q * WIDTH; at++)
                assert_true(isnan(want->out[at]));
            for (size_t r = 0; r < ROWS; r++)
                if (c->rows[r].head_row >= 0)
                    want_row(c, &c->rows[r], want);
            quantiles_run(backend, c, got);
            result_compare(got, want, 1e-5, "CPU");
            backend_stop(backend);
        }
    mem_free(c);
    mem_free(got);
    mem_free(want);
}

/* No finite value: an infinity becomes the opposite one; the order has NaN last. */
static void settle_check(struct backend *backend)
{
    struct quantile_case *c = mem_calloc(1, sizeof *c);
    struct quantile_result *got = mem_alloc(sizeof *got);
    const float head[2 * Q] = {100, -100, 100, NAN, 1,   -1, 0, 100, -100,
                               100, -100, 0,   NAN, NAN, 2,  3, NAN, -100};
    *c = (struct quantile_case){.patch = 2};
    memcpy(c->head, head, sizeof head);
    for (size_t i = 0; i < ROWS; i++) {
        c->scale[i] = 1;
        c->rows[i] = (struct quantile_row){.head_row = i ? -1 : 0, .feedback = i ? -1 : 0};
    }
    quantiles_run(backend, c, got);
    const float first[Q] = {-INFINITY, -INFINITY, -1.1752012f, 0, 0, 1.1752012f, INFINITY, INFINITY, NAN};
    const float second[Q] = {-INFINITY, 0, 3.6268604f, 10.017875f, INFINITY, INFINITY, NAN, NAN, NAN};
    for (size_t q = 0; q < Q; q++)
        for (size_t t = 0; t < 2; t++) {
            float want = (t ? second : first)[q], x = got->out[q * WIDTH + t];
            if (!(isnan(want) && isnan(x)) && x != want)
                assert_close((double)x, (double)want, 1e-5, "quantile %zu of step %zu", q, t);
        }
    assert_true(got->values[0] == 0 && got->mask[0] == 1 && got->mask[2] == 7);
    assert_true(isinf(got->values[1]) && isnan(got->values[2]));
    mem_free(c);
    mem_free(got);
}

static void test_settle(void **state)
{
    (void)state;
    struct backend *backend = backend_start(1);
    settle_check(backend);
    backend_stop(backend);
}

static void test_device(void **state)
{
    (void)state;
    struct quantile_case *c = mem_alloc(sizeof *c);
    struct quantile_result *got = mem_alloc(sizeof *got), *want = mem_alloc(sizeof *want);
    for (size_t i = 0; i < sizeof patches / sizeof *patches; i++)
        for (int capped = 0; capped < 2; capped++) {
            case_make(c, patches[i], capped ? 2.0f : 0.0f);
            quantiles_run(cpu, c, want);
            quantiles_run(device, c, got);
            result_compare(got, want, 1e-5, device->name);
        }
    settle_check(device);
    mem_free(c);
    mem_free(got);
    mem_free(want);
}

static int device_checks(const char *name)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_device)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cpu), cmocka_unit_test(test_settle)};
    int failed = 0;
    if (devices_size() != TINY)
        failed = cmocka_run_group_tests_name("quantile_patch", tests, NULL, NULL);
    return failed + devices_main(argc, argv, &(struct devices_tests){device_checks, NULL, true});
}
