/*
 * report.h - the results: as Markdown, JSON and a picture.
 */
#ifndef SSE_BENCH_REPORT_H
#define SSE_BENCH_REPORT_H

#include <stdio.h>

/* Around the table in the file it is put into. */
#define REPORT_BEGIN "<!-- bench: the newest run, written by `make bench KEEP=1` -->"
#define REPORT_END   "<!-- bench: end -->"

struct report {
    const char *commit;
    unsigned seconds, rounds;
    int server_core, load_core;
};

/* Writes the table to stdout and the files that are not NULL; `into` is a file that has
 * REPORT_BEGIN and REPORT_END, and gets the Markdown between them. */
void report_write(const struct report *r, const char *markdown, const char *json, const char *svg,
                  const char *into);

/* The picture: cost per delivery by subscribers, latencies, memory per connection. */
void svg_write(FILE *to);

#endif
