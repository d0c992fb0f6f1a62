/* Writes a model of Toto 2.0's shape with pseudo-random weights, the same bit for bit everywhere.
 *
 *     make_toto2 DIR NAME [SHARDS]
 *
 * NAME is SIZE_DTYPE: 4m, 22m, 313m, d1536 or 2.5b; f32, f16 or bf16. One shard is DIR/model.safetensors; more are
 * listed in DIR/model.safetensors.index.json.
 *
 * Element i of tensor number n (in file order, from 0) comes from two rounds of SplitMix64's mixer (Steele, Lea,
 * Flood: Fast splittable pseudorandom number generators, OOPSLA 2014) of i G + ((seed G) ^ ((n + 1) N)), all
 * modulo 2^64: the sum of the four 16-bit fields, centred and divided to unit variance, is u;
 * w = fl32(u gain + offset) in doubles, rounded to nearest even for f16 and bf16. Gains make attention far from
 * uniform, quantiles spread, and the forecast depend on the input. The golden cases under toto2/4m and
 * toto2/sizes were made with these weights.
 *
 * Only 4m has the dimensions of a released checkpoint; the others have its options and about the named number
 * of parameters. 2.5b is for tests of memory and shards and has 6 shards if not told otherwise. In its matrices
 * of at least SPARSE_FROM elements only SPARSE_KEPT rows of every SPARSE_PERIOD hold weights (counted anew in q,
 * k, v and in the two halves of fc1); the others are holes in the file, that is zeros, where the file system
 * knows holes. So its 5 GB in bf16 take about 0.1 GB of disk. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
    PATCH = 32,
    HEAD_DIM = 64,
    QUANTILES = 9,
    MAX_TENSORS = 320,
    MAX_SHARDS = 999,
    MAX_COLUMNS = 1 << 15,
    SPARSE_FROM = 1 << 22,
    SPARSE_KEPT = 8,
    SPARSE_PERIOD = 512
};

static const uint64_t GOLDEN = 0x9E3779B97F4A7C15u, SEED = 20260512;

/* Ratio of attention to MLP in the residual stream: sqrt(s / ln s), s = 4096 / 32 patches. */
#define ATTENTION_RATIO 5.136215466577748
#define RESIDUAL_MULT 0.75

static const struct size {
    const char *name;
    size_t d, heads, layers, shards;
    bool sparse;
} sizes[] = {
    {"4m", 256, 4, 4, 1, false},      /*     4,144,448 parameters; d_ff 688 */
    {"22m", 448, 7, 8, 1, false},     /*    21,738,944; d_ff 1200 */
    {"313m", 1024, 16, 24, 1, false}, /*   312,684,608; d_ff 2736 */
    {"d1536", 1536, 24, 12, 1, false}, /*  361,406,784; d_ff 4096: for timing */
    {"2.5b", 2560, 40, 32, 6, true},  /* 2,575,183,424; d_ff 6832 */
};

struct tensor {
    char name[96];
    size_t rows, columns; /* a vector is one row */
    int n_dims;
    size_t parts;         /* blocks of rows with different meaning */
    size_t doubled;       /* the gain of the first elements is twice the gain */
    double gain, offset;
    double step;          /* element i adds step (i % 9 - 4) to the offset: quantiles in order */
    size_t shard;
};

static struct tensor tensors[MAX_TENSORS];
static size_t n_tensors;

static struct tensor *add(const char *name, const char *suffix, int n_dims, size_t rows, size_t columns,
                          double gain, double offset)
{
    struct tensor *tensor = &tensors[n_tensors++];
    snprintf(tensor->name, sizeof tensor->name, "%s%s", name, suffix);
    tensor->n_dims = n_dims;
    tensor->rows = rows;
    tensor->columns = columns;
    tensor->parts = 1;
    tensor->gain = gain;
    tensor->offset = offset;
    return tensor;
}

static struct tensor *add_matrix(const char *name, size_t rows, size_t columns, double gain)
{
    return add(name, ".weight", 2, rows, columns, gain, 0.0);
}

static struct tensor *add_bias(const char *name, size_t n, double gain)
{
    return add(name, ".bias", 1, 1, n, gain, 0.0);
}

/* int(4 d 2/3), rounded up to a multiple of 8. */
static size_t d_ff(size_t d)
{
    return (8 * d / 3 + 7) / 8 * 8;
}

