/*
 * server.c - starting and ending the servers.
 */
#include "bench/server.h"

#include "bench/kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NGINX "/usr/sbin/nginx"
#define NCHAN "/usr/lib/nginx/modules/ngx_nchan_module.so"

const char *const server_names[] = {"sse", "floor", "floor, batching", "nchan"};

/* nginx as its manual has it for many connections: one process, no logs, and as much memory for
 * nchan as it asks for. */
static const char nginx_conf[] =
    "load_module " NCHAN ";\n"
    "daemon off;\n"
    "master_process off;\n"
    "worker_processes 1;\n"
    "worker_rlimit_nofile 20000;\n"
    "pid %s/pid;\n"
    "error_log %s/error.log crit;\n"
    "events { worker_connections 19500; use epoll; }\n"
    "http {\n"
    "  access_log off; tcp_nodelay on; keepalive_timeout 600; keepalive_requests 1000000000;\n"
    "  client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/fastcgi;\n"
    "  uwsgi_temp_path %s/uwsgi; scgi_temp_path %s/scgi;\n"
    "  nchan_max_reserved_memory 1024M;\n"
    "  server {\n"
    "    listen 127.0.0.1:%u backlog=4096;\n"
    "    location ~ ^/pub/(.+)$ { nchan_publisher; nchan_channel_id $1;\n"
    "      nchan_message_buffer_length 100; nchan_message_timeout 1h; }\n"
    "    location ~ ^/sub/(.+)$ { nchan_subscriber; nchan_channel_id $1;\n"
    "      nchan_subscriber_first_message newest; }\n"
    "    location ~ ^/old/(.+)$ { nchan_subscriber; nchan_channel_id $1;\n"
    "      nchan_subscriber_first_message oldest; }\n"
    "    location /short/ { return 204; }\n"
    "  }\n"
    "}\n";

bool server_there(enum server_kind kind)
{
    return kind != SERVER_NCHAN || (access(NGINX, X_OK) == 0 && access(NCHAN, R_OK) == 0);
}

/* A port that is free now. */
static unsigned free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1 || bind(fd, (struct sockaddr *)&a, sizeof a) == -1 ||
        getsockname(fd, (struct sockaddr *)&a, &len) == -1)
        die("no port: %s", strerror(errno));
    close(fd);
    return ntohs(a.sin_port);
}

/* Returns true if a server listens there. */
static bool listens(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd != -1 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    if (fd != -1)
        close(fd);
    return yes;
}

static void nginx_start(struct server *s, int core)
{
    char conf[64];
    const char *dir = strcpy(s->dir, "/tmp/bench-nginx-XXXXXX");
    if (mkdtemp(s->dir) == NULL)
        die("%s: %s", dir, strerror(errno));
    snprintf(conf, sizeof conf, "%s/nginx.conf", dir);
    FILE *f = fopen(conf, "we");
    if (f == NULL)
        die("%s: %s", conf, strerror(errno));
    s->port = free_port();
    fprintf(f, nginx_conf, dir, dir, dir, dir, dir, dir, dir, s->port);
    fclose(f);
    const char *argv[] = {NGINX, "-p", dir, "-e", "/dev/null", "-c", conf, NULL};
    s->pid = spawn(argv, core, NULL, NULL);
    for (unsigned tries = 0; !listens(s->port); tries++) {
        if (tries == 500)
            die("nginx does not listen: %s", conf);
        pause_ms(10);
    }
}

/* Removes what nginx and we have made. */
static void nginx_clean(const char *dir)
{
    static const char *const made[] = {"body",      "proxy",      "fastcgi", "uwsgi", "scgi",
                                       "error.log", "nginx.conf", "pid",     ""};
    for (unsigned i = 0; i < sizeof made / sizeof made[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", dir, made[i]);
        if (remove(path) == -1 && errno != ENOENT)
            fprintf(stderr, "%s: %s is left: %s\n", kit_name, path, strerror(errno));
    }
}

struct server server_start(enum server_kind kind, const char *dir, int core)
{
    struct server s = {.kind = kind};
    char path[512], line[256];
    int out;
    if (kind == SERVER_NCHAN) {
        s.dialect = WIRE_NCHAN;
        nginx_start(&s, core);
        return s;
    }
    s.dialect = kind == SERVER_SSE ? WIRE_SSE : WIRE_FLOOR;
    snprintf(path, sizeof path, "%s/%s", dir, kind == SERVER_SSE ? "../sse" : "floor");
    const char *argv[] = {path, NULL, NULL, NULL, NULL, NULL};
    static const char *const ours[] = {"--port", "0", "--log", "error"};
    for (unsigned i = 0; kind == SERVER_SSE && i < 4; i++)
        argv[1 + i] = ours[i];
    if (kind == SERVER_BATCH)
        argv[1] = "--batch";
    s.pid = spawn(argv, core, NULL, &out);
    if (!read_line(out, line, sizeof line, 10) || sscanf(line, "http://127.0.0.1:%u", &s.port) != 1)
        die("%s does not start", path);
    close(out);
    return s;
}

void server_stop(struct server *s)
{
    finish(s->pid, SIGKILL);
    s->pid = 0;
    if (s->dir[0] != '\0')
        nginx_clean(s->dir);
}
