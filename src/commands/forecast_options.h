/* Options of toto forecast: filled from defaults, environment and flags, and checked as a whole. */
#ifndef TOTO_COMMANDS_FORECAST_OPTIONS_H
#define TOTO_COMMANDS_FORECAST_OPTIONS_H

#include "../toto.h"

struct forecast_options {
    const char *const *files; /* never empty: "-" stands in for none */
    size_t n_files;
    const char *model;        /* of -m; may be NULL */
    const char *device;       /* as toto_device_open takes it */
    enum toto_dtype dtype;
    size_t n_threads;         /* 0: as the machine allows */
    size_t memory;            /* bytes; 0: no limit of the user's */
    bool dry_run;
    enum toto_log_level log_level;
    struct toto_table_options table;
    struct toto_series_options series;
    struct toto_forecast_options forecast;
    struct toto_writer_options output;
    const char *toto1_option; /* one that was given and that only this family has, or NULL */
    const char *toto2_option;
    struct forecast_options_owned *owned; /* what the pointers above point to */
};

/* Reads the command line. *helped is true if help was asked for and printed; then there is nothing to
 * run. A zeroed struct, or one that this call left after a failure, may be freed. */
enum toto_status forecast_options_read(int argc, char **argv, struct forecast_options *options,
                                       bool *helped, struct toto_error *err);
void forecast_options_free(struct forecast_options *options);

#endif
