/* mixture_params, mixture_mean and mixture_sample against float64; Philox against its published
 * vectors; the Student-t draw against the exact distribution (Kolmogorov and Smirnov). */
#include "ops.h"

#include <float.h>

enum { ROWS = 40, SERIES = 6 };

struct mixture_case {
    struct backend *backend;
    struct mixture_shape shape;
    size_t width; /* of raw, a step */
    struct mixture_next_args args;
    struct draw_row rows[ROWS];
};

static void case_make(struct mixture_case *made, struct backend *backend, size_t n, bool logits,
                      size_t n_steps, size_t patch)
{
    *made = (struct mixture_case){.backend = backend, .shape = {n, logits, n_steps, patch},
                                  .width = n * (logits ? 4 : 3)};
    for (int32_t i = 0; i < ROWS; i++)
        made->rows[i] = (struct draw_row){.param_row = i % 9 == 5 ? -1 : (i * 3) % ROWS,
                                          .series = i % SERIES,
                                          .override_row = i % 9 == 7 ? i % 4 : -1,
                                          .sample = i,
                                          .variate = i % 3,
                                          .key = {7, 11},
                                          .out_low = (ROWS - 1 - i) * 3};
    struct tensor raw = tensor_random(backend, TENSOR_ACTIVATION, ROWS * n_steps * made->width);
    for (size_t i = 0; i < raw.n; i++)
        floats(raw)[i] *= i % 11 == 0 ? 25.0f : 4.0f; /* softplus on both of its sides */
    int32_t flags[SERIES] = {0};
    made->args = (struct mixture_next_args){
        .shape = made->shape,
        .raw = raw,
        .loc = tensor_random(backend, TENSOR_F32, ROWS * patch),
        .scale = tensor_random(backend, TENSOR_F32, ROWS * patch),
        .rows = tensor_of(backend, TENSOR_I32, sizeof made->rows / 4, made->rows),
        .overrides = tensor_random(backend, TENSOR_F32, 4 * patch),
        .first_step = 64,
        .next = tensor_make(backend, TENSOR_F32, ROWS * patch),
        .out = tensor_make(backend, TENSOR_F32, ROWS * 3 + n_steps * ROWS * 3),
        .n_out = n_steps > 1 ? n_steps - 1 : 1,
        .out_stride = ROWS * 3,
        .flags = tensor_of(backend, TENSOR_I32, SERIES, flags),
        .n_rows = ROWS};
}

static void case_end(struct mixture_case *made)
{
    struct backend *backend = made->backend;
    tensor_end(backend, made->args.raw);
    tensor_end(backend, made->args.loc);
    tensor_end(backend, made->args.scale);
    tensor_end(backend, made->args.rows);
    tensor_end(backend, made->args.overrides);
    tensor_end(backend, made->args.next);
    tensor_end(backend, made->args.out);
    tensor_end(backend, made->args.flags);
}

