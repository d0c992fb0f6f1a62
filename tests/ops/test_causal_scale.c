/* causal_scale against a two-pass definition in long double: the three scalers, masks, the clamp,
 * and a sequence that goes on from its state as if it had never stopped. */
#include "ops.h"

enum { PATCH = 16, SEQUENCES = 5, PATCHES = 9, LENGTH = PATCH * PATCHES };

static float values[SEQUENCES * LENGTH];
static uint8_t mask[SEQUENCES * LENGTH];

/* Weighted mean and sum of squared deviations of the first n values, those below `prefix` alone. */
static void moments(const float *x, const uint8_t *w, size_t n, long double *weight,
                    long double *mean, long double *squares)
{
    long double sum = 0;
    *weight = *squares = 0;
    for (size_t i = 0; i < n; i++) {
        *weight += w[i];
        sum += w[i] ? (long double)x[i] : 0;
    }
    *mean = sum / (*weight < 1 ? 1 : *weight);
    for (size_t i = 0; i < n; i++)
        *squares += w[i] ? ((long double)x[i] - *mean) * ((long double)x[i] - *mean) : 0;
}

static long double at_least(long double x, long double least)
{
    return x < least ? least : x;
}

/* loc and scale at time t of a sequence whose prefix has n_prefix values. */
static void want_at(const struct causal_scale_args *args, const float *x, const uint8_t *w,
                    size_t t, size_t n_prefix, double *loc, double *scale)
{
    long double weight, mean, squares, deviation;
    moments(x, w, n_prefix, &weight, &mean, &squares);
    long double global =
        sqrtl(squares / at_least(weight, 1) + (args->scaler == SCALER_STATIC ? 0.001L : 0.1L));
    *loc = (double)mean;
    *scale = (double)global;
    if (args->scaler == SCALER_STATIC)
        return;
    if (args->scaler == SCALER_CAUSAL_PATCH)
        t = t - t % PATCH + PATCH - 1;
    moments(x, w, t + 1, &weight, &mean, &squares);
    deviation = sqrtl(squares / at_least(weight - 1, 1) + 0.1L);
    if (args->scaler == SCALER_CAUSAL_PATCH && args->stabilize) {
        long double high = global * powl(10, (long double)args->exponent);
        deviation =
            at_least(deviation, at_least(0.1L, global / powl(10, (long double)args->exponent)));
        deviation = deviation > high ? high : deviation;
    }
    *loc = (double)mean;
    *scale = (double)deviation;
}

static void scale_check(size_t n_threads, enum scaler scaler, bool stabilize, double exponent,
                        bool masked)
{
    enum { PREFIX = 5 }; /* patches; the rest comes in two more calls */
    struct backend *backend = backend_start(n_threads);
    static const float magnitudes[SEQUENCES] = {1, 1e6f, 1e-5f, 3e18f, 100};
    for (size_t i = 0; i < SEQUENCES * LENGTH; i++) {
        size_t sequence = i / LENGTH;
        values[i] = magnitudes[sequence] * (random_float() + (sequence == 1 ? 300.0f : 0.5f));
        if (sequence == 4 && i % LENGTH > 60)
            values[i] *= 1e4f; /* a jump, for the clamp */
        mask[i] = !masked || (i % LENGTH >= 20 + sequence && random_bits() % 4 != 0);
    }
    if (!masked)
        memset(mask, 1, sizeof mask);
    struct tensor states;
    struct toto_error err;
    assert_int_equal(backend->ops->alloc(backend, TENSOR_SCALE_STATE, 2 * SEQUENCES, &states, &err),
                     TOTO_STATUS_OK);
    struct causal_scale_args args = {
        .scaler = scaler, .stabilize = stabilize, .exponent = exponent,
        .values = tensor_of(backend, TENSOR_F32, SEQUENCES * LENGTH, values),
        .n_sequences = SEQUENCES,
        .states = states,
        .loc = tensor_make(backend, TENSOR_F32, SEQUENCES * LENGTH),
        .scale = tensor_make(backend, TENSOR_F32, SEQUENCES * LENGTH),
        .scaled = tensor_make(backend, TENSOR_ACTIVATION, SEQUENCES * LENGTH),
        .patch = PATCH};
    if (masked)
        args.mask = tensor_of(backend, TENSOR_U8, SEQUENCES * LENGTH, mask);
    const int32_t begins[] = {0, PREFIX, PREFIX + 1, PATCHES};
    for (int call = 0; call < 3; call++) {
        struct scale_sequence sequences[SEQUENCES];
        for (int32_t s = 0; s < SEQUENCES; s++)
            sequences[s] = (struct scale_sequence){
                .first_value = s * LENGTH + begins[call] * PATCH,
                .n_patches = begins[call + 1] - begins[call],
                .first_row = s * PATCHES + begins[call],
                .state_in = call ? s + SEQUENCES * (call == 2) : -1,
                .state_out = call == 0 ? s : call == 1 ? s + SEQUENCES : -1};
        args.sequences = tensor_of(backend, TENSOR_I32, sizeof sequences / 4, sequences);
        backend->ops->causal_scale(backend, &args);
        tensor_end(backend, args.sequences);
    }
    for (size_t s = 0; s < SEQUENCES; s++)
        for (size_t t = 0; t < LENGTH; t++) {
            double loc, scale;
            const float *x = values + s * LENGTH;
            want_at(&args, x, mask + s * LENGTH, t, PREFIX * PATCH, &loc, &scale);
            size_t i = s * LENGTH + t;
            float got_loc = floats(args.loc)[i], got_scale = floats(args.scale)[i];
            assert_close((double)got_loc, loc, 3e-7 * (fabs(loc) + 1e-4 * scale),
                         "loc of scaler %d at %zu, %zu", (int)scaler, s, t);
            assert_close((double)got_scale, scale, 3e-7 * scale, "scale of scaler %d at %zu, %zu",
                         (int)scaler, s, t);
            assert_true(floats(args.scaled)[i] == (x[t] - got_loc) / got_scale);
        }
    tensor_end(backend, args.values);
    tensor_end(backend, args.loc);
    tensor_end(backend, args.scale);
    tensor_end(backend, args.scaled);
    if (masked)
        backend->ops->free(backend, &args.mask);
    backend->ops->free(backend, &args.states);
    backend_stop(backend);
}

