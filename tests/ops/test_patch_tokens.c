/* patch_tokens: the CPU against running moments in long double, each OpenCL device against the same
 * and the CPU; magnitudes that squares of floats do not hold, offsets, gaps, too few values, caps. */
#include "devices.h"

enum { SEQUENCES = 6, MOST_PATCHES = 150, MOST_PATCH = 33, MOST_VALUES = SEQUENCES * MOST_PATCHES * MOST_PATCH };

/* What an op reads, and what it wrote; rows that it must leave alone stand behind the others. */
struct token_case {
    size_t patch, n_patches, min_obs, n_rows;
    float cap_k;
    struct token_sequence sequences[SEQUENCES];
    float values[MOST_VALUES];
    uint8_t mask[MOST_VALUES];
};

struct token_result {
    float *tokens, *loc, *scale;
    float caps[2 * SEQUENCES];
};

/* ---- Running an op --------------------------------------------------------------------------- */

static struct tensor poisoned(struct backend *backend, enum tensor_kind kind, size_t n)
{
    struct tensor tensor;
    struct toto_error err;
    float *poison = mem_alloc(n * sizeof *poison);
    for (size_t i = 0; i < n; i++)
        poison[i] = NAN;
    if (backend->ops->alloc(backend, kind, n, &tensor, &err))
        fail_msg("%s", err.message);
    backend->ops->upload(backend, tensor, poison);
    mem_free(poison);
    return tensor;
}

static struct tensor uploaded(struct backend *backend, enum tensor_kind kind, size_t n, const void *src)
{
    struct tensor tensor;
    struct toto_error err;
    if (backend->ops->alloc(backend, kind, n, &tensor, &err))
        fail_msg("%s", err.message);
    backend->ops->upload(backend, tensor, src);
    return tensor;
}

static void taken(struct backend *backend, struct tensor tensor, float *to)
{
    struct toto_error err;
    if (backend->ops->download(backend, tensor, to, &err))
        fail_msg("%s", err.message);
    backend->ops->free(backend, &tensor);
}

static struct token_result tokens_run(struct backend *backend, const struct token_case *c)
{
    size_t n_values = SEQUENCES * c->n_patches * c->patch;
    struct patch_tokens_args args = {
        .values = uploaded(backend, TENSOR_F32, n_values, c->values),
        .mask = uploaded(backend, TENSOR_U8, n_values, c->mask),
        .sequences = uploaded(backend, TENSOR_I32, sizeof c->sequences / 4, c->sequences),
        .n_sequences = SEQUENCES,
        .patch = c->patch,
        .min_obs = c->min_obs,
        .cap_k = c->cap_k,
        .tokens = poisoned(backend, TENSOR_ACTIVATION, (c->n_rows + 1) * 2 * c->patch),
        .loc = poisoned(backend, TENSOR_F32, c->n_rows + 1),
        .scale = poisoned(backend, TENSOR_F32, c->n_rows + 1),
        .caps = poisoned(backend, TENSOR_F32, 2 * SEQUENCES)};
    struct token_result result = {.tokens = mem_alloc(args.tokens.n * 4),
                                  .loc = mem_alloc(args.loc.n * 4),
                                  .scale = mem_alloc(args.scale.n * 4)};
    backend->ops->patch_tokens(backend, &args);
    taken(backend, args.tokens, result.tokens);
    taken(backend, args.loc, result.loc);
    taken(backend, args.scale, result.scale);
    taken(backend, args.caps, result.caps);
    backend->ops->free(backend, &args.values);
    backend->ops->free(backend, &args.mask);
    backend->ops->free(backend, &args.sequences);
    return result;
}

static void result_end(struct token_result *result)
{
    mem_free(result->tokens);
    mem_free(result->loc);
    mem_free(result->scale);
}

/* Infinities are equal or not. */
#define assert_near(got, want, tolerance, ...)                                                      \
    do {                                                                                           \
        if ((double)(got) != (want))                                                               \
            assert_close((double)(got), want, tolerance, __VA_ARGS__);                             \
    } while (0)

/* ---- The definition -------------------------------------------------------------------------- */

