/*
 * nginx.c - an nginx before the server.
 */
#include "test/kit/nginx.h"

#include "test/kit/close.h"
#include "test/kit/e2e.h"
#include "test/kit/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void config_write(const char *path, int port, const char *upstream, bool buffers)
{
    FILE *f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    fprintf(f,
            "daemon off; master_process off; pid nginx.pid; error_log stderr emerg;\n"
            "events { }\n"
            "http {\n"
            "    access_log off;\n"
            "    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n"
            "    uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n"
            "    map $http_upgrade $connection_upgrade { default upgrade; \"\" \"\"; }\n"
            "    server {\n"
            "        listen 127.0.0.1:%d;\n"
            "        location / {\n"
            "            proxy_pass %s;\n"
            "            proxy_http_version 1.1;\n"
            "            proxy_set_header Host $http_host;\n"
            "            proxy_set_header Upgrade $http_upgrade;\n"
            "            proxy_set_header Connection $connection_upgrade;\n"
            "            %s\n"
            "        }\n"
            "    }\n"
            "}\n",
            port, upstream,
            buffers ? "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;" : "");
    ck_assert_int_eq(fclose(f), 0);
}

void nginx_start(struct nginx *n, const char *directory, const char *upstream, bool buffers)
{
    char own[128], path[160];
    int port = port_take(), status;
    snprintf(own, sizeof(own), "%s/nginx-XXXXXX", directory);
    ck_assert_ptr_nonnull(mkdtemp(own));
    snprintf(path, sizeof(path), "%s/nginx.conf", own);
    config_write(path, port, upstream, buffers);
    snprintf(n->url, sizeof(n->url), "http://127.0.0.1:%d", port);
    pid_t parent = getpid();
    n->pid = fork();
    ck_assert_int_ne(n->pid, -1);
    if (n->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent && chdir(own) == 0) {
            close_later_from(3);
            setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", 1);
            execlp("nginx", "nginx", "-p", ".", "-c", "nginx.conf", NULL);
        }
        dprintf(2, "nginx can't be run (%s): these tests need it; apt-get install nginx\n",
                strerror(errno));
        _exit(127);
    }
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    while (!port_listens(port)) {
        if (waitpid(n->pid, &status, WNOHANG) != 0)
            e2e_fail("nginx ended with status %#x", (unsigned)status);
        if (e2e_now_ms() > deadline)
            e2e_fail("nginx did not listen in time");
        e2e_sleep_ms(5);
    }
}

void nginx_stop(struct nginx *n)
{
    kill(n->pid, SIGKILL);
    waitpid(n->pid, NULL, 0);
}
