/*
 * svg.c - the picture of the results: three panels beside each other, ours, the floor and nchan.
 */
#include "bench/report.h"
#include "bench/table.h"

#include <math.h>
#include <string.h>

/* A panel: where it is, and what its axes span; both are logarithmic unless `plain`. */
struct panel {
    double x, y, w, h;
    double from, to; /* of y */
    bool plain;
};

static const enum server_kind kinds[] = {SERVER_SSE, SERVER_FLOOR, SERVER_NCHAN};
static const char *const colours[] = {"#0a7d3c", "#777777", "#c2410c"};
#define KINDS 3u

static double place_y(const struct panel *p, double v)
{
    double part = p->plain ? (v - p->from) / (p->to - p->from)
                           : (log10(v) - log10(p->from)) / (log10(p->to) - log10(p->from));
    part = part < 0 ? 0 : part > 1 ? 1 : part;
    return p->y + p->h * (1 - part);
}

static void words(FILE *to, double x, double y, const char *anchor, const char *text)
{
    fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, text);
}

/* A number as short as it can be. */
static const char *short_number(double v, char buf[32])
{
    if (v >= 1000000)
        snprintf(buf, 32, "%.2gM", v / 1000000);
    else if (v >= 1000)
        snprintf(buf, 32, "%.2gk", v / 1000);
    else
        snprintf(buf, 32, v >= 100 ? "%.0f" : "%.3g", v);
    return buf;
}

static void frame(FILE *to, const struct panel *p, const char *title)
{
    char buf[32];
    fprintf(to, "<text class=\"t\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", p->x, p->y - 14, title);
    unsigned steps = p->plain ? 5 : (unsigned)lround(log10(p->to) - log10(p->from));
    for (unsigned i = 0; i <= steps; i++) {
        double v = p->plain ? p->from + (p->to - p->from) / 5 * i : p->from * pow(10, i);
        double y = place_y(p, v);
        fprintf(to, "<line class=\"g\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n", p->x,
                p->x + p->w, y, y);
        words(to, p->x - 6, y + 4, "end", short_number(v, buf));
    }
}

/* A line through values, with gaps where there is none. */
static void line(FILE *to, const struct panel *p, unsigned k, const double *v, unsigned n)
{
    bool begun = false;
    fprintf(to, "<path d=\"");
    for (unsigned i = 0; i < n; i++) {
        double x = p->x + p->w * (i + 0.5) / n;
        if (v[i] > 0)
            fprintf(to, "%s%.1f %.1f", begun ? "L" : "M", x, place_y(p, v[i]));
        begun = begun || v[i] > 0;
    }
    fprintf(to, "\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", colours[k]);
    for (unsigned i = 0; i < n; i++)
        if (v[i] > 0)
            fprintf(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n",
                    p->x + p->w * (i + 0.5) / n, place_y(p, v[i]), colours[k]);
}

static void labels(FILE *to, const struct panel *p, const char *const *text, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        words(to, p->x + p->w * (i + 0.5) / n, p->y + p->h + 18, "middle", text[i]);
}

static void costs(FILE *to, struct panel p)
{
    static const char *const keys[] = {"sse-100", "sse-1000", "sse-10000", "sse-18000"};
    static const char *const names[] = {"100", "1,000", "10,000", "18,000"};
    double v[KINDS][4], most = 1;
    for (unsigned k = 0; k < KINDS; k++)
        for (unsigned i = 0; i < 4; i++) {
            v[k][i] = table_value(table_find(keys[i]), kinds[k]);
            most = v[k][i] > most ? v[k][i] : most;
        }
    p.plain = true;
    p.to = ceil(most / 5) * 5;
    frame(to, &p, "CPU time per SSE delivery, us, by subscribers");
    labels(to, &p, names, 4);
    for (unsigned k = 0; k < KINDS; k++)
        line(to, &p, k, v[k], 4);
}

static void latencies(FILE *to, struct panel p)
{
    const struct row *r = table_find("latency");
    double least = 1e9, most = 0;
    for (unsigned k = 0; k < KINDS; k++)
        for (unsigned i = 0; i < TABLE_POINTS; i++) {
            double v = r->cell[kinds[k]].points[i];
            least = v > 0 && v < least ? v : least;
            most = v > most ? v : most;
        }
    p.from = most > 0 ? pow(10, floor(log10(least))) : 1;
    p.to = most > 0 ? pow(10, ceil(log10(most))) : 10;
    frame(to, &p, "Latency, us, at 50,000 deliveries a second");
    labels(to, &p, table_points, TABLE_POINTS);
    for (unsigned k = 0; k < KINDS; k++)
        line(to, &p, k, r->cell[kinds[k]].points, TABLE_POINTS);
}

static void memory(FILE *to, struct panel p)
{
    static const char *const keys[] = {"user-sse", "user-ws", "user-long", "kernel-sse"};
    static const char *const names[] = {"SSE", "WebSocket", "long poll", "kernel"};
    char buf[32];
    p.from = 10;
    p.to = 100000;
    frame(to, &p, "Memory per idle connection, bytes");
    labels(to, &p, names, 4);
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < KINDS; k++) {
            double v = table_value(table_find(keys[i]), kinds[k]), w = p.w / 4 / (KINDS + 1);
            double x = p.x + p.w * i / 4 + w * (k + 0.5), y = place_y(&p, v > 0 ? v : p.from);
            if (v <= 0)
                continue;
            fprintf(to,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x,
                    y, w * 0.9, p.y + p.h - y, colours[k]);
            words(to, x + w * 0.45, y - 4, "middle", short_number(v, buf));
        }
}

void svg_write(FILE *to)
{
    fprintf(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1260 340\" "
                "font-family=\"sans-serif\" font-size=\"11\">\n"
                "<style>text{fill:#333}.t{font-size:13px;font-weight:bold}"
                ".g{stroke:#ddd}</style>\n"
                "<rect width=\"1260\" height=\"340\" fill=\"#fff\"/>\n");
    for (unsigned k = 0; k < KINDS; k++) {
        double x = 480 + 110 * k;
        fprintf(to, "<rect x=\"%.0f\" y=\"12\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", x,
                colours[k]);
        words(to, x + 18, 22, "start", server_names[kinds[k]]);
    }
    costs(to, (struct panel){50, 70, 350, 220, 0, 0, true});
    latencies(to, (struct panel){465, 70, 350, 220, 0, 0, false});
    memory(to, (struct panel){880, 70, 350, 220, 0, 0, false});
    fprintf(to, "</svg>\n");
}