static double softplus(double x)
{
    return x > 20 ? x : log1p(exp(x));
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* Softmax of the logits of one step; n probabilities, 1 for a single component. */
static void probabilities(const struct mixture_case *made, const float *raw, double *probs)
{
    size_t n = made->shape.n_components;
    double most = -INFINITY, sum = 0;
    probs[0] = 1;
    for (size_t k = 0; k < n && made->shape.has_logits; k++)
        most = larger(most, (double)raw[3 * n + k]);
    for (size_t k = 0; k < n && made->shape.has_logits; k++)
        sum += probs[k] = exp((double)raw[3 * n + k] - most);
    for (size_t k = 0; k < n && made->shape.has_logits; k++)
        probs[k] /= sum;
}

static void params_check(struct mixture_case *made)
{
    struct backend *backend = made->backend;
    size_t n = made->shape.n_components, all = ROWS * made->shape.n_steps * n;
    struct tensor out[5];
    for (int i = 0; i < 5; i++)
        out[i] = tensor_make(backend, TENSOR_F32, all);
    backend->ops->mixture_params(backend, &(struct mixture_params_args){.shape = made->shape,
                                                                        .raw = made->args.raw,
                                                                        .df = out[0],
                                                                        .loc = out[1],
                                                                        .scale = out[2],
                                                                        .logits = out[3],
                                                                        .probs = out[4],
                                                                        .n_rows = ROWS});
    double probs[32];
    for (size_t i = 0; i < all; i++) {
        const float *raw = floats(made->args.raw) + i / n * made->width;
        size_t k = i % n;
        double df = 2 + larger(softplus((double)raw[k]), (double)FLT_EPSILON);
        double scale = larger(softplus((double)raw[2 * n + k]), (double)FLT_EPSILON);
        assert_close((double)floats(out[0])[i], df, 4 * FLT_EPSILON * df, "df %zu", i);
        assert_true(floats(out[1])[i] == raw[n + k]);
        assert_close((double)floats(out[2])[i], scale, 4 * FLT_EPSILON * scale, "scale %zu", i);
        if (!made->shape.has_logits)
            continue;
        probabilities(made, raw, probs);
        assert_true(floats(out[3])[i] == raw[3 * n + k]);
        assert_close((double)floats(out[4])[i], probs[k], 40 * FLT_EPSILON * probs[k] + 1e-38,
                     "prob %zu", i);
    }
    for (int i = 0; i < 5; i++)
        tensor_end(backend, out[i]);
}

/* The draw by its definition, in float64 from the same uniforms; also how far u is from the nearest
 * border between components. */
static double draw(const struct mixture_case *made, const float *raw, const struct draw_row *row,
                   size_t step, double *margin)
{
    size_t n = made->shape.n_components, k = 0;
    uint32_t counter[4] = {made->args.first_step + (uint32_t)step, (uint32_t)row->sample,
                           (uint32_t)row->variate, 0};
    uint32_t bits[4];
    double probs[32], cumulative = 0;
    philox4x32(counter, row->key, bits);
    double u = (double)uniform_open(bits[0]), a = (double)uniform_open(bits[1]),
           b = (double)uniform_open(bits[2]);
    probabilities(made, raw, probs);
    *margin = 1;
    for (size_t i = 0; i + 1 < n; i++) {
        cumulative += probs[i];
        k += cumulative <= u;
        *margin = fabs(cumulative - u) < *margin ? fabs(cumulative - u) : *margin;
    }
    double df = 2 + larger(softplus((double)raw[k]), (double)FLT_EPSILON);
    double t = sqrt(df * expm1(-2 / df * log(a))) * cos(2 * acos(-1.0) * b);
    return (double)raw[n + k] + larger(softplus((double)raw[2 * n + k]), (double)FLT_EPSILON) * t;
}

static void next_check(struct mixture_case *made, bool draws)
{
    const struct mixture_next_args *args = &made->args;
    size_t n = made->shape.n_components, patch = made->shape.patch, n_steps = made->shape.n_steps;
    if (draws)
        made->backend->ops->mixture_sample(made->backend, args);
    else
        made->backend->ops->mixture_mean(made->backend, args);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < patch; j++) {
            const struct draw_row *row = &made->rows[i];
            float got = floats(args->next)[i * patch + j];
            if (row->param_row < 0 || j >= n_steps) {
                assert_true(isnan(got));
                continue;
            }
            if (j < args->n_out)
                assert_true(floats(args->out)[(size_t)row->out_low + j * args->out_stride] == got);
            if (row->override_row >= 0) {
                assert_true(got == floats(args->overrides)[(size_t)row->override_row * patch + j]);
                continue;
            }
            size_t at = (size_t)row->param_row;
            const float *raw = floats(args->raw) + (at * n_steps + j) * made->width;
            double probs[32], value = 0, magnitude = 1, margin = 1;
            probabilities(made, raw, probs);
            for (size_t k = 0; k < n; k++) {
                value += probs[k] * (double)raw[n + k];
                magnitude += probs[k] * fabs((double)raw[n + k]);
            }
            if (draws) {
                value = draw(made, raw, row, j, &margin);
                magnitude = 40 + fabs(value);
            }
            if (margin < 1e-5)
                continue;
            double want = value * (double)floats(args->scale)[at * patch + j] +
                          (double)floats(args->loc)[at * patch + j];
            assert_close((double)got, want, 60 * FLT_EPSILON * magnitude,
                         "row %zu step %zu draws %d", i, j, draws);
        }
    for (size_t s = 0; s < SERIES; s++)
        assert_int_equal(integers(args->flags)[s], 0);
}

