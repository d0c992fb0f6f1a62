/* toto devices: every device, by number, and the one that auto takes. */
#include "commands.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

enum { N_COLUMNS = 9, CELL_BYTES = 160 };

static const char *const column_names[N_COLUMNS] = {
    "NUMBER", "TYPE", "MEMORY", "UNITS", "FLOAT16", "FLOAT64", "PROBED", "DRIVER", "NAME"};

/* What was probed beside float16 and float64. */
static const char *probed_text(const struct toto_device_info *device, char text[CELL_BYTES])
{
    snprintf(text, CELL_BYTES, "%s%s%s", device->local_32k ? ",local32k" : "",
             device->group_256 ? ",group256" : "", device->nvidia ? ",nvidia" : "");
    return *text ? text + 1 : "-";
}

static void cell_fill(const struct toto_device_info *device, size_t number, size_t column,
                      char cell[CELL_BYTES])
{
    char text[CELL_BYTES];
    switch (column) {
    case 0: snprintf(cell, CELL_BYTES, "%zu%s", number, device->chosen ? "*" : ""); break;
    case 1: snprintf(cell, CELL_BYTES, "%s", device->type); break;
    case 2: snprintf(cell, CELL_BYTES, "%.1f GiB", (double)device->memory_bytes / 0x1p30); break;
    case 3: snprintf(cell, CELL_BYTES, "%zu", device->compute_units); break;
    case 4: snprintf(cell, CELL_BYTES, "%s", device->float16 ? "yes" : "no"); break;
    case 5: snprintf(cell, CELL_BYTES, "%s", device->float64 ? "yes" : "no"); break;
    case 6: snprintf(cell, CELL_BYTES, "%s", probed_text(device, text)); break;
    case 7: snprintf(cell, CELL_BYTES, "%s", device->driver); break;
    default: snprintf(cell, CELL_BYTES, "%.90s (%.60s)", device->name, device->platform);
    }
}

static void table_print(const struct toto_device_info *devices, size_t n)
{
    char cell[CELL_BYTES];
    int widths[N_COLUMNS];
    for (size_t column = 0; column < N_COLUMNS; column++) {
        widths[column] = (int)strlen(column_names[column]);
        for (size_t i = 0; i < n; i++) {
            cell_fill(&devices[i], i, column, cell);
            if ((int)strlen(cell) > widths[column])
                widths[column] = (int)strlen(cell);
        }
    }
    for (size_t column = 0; column + 1 < N_COLUMNS; column++)
        printf("%-*s  ", widths[column], column_names[column]);
    puts(column_names[N_COLUMNS - 1]);
    for (size_t i = 0; i < n; i++) {
        for (size_t column = 0; column < N_COLUMNS; column++) {
            cell_fill(&devices[i], i, column, cell);
            if (column + 1 < N_COLUMNS)
                printf("%-*s  ", widths[column], cell);
            else
                puts(cell);
        }
    }
    for (size_t i = 0; i < n; i++)
        if (devices[i].chosen)
            printf("* auto takes device %zu, %s: %s\n", i, devices[i].name, devices[i].why);
}

static json_t *device_json(const struct toto_device_info *device, size_t number)
{
    return json_pack("{s:I, s:s, s:s, s:s, s:I, s:I, s:b, s:b, s:s, s:{s:b, s:b, s:b}, s:b, s:s}",
                     "number", (json_int_t)number, "platform", device->platform, "name",
                     device->name, "type", device->type, "memory", (json_int_t)device->memory_bytes,
                     "compute_units", (json_int_t)device->compute_units, "float16", device->float16,
                     "float64", device->float64, "driver", device->driver, "probed", "local32k",
                     device->local_32k, "group256", device->group_256, "nvidia", device->nvidia,
                     "auto", device->chosen, "why", device->why);
}

static enum toto_status json_print(const struct toto_device_info *devices, size_t n,
                                   struct toto_error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, device_json(&devices[i], i));
    json_t *all = json_pack("{s:o}", "devices", list);
    char *text = json_array_size(list) == n ? json_dumps(all, JSON_INDENT(2)) : NULL;
    json_decref(all);
    if (!text)
        return command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for the list of devices");
    puts(text);
    free(text);
    return TOTO_STATUS_OK;
}

enum toto_status devices_command(int argc, char **argv, struct toto_error *err)
{
    static const struct command_help text = {
        .command = "devices",
        .usage = "[OPTION]...",
        .summary = "Numbers the built-in CPU and every OpenCL device of every platform, and says "
                   "which one\n"
                   "--device auto takes, and why.",
        .examples = {"toto devices", "toto devices -f json"},
        .notes = "\nEnvironment: TOTO_OPENCL_MASK, TOTO_CACHE. man toto says all of it.\n",
    };
    static const char *const formats[] = {"table", "json"};
    struct arg_str *format = arg_str0("f", "format", "FORMAT", "table or json; default: table");
    struct arg_lit *verbose =
        arg_litn("v", "verbose", 0, 2, "what was passed over, on standard error; -vv: more");
    struct arg_lit *help = arg_lit0("h", "help", "this text");
    void *table[] = {format, verbose, help, arg_end(8)};
    const size_t n = sizeof table / sizeof *table;
    struct toto_device_info *devices = NULL;
    size_t n_devices;
    int choice = 0;
    bool helped;

    enum toto_status status = options_parse(argc, argv, table, n, help, &text, &helped, err);
    if (status || helped)
        goto done;
    if (format->count &&
        (status = option_choice("-f/--format", format->sval[0], formats, 2, &choice, err)))
        goto done;
    toto_log_set(TOTO_LOG_WARN + (unsigned)verbose->count, command_print_log, NULL);
    status = toto_devices_list(&devices, &n_devices, err);
    if (status)
        goto done;
    if (choice)
        status = json_print(devices, n_devices, err);
    else
        table_print(devices, n_devices);
done:
    toto_devices_free(devices);
    arg_freetable(table, n);
    return status;
}
