/* causal_scale of OpenCL devices against the CPU's float64: the three scalers, magnitudes whose
 * squares no float holds, offsets, masks, and sequences that go on from a state. */
#include "devices.h"

enum magnitude { ORDINARY, VAST, MINUTE, OFFSET, FINE_OFFSET, JUMP, SEQUENCES };

static float value_at(enum magnitude magnitude, size_t t)
{
    float r = random_float();
    switch (magnitude) {
    case VAST: return r * 1e30f;
    case MINUTE: return r * 1e-30f;
    case OFFSET: return 1e6f + r * 1.7e-3f; /* less than an ulp: all equal */
    case FINE_OFFSET: return 1e4f + r * 1.7e-3f; /* two ulps */
    case JUMP: return t > 20 ? r * 1e6f : r; /* for the clamp */
    case ORDINARY:
    case SEQUENCES: break;
    }
    return r * 3 + 1;
}

struct scale_case {
    enum scaler scaler;
    bool stabilize, masked;
    double exponent;
    size_t patch;
    int32_t n_patches;
};

/* Every value is scaled by the loc and scale beside it. */
static void scaled_check(const struct scale_case *c, const float *values, struct twin loc,
                         struct twin scale, struct twin scaled)
{
    float *got_loc = twin_read(device, loc.device), *got_scale = twin_read(device, scale.device);
    float *got = twin_read(device, scaled.device);
    double most = ocl_of(device)->dtype == DTYPE_F16 ? 65504 : FLT_MAX;
    for (size_t i = 0; i < loc.cpu.n; i++) {
        double want = (double)((values[i] - got_loc[GUARD + i]) / got_scale[GUARD + i]);
        want = fabs(want) > most ? copysign(most, want) : want;
        assert_close((double)got[GUARD + i], want,
                     (4 * FLT_EPSILON + stored_epsilon) * fabs(want) + 0x1p-24,
                     "scaler %d: value %zu", (int)c->scaler, i);
    }
    mem_free(got_loc);
    mem_free(got_scale);
    mem_free(got);
}

static void loc_scale_check(const struct scale_case *c, const float *values, struct twin loc,
                            struct twin scale)
{
    float *want_loc = twin_read(cpu, loc.cpu), *got_loc = twin_read(device, loc.device);
    float *want = twin_read(cpu, scale.cpu), *got = twin_read(device, scale.device);
    size_t length = (size_t)c->n_patches * c->patch;
    for (size_t i = 0; i < loc.cpu.n; i++) {
        double size = 0, wanted = (double)want_loc[GUARD + i];
        for (size_t t = i - i % length; t < i - i % length + length; t++)
            size = fmax(size, fabs((double)values[t]));
        assert_close((double)got_loc[GUARD + i], wanted, 3e-7 * fabs(wanted) + 1e-13 * size,
                     "scaler %d: loc of sequence %zu, value %zu", (int)c->scaler, i / length,
                     i % length);
        wanted = (double)want[GUARD + i];
        assert_close((double)got[GUARD + i], wanted, 3e-6 * wanted,
                     "scaler %d: scale of sequence %zu, value %zu", (int)c->scaler, i / length,
                     i % length);
    }
    mem_free(want_loc);
    mem_free(got_loc);
    mem_free(want);
    mem_free(got);
}

