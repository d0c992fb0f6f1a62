/* config.json: each accessor with good and bad values, and the file itself bad in each way. */
#include "checkpoint_files.h"

#include "base/log.h"

static struct folder folder;

static const char empty_header[] = "{}";

/* Opens a folder whose config.json is this text. */
static enum toto_status open_config(const char *text, struct checkpoint *checkpoint,
                                    struct toto_error *err)
{
    folder_write_tensors(&folder, "model.safetensors", empty_header, NULL, 0);
    folder_write_text(&folder, "config.json", text);
    return checkpoint_open(folder.path, checkpoint, err);
}

static void assert_message(enum toto_status status, const struct toto_error *err, const char *part)
{
    assert_int_equal(status, TOTO_STATUS_DATA);
    if (!strstr(err->message, part) || !strstr(err->message, "/config.json: key "))
        fail_msg("message: %s\nwanted: %s", err->message, part);
}

static void test_int(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int64_t value;
        const char *message; /* NULL: value is what is wanted */
    } cases[] = {
        {"one", 1, NULL},
        {"real", 64, NULL},
        {"minus", -1, NULL},
        {"most", 100, NULL},
        {"absent", 0, "key \"absent\" is missing, wanted an integer from -1 to 100"},
        {"text", 0, "key \"text\" is \"x\", wanted an integer from -1 to 100"},
        {"null", 0, "is null, wanted an integer"},
        {"half", 0, "is 0.5, wanted an integer"},
        {"more", 0, "is 101, wanted an integer"},
        {"less", 0, "is -2, wanted an integer"},
        {"huge", 0, "wanted an integer"},
        {"true", 0, "is true, wanted an integer"},
        {"list", 0, "is [1, 2], wanted an integer"},
    };
    struct checkpoint checkpoint;
    struct toto_error err;
    assert_int_equal(
        open_config("{\"one\": 1, \"real\": 64.0, \"minus\": -1, \"most\": 100,"
                    " \"text\": \"x\", \"null\": null, \"half\": 0.5, \"more\": 101, \"less\": -2,"
                    " \"huge\": 1e300, \"true\": true, \"list\": [1, 2]}",
                    &checkpoint, &err),
        TOTO_STATUS_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = 12345;
        enum toto_status status = config_int(&checkpoint, cases[i].key, -1, 100, &value, &err);
        if (cases[i].message) {
            assert_message(status, &err, cases[i].message);
            assert_int_equal(value, 12345);
        } else {
            assert_int_equal(status, TOTO_STATUS_OK);
            assert_int_equal(value, cases[i].value);
        }
    }
    checkpoint_close(&checkpoint);
}

static void test_other_kinds(void **state)
{
    (void)state;
    struct checkpoint checkpoint;
    struct toto_error err;
    double real = 0;
    bool flag = false;
    const char *text = NULL;
    int64_t integer = 0;
    assert_int_equal(
        open_config(
            "{\"real\": 2.5, \"int\": 10, \"yes\": true, \"no\": false,"
            " \"text\": \"a\", \"list\": [\"b\", 1], \"kwargs\": {\"k\": 24}, \"null\": null}",
            &checkpoint, &err),
        TOTO_STATUS_OK);
    assert_int_equal(config_real(&checkpoint, "real", &real, &err), TOTO_STATUS_OK);
    assert_true(real == 2.5);
    assert_int_equal(config_real(&checkpoint, "int", &real, &err), TOTO_STATUS_OK);
    assert_true(real == 10);
    assert_message(config_real(&checkpoint, "text", &real, &err), &err,
                   "is \"a\", wanted a number");
    assert_message(config_real(&checkpoint, "gone", &real, &err), &err, "\"gone\" is missing");

    assert_int_equal(config_bool(&checkpoint, "yes", &flag, &err), TOTO_STATUS_OK);
    assert_true(flag);
    assert_int_equal(config_bool(&checkpoint, "no", &flag, &err), TOTO_STATUS_OK);
    assert_false(flag);
    assert_message(config_bool(&checkpoint, "int", &flag, &err), &err,
                   "is 10, wanted true or false");

    assert_int_equal(config_text(&checkpoint, "text", &text, &err), TOTO_STATUS_OK);
    assert_string_equal(text, "a");
    assert_message(config_text(&checkpoint, "list", &text, &err), &err, "wanted a string");
    assert_int_equal(config_text_at(&checkpoint, "list", 0, &text, &err), TOTO_STATUS_OK);
    assert_string_equal(text, "b");
    assert_message(config_text_at(&checkpoint, "list", 1, &text, &err), &err,
                   "entry 1 is a string");
    assert_message(config_text_at(&checkpoint, "list", 2, &text, &err), &err,
                   "entry 2 is a string");
    assert_message(config_text_at(&checkpoint, "text", 0, &text, &err), &err,
                   "is \"a\", wanted an array");
    assert_message(config_text_at(&checkpoint, "gone", 0, &text, &err), &err, "is missing");

    assert_int_equal(config_member_int(&checkpoint, "kwargs", "k", 1, 64, &integer, &err),
                     TOTO_STATUS_OK);
    assert_int_equal(integer, 24);
    assert_message(config_member_int(&checkpoint, "kwargs", "k", 1, 23, &integer, &err), &err,
                   "key \"kwargs.k\" is 24, wanted an integer from 1 to 23");
    assert_message(config_member_int(&checkpoint, "kwargs", "n", 1, 2, &integer, &err), &err,
                   "key \"kwargs.n\" is missing");
    assert_message(config_member_int(&checkpoint, "null", "k", 1, 2, &integer, &err), &err,
                   "key \"null\" is null, wanted an object that holds \"k\"");
    assert_message(config_member_int(&checkpoint, "gone", "k", 1, 2, &integer, &err), &err,
                   "is missing");

    assert_true(config_has(checkpoint.config, "null"));
    assert_false(config_has(checkpoint.config, "gone"));
    assert_true(config_is_null(checkpoint.config, "null"));
    assert_true(config_is_null(checkpoint.config, "gone"));
    assert_false(config_is_null(checkpoint.config, "no"));
    checkpoint_close(&checkpoint);
}

