/*
 * command.c - which command is which function.
 */
#include "lib/host/command.h"

#include "lib/host/health.h"
#include "lib/host/pub.h"
#include "lib/host/sub.h"
#include "lib/host/token.h"

#include <stddef.h>
#include <string.h>

/* Each gets its own arguments: argv[0] is its name. */
static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"sub", sub_run},       /* subscribes */
    {"pub", pub_run},       /* publishes */
    {"token", token_run},   /* who may do what */
    {"health", health_run}, /* is a server ready? */
    {NULL, NULL},           /* the end */
};

int command_run(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && commands[i].name != NULL; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return -1;
}
