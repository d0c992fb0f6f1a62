/* Checkpoints: every rule of the safetensors format and of the index with a fixture of its own,
 * then whole classes of damage: cuts, changed bytes, failing allocations. */
#include "checkpoint_files.h"

#include <sys/resource.h>
#include <sys/stat.h>

/* An entry of a header. */
#define T(name, dtype, shape, begin, end)                                                          \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape                                      \
    ",\"data_offsets\":[" #begin "," #end "]}"
#define WEIGHTS "model.safetensors"
#define INDEX "model.safetensors.index.json"

static struct folder folder;

static int setup(void **state)
{
    (void)state;
    folder_make(&folder);
    folder_write_text(&folder, "config.json", "{\"a\": 1}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(&folder);
    return 0;
}

static void assert_opens(const char *path, struct checkpoint *checkpoint)
{
    struct toto_error err = {""};
    if (checkpoint_open(path, checkpoint, &err))
        fail_msg("%s", err.message);
}

/* Types mixed and unaligned, rank 0, zero elements, spaces at the end. */
static void test_reads(void **state)
{
    (void)state;
        static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"}," T("b", "F32", "[2,1]", 1, 9) ","
        T("a", "U8", "[1]", 0, 1) "," T("scalar", "BF16", "[]", 9, 11) ","
        T("none", "F64", "[0, 8589934592, 8589934592]", 9, 9) ","
        T("half", "F16", "[1]", 11, 13) ","
        T("\\u00e9", "F64", "[1]", 13, 21) "," T("six", "F6_E2M3", "[4]", 21, 24) "}  ";
        unsigned char data[24] = {0};
    const float pair[] = {1.5f, -2.25f};
    const double last = 0.1;
    memcpy(data + 1, pair, sizeof pair);
    memcpy(data + 9, (unsigned char[]){0x80, 0x3F, 0x00, 0x3C}, 4); /* 1 as BF16 and as F16 */
    memcpy(data + 13, &last, sizeof last);

    for (size_t pad = 0; pad < 4; pad++) {
        char text[sizeof header];
        snprintf(text, sizeof text, "%.*s", (int)(sizeof header - 1 - pad / 2), header);
        const char *path = folder_write_tensors(&folder, WEIGHTS, text, data, sizeof data);
        struct checkpoint checkpoint;
        float out[2] = {0};
        assert_opens(pad % 2 ? path : folder.path, &checkpoint);
        assert_int_equal(checkpoint.n_tensors, 7);
        assert_int_equal(checkpoint.n_files, 1);
        assert_string_equal(checkpoint.files[0].name, WEIGHTS);
        assert_string_equal(checkpoint.path, folder.path);
        for (size_t i = 1; i < checkpoint.n_tensors; i++)
            assert_true(strcmp(checkpoint.tensors[i - 1].name, checkpoint.tensors[i].name) < 0);

        const struct tensor_view *b = checkpoint_find(&checkpoint, "b");
        assert_non_null(b);
        assert_int_equal(b->dtype, DTYPE_F32);
        assert_int_equal(b->n_dims, 2);
        assert_int_equal(b->dims[0], 2);
        assert_int_equal(b->dims[1], 1);
        assert_int_equal(b->n_elements, 2);
        assert_string_equal(b->file, path);
        dtype_widen(b->dtype, b->data, 2, out);
        assert_memory_equal(out, pair, sizeof pair);
        assert_string_equal(toto_mapped_path(b->data), path);

        const struct tensor_view *scalar = checkpoint_find(&checkpoint, "scalar");
        assert_int_equal(scalar->n_dims, 0);
        assert_int_equal(scalar->n_elements, 1);
        dtype_widen(scalar->dtype, scalar->data, 1, out);
        assert_true(out[0] == 1.0f);
        const struct tensor_view *half = checkpoint_find(&checkpoint, "half");
        dtype_widen(half->dtype, half->data, 1, out);
        assert_true(out[0] == 1.0f);
        const struct tensor_view *accent = checkpoint_find(&checkpoint, "\xc3\xa9");
        dtype_widen(accent->dtype, accent->data, 1, out);
        assert_true(out[0] == 0.1f);
        assert_int_equal(checkpoint_find(&checkpoint, "none")->n_elements, 0);
        assert_int_equal(checkpoint_find(&checkpoint, "six")->dtype, DTYPE_OTHER);
        assert_string_equal(checkpoint_find(&checkpoint, "six")->dtype_text, "F6_E2M3");
        assert_null(checkpoint_find(&checkpoint, "c"));
        assert_null(checkpoint_find(&checkpoint, ""));

        const void *inside = b->data;
        checkpoint_close(&checkpoint);
        assert_null(toto_mapped_path(inside));
        assert_int_equal(toto_memory_used(), 0);
    }
}

static void test_no_tensors(void **state)
{
    (void)state;
    struct checkpoint checkpoint;
    folder_write_tensors(&folder, WEIGHTS, "{}", NULL, 0);
    assert_opens(folder.path, &checkpoint);
    assert_int_equal(checkpoint.n_tensors, 0);
    assert_null(checkpoint_find(&checkpoint, "a"));
    checkpoint_close(&checkpoint);
    checkpoint_close(&checkpoint);
}

/* Each header, with 8 bytes behind it, is refused; the message names file, tensor and rule. */
static void test_rules(void **state)
{
    (void)state;
    static const struct {
        const char *header, *message;
            } cases[] = {
        /* JSON */
        {"[1]", "byte 8 does not begin a header"},
        {" {}", "byte 8 does not begin a header"},
        {"{", "of the JSON (line 1"},
        {"{\"a\":}", "of the JSON (line 1"},
        {"{" T("a", "F32", "[1]", 0, 4) ",}", "of the JSON"},
        {"{" T("a", "F32", "[1]", 0, 4) "} x", "end of file expected"},
        {"{" T("a", "F32", "[1]", 0, 4) "," T("a", "F32", "[1]", 4, 8) "}", "duplicate"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "duplicate"},
        {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}," T("a", "F32", "[2]", 0, 8) "}",
         "duplicate"},
        {"{\"\\u0000\":1}", "of the JSON"},
        {"{\"\xff\":1}", "of the JSON"},
        {"{\"a\":[[[[[[[[1]]]]]]]]}", "opens bracket number 9; at most 8"},
        /* metadata */
        {"{\"__metadata__\":[]," T("a", "F32", "[2]", 0, 8) "}", "__metadata__ is an array"},
        {"{\"__metadata__\":null," T("a", "F32", "[2]", 0, 8) "}", "__metadata__ is null"},
        {"{\"__metadata__\":{\"k\":1}," T("a", "F32", "[2]", 0, 8) "}",
         "of __metadata__ is an integer"},
        /* members */
        {"{\"a\":7}", "tensor \"a\" is an integer, wanted an object"},
        {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", "tensor \"a\": dtype is missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", "tensor \"a\": shape is missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", "tensor \"a\": data_offsets is missing"},
        {"{\"a\":{\"dtype\":1,\"shape\":[2],\"data_offsets\":[0,8]}}",
         "dtype is an integer, wanted a string"},
        {"{" T("a", "F31", "[2]", 0, 8) "}", "tensor \"a\": dtype is \"F31\""},
        {"{" T("a", "f32", "[2]", 0, 8) "}", "tensor \"a\": dtype is \"f32\""},
        {"{" T("a", "F32", "2", 0, 8) "}", "tensor \"a\": shape is an integer, wanted an array"},
        {"{" T("a", "F32", "[-2]", 0, 8) "}", "tensor \"a\": entry 0 of shape is -2"},
        {"{" T("a", "F32", "[1,2.0]", 0, 8) "}", "tensor \"a\": entry 1 of shape is 2.0"},
        {"{" T("a", "F32", "[\"2\"]", 0, 8) "}", "tensor \"a\": entry 0 of shape is \"2\""},
        {"{" T("a", "F32", "[1,1,1,1,1,1,1,1,2]", 0, 8) "}",
         "tensor \"a\": its shape has 9 dimensions"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}",
         "data_offsets has 1 entries"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4,8]}}",
         "data_offsets has 3 entries"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":{}}}",
         "data_offsets is an object"},
        {"{" T("a", "F32", "[2]", -1, 8) "}", "entry 0 of data_offsets is -1"},
        {"{" T("a", "F32", "[2]", 0, 8.0) "}", "entry 1 of data_offsets is 8.0"},
        /* sizes */
        {"{" T("a", "F32", "[3]", 0, 8) "}", "[0, 8] span 8 bytes, but shape [3] of F32 takes 12"},
        {"{" T("a", "F16", "[2]", 0, 8) "}", "[0, 8] span 8 bytes, but shape [2] of F16 takes 4"},
        {"{" T("a", "F32", "[]", 0, 8) "}", "shape [] of F32 takes 4"},
        {"{" T("a", "F32", "[0]", 0, 8) "}", "shape [0] of F32 takes 0"},
        {"{" T("a", "F4", "[17]", 0, 8) "}", "shape [17] of F4 does not end at a whole byte"},
        {"{" T("a", "F32", "[8589934592,8589934592]", 0, 0) "}", "is larger than any file"},
        {"{" T("a", "F32", "[4611686018427387904]", 0, 0) "}", "is larger than any file"},
        {"{" T("a", "U8", "[9223372036854775807,2,1]", 0, 0) "}", "is larger than any file"},
        {"{" T("a", "F32", "[8589934592,8589934592,0]", 0, 0) "}", "is larger than any file"},
        {"{" T("a", "F32", "[2]", 0, 9223372036854775808) "}", "of the JSON"},
        {"{" T("a", "U8", "[4294967296,2147483647]", 0, 9223372036854775807) "}",
         "is larger than any file"},
        {"{" T("a", "U8", "[1152921504606846976]", 0, 1152921504606846976) "}",
         "reach past the file's 8"},
        /* places */
        {"{" T("a", "F32", "[2]", 8, 0) "}",
         "tensor \"a\": data_offsets [8, 0] end before they begin"},
        {"{" T("a", "F32", "[3]", 0, 12) "}",
         "tensor \"a\": data_offsets [0, 12] reach past the file's 8"},
        {"{" T("a", "F32", "[1]", 4, 8) "}",
         "tensor \"a\" begins at byte 4 of the data, but bytes 0 to 4"},
        {"{" T("a", "F32", "[1]", 0, 4) "}",
         "the data has 8 bytes, but the last tensor \"a\" ends at 4"},
        {"{}", "the data has 8 bytes, but the last tensor ends at 0"},
        {"{" T("a", "F32", "[1]", 0, 4) "," T("b", "U8", "[2]", 6, 8) "}",
         "tensor \"b\" begins at byte 6"},
        {"{" T("b", "F32", "[1]", 2, 6) "," T("a", "F32", "[1]", 0, 4) "}",
         "tensor \"b\" begins at byte 2 of the data, inside tensor \"a\", which ends at 4"},
        {"{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[2]", 0, 8) "}",
         "begins at byte 0 of the data, in"},
        {"{" T("a", "F32", "[2]", 0, 8) "," T("z", "F32", "[0]", 4, 4) "}",
         "tensor \"z\" begins at byte 4"},
        /* names */
        {"{" T("a\\u001b[31m", "F32", "[2]", 0, 8) "}",
         "byte 1 of the name of a tensor (\"a...\")"},
    };
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        folder_write_tensors(&folder, WEIGHTS, cases[i].header, NULL, 8);
        assert_refused(folder.path, TOTO_STATUS_DATA, "/" WEIGHTS ": ", cases[i].message);
    }
}

