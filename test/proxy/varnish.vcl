# Varnish in front of sse, without TLS, which it has not:
# varnishd -F -n "$PWD/varnish" -f "$PWD/varnish.vcl" -a 127.0.0.1:8000 -p pipe_timeout=75
# The last is longer than --max-wait and --heartbeat.
vcl 4.1;

backend sse {
    .host = "127.0.0.1:8080";
}

sub vcl_recv {
    set req.http.X-Forwarded-For = client.ip; # --trust-proxy 127.0.0.1
    # All that lasts: nothing is kept back, and who leaves is noticed.
    if (req.http.Accept ~ "event-stream|ndjson" || req.http.Upgrade || req.http.Prefer ||
        req.url ~ "[?&]wait=" || req.http.Transfer-Encoding) {
        return (pipe);
    }
    return (pass);
}

sub vcl_pipe {
    if (req.http.Upgrade) { # WebSocket
        set bereq.http.Upgrade = req.http.Upgrade;
        set bereq.http.Connection = "Upgrade";
    } else {
        set bereq.http.Connection = "close"; # else the next request goes unseen
    }
}