/* Loc and scale of the first min_obs observed values, in float. */
static void want_first(const float *x, const uint8_t *mask, size_t n, size_t min_obs, float *loc,
                       float *scale)
{
    float first[64], sum = 0, squares = 0;
    size_t count = 0;
    assert_true(min_obs <= 64);
    for (size_t t = 0; t < n && count < min_obs; t++)
        if (mask[t])
            sum += first[count++] = x[t];
    *loc = sum / (float)(count ? count : 1);
    for (size_t i = 0; i < count; i++)
        squares += (first[i] - *loc) * (first[i] - *loc);
    *scale = fmaxf(sqrtf(squares / (float)(count > 1 ? count - 1 : 1)), 1e-6f);
}

static void caps_check(const struct token_case *c, const struct token_sequence *sequence,
                       const float *caps, double scale)
{
    double least = INFINITY, most = -INFINITY;
    for (size_t t = 0; t < (size_t)sequence->n_context * c->patch; t++) {
        size_t at = (size_t)sequence->first_value + t;
        if (c->mask[at]) {
            least = fmin(least, (double)c->values[at]);
            most = fmax(most, (double)c->values[at]);
        }
    }
    if (least > most)
        least = most = 0;
    double margin = (double)c->cap_k * scale, size = margin + fabs(least) + fabs(most);
    assert_near(caps[0], least - margin, 1e-6 * size, "low cap %d", sequence->cap);
    assert_near(caps[1], most + margin, 1e-6 * size, "high cap %d", sequence->cap);
}

/* Tokens must follow from the loc and scale beside them. */
static void token_check(const struct token_case *c, const struct token_sequence *sequence, int32_t i,
                        const struct token_result *got, double rounding)
{
    size_t row = (size_t)(sequence->row + i - sequence->first_patch);
    size_t at = (size_t)sequence->first_value + (size_t)i * c->patch;
    const float *token = got->tokens + row * 2 * c->patch;
    for (size_t t = 0; t < c->patch; t++) {
        double z = c->mask[at + t] ? asinh((double)((c->values[at + t] - got->loc[row]) / got->scale[row])) : 0;
        double flag = c->mask[at + t] || i < sequence->clear_before ? 0 : 1;
        assert_near(token[t], z, (8 * FLT_EPSILON + rounding) * fabs(z) + (rounding > 0 ? 0x1p-24 : 0),
                    "row %zu value %zu", row, t); /* f16 holds no less */
        assert_true((double)token[c->patch + t] == flag);
    }
}

static void case_check(const struct token_case *c, const struct token_result *got, double rounding)
{
    size_t n_checked = 0;
    for (size_t s = 0; s < SEQUENCES; s++) {
        const struct token_sequence *sequence = &c->sequences[s];
        const float *x = c->values + sequence->first_value;
        const uint8_t *mask = c->mask + sequence->first_value;
        float first_loc, first_scale;
        long double count = 0, mean = 0, squares = 0, size = 0;
        want_first(x, mask, (size_t)sequence->n_patches * c->patch, c->min_obs, &first_loc, &first_scale);
        for (int32_t i = 0; i < sequence->n_patches; i++) {
            for (size_t t = (size_t)i * c->patch; t < (size_t)(i + 1) * c->patch; t++)
                if (mask[t]) {
                    long double apart = (long double)x[t] - mean;
                    mean += apart / ++count;
                    squares += apart * ((long double)x[t] - mean);
                    size = fmaxl(size, fabsl((long double)x[t]));
                }
            double loc = (double)mean, scale = (double)sqrtl(squares / (count > 2 ? count - 1 : 1));
            scale = scale < 1e-6 ? 1e-6 : scale;
            if (count < (long double)c->min_obs) {
                loc = (double)first_loc;
                scale = (double)first_scale;
            }
            if (i == sequence->n_context - 1 && sequence->cap >= 0 && c->cap_k > 0)
                caps_check(c, sequence, got->caps + 2 * sequence->cap, scale);
            if (i < sequence->first_patch || i >= sequence->first_patch + sequence->n_tokens)
                continue;
            size_t row = (size_t)(sequence->row + i - sequence->first_patch);
            assert_near(got->loc[row], loc, FLT_EPSILON * fabs(loc) + 1e-13 * (double)size,
                        "loc of sequence %zu, patch %d", s, i);
            assert_near(got->scale[row], scale, 4e-7 * scale, "scale of sequence %zu, patch %d", s, i);
            token_check(c, sequence, i, got, rounding);
            n_checked++;
        }
        bool capped = sequence->cap >= 0 && c->cap_k > 0;
        assert_true(capped || isnan(got->caps[2 * s]));
    }
    assert_int_equal(n_checked, c->n_rows);
    assert_true(isnan(got->loc[c->n_rows]) && isnan(got->scale[c->n_rows]));
    for (size_t t = 0; t < 2 * c->patch; t++)
        assert_true(isnan(got->tokens[c->n_rows * 2 * c->patch + t]));
}

