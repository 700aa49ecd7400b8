/*
 * command.c - the table of commands.
 */
#include "lib/cli/command.h"

#include "lib/cli/health.h"
#include "lib/cli/help.h"
#include "lib/cli/pub.h"
#include "lib/cli/sub.h"
#include "lib/cli/token.h"
#include "lib/host/machine.h"
#include "lib/host/process.h"
#include "lib/host/workers.h"

#include <sysexits.h>
#include <unistd.h>

static int print(const char *text)
{
    return write(STDOUT_FILENO, text, strlen(text)) == -1 ? EX_IOERR : EX_OK;
}

static int version_run(int argc, char **argv)
{
    if (argc > 1)
        process_fail(EX_USAGE, "unexpected argument ", argv[1], " behind version", NULL);
    return print(opt_version());
}

/* The commands. Each gets its own arguments; argv[0] is its name. */
static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"sub", sub_run},       /* subscribes */
    {"pub", pub_run},       /* publishes */
    {"token", token_run},   /* tokens and signed URLs */
    {"health", health_run}, /* checks whether a server is ready */
    {NULL, NULL},           /* the end */
};

/* Runs the command that argv[1] names. Returns -1 if it names none. */
static int run(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && commands[i].name != NULL; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return -1;
}

/* As --help, or that of a command. */
static int help_run(int argc, char **argv)
{
    char flag[] = "--help";
    if (argc < 2)
        return help_print(HELP_SERVER);
    char *words[] = {argv[0], argv[1], flag, NULL};
    int code = run(3, words);
    if (code < 0)
        process_fail(EX_USAGE, "there is no command ", argv[1], " (sse --help lists them)", NULL);
    return code;
}

int command_line(struct opt *opt, int argc, char **argv)
{
    char err_bytes[1024];
    struct text err = text_for_string(err_bytes, sizeof err_bytes);
    const char *word = argc > 1 ? argv[1] : "";
    int code = strcmp(word, "help") == 0      ? help_run(argc - 1, argv + 1)
               : strcmp(word, "version") == 0 ? version_run(argc - 1, argv + 1)
                                              : run(argc, argv);
    if (code >= 0)
        return code;
    switch (opt_parse(opt, argc, argv, environ, &err)) {
    case OPT_HELP:
        return help_print(HELP_SERVER);
    case OPT_VERSION:
        return print(opt_version());
    case OPT_EXPLAIN:
        return machine_explain(workers_wanted(opt));
    case OPT_WRONG:
        process_fail(EX_USAGE, text_string(&err), " (sse --help lists all flags)", NULL);
    case OPT_RUN:
        break;
    }
    return -1;
}