static void test_scalers(void **state)
{
    (void)state;
    for (int masked = 0; masked < 2; masked++)
        for (size_t n_threads = 1; n_threads < 3; n_threads++) {
            scale_check(n_threads, SCALER_CAUSAL_PATCH, true, 10, masked);
            scale_check(n_threads, SCALER_CAUSAL_PATCH, true, 0.25, masked);
            scale_check(n_threads, SCALER_CAUSAL_PATCH, false, 10, masked);
            scale_check(n_threads, SCALER_CAUSAL, true, 0.25, masked);
            scale_check(n_threads, SCALER_STATIC, true, 10, masked);
        }
}

/* A masked start leaves loc 0 and scale sqrt(0.1), and the clamp never lets a scale below 0.1. */
static void test_empty(void **state)
{
    (void)state;
    struct backend *backend = backend_start(1);
    float x[PATCH];
    uint8_t none[PATCH] = {0};
    for (size_t i = 0; i < PATCH; i++)
        x[i] = 7;
    struct scale_sequence sequence = {.n_patches = 1, .state_in = -1, .state_out = -1};
    struct causal_scale_args args = {
        .scaler = SCALER_CAUSAL_PATCH,
        .stabilize = true,
        .exponent = 10,
        .values = tensor_of(backend, TENSOR_F32, PATCH, x),
        .mask = tensor_of(backend, TENSOR_U8, PATCH, none),
        .sequences = tensor_of(backend, TENSOR_I32, sizeof sequence / 4, &sequence),
        .n_sequences = 1,
        .loc = tensor_make(backend, TENSOR_F32, PATCH),
        .scale = tensor_make(backend, TENSOR_F32, PATCH),
        .scaled = tensor_make(backend, TENSOR_ACTIVATION, PATCH),
        .patch = PATCH};
    backend->ops->causal_scale(backend, &args);
    assert_true(floats(args.loc)[3] == 0);
    assert_true(floats(args.scale)[3] == (float)sqrt(0.1));
    assert_true(floats(args.scaled)[3] == 7 / (float)sqrt(0.1));
    tensor_end(backend, args.values);
    tensor_end(backend, args.sequences);
    tensor_end(backend, args.loc);
    tensor_end(backend, args.scale);
    tensor_end(backend, args.scaled);
    backend->ops->free(backend, &args.mask);
    backend_stop(backend);
}

static int checks(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scalers),
                                       cmocka_unit_test(test_empty)};
    return cmocka_run_group_tests_name("causal_scale", tests, NULL, NULL);
}

struct scale_bench {
    struct backend *backend;
    struct causal_scale_args args;
};

static void scale_run(void *context)
{
    const struct scale_bench *bench = context;
    bench->backend->ops->causal_scale(bench->backend, &bench->args);
}

static void bench(void)
{
    enum { N = 256, T = 64 };
    struct backend *backend = backend_start(0);
    struct scale_sequence sequences[N];
    for (int32_t i = 0; i < N; i++)
        sequences[i] = (struct scale_sequence){
            .first_value = i * T, .n_patches = 1, .first_row = i, .state_in = -1, .state_out = -1};
    struct scale_bench run = {
        backend,
        {.scaler = SCALER_CAUSAL_PATCH,
         .stabilize = true,
         .exponent = 10,
         .values = tensor_random(backend, TENSOR_F32, N * T),
         .sequences = tensor_of(backend, TENSOR_I32, sizeof sequences / 4, sequences),
         .n_sequences = N,
         .loc = tensor_make(backend, TENSOR_F32, N * T),
         .scale = tensor_make(backend, TENSOR_F32, N * T),
         .scaled = tensor_make(backend, TENSOR_ACTIVATION, N * T),
         .patch = T}};
    bench_print("causal_scale", "sequences 256 of 64", bench_seconds(scale_run, &run), N * T * 1e-9,
                "Gvalue/s");
    tensor_end(backend, run.args.values);
    tensor_end(backend, run.args.sequences);
    tensor_end(backend, run.args.loc);
    tensor_end(backend, run.args.scale);
    tensor_end(backend, run.args.scaled);
    backend_stop(backend);
}

int main(int argc, char **argv)
{
    return ops_main(argc, argv, checks, bench);
}