static void test_lengths(void **state)
{
    (void)state;
    static const struct {
        unsigned char bytes[12];
        size_t n;
        const char *message;
            } cases[] = {
        {{0}, 0, "is empty"},
        {{2, 0, 0, 0, 0, 0, 0}, 7, "7 bytes are too few"},
        {{0, 0, 0, 0, 0, 0, 0, 0}, 8, "byte 8 does not begin a header"},
        {{2, 0, 0, 0, 0, 0, 0, 0, '{'}, 9, "the header takes 2 bytes, but only 1 follow"},
        {{0, 0xE1, 0xF5, 5, 0, 0, 0, 0, '{', '}'}, 10,
         "the header takes 100000000 bytes, but only 2"},
        {{1, 0xE1, 0xF5, 5, 0, 0, 0, 0, '{', '}'}, 10,
         "length is 100000001 bytes, wanted at most 100000000"},
        {{2, 0, 0, 0, 0, 0, 0, 0x80, '{', '}'}, 10, "length is 9223372036854775810 bytes"},
        {{255, 255, 255, 255, 255, 255, 255, 255, '{', '}'}, 10,
         "length is 18446744073709551615 bytes"},
    };
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        folder_write(&folder, WEIGHTS, cases[i].bytes, cases[i].n);
        assert_refused(folder.path, TOTO_STATUS_DATA, "/" WEIGHTS ": ", cases[i].message);
    }
}

