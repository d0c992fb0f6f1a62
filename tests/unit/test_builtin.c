/* Checkpoints that lie in memory, and the model that lies in the program. */
#include "checkpoint_files.h"

#include "base/memory.h"
#include "model/model.h"

#define MODELS "tests/golden/toto2/models/"
#define DATA "data/model/"

struct bytes {
    unsigned char *data; /* malloc'd to the byte, so that a sanitizer sees what is read beyond */
    size_t n;
};

static struct bytes read_file(const char *path)
{
    struct bytes bytes = {NULL, 0};
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s cannot be opened", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    bytes.n = (size_t)ftell(file);
    rewind(file);
    bytes.data = malloc(bytes.n);
    assert_non_null(bytes.data);
    assert_int_equal(fread(bytes.data, 1, bytes.n, file), bytes.n);
    fclose(file);
    return bytes;
}

static struct checkpoint_memory memory_of(const struct bytes *config, const struct bytes *weights)
{
    return (struct checkpoint_memory){.name = "in memory", .config = config->data, .config_bytes = config->n,
                                      .weights = weights->data, .weights_bytes = weights->n};
}

static void assert_refuses(const struct checkpoint_memory *memory, const char *part1, const char *part2)
{
    struct toto_model *model;
    struct toto_error err = {""};
    size_t used = toto_memory_used();
    enum toto_status status = model_open_memory(memory, &model, &err);
    if (status != TOTO_STATUS_DATA || !strstr(err.message, part1) || !strstr(err.message, part2))
        fail_msg("status %d, message: %s\nwanted \"%s\", \"%s\"", (int)status, err.message, part1, part2);
    assert_null(model);
    assert_int_equal(toto_memory_used(), used);
}

/* The same tensors as those of the folder, wherever the bytes lie; all of them views. */
static void test_any_alignment(void **state)
{
    (void)state;
    struct bytes config = read_file(MODELS "a_official/config.json");
    struct bytes file = read_file(MODELS "a_official/model.safetensors");
    struct checkpoint wanted;
    struct toto_error err;
    assert_int_equal(checkpoint_open(MODELS "a_official", &wanted, &err), TOTO_STATUS_OK);
    for (size_t shift = 0; shift < 9; shift++) {
        struct bytes moved = {malloc(shift + file.n), file.n};
        assert_non_null(moved.data);
        memcpy(moved.data + shift, file.data, file.n);
        struct checkpoint_memory memory = memory_of(&config, &moved);
        memory.weights = moved.data + shift;
        struct checkpoint checkpoint;
        assert_int_equal(checkpoint_open_memory(&memory, &checkpoint, &err), TOTO_STATUS_OK);
        assert_string_equal(checkpoint.path, "in memory");
        assert_string_equal(checkpoint.config_path, "in memory/config.json");
        assert_int_equal(checkpoint.n_files, 1);
        assert_string_equal(checkpoint.files[0].name, "model.safetensors");
        assert_int_equal(checkpoint.files[0].bytes, file.n);
        assert_int_equal(checkpoint.n_tensors, wanted.n_tensors);
        for (size_t i = 0; i < wanted.n_tensors; i++) {
            const struct tensor_view *view = &checkpoint.tensors[i], *other = &wanted.tensors[i];
            assert_string_equal(view->name, other->name);
            assert_int_equal(view->n_elements, other->n_elements);
            assert_memory_equal(view->data, other->data, view->n_elements * dtype_size(view->dtype));
            assert_ptr_equal(view->data, (const char *)memory.weights + ((const char *)other->data -
                                                                         (const char *)wanted.files[0].data));
        }
        /* No file of ours: what a signal handler says of it is for its owner. */
        assert_null(toto_mapped_path(checkpoint.tensors[0].data));
        const unsigned char *last = (const unsigned char *)memory.weights + file.n - 1;
        checkpoint_close(&checkpoint);
        assert_int_equal(*last, file.data[file.n - 1]); /* it is still the caller's */
        free(moved.data);
    }
    /* The mapping of a file is known as before, with memory borrowed beside it. */
    assert_string_equal(toto_mapped_path(wanted.tensors[0].data), MODELS "a_official/model.safetensors");
    checkpoint_close(&wanted);
    free(config.data);
    free(file.data);
    assert_int_equal(toto_memory_used(), 0);
}

static void test_cut(void **state)
{
    (void)state;
    struct bytes config = read_file(MODELS "a_official/config.json");
    struct bytes file = read_file(MODELS "a_official/model.safetensors");
    size_t header = 8 + (size_t)file.data[0] + ((size_t)file.data[1] << 8) + ((size_t)file.data[2] << 16);
    assert_true(header < file.n);
    for (size_t n = 0; n < file.n; n = n < header + 8 && n % 97 ? n + 1 : n + (n < header ? 13 : 4099)) {
        struct bytes cut = {malloc(n ? n : 1), n};
        assert_non_null(cut.data);
        memcpy(cut.data, file.data, n);
        struct checkpoint_memory memory = memory_of(&config, &cut);
        assert_refuses(&memory, "in memory/model.safetensors: ", "");
        free(cut.data);
    }
    struct checkpoint_memory none = memory_of(&config, &(struct bytes){NULL, 0});
    assert_refuses(&none, "in memory/model.safetensors: 0 bytes are too few", "");
    free(config.data);
    free(file.data);
}

