/* toto eval PROTOCOL: how good is a model on data whose future is known? */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "options.h"

static const struct command protocols[] = {
    {"lsf", "the benchmark of long sequence forecasting, on ETT-like files", eval_lsf_command},
    {"backtest", "rolling windows of the series of any file that toto forecast reads", eval_backtest_command},
    {NULL, NULL, NULL},
};

static void print_help(void)
{
    puts("Usage: toto eval PROTOCOL [OPTION]...\n"
         "\n"
         "Scores models, and simple baselines, on data whose future is known.\n"
         "\n"
         "Protocols:");
    for (const struct command *protocol = protocols; protocol->name; protocol++)
        printf("  %-9s %s\n", protocol->name, protocol->summary);
    puts("\n"
         "Examples:\n"
         "  toto eval lsf -m MODEL --data ETTh1.csv\n"
         "  toto eval backtest -m MODEL -m seasonal-naive -H 24 --windows 7 sales.csv\n"
         "\n"
         "Options:\n"
         "  -h, --help  this text; 'toto eval PROTOCOL --help' has a protocol's options");
}

enum toto_status eval_command(int argc, char **argv, struct toto_error *err)
{
    const char *names[sizeof protocols / sizeof *protocols];
    size_t n_names = 0;
    if (argc < 2)
        return command_fail(err, TOTO_STATUS_USAGE, "no protocol is given. Try 'toto eval --help'");
    if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
        print_help();
        return TOTO_STATUS_OK;
    }
    for (const struct command *protocol = protocols; protocol->name; protocol++) {
        if (strcmp(protocol->name, argv[1]) == 0)
            return protocol->run(argc - 1, argv + 1, err);
        names[n_names++] = protocol->name;
    }
    char hint[HINT_SIZE];
    return command_fail(err, TOTO_STATUS_USAGE, "unknown protocol \"%s\"%s. Try 'toto eval --help'", argv[1],
                        nearest_hint(hint, argv[1], "", names, n_names));
}
