/* toto verify: does this machine compute what it should, on each device and in each dtype? */
#include "commands.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_path.h"
#include "options.h"

enum { FOLDERS_MOST = 64, DTYPES = 3 };

static const struct {
    const char *name;
    enum toto_dtype dtype;
} dtypes[DTYPES] = {{"f32", TOTO_DTYPE_F32}, {"f16", TOTO_DTYPE_F16}, {"bf16", TOTO_DTYPE_BF16}};

/* Where checks are reported: rows of a table as they come, or a list for JSON. */
struct report {
    json_t *list;       /* of JSON; NULL: a table */
    bool quiet;         /* a table of failures alone */
    bool failed_memory; /* of the list */
    const char *device, *dtype, *folder; /* that runs now; folder NULL: the built-in series */
    const char *model;                   /* with these */
    size_t n_passed, n_failed, n_skipped;
};

/* ---- Report ------------------------------------------------------------------------------------------------ */

static const char *const verdicts[] = {
    [TOTO_VERDICT_PASSED] = "passed", [TOTO_VERDICT_FAILED] = "FAILED",
    [TOTO_VERDICT_SKIPPED] = "skipped", [TOTO_VERDICT_SHOWN] = "shown",
};

/* A figure, or "-" where there is none. */
static const char *figure(char text[16], const char *fmt, double value)
{
    if (isnan(value))
        return "-";
    snprintf(text, 16, strcmp(fmt, "s") == 0 ? "%.2f" : "%.1e", value);
    return text;
}

static void print_head(void)
{
    printf("%-24s %-5s %-8s %-28s %-8s %8s %8s %8s %8s\n", "DEVICE", "DTYPE", "MODEL", "CHECK", "RESULT", "MAX", "MAE",
           "LIMIT", "SECONDS");
}

static void print_row(const struct report *report, const struct toto_check *check)
{
    char most[16], mean[16], limit[16], seconds[16];
    printf("%-24.24s %-5s %-8s %-28s %-8s %8s %8s %8s %8s\n", report->device, report->dtype,
           report->folder ? "golden" : report->model, check->name, verdicts[check->verdict],
           figure(most, "e", check->max_error), figure(mean, "e", check->mean_error),
           figure(limit, "e", check->limit), figure(seconds, "s", check->seconds));
    if (check->why)
        printf("  %s\n", check->why);
    fflush(stdout);
}

/* Numbers that JSON does not have are null. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void take_json(struct report *report, const struct toto_check *check)
{
    static const char *const names[] = {
        [TOTO_VERDICT_PASSED] = "passed", [TOTO_VERDICT_FAILED] = "failed",
        [TOTO_VERDICT_SKIPPED] = "skipped", [TOTO_VERDICT_SHOWN] = "shown",
    };
    json_t *entry = json_pack("{s:s, s:s, s:s?, s:s?, s:s, s:s, s:s?, s:o, s:o, s:o, s:o}", "device",
                              report->device, "dtype", report->dtype, "model",
                              report->folder ? NULL : report->model, "golden", report->folder, "check", check->name,
                              "result", names[check->verdict], "why", check->why, "max_error",
                              number(check->max_error), "mae", number(check->mean_error), "limit",
                              number(check->limit), "seconds", number(check->seconds));
    if (!entry || json_array_append_new(report->list, entry) != 0)
        report->failed_memory = true;
}

static void take_check(void *user, const struct toto_check *check)
{
    struct report *report = user;
    report->n_passed += check->verdict == TOTO_VERDICT_PASSED;
    report->n_failed += check->verdict == TOTO_VERDICT_FAILED;
    report->n_skipped += check->verdict == TOTO_VERDICT_SKIPPED;
    if (report->list)
        take_json(report, check);
    else if (!report->quiet || check->verdict == TOTO_VERDICT_FAILED)
        print_row(report, check);
}

static enum toto_status print_json(const struct report *report, struct toto_error *err)
{
    json_t *all = json_pack("{s:O, s:I, s:I, s:I}", "checks", report->list, "passed", (json_int_t)report->n_passed,
                            "failed", (json_int_t)report->n_failed, "skipped", (json_int_t)report->n_skipped);
    char *text = all && !report->failed_memory ? json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(all);
    if (!text)
        return command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for the report");
    puts(text);
    free(text);
    return TOTO_STATUS_OK;
}

/* ---- Devices and dtypes ------------------------------------------------------------------------------------ */

struct choice {
    const char *device; /* "all", or as toto_device_open takes it */
    int dtype;          /* index into dtypes, or -1: all that the device stores */
    size_t n_threads;
    const char *const *folders;
    size_t n_folders;
    const struct toto_model *model;
    const char *model_name; /* what the report calls it */
    bool make;              /* one that is made up goes before it */
};

