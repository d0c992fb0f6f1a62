/* toto help [COMMAND]. */
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
    command_fail(err, TOTO_STATUS_USAGE, "unknown command \"%s\"; the nearest is %s. Try 'toto --help'", name,
                 nearest_name(name, names, n_names));
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
         "  toto forecast -m MODEL sales.csv\n"
         "  toto inspect MODEL\n"
         "\n"
         "  -h, --help     this text; 'toto COMMAND --help' has a command's options\n"
         "  -V, --version  the version");
}

enum toto_status help_command(int argc, char **argv, struct toto_error *err)
{
    if (argc > 2)
        return command_fail(err, TOTO_STATUS_USAGE, "help takes one command. Try 'toto --help'");
    if (argc < 2 || argv[1][0] == '-') {
        help_print();
        return TOTO_STATUS_OK;
    }
    const struct command *command = command_find(argv[1], err);
    if (!command)
        return TOTO_STATUS_USAGE;
    if (command->run == help_command) {
        help_print();
        return TOTO_STATUS_OK;
    }
    char ask[] = "--help";
    return command->run(2, (char *[]){argv[1], ask, NULL}, err);
}