/* A prefix, a patch more, and the rest, each going on from the state that the one before left. */
static void scale_check(const struct scale_case *c)
{
    size_t length = (size_t)c->n_patches * c->patch, n = SEQUENCES * length;
    float *values = mem_alloc(n * sizeof *values);
    uint8_t *mask = mem_alloc(n);
    for (size_t i = 0; i < n; i++) {
        values[i] = value_at((enum magnitude)(i / length), i % length);
        mask[i] = i % length >= 5 + i / length && random_bits() % 4 != 0;
    }
    struct twin x = twin_make(TENSOR_F32, n, values), m = twin_make(TENSOR_U8, n, mask);
    struct twin loc = twin_make(TENSOR_F32, n, NULL), scale = twin_make(TENSOR_F32, n, NULL);
    struct twin scaled = twin_make(TENSOR_ACTIVATION, n, NULL);
    struct twin states = twin_make(TENSOR_SCALE_STATE, 2 * SEQUENCES, NULL);
    const int32_t begins[] = {0, c->n_patches / 2, c->n_patches / 2 + 1, c->n_patches};
    for (int call = 0; call < 3; call++) {
        struct scale_sequence sequences[SEQUENCES];
        for (int32_t s = 0; s < SEQUENCES; s++)
            sequences[s] = (struct scale_sequence){
                .first_value = (s * c->n_patches + begins[call]) * (int32_t)c->patch,
                .n_patches = begins[call + 1] - begins[call],
                .first_row = s * c->n_patches + begins[call],
                .state_in = call ? s + SEQUENCES * (call == 2) : -1,
                .state_out = call == 0 ? s : call == 1 ? s + SEQUENCES : -1};
        struct twin list = twin_make(TENSOR_I32, sizeof sequences / 4, sequences);
        struct causal_scale_args args[2];
        for (int i = 0; i < 2; i++) {
            args[i] = (struct causal_scale_args){
                .scaler = c->scaler, .stabilize = c->stabilize, .exponent = c->exponent,
                .values = OF(x), .sequences = OF(list), .n_sequences = SEQUENCES,
                .states = OF(states), .loc = OF(loc), .scale = OF(scale), .scaled = OF(scaled),
                .patch = c->patch};
            if (c->masked)
                args[i].mask = OF(m);
        }
        RUN(causal_scale, args);
        twin_end(list);
    }
    loc_scale_check(c, values, loc, scale);
    scaled_check(c, values, loc, scale, scaled);
    twin_end(x);
    twin_end(m);
    twin_end(loc);
    twin_end(scale);
    twin_end(scaled);
    twin_end(states);
    mem_free(values);
    mem_free(mask);
}

static void test_causal_scale(void **state)
{
    static const struct scale_case cases[] = {
        {SCALER_CAUSAL_PATCH, true, true, 0.25, 16, 9},
        {SCALER_CAUSAL, false, true, 10, 5, 7},
        {SCALER_STATIC, false, false, 10, 16, 9},
        {SCALER_CAUSAL_PATCH, true, false, 10, 3, 131}, /* more patches than a work-group's items */
        {SCALER_CAUSAL_PATCH, false, true, 10, 1, 200},
        {SCALER_CAUSAL, false, false, 10, 64, 3},
        {SCALER_STATIC, false, true, 10, 2, 131},
    };
    size_t n = devices_size() == TINY ? 3 : sizeof cases / sizeof *cases;
    (void)state;
    for (size_t i = 0; i < n; i++)
        scale_check(&cases[i]);
}

static int checks(const char *name)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_causal_scale)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

/* ---- Benchmarks ------------------------------------------------------------------------------ */

static void scale_run(void *context)
{
    device->ops->causal_scale(device, context);
}

static void scale_bench(size_t n_sequences, int32_t n_patches)
{
    enum { PATCH = 64 };
    size_t n = n_sequences * (size_t)n_patches * PATCH;
    struct scale_sequence *sequences = mem_calloc(n_sequences, sizeof *sequences);
    for (size_t i = 0; i < n_sequences; i++)
        sequences[i] = (struct scale_sequence){
            .first_value = (int32_t)i * n_patches * PATCH, .n_patches = n_patches,
            .first_row = (int32_t)i * n_patches, .state_in = -1, .state_out = -1};
    struct twin list = twin_make(TENSOR_I32, n_sequences * sizeof *sequences / 4, sequences);
    struct twin x = twin_random(TENSOR_F32, n), loc = twin_make(TENSOR_F32, n, NULL);
    struct twin scale = twin_make(TENSOR_F32, n, NULL);
    struct twin scaled = twin_make(TENSOR_ACTIVATION, n, NULL);
    char shape[64];
    snprintf(shape, sizeof shape, "sequences %zu of %d", n_sequences, (int)n_patches * PATCH);
    device_print("causal_scale", shape,
                 device_seconds(scale_run,
                                &(struct causal_scale_args){
                                    .scaler = SCALER_CAUSAL_PATCH, .stabilize = true,
                                    .exponent = 10, .values = x.device, .sequences = list.device,
                                    .n_sequences = n_sequences, .loc = loc.device,
                                    .scale = scale.device, .scaled = scaled.device,
                                    .patch = PATCH}),
                 (double)n * 12e-9 + stored_gigabytes((double)n), "GB/s");
    twin_end(list);
    twin_end(x);
    twin_end(loc);
    twin_end(scale);
    twin_end(scaled);
    mem_free(sequences);
}

static void bench(void)
{
    scale_bench(1, 8);
    scale_bench(7, 64);
    scale_bench(256, 1);
    scale_bench(1792, 1);
}

int main(int argc, char **argv)
{
    return devices_main(argc, argv, &(struct devices_tests){checks, bench, false});
}