/* A header of n empty tensors, to be freed. */
static char *make_long_header(int n)
{
    size_t size = (size_t)n * 64, used = 0;
    char *text = malloc(size);
    assert_non_null(text);
    for (int i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, size - used,
                                 "%c\"%x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                                 i ? ',' : '{', (unsigned)i);
    snprintf(text + used, size - used, "}");
    return text;
}

/* Limits that the format does not set: brackets, values, entries, bytes of a name. */
static void test_limits(void **state)
{
    (void)state;
    enum { BRACKETS = 100000, ENTRIES = 65537, SPACE = 2000001 };
    char *text = malloc(SPACE);
    assert_non_null(text);
    struct checkpoint checkpoint;

    memset(text, '[', BRACKETS);
    memcpy(text, "{\"a\":", 5);
    text[BRACKETS] = '\0';
    folder_write_tensors(&folder, WEIGHTS, text, NULL, 0);
    assert_refused(folder.path, TOTO_STATUS_DATA, WEIGHTS, "opens bracket number 9; at most 8");

    memset(text, ',', 2000000);
    text[0] = '{';
    text[2000000] = '\0';
    folder_write_tensors(&folder, WEIGHTS, text, NULL, 0);
    assert_refused(folder.path, TOTO_STATUS_DATA, WEIGHTS, "more than 1048576 values");

    for (int extra = 0; extra < 2; extra++) {
        char *header = make_long_header(ENTRIES - 1 + extra);
        folder_write_tensors(&folder, WEIGHTS, header, NULL, 0);
        free(header);
        if (extra) {
            assert_refused(folder.path, TOTO_STATUS_DATA, WEIGHTS,
                           "has 65537 entries, wanted at most 65536");
        } else {
            assert_opens(folder.path, &checkpoint);
            assert_int_equal(checkpoint.n_tensors, ENTRIES - 1);
            assert_non_null(checkpoint_find(&checkpoint, "ffff"));
            checkpoint_close(&checkpoint);
        }
    }

    for (int length = 512; length <= 513; length++) {
        char name[514];
        memset(name, 'n', (size_t)length);
        name[length] = '\0';
        snprintf(text, SPACE, "{" T("%s", "U8", "[1]", 0, 1) "}", name);
        folder_write_tensors(&folder, WEIGHTS, text, NULL, 1);
        if (length == 513) {
            assert_refused(folder.path, TOTO_STATUS_DATA, WEIGHTS,
                           "its name has 513 bytes, wanted at most 512");
        } else {
            assert_opens(folder.path, &checkpoint);
            assert_non_null(checkpoint_find(&checkpoint, name));
            checkpoint_close(&checkpoint);
        }
    }
    free(text);
}

static void test_missing(void **state)
{
    (void)state;
    char path[160];
    snprintf(path, sizeof path, "%s/none", folder.path);
    assert_refused(path, TOTO_STATUS_NO_INPUT, path,
                   "a model is a folder with config.json and model.safe");
    assert_refused(folder.path, TOTO_STATUS_NO_INPUT, folder.path, "there is no model.safetensors");
    snprintf(path, sizeof path, "%s/config.json", folder.path);
    assert_refused(path, TOTO_STATUS_DATA, path, "is no model");
    folder_write_tensors(&folder, WEIGHTS, "{}", NULL, 0);
    unlink(path);
    assert_refused(folder.path, TOTO_STATUS_NO_INPUT, folder.path, "there is no config.json");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(folder.path, TOTO_STATUS_NO_INPUT, "/config.json: ", "is not a regular file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(folder.path, TOTO_STATUS_NO_INPUT, "/config.json: ", "is not a regular file");
}

static void test_paths(void **state)
{
    (void)state;
    struct checkpoint checkpoint;
    char before[256], path[160];
    folder_write_tensors(&folder, WEIGHTS, "{" T("a", "F32", "[2]", 0, 8) "}", NULL, 8);
    folder_write_tensors(&folder, "other.safetensors", "{" T("o", "F32", "[2]", 0, 8) "}", NULL, 8);
    snprintf(path, sizeof path, "%s///", folder.path);
    assert_opens(path, &checkpoint);
    assert_string_equal(checkpoint.path, folder.path);
    checkpoint_close(&checkpoint);
    snprintf(path, sizeof path, "%s/other.safetensors", folder.path);
    assert_opens(path, &checkpoint);
    assert_string_equal(checkpoint.path, folder.path);
    assert_non_null(checkpoint_find(&checkpoint, "o"));
    checkpoint_close(&checkpoint);

    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder.path), 0);
    assert_opens("other.safetensors", &checkpoint);
    assert_string_equal(checkpoint.path, ".");
    assert_string_equal(checkpoint.config_path, "config.json");
    checkpoint_close(&checkpoint);
    assert_opens(".", &checkpoint);
    assert_non_null(checkpoint_find(&checkpoint, "a"));
    checkpoint_close(&checkpoint);
    assert_int_equal(chdir(before), 0);
}