static enum toto_status verify_folders(const struct choice *choice, const char *device, size_t dtype,
                                       struct report *report, struct toto_error *err)
{
    const struct toto_golden_options options = {.dtype = dtypes[dtype].dtype};
    struct toto_device *opened;
    enum toto_status status = toto_device_open(device, dtypes[dtype].dtype, choice->n_threads, &opened, err);
    for (size_t i = 0; i < choice->n_folders && status == TOTO_STATUS_OK; i++) {
        report->folder = choice->folders[i];
        status = toto_verify_golden(opened, choice->folders[i], &options, take_check, report, err);
    }
    toto_device_free(opened);
    return status;
}

/* A device in one dtype: golden data if there are any, else the built-in series. */
static enum toto_status verify_dtype(const struct choice *choice, const char *device, size_t dtype,
                                     struct report *report, struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    report->dtype = dtypes[dtype].name;
    if (choice->n_folders)
        return verify_folders(choice, device, dtype, report, err);
    if (choice->make) {
        report->model = "made up";
        status = toto_verify_device(NULL, device, dtypes[dtype].dtype, choice->n_threads, take_check, report, err);
    }
    report->model = choice->model_name;
    if (status == TOTO_STATUS_OK)
        status = toto_verify_device(choice->model, device, dtypes[dtype].dtype, choice->n_threads, take_check, report,
                                    err);
    return status;
}

/* The dtypes of a device: golden data are of float32, and the built-in CPU stores nothing else. */
static enum toto_status verify_device(const struct choice *choice, const char *device, bool builtin,
                                      struct report *report, struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    if (choice->dtype >= 0)
        return verify_dtype(choice, device, (size_t)choice->dtype, report, err);
    size_t n = builtin || choice->n_folders ? 1 : DTYPES;
    for (size_t i = 0; i < n && status == TOTO_STATUS_OK; i++)
        status = verify_dtype(choice, device, i, report, err);
    return status;
}

/* The number of the device of this name. A name that fits none goes on as it is, for its own message. */
static size_t device_number(const struct toto_device_info *devices, size_t n, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, "auto") == 0 && devices[i].chosen)
            return i;
    if (strcmp(name, "cpu") == 0)
        return 0;
    if (length && strspn(name, "0123456789") == length)
        return (size_t)strtoul(name, NULL, 10);
    return n;
}

static enum toto_status verify_devices(const struct choice *choice, struct report *report, struct toto_error *err)
{
    struct toto_device_info *devices;
    size_t n, only = 0;
    bool all = strcmp(choice->device, "all") == 0;
    enum toto_status status = toto_devices_list(&devices, &n, err);
    if (status == TOTO_STATUS_OK && !all)
        only = device_number(devices, n, choice->device);
    if (status == TOTO_STATUS_OK && !all && only >= n) {
        report->device = choice->device;
        status = verify_device(choice, choice->device, false, report, err);
    } else {
        for (size_t i = all ? 0 : only; i < (all ? n : only + 1) && status == TOTO_STATUS_OK; i++) {
            char text[192], digits[24];
            if (all && i == 0 && choice->dtype > 0 && n > 1)
                continue; /* the built-in CPU stores float32 alone */
            snprintf(text, sizeof text, "%zu %s", i, devices[i].name);
            snprintf(digits, sizeof digits, "%zu", i);
            report->device = text;
            status = verify_device(choice, digits, i == 0, report, err);
        }
    }
    toto_devices_free(devices);
    return status;
}

static enum toto_status verify_all(const struct choice *choice, struct report *report, bool json,
                                   struct toto_error *err)
{
    if (json && !(report->list = json_array()))
        return command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for the report");
    if (!json && !report->quiet)
        print_head();
    enum toto_status status = verify_devices(choice, report, err);
    if (status == TOTO_STATUS_OK && json)
        status = print_json(report, err);
    else if (status == TOTO_STATUS_OK && !report->quiet)
        printf("%zu passed, %zu failed, %zu skipped\n", report->n_passed, report->n_failed, report->n_skipped);
    if (status == TOTO_STATUS_OK && report->n_failed && choice->n_folders)
        status = command_fail(err, TOTO_STATUS_RESOURCE,
                              "a device computes wrong numbers, or the golden data are not as they were written: "
                              "%zu of %zu checks failed",
                              report->n_failed, report->n_failed + report->n_passed);
    else if (status == TOTO_STATUS_OK && report->n_failed)
        status = command_fail(err, TOTO_STATUS_RESOURCE,
                              "a device computes wrong numbers: %zu of %zu checks failed; forecast on another with "
                              "--device, and see whether its driver is up to date",
                              report->n_failed, report->n_failed + report->n_passed);
    else if (status == TOTO_STATUS_OK && !report->n_passed)
        status = command_fail(err, TOTO_STATUS_NO_INPUT, "no check could run");
    json_decref(report->list);
    return status;
}

