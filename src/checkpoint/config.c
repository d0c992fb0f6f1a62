/* config.json: typed look-ups, each with a message that names file and key. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "json.h"
#include "mapping.h"

struct config {
    struct json_document document;
};

enum { BRIEF_BYTES = 96 };

enum toto_status config_open(struct checkpoint *checkpoint, const struct checkpoint_memory *memory,
                             struct toto_error *err)
{
    struct config *config = mem_calloc(1, sizeof *config);
    if (!config)
        return toto_fail_memory(err, "the model's config", sizeof *config);
    checkpoint->config = config;
    if (!memory)
        return json_document_read(checkpoint->config_path, &config->document, err);
    struct mapped_file file;
    mapping_borrow(checkpoint->config_path, memory->config, memory->config_bytes, &file);
    return json_document_parse_file(&file, &config->document, err);
}

void config_close(struct config *config)
{
    if (config)
        json_document_free(&config->document);
    mem_free(config);
}

bool config_has(const struct config *config, const char *key)
{
    return json_object_get(config->document.root, key) != NULL;
}

bool config_is_null(const struct config *config, const char *key)
{
    const json_t *value = json_object_get(config->document.root, key);
    return !value || json_is_null(value);
}

static enum toto_status fail_value(const struct checkpoint *checkpoint, const char *key,
                                   const json_t *value, const char *wanted, struct toto_error *err)
{
    char brief[BRIEF_BYTES];
    if (!value)
        return toto_fail(err, TOTO_STATUS_DATA, "%s: key \"%s\" is missing, wanted %s",
                         checkpoint->config_path, key, wanted);
    return toto_fail(err, TOTO_STATUS_DATA, "%s: key \"%s\" is %s, wanted %s",
                     checkpoint->config_path, key, json_brief(value, brief, sizeof brief), wanted);
}

/* An integer, or a real that equals one; reals of 2^63 and beyond fit no int64_t. */
static bool get_integer(const json_t *value, int64_t *integer)
{
    if (json_is_integer(value)) {
        *integer = json_integer_value(value);
        return true;
    }
    if (!json_is_real(value))
        return false;
    double real = json_real_value(value);
    if (real != floor(real) || fabs(real) >= 0x1p63)
        return false;
    *integer = (int64_t)real;
    return true;
}

static enum toto_status check_integer(const struct checkpoint *checkpoint, const char *key,
                                      const json_t *found, int64_t least, int64_t most,
                                      int64_t *value, struct toto_error *err)
{
    char wanted[96];
    int64_t integer;
    if (get_integer(found, &integer) && integer >= least && integer <= most) {
        *value = integer;
        return TOTO_STATUS_OK;
    }
    snprintf(wanted, sizeof wanted, "an integer from %" PRId64 " to %" PRId64, least, most);
    return fail_value(checkpoint, key, found, wanted, err);
}

enum toto_status config_int(const struct checkpoint *checkpoint, const char *key, int64_t least,
                            int64_t most, int64_t *value, struct toto_error *err)
{
    const json_t *found = json_object_get(checkpoint->config->document.root, key);
    return check_integer(checkpoint, key, found, least, most, value, err);
}

enum toto_status config_member_int(const struct checkpoint *checkpoint, const char *key,
                                   const char *member, int64_t least, int64_t most, int64_t *value,
                                   struct toto_error *err)
{
    char name[128], wanted[128];
    const json_t *object = json_object_get(checkpoint->config->document.root, key);
    if (!json_is_object(object)) {
        snprintf(wanted, sizeof wanted, "an object that holds \"%s\"", member);
        return fail_value(checkpoint, key, object, wanted, err);
    }
    snprintf(name, sizeof name, "%s.%s", key, member);
    return check_integer(checkpoint, name, json_object_get(object, member), least, most, value,
                         err);
}

enum toto_status config_real(const struct checkpoint *checkpoint, const char *key, double *value,
                             struct toto_error *err)
{
    const json_t *found = json_object_get(checkpoint->config->document.root, key);
    if (!json_is_number(found))
        return fail_value(checkpoint, key, found, "a number", err);
    *value = json_number_value(found);
    return TOTO_STATUS_OK;
}

enum toto_status config_bool(const struct checkpoint *checkpoint, const char *key, bool *value,
                             struct toto_error *err)
{
    const json_t *found = json_object_get(checkpoint->config->document.root, key);
    if (!json_is_boolean(found))
        return fail_value(checkpoint, key, found, "true or false", err);
    *value = json_is_true(found);
    return TOTO_STATUS_OK;
}

enum toto_status config_text(const struct checkpoint *checkpoint, const char *key,
                             const char **text, struct toto_error *err)
{
    const json_t *found = json_object_get(checkpoint->config->document.root, key);
    if (!json_is_string(found))
        return fail_value(checkpoint, key, found, "a string", err);
    *text = json_string_value(found);
    return TOTO_STATUS_OK;
}

enum toto_status config_text_at(const struct checkpoint *checkpoint, const char *key, size_t index,
                                const char **text, struct toto_error *err)
{
    char wanted[96];
    const json_t *array = json_object_get(checkpoint->config->document.root, key);
    const json_t *found = json_array_get(array, index); /* NULL if array is none, or too short */
    if (!json_is_string(found)) {
        snprintf(wanted, sizeof wanted, "an array whose entry %zu is a string", index);
        return fail_value(checkpoint, key, array, wanted, err);
    }
    *text = json_string_value(found);
    return TOTO_STATUS_OK;
}

static bool is_among(const char *key, const char *const *known)
{
    for (; *known; known++)
        if (strcmp(key, *known) == 0)
            return true;
    return false;
}

void config_warn_unknown(const struct checkpoint *checkpoint, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach(checkpoint->config->document.root, key, value) {
        if (is_among(key, known))
            continue;
        char plain[BRIEF_BYTES];
        snprintf(plain, sizeof plain, "%s", key);
        for (char *c = plain; *c; c++) /* the file may hold terminal codes */
            if ((unsigned char)*c < 0x20 || *c == 0x7F)
                *c = '?';
        log_warn("%s: unknown key \"%s\" is ignored", checkpoint->config_path, plain);
    }
}
