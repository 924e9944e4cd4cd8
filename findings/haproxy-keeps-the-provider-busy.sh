#!/usr/bin/env bash
# HAProxy does not tell the server behind it that the client has left, as long as the server is silent.
#
# HAProxy watches both sides, so one expects it to close the one when the other is closed. By default it waits for the server, before the
# first byte and between two chunks, and learns of the client only when there is something to write: `option
# abortonclose` is off in 2.6, because a client may half-close and still read.
#
# Version: haproxy 2.6.12-1+deb12u4 (Debian 12).
# Source:  HAProxy 2.6 configuration manual, "option abortonclose".
# Hurts:   users of an LLM proxy behind it: who leaves while the model thinks keeps a slot for parallel requests taken, and
#          tokens billed, until the model says something.
# Do:      `option abortonclose` in the backend of an LLM proxy.
# Seen:    server sees the client leave within 2 s: direct yes | haproxy, before an answer no, in mid-stream no |
#          with abortonclose yes, yes
. "$(dirname "$0")/lib.sh"
debian_packages haproxy=2.6.12-1+deb12u4 liblua5.3-0 libopentracing-c-wrapper0 libopentracing1
provider <<'PY'
from provider import *
ANSWERS = {"thinks": sse(chat("A"), DONE, silent=4.0), "pauses": sse(chat("A"), 4.0, DONE)}
PY
BACK="${PROVIDER##*:}"
export WORK
front() {
  PORT="$(free_port)"
  cat >"$WORK/haproxy.cfg" <<CONF
defaults
 mode http
 timeout connect 5s
 timeout client 60s
 timeout server 60s
 $1
frontend clients
 bind 127.0.0.1:$PORT
 default_backend provider
backend provider
 server provider 127.0.0.1:$BACK
CONF
  start "$WORK/root/usr/sbin/haproxy" -db -f "$WORK/haproxy.cfg"
  await_port "$PORT"
}
noticed() { python3 "$FINDINGS/proxies.py" noticed "$@"; }
measured "direct, in mid-stream" "yes" "yes" "$(noticed "$BACK" pauses 'data: ')"
front ""
measured "haproxy, before an answer" "yes" "no" "$(noticed "$PORT" thinks)"
sleep 2.5
measured "haproxy, in mid-stream" "yes" "no" "$(noticed "$PORT" pauses 'data: ')"
sleep 2.5
front "option abortonclose"
measured "haproxy with abortonclose, before an answer" "yes" "yes" "$(noticed "$PORT" thinks)"
measured "haproxy with abortonclose, in mid-stream" "yes" "yes" "$(noticed "$PORT" pauses 'data: ')"
finish