/* ---- Cases ----------------------------------------------------------------------------------- */

enum { MOST_SIZES = 5 };

enum shape { PLAIN, HUGE_VALUES, TINY_VALUES, OFFSET, FINE_OFFSET, CONSTANT, MIXED, N_SHAPES };

static float value_at(enum shape shape, size_t t)
{
    float r = random_float();
    switch (shape) {
    case HUGE_VALUES: return t % 7 ? r * 1e30f : r * 1.6e38f;
    case TINY_VALUES: return r * 1e-30f;
    case OFFSET: return 1e6f + r;
    case FINE_OFFSET: return 1e4f + r * 1.7e-3f; /* two ulps of 1e4 */
    case CONSTANT: return 0.1f;
    case MIXED: return t < 200 ? r * 1e-3f : t < 300 ? r * 1e12f : r * 1e25f; /* exponents that rise */
    case PLAIN:
    case N_SHAPES: break;
    }
    return r * 3 + 1;
}

/* Sequences: whole; with gaps; late; without a value; one value; of tokens behind the context alone. */
static struct token_case *case_start(enum shape shape, size_t patch, size_t n_patches, size_t min_obs, float cap_k)
{
    struct token_case *c = mem_calloc(1, sizeof *c);
    size_t n = n_patches * patch, n_context = n_patches - n_patches / 4;
    *c = (struct token_case){.patch = patch, .n_patches = n_patches, .min_obs = min_obs, .cap_k = cap_k};
    for (size_t s = 0; s < SEQUENCES; s++) {
        for (size_t t = 0; t < n; t++) {
            bool filled = t < (n_context + (s == 5)) * patch; /* the rest is yet to come */
            bool seen = s == 0   ? true
                        : s == 1 ? random_bits() % 3 != 0
                        : s == 2 ? t > n / 2
                        : s == 3 ? false
                        : s == 4 ? t == n / 3
                                 : true;
            c->mask[s * n + t] = filled && seen;
            c->values[s * n + t] = c->mask[s * n + t] ? value_at(shape, t) : NAN;
        }
        bool last = s == 5;
        size_t first = last ? n_context - 1 : s % 2;
        c->sequences[s] = (struct token_sequence){
            .first_value = (int32_t)(s * n), .n_patches = (int32_t)n_patches, .n_context = (int32_t)n_context,
            .first_patch = (int32_t)first, .n_tokens = (int32_t)(last ? n_patches - first : n_context - first),
            .clear_before = (int32_t)(last ? n_context + 1 : 0), .row = (int32_t)c->n_rows,
            .cap = last ? -1 : (int32_t)s};
        c->n_rows += (size_t)c->sequences[s].n_tokens;
    }
    return c;
}

static void device_check(const struct token_case *c)
{
    struct token_result want = tokens_run(cpu, c), got = tokens_run(device, c);
    case_check(c, &got, stored_epsilon);
    for (size_t row = 0; row < c->n_rows; row++) {
        assert_near(got.scale[row], (double)want.scale[row], 2e-7 * (double)want.scale[row],
                    "scale of row %zu", row);
        assert_near(got.loc[row], (double)want.loc[row],
                    2e-7 * fabs((double)want.loc[row]) + 1e-6 * (double)want.scale[row], "loc of row %zu", row);
    }
    result_end(&want);
    result_end(&got);
}

