/* Writes a full-size model of Toto 1.0's shape with pseudo-random weights, the same bit for bit everywhere.
 *
 *     make_toto1_base DIR [f32|f16|bf16]
 *
 * Element i of the tensor NAME comes from SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
 * generators, OOPSLA 2014), seeded with FNV-1a of the name: u in [-0.5, 0.5) of 24 bits,
 * w = fl32(fl32(u a) + c), a = fl32(sqrt(12) std), rounded to nearest even for f16 and bf16. The golden cases
 * under base/ were made with these weights. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"

static const char config[] =
    "{\n"
    "  \"patch_size\": 64, \"stride\": 64, \"embed_dim\": 768, \"num_layers\": 12, \"num_heads\": 12,\n"
    "  \"mlp_hidden_dim\": 3072, \"dropout\": 0.1, \"spacewise_every_n_layers\": 12,\n"
    "  \"spacewise_first\": false, \"stabilize_with_global\": true, \"scale_factor_exponent\": 10.0,\n"
    "  \"scaler_cls\": \"<class 'model.scaler.CausalPatchStdMeanScaler'>\",\n"
    "  \"output_distribution_classes\": [\"<class 'model.distribution.MixtureOfStudentTsOutput'>\"],\n"
    "  \"output_distribution_kwargs\": {\"k_components\": 24}, \"use_memory_efficient_attention\": true\n"
    "}\n";

enum { D = 768, F = 3072, P = 64, K = 24, LAYERS = 12, MAX_TENSORS = 200 };
static const uint64_t GOLDEN = 0x9E3779B97F4A7C15u;

struct plan {
    char name[96];
    size_t n_out, n_in; /* n_in 0: a vector */
    double std, offset;
};

static struct plan plans[MAX_TENSORS];
static size_t n_plans;

static void add(const char *name, const char *suffix, size_t n_out, size_t n_in, double std,
                double offset)
{
    struct plan *plan = &plans[n_plans++];
    snprintf(plan->name, sizeof plan->name, "model.%s%s", name, suffix);
    plan->n_out = n_out;
    plan->n_in = n_in;
    plan->std = std;
    plan->offset = offset;
}

static void add_linear(const char *name, size_t n_out, size_t n_in, double gain, double bias_std,
                       double bias_offset)
{
    add(name, ".weight", n_out, n_in, gain / sqrt((double)n_in), 0.0);
    add(name, ".bias", n_out, 0, bias_std, bias_offset);
}

static void plan_model(void)
{
    add_linear("patch_embed.projection", D, P, 1.0, 0.05, 0.0);
    for (int i = 0; i < LAYERS; i++) {
        char name[64];
#define IN_LAYER(part) (snprintf(name, sizeof name, "transformer.layers.%d." part, i), name)
        add(IN_LAYER("norm1"), ".scale", D, 0, 0.1, 1.0);
        add(IN_LAYER("norm2"), ".scale", D, 0, 0.1, 1.0);
        add_linear(IN_LAYER("attention.wQKV"), 3 * D, D, 1.2, 0.05, 0.0);
        add_linear(IN_LAYER("attention.wO"), D, D, 0.7, 0.05, 0.0);
        add_linear(IN_LAYER("mlp.0"), 2 * F, D, 1.0, 0.05, 0.0);
        add_linear(IN_LAYER("mlp.2"), D, F, 0.7, 0.05, 0.0);
#undef IN_LAYER
    }
    add_linear("unembed", D * P, D, 1.0, 0.05, 0.0);
    add_linear("output_distribution.df", K, D, 0.5, 0.3, 1.0);
    add_linear("output_distribution.loc_proj", K, D, 0.8, 0.5, 0.0);
    add_linear("output_distribution.scale_proj", K, D, 0.5, 0.3, -1.0);
    add_linear("output_distribution.mixture_weights", K, D, 0.7, 0.3, 0.0);
}

static size_t elements(const struct plan *plan)
{
    return plan->n_out * (plan->n_in ? plan->n_in : 1);
}

