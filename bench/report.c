/*
 * report.c - Markdown and JSON.
 */
#include "bench/report.h"

#include "bench/kit.h"
#include "bench/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* ---- where it was ---------------------------------------------------------------------------- */

/* The value of a line of a file of /proc that begins so. */
static void proc_line(const char *path, const char *name, char *to, size_t room)
{
    char line[512];
    FILE *f = fopen(path, "re");
    snprintf(to, room, "unknown");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        const char *value = strchr(line, ':');
        if (value == NULL || strncmp(line, name, strlen(name)) != 0)
            continue;
        value += 1 + strspn(value + 1, " \t");
        snprintf(to, room, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    if (f != NULL)
        fclose(f);
}

/* Text that names the machine, kernel, compiler and peer. */
static void environment(char *to, size_t room, const struct report *r)
{
    char cpu[128], memory[64], nginx[128] = "not installed", day[32] = "";
    struct utsname u;
    time_t now = time(NULL);
    struct tm tm;
    proc_line("/proc/cpuinfo", "model name", cpu, sizeof cpu);
    proc_line("/proc/meminfo", "MemTotal", memory, sizeof memory);
    if (uname(&u) == -1 || gmtime_r(&now, &tm) == NULL)
        die("uname: %s", strerror(errno));
    strftime(day, sizeof day, "%Y-%m-%d %H:%M UTC", &tm);
    if (server_there(SERVER_NCHAN)) {
        FILE *f =
            popen("/usr/sbin/nginx -v 2>&1; dpkg-query -W libnginx-mod-nchan 2>/dev/null", "re");
        size_t n = f != NULL ? fread(nginx, 1, sizeof nginx - 1, f) : 0;
        nginx[n] = '\0';
        for (char *c = nginx; *c != '\0'; c++)
            *c = *c == '\n' || *c == '\t' ? ' ' : *c;
        if (f != NULL)
            pclose(f);
    }
    snprintf(to, room,
             "%s, commit %s; %s, %ld cores, server on core %d, load on core %d; memory %s; %s %s; "
             "gcc %s; %s; medians of %u rounds at most, %u s in all",
             day, r->commit, cpu, sysconf(_SC_NPROCESSORS_ONLN), r->server_core, r->load_core,
             memory, u.sysname, u.release, __VERSION__, nginx, r->rounds, r->seconds);
}

/* ---- Markdown -------------------------------------------------------------------------------- */

/* A number in three digits or more, or a dash. */
static void cell(FILE *to, double v)
{
    if (v == 0)
        fprintf(to, " - |");
    else if (v >= 1000000)
        fprintf(to, " %.2f M |", v / 1000000);
    else if (v >= 100)
        fprintf(to, " %.0f |", v);
    else
        fprintf(to, v >= 10 ? " %.1f |" : " %.2f |", v);
}

static void ratio(FILE *to, double v)
{
    if (v == 0)
        fprintf(to, " - |");
    else
        fprintf(to, " %.2f |", v);
}

static void table_write(FILE *to)
{
    fprintf(to, "| what | sse | floor | nchan | sse / floor | sse / nchan | to reach | reached |\n"
                "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < table_rows; i++) {
        const struct row *r = &table[i];
        double ours = table_value(r, SERVER_SSE);
        if (ours == 0)
            continue;
        fprintf(to, "| %s |", r->what);
        cell(to, ours);
        cell(to, table_value(r, SERVER_FLOOR));
        cell(to, table_value(r, SERVER_NCHAN));
        ratio(to, table_ratio(r, SERVER_FLOOR));
        ratio(to, table_ratio(r, SERVER_NCHAN));
        double is = r->reach_is_value ? ours : table_ratio(r, r->base);
        if (r->reach == 0 || is == 0)
            fprintf(to, " | |\n");
        else if (r->reach_is_value)
            fprintf(to, " <= %.0f | %s |\n", r->reach, is <= r->reach ? "yes" : "**no**");
        else
            fprintf(to, " <= %.2f x %s | %s |\n", r->reach, server_names[r->base],
                    is <= r->reach ? "yes" : "**no**");
    }
    double batch = table_value(table_find("publishers-16"), SERVER_BATCH);
    if (batch > 0)
        fprintf(to,
                "\nA floor that batches takes %.2f us per delivery with 16 publishers at once.\n",
                batch);
}

/* "12,300"; a dash for none. */
static void rate(FILE *to, double v)
{
    unsigned long n = (unsigned long)v;
    if (n == 0)
        fprintf(to, " -");
    else if (n >= 1000000)
        fprintf(to, " %lu,%03lu,%03lu", n / 1000000, n / 1000 % 1000, n % 1000);
    else if (n >= 1000)
        fprintf(to, " %lu,%03lu", n / 1000, n % 1000);
    else
        fprintf(to, " %lu", n);
}

/* Which part of its core each side used: where the server's is the larger, it was the bottleneck;
 * and how many deliveries or requests that were in a second. */
static void busy_write(FILE *to)
{
    fprintf(to,
            "\n| busy, %% of a core: server / load | sse | floor | nchan | user-mode part of sse |"
            " a second: sse / floor / nchan |\n"
            "|---|---|---|---|---|---|\n");
    static const enum server_kind kinds[] = {SERVER_SSE, SERVER_FLOOR, SERVER_NCHAN};
    for (size_t i = 0; i < table_rows; i++) {
        const struct row *r = &table[i];
        if (r->cell[SERVER_SSE].n == 0 || r->load == NULL)
            continue;
        fprintf(to, "| %s |", r->what);
        for (unsigned k = 0; k < 3; k++) {
            const struct cell *c = &r->cell[kinds[k]];
            if (c->n == 0)
                fprintf(to, " - |");
            else
                fprintf(to, " %.0f / %.0f |", 100 * table_median(c->server_busy, c->n),
                        100 * table_median(c->load_busy, c->n));
        }
        fprintf(to, " %.0f %% |", 100 * table_user(&r->cell[SERVER_SSE]));
        for (unsigned k = 0; k < 3; k++) {
            fputs(k > 0 ? " /" : "", to);
            rate(to, table_rate(r, kinds[k]));
        }
        fprintf(to, " |\n");
    }
}

static void latency_write(FILE *to)
{
    const struct row *r = table_find("latency");
    if (r->cell[SERVER_SSE].n == 0)
        return;
    fprintf(to, "\n| latency, us |");
    for (unsigned i = 0; i < TABLE_POINTS; i++)
        fprintf(to, " %s |", table_points[i]);
    fprintf(to, "\n|---|---|---|---|---|---|---|---|---|---|\n");
    for (enum server_kind kind = 0; kind < SERVER_KINDS; kind++) {
        const struct cell *c = &r->cell[kind];
        if (c->n == 0)
            continue;
        fprintf(to, "| %s |", server_names[kind]);
        for (unsigned i = 0; i < TABLE_POINTS; i++)
            fprintf(to, " %.0f |", c->points[i]);
        fprintf(to, "\n");
    }
}

static void markdown_write(FILE *to, const struct report *r)
{
    char where[1024];
    environment(where, sizeof where, r);
    fprintf(to, "%s.\n\n", where);
    table_write(to);
    busy_write(to);
    latency_write(to);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_write(FILE *to, const struct report *r)
{
    char where[1024];
    environment(where, sizeof where, r);
    fprintf(to, "{\"environment\":\"%s\",\"rows\":[", where);
    bool some = false;
    for (size_t i = 0; i < table_rows; i++) {
        const struct row *row = &table[i];
        for (enum server_kind kind = 0; kind < SERVER_KINDS; kind++) {
            const struct cell *c = &row->cell[kind];
            if (c->n == 0)
                continue;
            fprintf(to, "%s\n{\"row\":\"%s\",\"server\":\"%s\",\"median\":%.3f,\"rounds\":[",
                    some ? "," : "", row->key, server_names[kind], table_value(row, kind));
            for (unsigned k = 0; k < c->n; k++)
                fprintf(to, "%s%.3f", k > 0 ? "," : "", c->value[k]);
            fprintf(to, "],\"server_busy\":%.3f,\"load_busy\":%.3f,\"user_part\":%.3f",
                    table_median(c->server_busy, c->n), table_median(c->load_busy, c->n),
                    table_user(c));
            if (table_rate(row, kind) > 0)
                fprintf(to, ",\"per_second\":%.0f", table_rate(row, kind));
            for (unsigned k = 0; k < TABLE_POINTS && c->points[TABLE_POINTS - 1] > 0; k++)
                fprintf(to, ",\"%s\":%.0f", table_points[k], c->points[k]);
            fprintf(to, "}");
            some = true;
        }
    }
    fprintf(to, "\n]}\n");
}

/* ---- files ----------------------------------------------------------------------------------- */

static FILE *open_file(const char *path, const char *mode)
{
    FILE *f = fopen(path, mode);
    if (f == NULL)
        die("%s: %s", path, strerror(errno));
    return f;
}

static void close_file(FILE *f, const char *path)
{
    if (fclose(f) != 0)
        die("%s: %s", path, strerror(errno));
}

/* Replaces what is between the marks of a file. */
static void into_write(const char *path, const struct report *r)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_file(path, "re");
    if (getdelim(&text, &size, '\0', f) == -1)
        die("%s: nothing is there", path);
    fclose(f);
    const char *begin = strstr(text, REPORT_BEGIN), *end = strstr(text, REPORT_END);
    if (begin == NULL || end == NULL || end < begin)
        die("%s has not the marks that the table goes between", path);
    f = open_file(path, "we");
    fprintf(f, "%.*s%s\n", (int)(begin - text), text, REPORT_BEGIN);
    markdown_write(f, r);
    fputs(end, f);
    close_file(f, path);
    free(text);
}

void report_write(const struct report *r, const char *markdown, const char *json, const char *svg,
                  const char *into)
{
    FILE *f;
    markdown_write(stdout, r);
    if (markdown != NULL) {
        f = open_file(markdown, "we");
        markdown_write(f, r);
        close_file(f, markdown);
    }
    if (json != NULL) {
        f = open_file(json, "we");
        json_write(f, r);
        close_file(f, json);
    }
    if (svg != NULL) {
        f = open_file(svg, "we");
        svg_write(f);
        close_file(f, svg);
    }
    if (into != NULL)
        into_write(into, r);
}