/* ---- The command ------------------------------------------------------------------------------------------- */

/* The model that -m (NULL: nothing) or the environment names. */
static enum toto_status open_model(const char *name, struct choice *choice, struct toto_model **model,
                                   struct toto_error *err)
{
    char path[MODEL_PATH_SIZE];
    enum toto_status status = model_path_find(name, path, err);
    if (status)
        return status;
    choice->make = !name && !*path;
    choice->model_name = *path ? "given" : "built in";
    return model_path_open(path, model, err);
}

enum toto_status verify_command(int argc, char **argv, struct toto_error *err)
{
    static const struct command_help text = {
        .command = "verify",
        .usage = "[OPTION]...",
        .summary = "Tests this machine: forecasts of built-in series on each device and in each dtype are\n"
                   "compared with those of the CPU in float32, and must be the same to the byte when\n"
                   "they are run again; or each stage of a forecast is compared with golden data.",
        .examples = {"toto verify", "toto verify -m MODEL -d gpu --dtype f16"},
        .notes = "\nErrors are in the forecast's interquartile range, with --golden in the tolerances of the\n"
                 "data. Exit status 0: all checks that ran have passed; 71: one failed, or no such device.\n"
                 "Environment: TOTO_MODEL.\n",
    };
    static const char *const formats[] = {"table", "json"}, *const types[] = {"all", "f32", "f16", "bf16"};
    struct arg_str *model_name = arg_str0("m", "model", "MODEL", "a folder, ORG/NAME in the Hugging Face cache, "
                                                                 "or builtin; default: TOTO_MODEL, else one that is "
                                                                 "made up, and builtin");
    struct arg_str *device = arg_str0("d", "device", "DEVICE", "all, auto, cpu, gpu, a number or part of a name; "
                                                               "default: all");
    struct arg_str *dtype = arg_str0(NULL, "dtype", "TYPE", "all, f32, f16 or bf16; default: all, and f32 of golden "
                                                            "data");
    struct arg_str *golden = arg_strn(NULL, "golden", "DIR", 0, FOLDERS_MOST, "golden data to follow stage by stage; "
                                                                              "may be given again");
    struct arg_str *threads = arg_str0(NULL, "threads", "N", "threads; default: what the machine allows");
    struct arg_str *format = arg_str0("f", "format", "FORMAT", "table or json; default: table");
    struct arg_lit *quiet = arg_lit0("q", "quiet", "failures alone");
    struct arg_lit *verbose = arg_litn("v", "verbose", 0, 2, "each stage, on standard error; -vv: more");
    struct arg_lit *help = arg_lit0("h", "help", "this text");
    void *table[] = {model_name, device, dtype, golden, threads, format, quiet, verbose, help, arg_end(8)};
    const size_t n = sizeof table / sizeof *table;
    struct report report = {.list = NULL};
    struct choice choice = {.device = "all"};
    struct toto_model *model = NULL;
    uint64_t n_threads = 0;
    enum toto_log_level level = TOTO_LOG_WARN;
    int as_json = 0, type = 0;
    bool helped;

    enum toto_status status = options_parse(argc, argv, table, n, help, &text, &helped, err);
    if (status || helped)
        goto done;
    if ((format->count && (status = option_choice("-f/--format", format->sval[0], formats, 2, &as_json, err))) ||
        (dtype->count && (status = option_choice("--dtype", dtype->sval[0], types, 4, &type, err))) ||
        (threads->count && (status = option_integer("--threads", threads->sval[0], 1, 4096, &n_threads, err))) ||
        (status = entry_log_level(quiet, verbose, &level, err)))
        goto done;
    if (model_name->count && golden->count) {
        status = command_fail(err, TOTO_STATUS_USAGE,
                              "--golden names the models of its data; -m/--model cannot be given with it");
        goto done;
    }
    choice.dtype = type - 1;
    choice.n_threads = (size_t)n_threads;
    choice.folders = golden->sval;
    choice.n_folders = (size_t)golden->count;
    if (device->count)
        choice.device = device->sval[0];
    report.quiet = quiet->count > 0;
    toto_log_set(level, command_print_log, NULL);
    if (!golden->count &&
        (status = open_model(model_name->count ? model_name->sval[0] : NULL, &choice, &model, err)))
        goto done;
    choice.model = model;
    status = verify_all(&choice, &report, as_json, err);
done:
    toto_model_free(model);
    arg_freetable(table, n);
    return status;
}