static void test_values(void **state)
{
    (void)state;
    const struct cpu_kernels *kernels;
    for (size_t i = 0; (kernels = cpu_kernels_at(i)) != NULL; i++) {
        struct backend *backend = backend_start(2);
        struct mixture_case made;
        cpu_of(backend)->kernels = kernels;
        static const struct mixture_shape shapes[] = {{24, true, 64, 64},
                                                      {8, true, 5, 16},
                                                      {1, false, 16, 16},
                                                      {4, true, 1, 32},
                                                      {1, true, 7, 8}};
        for (size_t s = 0; s < 5; s++)
            for (int draws = 0; draws < 2; draws++) {
                case_make(&made, backend, shapes[s].n_components, shapes[s].has_logits,
                          shapes[s].n_steps, shapes[s].patch);
                params_check(&made);
                next_check(&made, draws);
                case_end(&made);
            }
        backend_stop(backend);
    }
}

/* Given draws: the component that u names, at t. */
static void test_injected(void **state)
{
    (void)state;
    struct backend *backend = backend_start(1);
    struct mixture_case made;
    case_make(&made, backend, 4, true, 2, 2);
    float u[ROWS * 2], t[ROWS * 2];
    for (size_t i = 0; i < ROWS * 2; i++) {
        u[i] = i % 5 == 4 ? 1.0f : ((float)(i % 5) + 0.5f) / 4;
        t[i] = random_float();
    }
    for (size_t i = 0; i < made.args.raw.n; i++)
        if (i % 16 >= 12)
            floats(made.args.raw)[i] = 0; /* four equal probabilities */
    made.args.inject_u = tensor_of(backend, TENSOR_F32, ROWS * 2, u);
    made.args.inject_t = tensor_of(backend, TENSOR_F32, ROWS * 2, t);
    backend->ops->mixture_sample(backend, &made.args);
    for (size_t i = 0; i < ROWS * 2; i++) {
        const struct draw_row *row = &made.rows[i / 2];
        if (row->param_row < 0 || row->override_row >= 0)
            continue;
        size_t at = (size_t)row->param_row * 2 + i % 2, k = i % 5 == 4 ? 3 : i % 5;
        const float *raw = floats(made.args.raw) + at * 16;
        double want = ((double)raw[4 + k] +
                       larger(softplus((double)raw[8 + k]), (double)FLT_EPSILON) * (double)t[i]) *
                          (double)floats(made.args.scale)[at] +
                      (double)floats(made.args.loc)[at];
        assert_close((double)floats(made.args.next)[i], want, 1e-5, "given draw %zu", i);
    }
    tensor_end(backend, made.args.inject_u);
    tensor_end(backend, made.args.inject_t);
    case_end(&made);
    backend_stop(backend);
}