static float element(uint64_t seed, size_t i, float a, float c)
{
    uint64_t z = seed + (uint64_t)(i + 1) * GOLDEN;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    float u = (float)(z >> 40) * 0x1p-24f - 0.5f;
    float scaled = u * a;
    return scaled + c;
}

static uint16_t to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

/* Round to nearest even; weights are far below the largest half. */
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

static int write_data(FILE *file, const struct plan *plan, const char *dtype)
{
    enum { STEP = 1 << 16 };
    static float wide[STEP];
    static uint16_t narrow[STEP];
    uint64_t seed = hash_fnv1a(plan->name, strlen(plan->name)) ^ GOLDEN;
    float a = (float)(sqrt(12.0) * plan->std), c = (float)plan->offset;
    bool f32 = strcmp(dtype, "f32") == 0, f16 = strcmp(dtype, "f16") == 0;
    for (size_t at = 0, n = elements(plan); at < n; at += STEP) {
        size_t count = n - at < STEP ? n - at : STEP;
        for (size_t i = 0; i < count; i++) {
            wide[i] = element(seed, at + i, a, c);
            if (!f32)
                narrow[i] = f16 ? to_f16(wide[i]) : to_bf16(wide[i]);
        }
        const void *data = f32 ? (const void *)wide : narrow;
        if (fwrite(data, f32 ? 4 : 2, count, file) != count)
            return -1;
    }
    return 0;
}

static int write_model(FILE *file, const char *dtype)
{
    static char header[1 << 16];
    size_t size = strcmp(dtype, "f32") == 0 ? 4 : 2, at = 0, offset = 0;
    const char *type = size == 4 ? "F32" : strcmp(dtype, "f16") == 0 ? "F16" : "BF16";
    at += (size_t)snprintf(header + at, sizeof header - at, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n_plans; i++) {
        const struct plan *plan = &plans[i];
        size_t end = offset + elements(plan) * size;
        at += (size_t)snprintf(header + at, sizeof header - at, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%zu",
                               plan->name, type, plan->n_out);
        if (plan->n_in)
            at += (size_t)snprintf(header + at, sizeof header - at, ",%zu", plan->n_in);
        at += (size_t)snprintf(header + at, sizeof header - at, "],\"data_offsets\":[%zu,%zu]}", offset,
                               end);
        offset = end;
    }
    at += (size_t)snprintf(header + at, sizeof header - at, "}");
    while (at % 8)
        header[at++] = ' ';
    unsigned char length[8];
    for (size_t i = 0; i < 8; i++)
        length[i] = (unsigned char)(at >> (8 * i));
    if (fwrite(length, 1, 8, file) != 8 || fwrite(header, 1, at, file) != at)
        return -1;
    for (size_t i = 0; i < n_plans; i++)
        if (write_data(file, &plans[i], dtype) != 0)
            return -1;
    return 0;
}

int main(int argc, char **argv)
{
    const char *dtype = argc > 2 ? argv[2] : "f32";
    if (argc < 2 || (strcmp(dtype, "f32") && strcmp(dtype, "f16") && strcmp(dtype, "bf16"))) {
        fprintf(stderr, "usage: make_toto1_base DIR [f32|f16|bf16]\n");
        return 64;
    }
    char path[4096];
    if (mkdir(argv[1], 0777) != 0 && errno != EEXIST) {
        perror(argv[1]);
        return 73;
    }
    snprintf(path, sizeof path, "%s/config.json", argv[1]);
    FILE *file = fopen(path, "w");
    if (!file || fputs(config, file) < 0 || fclose(file) != 0) {
        perror(path);
        return 73;
    }
    snprintf(path, sizeof path, "%s/model.safetensors", argv[1]);
    file = fopen(path, "wb");
    plan_model();
    if (!file || write_model(file, dtype) != 0 || fclose(file) != 0) {
        perror(path);
        return 74;
    }
    return 0;
}
