#!/usr/bin/env bash
# Behind Debian 12's Caddy, lighttpd or h2o a stream that was cut off arrives as one that ended well.
#
# A chunked body says that it is whole by its last chunk. When the server behind dies in mid-stream these three end the
# client's body properly all the same: Caddy and h2o write the last chunk themselves, lighttpd, which collects the
# stream, gives it a content-length. nginx, HAProxy and Apache pass the cut on.
#
# Version: caddy 2.6.2-5, lighttpd 1.4.69-1, h2o 2.2.5+dfsg2-7 (Debian 12).
# Source:  seen on the wire; for Caddy https://github.com/caddyserver/caddy/issues/5951, since when it aborts the connection.
# Hurts:   users of an LLM proxy behind one of them whose worker is killed in mid-answer: no SDK can tell, half an answer is
#          taken for a whole one.
# Do:      never rely on the connection to tell: look for finish_reason, message_stop or [DONE]; put nginx or HAProxy in front.
# Seen:    direct: cut | caddy: 200, whole (last chunk) | lighttpd: 200, whole (content-length: 191) | h2o: 200, whole (last chunk)
. "$(dirname "$0")/lib.sh"
debian_packages caddy=2.6.2-5 lighttpd=1.4.69-1 h2o=2.2.5+dfsg2-7 liblua5.3-0
provider <<'PY'
from provider import *
ANSWERS = {"cut": sse(chat("Half an ans"), cut=True)}
PY
BACK="${PROVIDER##*:}"
front() {
  start "$@"
  await_port "$PORT"
  python3 "$FINDINGS/proxies.py" ending "$PORT"
}
measured "direct" "cut" "cut" "$(python3 "$FINDINGS/proxies.py" ending "$BACK")"

PORT="$(free_port)"
printf '{\n admin off\n auto_https off\n}\n:%s {\n bind 127.0.0.1\n reverse_proxy 127.0.0.1:%s\n}\n' "$PORT" "$BACK" >"$WORK/Caddyfile"
XDG_DATA_HOME="$WORK" XDG_CONFIG_HOME="$WORK" front "$WORK/root/usr/bin/caddy" run --adapter caddyfile --config "$WORK/Caddyfile" >"$WORK/seen"
measured "caddy" "cut" "200, whole (last chunk)" "$(cat "$WORK/seen")"

PORT="$(free_port)"
cat >"$WORK/lighttpd.conf" <<CONF
server.bind = "127.0.0.1"
server.port = $PORT
server.document-root = "$WORK"
server.upload-dirs = ("$WORK")
server.modules = ("mod_proxy")
proxy.server = ("" => (("host" => "127.0.0.1", "port" => $BACK)))
CONF
front "$WORK/root/usr/sbin/lighttpd" -D -m "$WORK/root/usr/lib/lighttpd" -f "$WORK/lighttpd.conf" >"$WORK/seen"
measured "lighttpd" "cut" "200, whole (content-length: 191)" "$(cat "$WORK/seen")"

PORT="$(free_port)"
cat >"$WORK/h2o.conf" <<CONF
listen: {host: 127.0.0.1, port: $PORT}
user: $(id -un)
hosts: {default: {paths: {/: {proxy.reverse.url: "http://127.0.0.1:$BACK/"}}}}
CONF
front "$WORK/root/usr/bin/h2o" -c "$WORK/h2o.conf" >"$WORK/seen"
measured "h2o" "cut" "200, whole (last chunk)" "$(cat "$WORK/seen")"
finish