static void test_broken_bytes(void **state)
{
    (void)state;
    struct bytes config = read_file(MODELS "a_official/config.json");
    struct bytes file = read_file(MODELS "a_official/model.safetensors");
    struct bytes other_file = read_file("tests/golden/toto1/models/d3/model.safetensors");
    struct checkpoint_memory memory = memory_of(&config, &file);

    memory.config_bytes = config.n / 2;
    assert_refuses(&memory, "in memory/config.json: ", "of the JSON");
    memory.config_bytes = 0;
    assert_refuses(&memory, "in memory/config.json: ", "");
    memory.config = NULL;
    assert_refuses(&memory, "in memory/config.json: ", "");
    memory.config = "{}";
    memory.config_bytes = 2;
    assert_refuses(&memory, "in memory/config.json: ", "is missing");

    memory = memory_of(&config, &other_file);
    assert_refuses(&memory, "in memory: tensor \"", "is missing");

    memory = memory_of(&config, &file);
    memset(file.data + file.n - 4, 0xFF, 4); /* NaN, in F32, F16 and BF16 alike */
    assert_refuses(&memory, "in memory/model.safetensors: tensor \"", "is not a finite number");
    file.data[8] = '[';
    assert_refuses(&memory, "in memory/model.safetensors: byte 8 does not begin a header", "");
    file.data[7] = 1;
    assert_refuses(&memory, "in memory/model.safetensors: the header's length", "");
    free(config.data);
    free(file.data);
    free(other_file.data);
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    struct bytes config = read_file(MODELS "a_official/config.json");
    struct bytes file = read_file(MODELS "a_official/model.safetensors");
    struct checkpoint_memory memory = memory_of(&config, &file);
    size_t n = 0;
    for (enum toto_status status = TOTO_STATUS_RESOURCE; status;) {
        struct toto_model *model;
        struct toto_error err = {""};
        mem_fail_after(++n);
        status = model_open_memory(&memory, &model, &err);
        mem_fail_after(0);
        assert_true(status == TOTO_STATUS_OK || status == TOTO_STATUS_RESOURCE);
        assert_int_equal(status == TOTO_STATUS_OK, model != NULL);
        toto_model_free(model);
        assert_int_equal(toto_memory_used(), 0);
    }
    assert_true(n > 8);
    free(config.data);
    free(file.data);
}

/* The files of data/model to the byte, at a page of any system, in no memory of ours. */
static void test_builtin(void **state)
{
    (void)state;
    struct bytes file = read_file(DATA "model.safetensors");
    struct toto_model *model, *same, *from_files;
    struct toto_model_info info, other;
    struct toto_error err = {""};
    char hex[65], other_hex[65];
    const char *name;
    enum toto_status status = toto_model_open_builtin(&model, &err);
    if (status)
        fail_msg("%s", err.message);
    assert_int_equal(toto_model_open_builtin(&same, &err), TOTO_STATUS_OK);
    assert_int_equal(toto_model_open(DATA, &from_files, &err), TOTO_STATUS_OK);
    const struct mapped_file *weights = &model->checkpoint.files[0];
    assert_int_equal(weights->bytes, file.n);
    assert_memory_equal(weights->data, file.data, file.n);
    assert_int_equal((uintptr_t)weights->data % 16384, 0);
    assert_ptr_equal(same->checkpoint.files[0].data, weights->data);
    assert_true(toto_memory_used() < file.n / 2); /* of three open models */

    toto_model_inspect(model, &info);
    toto_model_inspect(from_files, &other);
    assert_string_equal(info.path, "built in");
    assert_string_equal(info.family, other.family);
    assert_string_equal(info.attributes, other.attributes);
    assert_int_equal(info.n_parameters, other.n_parameters);
    assert_int_equal(info.n_tensors, other.n_tensors);
    assert_int_equal(toto_model_sha256(model, 0, hex, &name, &err), TOTO_STATUS_OK);
    assert_string_equal(name, "model.safetensors");
    assert_int_equal(toto_model_sha256(from_files, 0, other_hex, &name, &err), TOTO_STATUS_OK);
    assert_string_equal(hex, other_hex);

    toto_model_free(model);
    assert_memory_equal(same->checkpoint.files[0].data, file.data, file.n);
    toto_model_free(same);
    toto_model_free(from_files);
    free(file.data);
    assert_int_equal(toto_memory_used(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_alignment),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_broken_bytes),
        cmocka_unit_test(test_every_allocation_fails),
        cmocka_unit_test(test_builtin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
