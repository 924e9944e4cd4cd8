#!/usr/bin/env bash
# nginx takes a `102 Processing` for the answer itself: the real one behind it never reaches the client.
#
# Interim responses (102, 103) are how HTTP says "still at work" before there is a status, and a proxy must forward them (RFC
# 9110, section 15.2). HAProxy, Caddy and Apache do. nginx holds the first status line for the response, waits for the body of that,
# and gives up after proxy_read_timeout: the client is left with a 102 and a closed connection. (With `proxy_buffering off` all
# that comes behind passes as it is, the answer too.)
#
# Version: nginx 1.22.1-9+deb12u11, haproxy 2.6.12-1+deb12u4 (Debian 12).
# Source:  seen on the wire; "upstream timed out while reading upstream" in nginx's error log.
# Hurts:   operators whose server keeps slow requests alive with 102: the answers that take long enough to need one are lost
#          connections, a minute later (60 s is the default), and SDKs ask again.
# Do:      no interim responses behind nginx; comments in a stream, and proxy_read_timeout above the longest silence.
# Seen:    haproxy: 102, 200 whole | nginx: 102, the end | without a 102 nginx: 200 whole
. "$(dirname "$0")/lib.sh"
debian_packages nginx=1.22.1-9+deb12u11 haproxy=2.6.12-1+deb12u4 libopentracing-c-wrapper0 libopentracing1 liblua5.3-0
cat >"$WORK/behind.py" <<'PY'
import asyncio, sys
async def serve(reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(2)
    if b"/slow" in head:
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.5)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nwhole")
    await writer.drain()
    await reader.read()  # until the proxy has had enough of this connection
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
PY
cat >"$WORK/ask.py" <<'PY'
import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
client.sendall(b"POST /%s HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}" % sys.argv[2].encode())
read = b""
while not read.endswith(b"whole") and (more := client.recv(65536)):
    read += more
seen = [line.split()[1] for line in read.decode().split("\r\n") if line.startswith("HTTP/1.1 ")]
print(*seen, "whole" if read.endswith(b"whole") else "the end")
PY
BEHIND="$(free_port)"
python3 "$WORK/behind.py" "$BEHIND" 2>/dev/null &
STARTED+=("$!")
await_port "$BEHIND"
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
start "$WORK/root/usr/sbin/nginx" -c "$WORK/nginx.conf" -e "$WORK/nginx.log"
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
start "$WORK/root/usr/sbin/haproxy" -db -f "$WORK/haproxy.cfg"
for port in "$HAPROXY" "$NGINX"; do await_port "$port"; done
ask() { python3 "$WORK/ask.py" "$1" "$2"; }
measured "direct, 102 and then the answer" "102 200 whole" "102 200 whole" "$(ask "$BEHIND" slow)"
measured "haproxy" "102 200 whole" "102 200 whole" "$(ask "$HAPROXY" slow)"
measured "nginx" "102 200 whole" "102 the end" "$(ask "$NGINX" slow)"
measured "nginx, without the 102" "200 whole" "200 whole" "$(ask "$NGINX" quick)"
finish