static void write_shards(void)
{
    folder_write_tensors(&folder, "s1.safetensors", "{" T("a", "F32", "[1]", 0, 4) "}", NULL, 4);
    folder_write_tensors(&folder, "s2.safetensors",
                         "{" T("c", "F16", "[2]", 0, 4) "," T("b", "U8", "[1]", 4, 5) "}", NULL, 5);
}

static void test_index(void **state)
{
    (void)state;
    struct checkpoint checkpoint;
    write_shards();
    folder_write_tensors(&folder, WEIGHTS, "{" T("a", "F64", "[1]", 0, 8) "}", NULL, 8);
    folder_write_text(&folder, INDEX,
                      "{\"metadata\":{\"total_size\":9},\"weight_map\":{\"c\":\"s2.safetensors\","
                      "\"a\":\"s1.safetensors\"}}");
    assert_opens(folder.path, &checkpoint);
    assert_int_equal(checkpoint.n_files, 2);
    assert_int_equal(checkpoint.n_tensors, 3);
    assert_int_equal(checkpoint_find(&checkpoint, "a")->dtype, DTYPE_F32);
    assert_string_equal(checkpoint_find(&checkpoint, "c")->file, checkpoint.files[1].path);
    assert_string_equal(toto_mapped_path(checkpoint_find(&checkpoint, "b")->data),
                        checkpoint.files[1].path);
    assert_string_equal(toto_mapped_path(checkpoint_find(&checkpoint, "a")->data),
                        checkpoint.files[0].path);
    checkpoint_close(&checkpoint);

    /* the file that is named wins over the index */
    char path[160];
    snprintf(path, sizeof path, "%s/" WEIGHTS, folder.path);
    assert_opens(path, &checkpoint);
    assert_int_equal(checkpoint_find(&checkpoint, "a")->dtype, DTYPE_F64);
    checkpoint_close(&checkpoint);
}

