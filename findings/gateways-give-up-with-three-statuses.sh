#!/usr/bin/env bash
# A server that does not answer in time is a 504 from nginx and HAProxy, a 502 from Apache and a 503 from Varnish.
#
# RFC 9110 has 504 for a gateway that waited in vain, and 502 for an answer that was invalid. Apache, whose log says "the timeout
# specified has expired", answers 502 all the same, as for a server that hung up. Varnish has one 503 for whatever went wrong behind it.
#
# Version: nginx 1.22.1-9+deb12u11, haproxy 2.6.12-1+deb12u4, apache2-bin 2.4.71-1~deb12u1, varnish 7.1.1-2+deb12u1 (Debian 12).
# Source:  RFC 9110, sections 15.6.3 and 15.6.5; Apache's error log (AH01102); Varnish's builtin "503 Backend fetch failed".
# Hurts:   operators whose alerts count 504, and users whose retry rules spare it because the model may still be at work: behind
#          Apache or Varnish a slow model looks like a broken server, and is asked once more while it answers the first time.
# Do:      tell a slow server by the time a request took, not by its status; a timeout above the longest thinking.
# Seen:    silent server, timeout of 2 s: nginx 504, haproxy 504, apache 502, varnish 503 | server hangs up: 502, 502, 502, 503
. "$(dirname "$0")/lib.sh"
needs gcc  # Varnish compiles its configuration
debian_packages nginx=1.22.1-9+deb12u11 haproxy=2.6.12-1+deb12u4 libopentracing-c-wrapper0 libopentracing1 liblua5.3-0 \
  apache2-bin=2.4.71-1~deb12u1 libapr1 libaprutil1 varnish=7.1.1-2+deb12u1 libvarnishapi3 libjemalloc2 libedit2
cat >"$WORK/behind.py" <<'PY'
import asyncio, sys
async def serve(reader, writer):
    if b"/silent" in await reader.readuntil(b"\r\n\r\n"):
        await reader.read()  # until the gateway has had enough
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
PY
cat >"$WORK/ask.py" <<'PY'
import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
client.sendall(b"GET /%s HTTP/1.1\r\nhost: localhost\r\n\r\n" % sys.argv[2].encode())
print(client.recv(65536).split()[1].decode())
PY
BEHIND="$(free_port)"
python3 "$WORK/behind.py" "$BEHIND" 2>/dev/null &
STARTED+=("$!")
await_port "$BEHIND"
ROOT="$WORK/root"
NGINX="$(free_port)"
cat >"$WORK/nginx.conf" <<CONF
daemon off;
master_process off;
pid $WORK/nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path $WORK/body; proxy_temp_path $WORK/proxy; fastcgi_temp_path $WORK/fcgi; uwsgi_temp_path $WORK/uwsgi; scgi_temp_path $WORK/scgi;
  server { listen 127.0.0.1:$NGINX; proxy_read_timeout 2s; location / { proxy_pass http://127.0.0.1:$BEHIND; } }
}
CONF
start "$ROOT/usr/sbin/nginx" -c "$WORK/nginx.conf" -e "$WORK/nginx.log"
HAPROXY="$(free_port)"
cat >"$WORK/haproxy.cfg" <<CONF
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 2s
listen front
  bind 127.0.0.1:$HAPROXY
  server s1 127.0.0.1:$BEHIND
CONF
start "$ROOT/usr/sbin/haproxy" -db -f "$WORK/haproxy.cfg"
APACHE="$(free_port)"
MODULES="$ROOT/usr/lib/apache2/modules"
cat >"$WORK/apache.conf" <<CONF
ServerRoot $WORK
ServerName localhost
PidFile $WORK/apache.pid
ErrorLog $WORK/apache.log
Listen 127.0.0.1:$APACHE
LoadModule mpm_event_module $MODULES/mod_mpm_event.so
LoadModule authz_core_module $MODULES/mod_authz_core.so
LoadModule proxy_module $MODULES/mod_proxy.so
LoadModule proxy_http_module $MODULES/mod_proxy_http.so
Timeout 2
ProxyPass / http://127.0.0.1:$BEHIND/
CONF
start "$ROOT/usr/sbin/apache2" -DFOREGROUND -f "$WORK/apache.conf"
VARNISH="$(free_port)"
cat >"$WORK/front.vcl" <<CONF
vcl 4.1;
backend provider { .host = "127.0.0.1"; .port = "$BEHIND"; .first_byte_timeout = 2s; }
sub vcl_recv { return (pass); }
CONF
start "$ROOT/usr/sbin/varnishd" -F -j none -a "127.0.0.1:$VARNISH" -f "$WORK/front.vcl" -n "$WORK/varnish" -s malloc,8m \
  -p "vmod_path=$ROOT/usr/lib/x86_64-linux-gnu/varnish/vmods"
for port in "$NGINX" "$HAPROXY" "$APACHE" "$VARNISH"; do await_port "$port"; done
asked() { env -u LD_LIBRARY_PATH python3 "$WORK/ask.py" "$@" || true; }
measured "nginx, silent server" "504" "504" "$(asked "$NGINX" silent)"
measured "haproxy, silent server" "504" "504" "$(asked "$HAPROXY" silent)"
measured "apache, silent server" "504" "502" "$(asked "$APACHE" silent)"
measured "varnish, silent server" "504" "503" "$(asked "$VARNISH" silent)"
measured "nginx, server hangs up" "502" "502" "$(asked "$NGINX" shut)"
measured "haproxy, server hangs up" "502" "502" "$(asked "$HAPROXY" shut)"
measured "apache, server hangs up" "502" "502" "$(asked "$APACHE" shut)"
measured "varnish, server hangs up" "502" "503" "$(asked "$VARNISH" shut)"
finish