static void plan_layer(const struct size *size, size_t layer)
{
    size_t d = size->d, f = d_ff(d), heads = size->heads * HEAD_DIM, n_layers = size->layers;
    double root = sqrt((double)d), n = (double)n_layers, i = (double)layer;
    double mlp = RESIDUAL_MULT * sqrt(2.0 / (1.0 + ATTENTION_RATIO * ATTENTION_RATIO));
    double attention = ATTENTION_RATIO * mlp, attention2 = attention * attention, mlp2 = mlp * mlp;
    char name[72];
#define IN_LAYER(part) (snprintf(name, sizeof name, "transformer.layers.%zu." part, layer), name)
    add(IN_LAYER("attn_tau"), "", 0, 1, 1, 0.0, attention / sqrt(n + i * attention2 + i * mlp2));
    add(IN_LAYER("mlp_tau"), "", 0, 1, 1, 0.0, mlp / sqrt(n + (i + 1.0) * attention2 + i * mlp2));
    struct tensor *in_proj = add_matrix(IN_LAYER("attn.in_proj"), 3 * heads, d, 1.0);
    in_proj->parts = 3;
    in_proj->doubled = 2 * heads * d; /* q and k: sharper attention */
    add_bias(IN_LAYER("attn.in_proj"), 3 * heads, 0.5 * root);
    add_matrix(IN_LAYER("attn.out_proj"), d, heads, 1.5);
    add_bias(IN_LAYER("attn.out_proj"), d, 0.3 * root);
    add(IN_LAYER("attn._pds.per_dim_scale"), "", 1, 1, HEAD_DIM, 0.7, 0.8);
    add_matrix(IN_LAYER("ffn.fc1"), 2 * f, d, 1.5)->parts = 2;
    add_matrix(IN_LAYER("ffn.fc2"), d, f, 1.5);
#undef IN_LAYER
}

static void plan_model(const struct size *size)
{
    size_t d = size->d, n_out = PATCH * QUANTILES;
    double width = (double)d;
    add_matrix("patch_proj.linear1", 4 * d, 2 * PATCH, 1.0);
    add_bias("patch_proj.linear1", 4 * d, 1.0);
    add_matrix("patch_proj.linear2", d, 4 * d, 1.0);
    add_bias("patch_proj.linear2", d, 4.0);
    add_matrix("patch_proj.skip_proj", d, 2 * PATCH, 1.0);
    add_bias("patch_proj.skip_proj", d, 1.0);
    for (size_t layer = 0; layer < size->layers; layer++)
        plan_layer(size, layer);
#define IN_HEAD(part) "output_head.param_projection.proj." part
    add_matrix(IN_HEAD("linear1"), 4 * d, d, 1.0);
    add_bias(IN_HEAD("linear1"), 4 * d, 0.3 * sqrt(width));
    add_matrix(IN_HEAD("linear2"), n_out, 4 * d, 0.45 * sqrt(4.0 * width));
    add_bias(IN_HEAD("linear2"), n_out, 0.1 * 4 * width)->step = width;
    add_matrix(IN_HEAD("skip_proj"), n_out, d, 0.45 * sqrt(width));
    add_bias(IN_HEAD("skip_proj"), n_out, 0.1 * width);
#undef IN_HEAD
}

static size_t bytes_of(const struct tensor *tensor, const char *dtype)
{
    return tensor->rows * tensor->columns * (strcmp(dtype, "F32") == 0 ? 4 : 2);
}

/* Gives every tensor its shard, by the bytes before it; returns the bytes of all. */
static uint64_t share_out(size_t n_shards, const char *dtype)
{
    uint64_t total = 0, before = 0;
    for (size_t i = 0; i < n_tensors; i++)
        total += bytes_of(&tensors[i], dtype);
    for (size_t i = 0; i < n_tensors; i++) {
        tensors[i].shard = (size_t)(before * n_shards / total);
        before += bytes_of(&tensors[i], dtype);
    }
    return total;
}

/* ---- Weights ------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static float element(const struct tensor *tensor, uint64_t base, size_t i)
{
    uint64_t h = mix(mix((uint64_t)i * GOLDEN + base));
    uint64_t sum = (h & 0xFFFFu) + (h >> 16 & 0xFFFFu) + (h >> 32 & 0xFFFFu) + (h >> 48);
    double noise = ((double)sum - 131070.0) / 37837.22709;
    double gain = i < tensor->doubled ? 2.0 * tensor->gain : tensor->gain;
    double offset = tensor->offset + tensor->step * ((double)(i % QUANTILES) - 4.0);
    double scaled = noise * gain;
    return (float)(scaled + offset);
}

static uint16_t to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

/* Round to nearest even; weights are below the largest half. */
static uint16_t to_f16(float value)
{
    uint32_t bits, sign;
    memcpy(&bits, &value, sizeof bits);
    sign = bits >> 16 & 0x8000u;
    int exponent = (int)(bits >> 23 & 0xFFu) - 127;
    uint32_t mantissa = (bits & 0x7FFFFFu) | 0x800000u;
    int shift = exponent < -14 ? 13 + (-14 - exponent) : 13;
    if (shift > 24)
        return (uint16_t)sign;
    uint32_t half = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u), tie = 1u << (shift - 1);
    half += rest > tie || (rest == tie && (half & 1u));
    /* The hidden bit of a normal number adds one to the exponent, as does a carry. */
    return (uint16_t)(sign | (exponent < -14 ? half : ((uint32_t)(exponent + 14) << 10) + half));
}

