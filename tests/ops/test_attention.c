/* attention against float64, in every variant: two spans, strides, groups, shared spans; equal
 * bytes for a row alone and in company. */
#include "ops.h"

#include <float.h>

struct attention_case {
    struct backend *backend;
    struct attention_args args;
    size_t n_slots;
};

/* Query heads that share keys and values, and how much longer values are than keys. */
static size_t heads_per_group = 1, value_dim_more = 0;

static struct attention_case case_make(struct backend *backend, size_t n_rows, size_t n_heads,
                                       size_t head_dim, size_t n_slots,
                                       const struct attention_row *rows, const int32_t *groups)
{
    size_t n_groups = n_heads / heads_per_group, value_dim = head_dim + value_dim_more;
    struct attention_case made = {.backend = backend, .n_slots = n_slots};
    made.args = (struct attention_args){
        .q = tensor_random(backend, TENSOR_ACTIVATION, n_rows * n_heads * head_dim),
        .keys = tensor_random(backend, TENSOR_ACTIVATION, n_slots * n_groups * head_dim),
        .values = tensor_random(backend, TENSOR_ACTIVATION, n_slots * n_groups * value_dim),
        .rows = tensor_of(backend, TENSOR_I32, n_rows * sizeof *rows / 4, rows),
        .out = tensor_make(backend, TENSOR_ACTIVATION, n_rows * n_heads * value_dim),
        .n_rows = n_rows, .n_heads = n_heads, .n_groups = n_groups, .head_dim = head_dim,
        .value_dim = value_dim, .run = 1,
        .scale = 4.0f / sqrtf((float)head_dim)};
    if (groups)
        made.args.slot_groups = tensor_of(backend, TENSOR_I32, n_slots, groups);
    return made;
}

static void case_end(struct attention_case *made)
{
    tensor_end(made->backend, made->args.q);
    tensor_end(made->backend, made->args.keys);
    tensor_end(made->backend, made->args.values);
    tensor_end(made->backend, made->args.rows);
    tensor_end(made->backend, made->args.out);
    if (made->args.slot_groups.memory)
        tensor_end(made->backend, made->args.slot_groups);
}

/* The plain definition. Scores are sums of head_dim products and so within some eps of their
 * magnitude; the weights share that relative error. */
static void case_check(const struct attention_case *made)
{
    const struct attention_args *args = &made->args;
    size_t h = args->head_dim, e = args->value_dim;
    const struct attention_row *rows = (const void *)integers(args->rows);
    const int32_t *groups = integers(args->slot_groups);
    double *scores = mem_alloc(made->n_slots * 2 * sizeof *scores);
    for (size_t r = 0; r < args->n_rows; r++)
        for (size_t k = 0; k < args->n_heads; k++) {
            const float *q = floats(args->q) + (r * args->n_heads + k) * h;
            size_t g = k / heads_per_group;
            size_t n = 0, total = (size_t)(rows[r].count_a + rows[r].count_b);
            double most = -INFINITY, sum = 0, largest = 0;
            size_t *slots = mem_alloc((total + 1) * sizeof *slots);
            for (size_t i = 0; i < total; i++) {
                bool in_b = i >= (size_t)rows[r].count_a;
                size_t local = in_b ? i - (size_t)rows[r].count_a : i;
                size_t slot = (size_t)(in_b ? rows[r].first_b : rows[r].first_a) +
                              local * (size_t)rows[r].stride;
                if (groups && groups[slot] != rows[r].group)
                    continue;
                double score = 0;
                for (size_t d = 0; d < h; d++)
                    score += (double)q[d] *
                             (double)floats(args->keys)[(slot * args->n_groups + g) * h + d];
                scores[n] = score * (double)args->scale;
                most = scores[n] > most ? scores[n] : most;
                largest = fabs(scores[n]) > largest ? fabs(scores[n]) : largest;
                slots[n++] = slot;
            }
            for (size_t i = 0; i < n; i++)
                sum += scores[i] = exp(scores[i] - most);
            for (size_t d = 0; d < e; d++) {
                double want = 0;
                for (size_t i = 0; i < n; i++)
                    want += scores[i] / sum *
                            (double)floats(args->values)[(slots[i] * args->n_groups + g) * e + d];
                assert_close((double)floats(args->out)[(r * args->n_heads + k) * e + d], want,
                             n ? FLT_EPSILON * (8 * largest + 16 + 0.1 * (double)n) : 0.0,
                             "row %zu head %zu dim %zu of %zu keys", r, k, d, n);
            }
            mem_free(slots);
        }
    mem_free(scores);
}

