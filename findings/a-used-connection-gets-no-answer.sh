#!/usr/bin/env bash
# Behind HAProxy and Apache the same failure is a 502 for a client's first request on a connection, and no answer at all for its second.
#
# The server behind reads the request and hangs up without an answer. On a connection that the client has used before both proxies
# close it without a word, so that the client may try again, as it would with a connection that was idle for too long. nginx says 502 each
# time. None of them sends the request to the server twice.
#
# Version: haproxy 2.6.12-1+deb12u4, apache2-bin 2.4.71-1~deb12u1, nginx 1.22.1-9+deb12u11 (Debian 12).
# Source:  RFC 9112, section 9.3.1, on what a client may repeat; Apache's mod_proxy_http.c, ap_proxy_http_process_response.
# Hurts:   operators who watch for 502: a worker that dies under a request shows as one for new clients alone. SDKs, which keep their
#          connections, raise a connection error for the same; other rules decide on its retry, and each time a model may have begun to generate.
# Do:      alarms on the proxy's own count of failed servers, not on statuses; retry rules that treat both alike.
# Seen:    hangs up at the first request, at the second: haproxy 502, closed; apache 502, closed; nginx 502, 502
. "$(dirname "$0")/lib.sh"
debian_packages nginx=1.22.1-9+deb12u11 haproxy=2.6.12-1+deb12u4 libopentracing-c-wrapper0 libopentracing1 liblua5.3-0 \
  apache2-bin=2.4.71-1~deb12u1 libapr1 libaprutil1
cat >"$WORK/behind.py" <<'PY'
import asyncio, sys
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            print(head.split()[1].decode(), flush=True)
            if b"/dies" in head:
                break
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    except asyncio.IncompleteReadError:
        pass
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
PY
cat >"$WORK/ask.py" <<'PY'
import http.client, sys
def connected(port):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    client.connect()
    return client
def status(client, name):
    client.request("POST", f"/{name}", body=b"{}")
    try:
        answer = client.getresponse()
        answer.read()
        return str(answer.status)
    except http.client.RemoteDisconnected:
        return "closed"
port = int(sys.argv[1])
first = status(connected(port), "dies")
client = connected(port)
assert status(client, "lives") == "200"
print(f"{first}, {status(client, 'dies')}")
PY
BEHIND="$(free_port)"
python3 "$WORK/behind.py" "$BEHIND" >"$WORK/asked" 2>/dev/null &
STARTED+=("$!")
await_port "$BEHIND"
ROOT="$WORK/root"
HAPROXY="$(free_port)"
cat >"$WORK/haproxy.cfg" <<CONF
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend clients
  bind 127.0.0.1:$HAPROXY
  default_backend provider
backend provider
  server provider 127.0.0.1:$BEHIND
CONF
start "$ROOT/usr/sbin/haproxy" -db -f "$WORK/haproxy.cfg"
APACHE="$(free_port)"
MODULES="$ROOT/usr/lib/apache2/modules"
cat >"$WORK/apache.conf" <<CONF
ServerRoot $WORK
ServerName localhost
Listen 127.0.0.1:$APACHE
PidFile $WORK/apache.pid
ErrorLog $WORK/apache.log
User www-data
Group www-data
LoadModule mpm_event_module $MODULES/mod_mpm_event.so
LoadModule authz_core_module $MODULES/mod_authz_core.so
LoadModule proxy_module $MODULES/mod_proxy.so
LoadModule proxy_http_module $MODULES/mod_proxy_http.so
ProxyPass / http://127.0.0.1:$BEHIND/
CONF
start "$ROOT/usr/sbin/apache2" -X -f "$WORK/apache.conf"
NGINX="$(free_port)"
cat >"$WORK/nginx.conf" <<CONF
daemon off;
master_process off;
pid $WORK/nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path $WORK/body; proxy_temp_path $WORK/proxy; fastcgi_temp_path $WORK/fcgi; uwsgi_temp_path $WORK/uwsgi; scgi_temp_path $WORK/scgi;
  upstream provider { server 127.0.0.1:$BEHIND; keepalive 4; }
  server { listen 127.0.0.1:$NGINX; location / { proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header connection ""; } }
}
CONF
start "$ROOT/usr/sbin/nginx" -c "$WORK/nginx.conf" -e "$WORK/nginx.log"
for port in "$HAPROXY" "$APACHE" "$NGINX"; do await_port "$port"; done
asked() { python3 "$WORK/ask.py" "$1" || true; }
echo "the server hangs up at the first request of the client's connection, at the second:"
measured "haproxy" "502, 502" "502, closed" "$(asked "$HAPROXY")"
measured "apache" "502, 502" "502, closed" "$(asked "$APACHE")"
measured "nginx" "502, 502" "502, 502" "$(asked "$NGINX")"
measured "requests at the server" "9" "9" "$(grep -c . "$WORK/asked")"
finish