/* ---- Files --------------------------------------------------------------------------------------------- */

struct writer {
    FILE *file;
    size_t hole; /* bytes of zeros to leave out before what is written next */
};

static bool put(struct writer *writer, const void *data, size_t n)
{
    if (writer->hole && fseeko(writer->file, (off_t)writer->hole, SEEK_CUR) != 0)
        return false;
    writer->hole = 0;
    return fwrite(data, 1, n, writer->file) == n;
}

/* Writes the last byte of a hole at the end, which gives the file its length. */
static bool finish(struct writer *writer)
{
    if (!writer->hole)
        return true;
    writer->hole--;
    return put(writer, "", 1);
}

static bool row_is_hole(const struct tensor *tensor, size_t row)
{
    return tensor->rows * tensor->columns >= SPARSE_FROM &&
           row % (tensor->rows / tensor->parts) % SPARSE_PERIOD >= SPARSE_KEPT;
}

static bool write_tensor(struct writer *writer, const struct tensor *tensor, const char *dtype, bool sparse)
{
    static float wide[MAX_COLUMNS];
    static uint16_t narrow[MAX_COLUMNS];
    uint64_t number = (uint64_t)(tensor - tensors), base = SEED * GOLDEN ^ (number + 1) * 0xD1342543DE82EF95u;
    bool f32 = strcmp(dtype, "F32") == 0, f16 = strcmp(dtype, "F16") == 0;
    size_t n = tensor->columns, row_bytes = n * (f32 ? 4 : 2);
    for (size_t row = 0; row < tensor->rows; row++) {
        if (sparse && row_is_hole(tensor, row)) {
            writer->hole += row_bytes;
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            wide[i] = element(tensor, base, row * n + i);
            if (!f32)
                narrow[i] = f16 ? to_f16(wide[i]) : to_bf16(wide[i]);
        }
        if (!put(writer, f32 ? (const void *)wide : narrow, row_bytes))
            return false;
    }
    return true;
}

static bool write_header(struct writer *writer, size_t shard, const char *dtype)
{
    static char header[1 << 16];
    size_t at = 0, begin = 0;
#define APPEND(...) (at += (size_t)snprintf(header + at, sizeof header - at, __VA_ARGS__))
    APPEND("{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n_tensors; i++) {
        const struct tensor *tensor = &tensors[i];
        if (tensor->shard != shard)
            continue;
        size_t end = begin + bytes_of(tensor, dtype);
        APPEND(",\"%s\":{\"dtype\":\"%s\",\"shape\":[", tensor->name, dtype);
        if (tensor->n_dims == 2)
            APPEND("%zu,", tensor->rows);
        if (tensor->n_dims > 0)
            APPEND("%zu", tensor->columns);
        APPEND("],\"data_offsets\":[%zu,%zu]}", begin, end);
        begin = end;
    }
    APPEND("}");
#undef APPEND
    while (at % 8)
        header[at++] = ' ';
    unsigned char length[8];
    for (size_t i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)at >> (8 * i));
    return put(writer, length, sizeof length) && put(writer, header, at);
}

static void shard_name(char name[64], size_t shard, size_t n_shards)
{
    if (n_shards == 1)
        snprintf(name, 64, "model.safetensors");
    else
        snprintf(name, 64, "model-%05zu-of-%05zu.safetensors", shard + 1, n_shards);
}

static FILE *open_in(const char *folder, const char *name)
{
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    return fopen(path, "wb");
}

static bool close_written(FILE *file, bool ok)
{
    return (fclose(file) == 0) && ok;
}

static bool write_shard(const char *folder, size_t shard, size_t n_shards, const char *dtype, bool sparse)
{
    char name[64];
    shard_name(name, shard, n_shards);
    struct writer writer = {.file = open_in(folder, name)};
    if (!writer.file)
        return false;
    bool ok = write_header(&writer, shard, dtype);
    for (size_t i = 0; i < n_tensors && ok; i++)
        if (tensors[i].shard == shard)
            ok = write_tensor(&writer, &tensors[i], dtype, sparse);
    return close_written(writer.file, ok && finish(&writer));
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct tensor *const *)a)->name, (*(const struct tensor *const *)b)->name);
}