static void test_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "is empty"},
        {"{", "config.json: byte 1 of the JSON"},
        {"{\"a\": 1,}", "of the JSON (line 1"},
        {"[1]", "the JSON is an array, wanted an object"},
        {"7", "config.json: byte"},
        {"{\"a\": 1, \"a\": 2}", "duplicate"},
        {"{\"a\": {\"b\": 1, \"b\": 2}}", "duplicate"},
        {"{} x", "end of file expected"},
        {"{\"a\": 1e999}", "overflow"},
        {"{\"a\": NaN}", "of the JSON"},
        {"{\"a\": \"\xff\"}", "of the JSON"},
        {"{\"\x1b[31m\": 1}", "of the JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct toto_error err = {""};
        struct checkpoint checkpoint;
        open_config(cases[i].text, &checkpoint, &err);
        assert_refused(folder.path, TOTO_STATUS_DATA, "/config.json: ", cases[i].message);
        assert_null(strchr(err.message, '\x1b'));
    }
}

static void test_deep_and_large(void **state)
{
    (void)state;
    enum { BRACKETS = 100000, LARGE = (16 << 20) + 1 };
    char *text = malloc(LARGE);
    assert_non_null(text);
    folder_write_tensors(&folder, "model.safetensors", empty_header, NULL, 0);
    memset(text, '[', BRACKETS);
    memcpy(text, "{\"a\":", 5);
    folder_write(&folder, "config.json", text, BRACKETS);
    assert_refused(folder.path, TOTO_STATUS_DATA, "config.json: byte", "opens bracket number 33");
    memset(text, ' ', LARGE);
    folder_write(&folder, "config.json", text, LARGE);
    assert_refused(folder.path, TOTO_STATUS_DATA, "16777217 bytes are too many", NULL);
    for (size_t i = 0; i + 1 < LARGE; i += 2)
        memcpy(text + i, ",0", 2);
    memcpy(text, "{\"a\":[0", 7);
    folder_write(&folder, "config.json", text, LARGE - 1);
    assert_refused(folder.path, TOTO_STATUS_DATA, "holds more than 1048576 values", NULL);
    free(text);
}

static char logged[512];
static size_t n_logged;

static void keep_line(void *user, enum toto_log_level level, const char *line)
{
    (void)user;
    assert_int_equal(level, TOTO_LOG_WARN);
    snprintf(logged, sizeof logged, "%s", line);
    n_logged++;
}

static void test_unknown_keys(void **state)
{
    (void)state;
    static const char *const known[] = {"patch_size", "stride", NULL};
    struct checkpoint checkpoint;
    struct toto_error err;
    assert_int_equal(open_config("{\"patch_size\": 1, \"pitch\\u001b\": 2, \"stride\": 1}",
                                 &checkpoint, &err),
                     TOTO_STATUS_OK);
    n_logged = 0;
    toto_log_set(TOTO_LOG_WARN, keep_line, NULL);
    config_warn_unknown(&checkpoint, known);
    toto_log_set(TOTO_LOG_WARN, NULL, NULL);
    assert_int_equal(n_logged, 1);
    assert_non_null(strstr(logged, "/config.json: unknown key \"pitch?\" is ignored"));
    checkpoint_close(&checkpoint);
}

static int setup(void **state)
{
    (void)state;
    folder_make(&folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_int, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deep_and_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_keys, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