/* Each row by itself has the bytes that it has in company, with any number of threads. */
static void case_check_alone(const struct attention_case *made)
{
    size_t width = made->args.n_heads * made->args.head_dim;
    size_t out_width = made->args.n_heads * made->args.value_dim;
    for (size_t n_threads = 1; n_threads <= 2; n_threads++) {
        struct backend *other = backend_start(n_threads);
        cpu_of(other)->kernels = cpu_of(made->backend)->kernels;
        for (size_t r = 0; r < made->args.n_rows; r += n_threads) {
            struct attention_args args = made->args;
            struct tensor out = tensor_make(other, TENSOR_ACTIVATION, out_width);
            args.q = tensor_at(args.q, r * width, width);
            args.rows = tensor_at(args.rows, r * 6, 6);
            args.out = out;
            args.n_rows = 1;
            other->ops->attention(other, &args);
            assert_bytes(floats(out), floats(made->args.out) + r * out_width, out_width * 4,
                         "row %zu alone", r);
            tensor_end(other, out);
        }
        backend_stop(other);
    }
}

static void case_run(struct attention_case made)
{
    made.backend->ops->attention(made.backend, &made.args);
    case_check(&made);
    case_check_alone(&made);
    case_end(&made);
}

enum { ROWS_MOST = 300 };
static struct attention_row rows[ROWS_MOST];
static int32_t groups[1000];

/* Prefill: rows of two variates, each seeing the keys of its own up to itself. */
static void check_prefill(struct backend *backend, size_t n_heads, size_t h)
{
    for (int32_t i = 0; i < 146; i++)
        rows[i] =
            (struct attention_row){.first_a = i / 73 * 73, .count_a = i % 73 + 1, .stride = 1};
    case_run(case_make(backend, 146, n_heads, h, 146, rows, NULL));
}

/* Decode: samples of two variates share their variate's context, then each sees keys of its own. */
static void check_decode(struct backend *backend, size_t n_heads, size_t h, int32_t n_context)
{
    int32_t own = 3;
    for (int32_t i = 0; i < 150; i++)
        rows[i] = (struct attention_row){.first_a = i / 75 * n_context,
                                         .count_a = n_context,
                                         .first_b = 2 * n_context + i * own,
                                         .count_b = i % (own + 1),
                                         .stride = 1};
    case_run(
        case_make(backend, 150, n_heads, h, 2 * (size_t)n_context + 150 * (size_t)own, rows, NULL));
}

/* Space layers: variates of one patch stand `stride` slots apart and see those of their group. */
static void check_space(struct backend *backend, size_t n_heads, size_t h)
{
    int32_t n_patches = 5, n_variates = 40;
    for (int32_t i = 0; i < n_patches * n_variates; i++) {
        groups[i] = i / n_patches % 3;
        rows[i] = (struct attention_row){.first_a = i % n_patches,
                                         .count_a = n_variates,
                                         .stride = n_patches,
                                         .group = groups[i]};
    }
    rows[7].group = 99;
    case_run(case_make(backend, 200, n_heads, h, 200, rows, groups));
    for (int32_t i = 0; i < 20; i++)
        rows[i] = (struct attention_row){.first_a = i,
                                         .count_a = 10,
                                         .first_b = 400 + i,
                                         .count_b = 9,
                                         .stride = 20,
                                         .group = i % 3};
    for (int32_t i = 0; i < 600; i++)
        groups[i] = i % 7 % 3;
    case_run(case_make(backend, 20, n_heads, h, 600, rows, groups));
}