static bool write_index(const char *folder, size_t n_shards, uint64_t total)
{
    static const struct tensor *sorted[MAX_TENSORS];
    FILE *file = open_in(folder, "model.safetensors.index.json");
    if (!file)
        return false;
    for (size_t i = 0; i < n_tensors; i++)
        sorted[i] = &tensors[i];
    qsort(sorted, n_tensors, sizeof *sorted, by_name);
    fprintf(file, "{\n  \"metadata\": {\n    \"total_size\": %" PRIu64 "\n  },\n  \"weight_map\": {",
            total);
    for (size_t i = 0; i < n_tensors; i++) {
        char name[64];
        shard_name(name, sorted[i]->shard, n_shards);
        fprintf(file, "%s\n    \"%s\": \"%s\"", i ? "," : "", sorted[i]->name, name);
    }
    fprintf(file, "\n  }\n}");
    return close_written(file, !ferror(file));
}

static bool write_config(const char *folder, const struct size *size)
{
    FILE *file = open_in(folder, "config.json");
    if (!file)
        return false;
    fprintf(file,
            "{\n  \"attn_bias\": true,\n  \"d_ff\": %zu,\n  \"d_model\": %zu,\n  \"dropout_p\": 0.0,\n"
            "  \"heads_per_group\": 1,\n  \"layer_group_size\": 4,\n  \"mlp_bias\": false,\n"
            "  \"norm_eps\": 0.0001,\n  \"norm_include_weight\": false,\n  \"num_groups\": %zu,\n"
            "  \"num_heads\": %zu,\n  \"num_layers\": %zu,\n  \"num_output_patches\": 1,\n"
            "  \"num_variate_layers_per_group\": 1,\n  \"patch_size\": %d,\n  \"per_dim_scale\": true,\n"
            "  \"pre_norm\": true,\n  \"qk_dim\": %d,\n  \"qk_norm\": false,\n"
            "  \"qk_norm_include_weight\": false,\n  \"residual_attn_ratio\": %.15f,\n"
            "  \"residual_mult\": %.2f,\n  \"use_xpos\": true,\n  \"v_dim\": %d,\n"
            "  \"variate_layer_first\": false\n}\n",
            d_ff(size->d), size->d, size->heads, size->heads, size->layers, PATCH, HEAD_DIM, ATTENTION_RATIO,
            RESIDUAL_MULT, HEAD_DIM);
    return close_written(file, !ferror(file));
}

/* ---- Command line -------------------------------------------------------------------------------------- */

/* Splits NAME at its underscore; false if it is none of ours. */
static bool parse_name(const char *name, const struct size **size, const char **dtype)
{
    static const char *const dtypes[][2] = {{"f32", "F32"}, {"f16", "F16"}, {"bf16", "BF16"}};
    *size = NULL;
    *dtype = NULL;
    size_t length = strcspn(name, "_");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (strlen(sizes[i].name) == length && strncmp(name, sizes[i].name, length) == 0)
            *size = &sizes[i];
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes && name[length]; i++)
        if (strcmp(name + length + 1, dtypes[i][0]) == 0)
            *dtype = dtypes[i][1];
    return *size && *dtype;
}

static bool parse_shards(const char *text, size_t *n_shards)
{
    char *end;
    long number = strtol(text, &end, 10);
    *n_shards = (size_t)number;
    return end != text && !*end && number >= 1 && number <= MAX_SHARDS;
}

int main(int argc, char **argv)
{
    const struct size *size;
    const char *dtype;
    size_t n_shards = 0;
    if (argc < 3 || argc > 4 || !parse_name(argv[2], &size, &dtype) ||
        (argc == 4 && !parse_shards(argv[3], &n_shards))) {
        fprintf(stderr, "usage: make_toto2 DIR 4m|22m|313m|d1536|2.5b_f32|f16|bf16 [SHARDS]\n"
                        "for example: make_toto2 build/4m 4m_bf16\n");
        return 64;
    }
    n_shards = n_shards ? n_shards : size->shards;
    if (mkdir(argv[1], 0777) != 0 && errno != EEXIST) {
        perror(argv[1]);
        return 73;
    }
    plan_model(size);
    uint64_t total = share_out(n_shards, dtype);
    bool ok = write_config(argv[1], size);
    for (size_t shard = 0; shard < n_shards && ok; shard++)
        ok = write_shard(argv[1], shard, n_shards, dtype, size->sparse);
    if (!ok || (n_shards > 1 && !write_index(argv[1], n_shards, total))) {
        perror(argv[1]);
        return 74;
    }
    return 0;
}