/* A parameter that is not finite sets the flag of its series and of no other. */
static void test_flags(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    struct backend *backend = backend_start(2);
    for (int draws = 0; draws < 2; draws++)
        for (size_t place = 0; place < 16; place++) {
            struct mixture_case made;
            case_make(&made, backend, 4, true, 3, 4);
            floats(made.args.raw)[(size_t)made.rows[2].param_row * 3 * 16 + 16 + place] =
                bad[place % 3];
            (draws ? backend->ops->mixture_sample : backend->ops->mixture_mean)(backend,
                                                                                &made.args);
            bool want[SERIES] = {false};
            for (size_t i = 0; i < ROWS; i++)
                want[i % SERIES] |= made.rows[i].param_row == made.rows[2].param_row;
            for (size_t s = 0; s < SERIES; s++)
                assert_int_equal(integers(made.args.flags)[s], want[s]);
            case_end(&made);
        }
    backend_stop(backend);
}

static void test_clean(void **state)
{
    (void)state;
    struct backend *backend = backend_start(1);
    struct mixture_case made;
    case_make(&made, backend, 1, false, 4, 4);
    const float huge[] = {FLT_MAX, 1.7014118e38f, -1.70141183e38f,
                          1e38f}; /* the second and third are FLT_MAX/2 */
    for (size_t j = 0; j < 4; j++) {
        floats(made.args.raw)[j * 3 + 1] = huge[j];
        floats(made.args.scale)[j] = j == 0 ? 10.0f : 1.0f;
        floats(made.args.loc)[j] = 0;
    }
    backend->ops->mixture_mean(backend, &made.args);
    assert_int_equal(made.rows[0].param_row, 0);
    assert_true(floats(made.args.next)[0] == 0);
    assert_true(floats(made.args.next)[1] == (huge[1] < FLT_MAX / 2 ? huge[1] : 0));
    assert_true(floats(made.args.next)[2] == (-huge[2] < FLT_MAX / 2 ? huge[2] : 0));
    assert_true(floats(made.args.next)[3] == 1e38f);
    for (size_t s = 0; s < SERIES; s++)
        assert_int_equal(integers(made.args.flags)[s], 0);
    case_end(&made);
    backend_stop(backend);
}

/* ---- Random numbers -------------------------------------------------------------------------- */

/* Known answers of Random123 (kat_vectors: philox4x32 10). */
static void test_philox(void **state)
{
    (void)state;
    static const uint32_t answers[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8},
        {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD},
        {0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0, 0xD16CFE09,
         0x94FDCCEB, 0x5001E420, 0x24126EA1}};
    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];
        philox4x32(answers[i], answers[i] + 4, out);
        assert_memory_equal(out, answers[i] + 6, sizeof out);
    }
    assert_true(uniform_open(0) > 0 && uniform_open(~0u) == 1.0f);
}

/* The regularised incomplete beta function by Lentz's continued fraction (Press et al., Numerical
 * Recipes, 6.4), for x < (a + 1)/(a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    double c = 1, d = 1 - (a + b) * x / (a + 1), f;
    d = 1 / d;
    f = d;
    for (int m = 1; m < 1000; m++) {
        double up = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double down = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        for (int half = 0; half < 2; half++) {
            double factor = half ? down : up;
            d = 1 / (1 + factor * d);
            c = 1 + factor / c;
            f *= c * d;
        }
        if (fabs(c * d - 1) < 1e-14)
            break;
    }
    return f * exp(a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b)) / a;
}

static double student_cdf(double t, double df)
{
    double x = df / (df + t * t), a = df / 2, b = 0.5, tail;
    if (x <= 0)
        tail = 0;
    else if (x >= 1)
        tail = 1;
    else
        tail = x < (a + 1) / (a + b + 2) ? beta_fraction(a, b, x) : 1 - beta_fraction(b, a, 1 - x);
    return t > 0 ? 1 - tail / 2 : tail / 2;
}

/* Largest distance between the empirical and the exact distribution of draws by the op itself; the
 * limit, 1.95 / sqrt(n), is passed by chance once in a thousand, and the seed is fixed. */