static void test_bad_index(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
        enum toto_status status;
            } cases[] = {
        {"{}", "weight_map is missing", TOTO_STATUS_DATA},
        {"{\"weight_map\":{}}", "weight_map is empty", TOTO_STATUS_DATA},
        {"{\"weight_map\":[]}", "weight_map is an array", TOTO_STATUS_DATA},
        {"{\"weight_map\":", "of the JSON", TOTO_STATUS_DATA},
        {"{\"weight_map\":{\"a\":1}}",
         "tensor \"a\" is in 1, wanted the name of a file", TOTO_STATUS_DATA},
        {"{\"weight_map\":{\"a\":\"\"}}", "tensor \"a\" is in \"\", wanted", TOTO_STATUS_DATA},
        {"{\"weight_map\":{\"a\":\".\"}}", "tensor \"a\" is in \".\", wanted", TOTO_STATUS_DATA},
        {"{\"weight_map\":{\"a\":\"..\"}}", "tensor \"a\" is in \"..\", wanted", TOTO_STATUS_DATA},
        {"{\"weight_map\":{\"a\":\"../s1.safetensors\"}}", "same folder", TOTO_STATUS_DATA},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}",
         "in \"/etc/passwd\", wanted", TOTO_STATUS_DATA},
        {"{\"weight_map\":{\"a\":\"x/s1.safetensors\"}}", "same folder", TOTO_STATUS_DATA},
        {"{\"weight_map\":{\"a\":\"s1.safetensors\",\"a\":\"s2.safetensors\"}}",
         "duplicate", TOTO_STATUS_DATA},
        {"{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s1.safetensors\"}}",
         "tensor \"b\" is in s1.safetensors, but it is in no file", TOTO_STATUS_DATA},
        {"{\"weight_map\":{\"a\":\"s2.safetensors\",\"c\":\"s1.safetensors\"}}",
         ", but it is in s", TOTO_STATUS_DATA},
        {"{\"weight_map\":{\"a\":\"s9.safetensors\"}}", "/s9.safetensors: cannot be opened",
         TOTO_STATUS_NO_INPUT},
    };
        write_shards();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        folder_write_text(&folder, INDEX, cases[i].text);
        assert_refused(folder.path, cases[i].status, folder.path, cases[i].message);
    }
    /* one tensor in two shards */
    folder_write_tensors(&folder, "s2.safetensors", "{" T("a", "F32", "[1]", 0, 4) "}", NULL, 4);
    folder_write_text(&folder, INDEX,
                      "{\"weight_map\":{\"a\":\"s1.safetensors\",\"c\":\"s2.safetensors\"}}");
    assert_refused(folder.path, TOTO_STATUS_DATA, "tensor \"a\" is also in ", "/s");
}