static void cpu_check(const struct token_case *c)
{
    struct backend *one = backend_start(1), *three = backend_start(3);
    struct token_result got = tokens_run(one, c), again = tokens_run(three, c);
    case_check(c, &got, 0);
    assert_bytes(got.tokens, again.tokens, c->n_rows * 2 * c->patch * 4, "tokens of three threads");
    result_end(&got);
    result_end(&again);
    backend_stop(one);
    backend_stop(three);
}

/* The first n_sizes of the sizes. */
static void all_cases(void (*check)(const struct token_case *), size_t n_sizes)
{
    static const struct {
        size_t patch, n_patches;
    } sizes[MOST_SIZES] = {{32, 5}, {1, 150}, {4, 131}, {33, 64}, {16, 65}};
    for (int shape = 0; shape < N_SHAPES; shape++)
        for (size_t i = 0; i < n_sizes; i++)
            for (size_t min_obs = 0; min_obs < 20; min_obs += 8) {
                struct token_case *c = case_start((enum shape)shape, sizes[i].patch, sizes[i].n_patches, min_obs,
                                                  min_obs == 8 ? 2.5f : 0.0f);
                check(c);
                mem_free(c);
            }
}

/* The examples of the spec. */
static void test_examples(void **state)
{
    (void)state;
    struct token_case *c = mem_calloc(1, sizeof *c);
    const float x[12] = {1, 2, 3, 4, 10, 99, 12, 14}, late[12] = {0, 0, 0, 5, 7, 6, 8, 9};
    const float loc[3] = {2.5f, 6.57142878f, 6.57142878f}, scale[3] = {1.29099441f, 5.28700113f, 5.28700113f};
    const float z[4] = {0.60995847f, 0, 0.900181651f, 1.14092147f};
    struct backend *backend = backend_start(1);
    *c = (struct token_case){.patch = 4, .n_patches = 3, .n_rows = 3 * SEQUENCES, .min_obs = 3};
    for (int32_t s = 0; s < SEQUENCES; s++) {
        c->sequences[s] = (struct token_sequence){.first_value = s * 12, .n_patches = 3, .n_context = 2,
                                                  .n_tokens = 3, .row = 3 * s, .cap = -1};
        for (int32_t t = 0; t < 12; t++) {
            c->values[s * 12 + t] = s == 0 ? x[t] : late[t];
            c->mask[s * 12 + t] = s == 0 ? t < 8 && t != 5 : t >= 3 && t < 8;
        }
    }
    struct token_result got = tokens_run(backend, c);
    for (size_t i = 0; i < 3; i++) {
        assert_close((double)got.loc[i], (double)loc[i], 1e-6, "loc %zu", i);
        assert_close((double)got.scale[i], (double)scale[i], 1e-6, "scale %zu", i);
    }
    for (size_t t = 0; t < 4; t++)
        assert_close((double)got.tokens[8 + t], (double)z[t], 1e-6, "value %zu", t);
    assert_true(got.tokens[12] == 0 && got.tokens[13] == 1 && got.tokens[20] == 1);
    assert_true(got.loc[3] == 6 && got.scale[3] == 1 && got.loc[4] == 7); /* too few in the first patch */
    assert_close((double)got.scale[4], 1.58113885, 1e-6, "scale");
    result_end(&got);
    mem_free(c);
    backend_stop(backend);
}

static void test_cpu(void **state)
{
    (void)state;
    all_cases(cpu_check, MOST_SIZES);
}

static void test_device(void **state)
{
    (void)state;
    static const size_t n_sizes[] = {[TINY] = 1, [SMALL] = 2, [WIDE] = MOST_SIZES};
    all_cases(device_check, n_sizes[devices_size()]);
}

static int device_checks(const char *name)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_device)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples), cmocka_unit_test(test_cpu)};
    int failed = 0;
    if (devices_size() != TINY)
        failed = cmocka_run_group_tests_name("patch_tokens", tests, NULL, NULL);
    return failed + devices_main(argc, argv, &(struct devices_tests){device_checks, NULL, false});
}