static void test_student(void **state)
{
    (void)state;
    enum { STEPS = 64, DRAWS = 2048, N = STEPS * DRAWS };
    assert_close(student_cdf(1, 3), 0.80449889052211, 1e-12, "cdf, 3 degrees of freedom");
    assert_close(student_cdf(-2, 5), 0.05096973941493, 1e-12, "cdf, 5 degrees of freedom");
    const double dfs[] = {2.1, 3, 5, 30};
    struct backend *backend = backend_start(2);
    struct draw_row *rows = mem_calloc(DRAWS, sizeof *rows);
    double *draws = mem_alloc(N * sizeof *draws);
    for (size_t f = 0; f < 4; f++) {
        struct mixture_next_args args = {.shape = {1, false, STEPS, STEPS},
                                         .raw = tensor_make(backend, TENSOR_ACTIVATION, STEPS * 3),
                                         .loc = tensor_make(backend, TENSOR_F32, STEPS),
                                         .scale = tensor_make(backend, TENSOR_F32, STEPS),
                                         .next = tensor_make(backend, TENSOR_F32, N),
                                         .n_rows = DRAWS};
        float raw_df = (float)log(expm1(dfs[f] - 2)), raw_scale = (float)log(expm1(1.0));
        for (size_t j = 0; j < STEPS; j++) {
            memcpy(floats(args.raw) + j * 3, ((float[]){raw_df, 0, raw_scale}), 12);
            floats(args.loc)[j] = 0;
            floats(args.scale)[j] = 1;
        }
        for (size_t i = 0; i < DRAWS; i++)
            rows[i] = (struct draw_row){
                .override_row = -1, .sample = (int32_t)i, .key = {(uint32_t)f, 5}};
        args.rows = tensor_of(backend, TENSOR_I32, DRAWS * sizeof *rows / 4, rows);
        backend->ops->mixture_sample(backend, &args);
        for (size_t i = 0; i < N; i++)
            draws[i] = (double)floats(args.next)[i];
        qsort(draws, N, sizeof *draws, doubles_compare);
        double distance = 0;
        for (size_t i = 0; i < N; i++) {
            double cdf = student_cdf(draws[i], dfs[f]);
            distance = larger(distance,
                              larger(fabs(cdf - (double)i / N), fabs((double)(i + 1) / N - cdf)));
        }
        assert_close(distance, 0, 1.95 / sqrt((double)N), "distance for df %g", dfs[f]);
        tensor_end(backend, args.raw);
        tensor_end(backend, args.loc);
        tensor_end(backend, args.scale);
        tensor_end(backend, args.next);
        tensor_end(backend, args.rows);
    }
    mem_free(rows);
    mem_free(draws);
    backend_stop(backend);
}

static int checks(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_injected),
        cmocka_unit_test(test_flags),  cmocka_unit_test(test_clean),
        cmocka_unit_test(test_philox), cmocka_unit_test(test_student),
    };
    return cmocka_run_group_tests_name("mixture", tests, NULL, NULL);
}

static void mean_run(void *context)
{
    const struct mixture_case *made = context;
    made->backend->ops->mixture_mean(made->backend, &made->args);
}

static void sample_run(void *context)
{
    const struct mixture_case *made = context;
    made->backend->ops->mixture_sample(made->backend, &made->args);
}

static void bench(void)
{
    struct backend *backend = backend_start(0);
    struct mixture_case made;
    case_make(&made, backend, 24, true, 64, 64);
    double values = 0;
    for (size_t i = 0; i < ROWS; i++)
        values += made.rows[i].param_row >= 0 && made.rows[i].override_row < 0 ? 64 : 0;
    bench_print("mixture_mean", "rows 40 steps 64 K 24", bench_seconds(mean_run, &made),
                values * 1e-6, "Mvalue/s");
    bench_print("mixture_sample", "rows 40 steps 64 K 24", bench_seconds(sample_run, &made),
                values * 1e-6, "Mvalue/s");
    case_end(&made);
    backend_stop(backend);
}

int main(int argc, char **argv)
{
    return ops_main(argc, argv, checks, bench);
}