/* Opens whatever is in the folder; if that succeeds, every view must lie inside the one mapping. */
static bool open_and_check_views(void)
{
    struct checkpoint checkpoint;
    struct toto_error err = {""};
    enum toto_status status = checkpoint_open(folder.path, &checkpoint, &err);
    if (status) {
        assert_int_equal(status, TOTO_STATUS_DATA);
        assert_non_null(strstr(err.message, "/" WEIGHTS ": "));
        return false;
    }
    const unsigned char *start = checkpoint.files[0].data, *end = start + checkpoint.files[0].bytes;
    for (size_t i = 0; i < checkpoint.n_tensors; i++) {
        const struct tensor_view *view = &checkpoint.tensors[i];
        const unsigned char *data = view->data;
        size_t size = dtype_size(view->dtype);
        assert_true(data >= start && data <= end);
        assert_true(size == 0 || view->n_elements <= (size_t)(end - data) / size);
    }
    checkpoint_close(&checkpoint);
    return true;
}

static const char small_header[] =
    "{\"__metadata__\":{\"f\":\"p\"}," T("a.w", "F32", "[2,1]", 0, 8) ","
    T("b", "BF16", "[3]", 8, 14) "," T("c", "U8", "[]", 14, 15) "}";

enum { SMALL_DATA = 15, SMALL_BYTES = 8 + sizeof small_header - 1 + SMALL_DATA };

static void make_small(unsigned char bytes[SMALL_BYTES])
{
    memset(bytes, 0, SMALL_BYTES);
    bytes[0] = sizeof small_header - 1;
    memcpy(bytes + 8, small_header, sizeof small_header - 1);
}

static void test_cut_at_every_byte(void **state)
{
    (void)state;
    unsigned char bytes[SMALL_BYTES];
    _Static_assert(sizeof small_header - 1 < 256, "the length of the header takes one byte");
    make_small(bytes);
    for (size_t n = 0; n <= SMALL_BYTES; n++) {
        folder_write(&folder, WEIGHTS, bytes, n);
        assert_int_equal(open_and_check_views(), n == SMALL_BYTES);
    }
}

static void test_every_byte_changed(void **state)
{
    (void)state;
    static const unsigned char values[] = {0,   '0', '9',  '"', '[',  '}',
                                           ',', '-', '\\', ' ', 0x80, 0xFF};
    unsigned char bytes[SMALL_BYTES];
    size_t n_opened = 0;
    make_small(bytes);
    for (size_t i = 0; i < SMALL_BYTES; i++) {
        unsigned char kept = bytes[i];
        for (size_t k = 0; k < sizeof values + 8; k++) {
            bytes[i] = k < sizeof values ? values[k]
                                         : kept ^ (unsigned char)(1u << (k - sizeof values));
            folder_write(&folder, WEIGHTS, bytes, SMALL_BYTES);
            n_opened += open_and_check_views();
        }
        bytes[i] = kept;
    }
    /* changed data and changed letters of a name open; a changed structure does not */
    assert_true(n_opened >= SMALL_DATA * sizeof values);
    assert_true(n_opened < SMALL_BYTES * sizeof values / 2);
}

