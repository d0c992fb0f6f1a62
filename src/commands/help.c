/* toto help [COMMAND [PROTOCOL]]. */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "options.h"

const struct command *command_find(const char *name, struct toto_error *err)
{
    const char *names[16];
    size_t n_names = 0;
    for (const struct command *command = commands; command->name; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
        names[n_names++] = command->name;
    }
    char hint[HINT_SIZE];
    command_fail(err, TOTO_STATUS_USAGE, "unknown command \"%s\"%s. Try 'toto --help'", name,
                 nearest_hint(hint, name, "", names, n_names));
    return NULL;
}

void help_print(void)
{
    puts("Usage: toto COMMAND [OPTION]...\n"
         "\n"
         "Forecasts time series with Datadog's Toto foundation models.\n"
         "\n"
         "Commands:");
    for (const struct command *command = commands; command->name; command++)
        printf("  %-9s %s\n", command->name, command->summary);
    puts("\n"
         "Examples:\n"
         "  toto forecast sales.csv > forecast.csv\n"
         "  toto forecast -m MODEL sales.csv > forecast.csv\n"
         "  toto eval backtest -m MODEL -m seasonal-naive -H 24 --windows 7 sales.csv\n"
         "\n"
         "  -h, --help     this text; 'toto COMMAND --help' has a command's options\n"
         "  -V, --version  the version");
}

enum toto_status help_command(int argc, char **argv, struct toto_error *err)
{
    if (argc < 2 || argv[1][0] == '-') {
        help_print();
        return TOTO_STATUS_OK;
    }
    const struct command *command = command_find(argv[1], err);
    if (!command)
        return TOTO_STATUS_USAGE;
    char ask[] = "--help";
    if (command->run == eval_command && argc == 3)
        return command->run(3, (char *[]){argv[1], argv[2], ask, NULL}, err);
    if (argc > 2)
        return command_fail(err, TOTO_STATUS_USAGE, "unexpected argument \"%s\"; help takes one command, or eval and a "
                            "protocol. Try 'toto --help'", argv[command->run == eval_command ? 3 : 2]);
    if (command->run == help_command) {
        help_print();
        return TOTO_STATUS_OK;
    }
    return command->run(2, (char *[]){argv[1], ask, NULL}, err);
}
