/* toto: finds the command in the table and runs it. */
#include <stdio.h>
#include <string.h>

#include "commands/commands.h"
#include "commands/options.h"
#include "commands/signals.h"

const struct command commands[] = {
    {"forecast", "read series from CSV, write forecasts", forecast_command},
    {"inspect", "say what a model is, and whether it is usable", inspect_command},
    {"devices", "number the devices, and say which one runs", devices_command},
    {"verify", "test this machine's devices and numbers", verify_command},
    {"eval", "score models on data whose future is known", eval_command},
    {"help", "say how a command is used", help_command},
    {NULL, NULL, NULL},
};

static bool is_any(const char *text, const char *a, const char *b)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

static enum toto_status run(int argc, char **argv, struct toto_error *err)
{
    if (argc < 2)
        return command_fail(err, TOTO_STATUS_USAGE, "no command is given. Try 'toto --help'");
    if (is_any(argv[1], "-h", "--help")) {
        help_print();
        return TOTO_STATUS_OK;
    }
    if (is_any(argv[1], "-V", "--version")) {
        puts("toto " TOTO_VERSION);
        return TOTO_STATUS_OK;
    }
    if (argv[1][0] == '-') {
        char hint[HINT_SIZE];
        return command_fail(err, TOTO_STATUS_USAGE, "unknown option %s%s. Try 'toto --help'", argv[1],
                            nearest_hint(hint, argv[1], "", CHOICES("--help", "--version")));
    }
    const struct command *command = command_find(argv[1], err);
    return command ? command->run(argc - 1, argv + 1, err) : TOTO_STATUS_USAGE;
}

int main(int argc, char **argv)
{
    struct toto_error err = {""};

    signals_install();
    signals_hold_streams();
    enum toto_status status = run(argc, argv, &err);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    if (!status && (fclose(stdout) != 0 || !written))
        status = command_fail(&err, TOTO_STATUS_IO, "cannot write to standard output");
    if (status)
        command_print_message("", err.message);
    return (int)status;
}