/* Opens with the first, second, ... allocation failing, until an open does with all of them. Each
 * failed open says so and leaves nothing. Returns how many allocations there are. */
static size_t fail_each_allocation(void)
{
    for (size_t n = 1;; n++) {
        struct checkpoint checkpoint;
        struct toto_error err = {""};
        mem_fail_after(n);
        enum toto_status status = checkpoint_open(folder.path, &checkpoint, &err);
        mem_fail_after(0);
        checkpoint_close(&checkpoint);
        assert_int_equal(toto_memory_used(), 0);
        if (status == TOTO_STATUS_OK)
            return n - 1;
        assert_int_equal(status, TOTO_STATUS_RESOURCE);
        assert_non_null(strstr(err.message, "not enough memory for "));
    }
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    folder_write_tensors(&folder, WEIGHTS, small_header, NULL, SMALL_DATA);
    assert_true(fail_each_allocation() >= 7);

    /* enough JSON to fail in the middle of the parser */
    char *header = make_long_header(3000);
    folder_write_tensors(&folder, WEIGHTS, header, NULL, 0);
    free(header);
    assert_true(fail_each_allocation() >= 20);

    write_shards();
    folder_write_text(&folder, INDEX,
                      "{\"weight_map\":{\"c\":\"s2.safetensors\",\"a\":\"s1.safetensors\"}}");
    assert_true(fail_each_allocation() >= 12);
}

static void test_memory_limit(void **state)
{
    (void)state;
    struct checkpoint checkpoint;
    folder_write_tensors(&folder, WEIGHTS, small_header, NULL, SMALL_DATA);
    toto_memory_set_limit(4096);
    assert_refused(folder.path, TOTO_STATUS_RESOURCE, "--memory", NULL);
    toto_memory_set_limit(0);
    assert_opens(folder.path, &checkpoint);
    checkpoint_close(&checkpoint);
}

/* Mappings are given back: more opens than the register has places, and none of it is left open. */
static void test_open_many_times(void **state)
{
    (void)state;
    struct checkpoint checkpoint;
    struct rlimit limit;
    folder_write_tensors(&folder, WEIGHTS, small_header, NULL, SMALL_DATA);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const rlim_t kept = limit.rlim_cur;
    limit.rlim_cur = 32;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < 3000; i++) {
        assert_opens(folder.path, &checkpoint);
        checkpoint_close(&checkpoint);
    }
    limit.rlim_cur = kept;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_null(toto_mapped_path(&limit));
}

static void test_golden_models(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        size_t n_tensors; /* 10 a layer, 4, 8 of the mixture (6: Student-t), and more in some */
                              } cases[] = {
        {"tests/golden/toto1/models/d1", 72},
        {"tests/golden/toto1/models/d2", 52},
        {"tests/golden/toto1/models/d3", 30},
        {"tests/golden/toto1/models/d4", 44},
    };
                              for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct checkpoint checkpoint;
        int64_t patch_size;
        struct toto_error err;
        assert_opens(cases[i].path, &checkpoint);
        assert_int_equal(checkpoint.n_tensors, cases[i].n_tensors);
        assert_int_equal(config_int(&checkpoint, "patch_size", 1, 1 << 20, &patch_size, &err),
                         TOTO_STATUS_OK);
        const struct tensor_view *weight = checkpoint_find(&checkpoint,
                                                           "model.patch_embed.projection.weight");
        assert_non_null(weight);
        assert_int_equal(weight->dims[1], patch_size);
        for (size_t k = 0; k < checkpoint.n_tensors; k++) {
            const struct tensor_view *view = &checkpoint.tensors[k];
            assert_int_equal(dtype_find_nonfinite(view->dtype, view->data, view->n_elements),
                             view->n_elements);
        }
        checkpoint_close(&checkpoint);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_tensors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lengths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_index, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_index, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_at_every_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_byte_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_allocation_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_many_times, setup, teardown),
        cmocka_unit_test(test_golden_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
