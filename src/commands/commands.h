/* Commands: each takes its own arguments (argv[0] is its name), writes data on standard output, and
 * returns its exit status with the message in err. */
#ifndef TOTO_COMMANDS_COMMANDS_H
#define TOTO_COMMANDS_COMMANDS_H

#include "../toto.h"

struct command {
    const char *name;
    const char *summary; /* one line */
    enum toto_status (*run)(int argc, char **argv, struct toto_error *err);
};

/* The table of commands, in src/main.c; a row without a name ends it. */
extern const struct command commands[];

enum toto_status forecast_command(int argc, char **argv, struct toto_error *err);
enum toto_status inspect_command(int argc, char **argv, struct toto_error *err);
enum toto_status devices_command(int argc, char **argv, struct toto_error *err);
enum toto_status verify_command(int argc, char **argv, struct toto_error *err);
enum toto_status eval_command(int argc, char **argv, struct toto_error *err);
enum toto_status help_command(int argc, char **argv, struct toto_error *err);

/* Protocols of toto eval, in the table of src/commands/eval.c; argv[0] is the protocol's name. */
enum toto_status eval_lsf_command(int argc, char **argv, struct toto_error *err);
enum toto_status eval_backtest_command(int argc, char **argv, struct toto_error *err);

/* The command of this name, or NULL with a message that names the nearest. */
const struct command *command_find(const char *name, struct toto_error *err);

/* Prints what `toto --help` says. */
void help_print(void);

#endif