static void test_values(void **state)
{
    (void)state;
    const struct cpu_kernels *kernels;
    for (size_t i = 0; (kernels = cpu_kernels_at(i)) != NULL; i++) {
        struct backend *backend = backend_start(2);
        cpu_of(backend)->kernels = kernels;
        check_prefill(backend, 3, 16);
        check_prefill(backend, 1, 20);
        check_decode(backend, 2, 64, 64);
        check_decode(backend, 1, 8, 300);
        check_decode(backend, 2, 32, 1);
        check_space(backend, 2, 128);
        check_space(backend, 1, 12);
        heads_per_group = 2; /* grouped heads, values longer than keys */
        value_dim_more = 4;
        check_prefill(backend, 6, 8);
        check_decode(backend, 4, 32, 70);
        check_space(backend, 2, 20);
        heads_per_group = 1;
        value_dim_more = 0;
        backend_stop(backend);
    }
}

static void test_no_keys(void **state)
{
    (void)state;
    struct backend *backend = backend_start(1);
    memset(rows, 0, sizeof rows);
    rows[1].count_b = 1;
    struct attention_case made = case_make(backend, 2, 1, 16, 1, rows, NULL);
    backend->ops->attention(backend, &made.args);
    for (size_t d = 0; d < 16; d++) {
        assert_true(floats(made.args.out)[d] == 0);
        assert_true(floats(made.args.out)[16 + d] ==
                    floats(made.args.values)[d]); /* one key: weight 1 */
    }
    case_end(&made);
    backend_stop(backend);
}

/* A NaN in a key, a value or a query shows in the rows that see it, and in no other. */
static void test_nan(void **state)
{
    (void)state;
    struct backend *backend = backend_start(2);
    for (int place = 0; place < 3; place++) {
        for (int32_t i = 0; i < 20; i++)
            rows[i] = (struct attention_row){.first_a = 0, .count_a = i + 1, .stride = 1};
        struct attention_case made = case_make(backend, 20, 1, 16, 20, rows, NULL);
        float *at = floats(place == 0   ? made.args.q
                           : place == 1 ? made.args.keys
                                        : made.args.values);
        at[9 * 16 + 3] = NAN;
        backend->ops->attention(backend, &made.args);
        for (int r = 0; r < 20; r++)
            assert_int_equal(isnan(floats(made.args.out)[r * 16 + 3]),
                             place == 0 ? r == 9 : r >= 9);
        case_end(&made);
    }
    backend_stop(backend);
}

static int checks(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_no_keys),
        cmocka_unit_test(test_nan),
    };
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}

static void attention_run(void *context)
{
    struct attention_case *made = context;
    made->backend->ops->attention(made->backend, &made->args);
}

static void bench(void)
{
    struct backend *backend = backend_start(0);
    for (int32_t n_context = 8; n_context <= 64; n_context *= 8) {
        for (int32_t i = 0; i < 256; i++)
            rows[i] = (struct attention_row){.count_a = n_context,
                                             .first_b = n_context + i * 2,
                                             .count_b = 1 + i % 2,
                                             .stride = 1};
        struct attention_case made =
            case_make(backend, 256, 12, 64, (size_t)n_context + 512, rows, NULL);
        made.args.run = 256;
        char shape[80];
        snprintf(shape, sizeof shape, "decode rows 256 keys %d+1.5 H 12 h 64", (int)n_context);
        bench_print("attention", shape, bench_seconds(attention_run, &made),
                    256.0 * 12 * 64 * ((double)n_context + 1.5) * 4e-9, "GFLOP/s");
        case_end(&made);
        for (int32_t i = 0; i < n_context; i++)
            rows[i] = (struct attention_row){.count_a = i + 1, .stride = 1};
        made = case_make(backend, (size_t)n_context, 12, 64, (size_t)n_context, rows, NULL);
        snprintf(shape, sizeof shape, "prefill rows %d H 12 h 64", (int)n_context);
        bench_print("attention", shape, bench_seconds(attention_run, &made),
                    (double)n_context * ((double)n_context + 1) / 2 * 12 * 64 * 4e-9, "GFLOP/s");
        case_end(&made);
    }
    backend_stop(backend);
}

int main(int argc, char **argv)
{
    return ops_main(argc, argv, checks, bench);
}
