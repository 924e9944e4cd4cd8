#!/usr/bin/env bash
# LITELLM_RUST=true moves /v1/messages to LiteLLM's Rust core in a program of one's own, and never in the proxy.
#
# The switch counts per request: one that brings a client, a shared session or a timeout of its own is served in Python, and
# the proxy gives each request its shared session and a timeout. The two are told apart at the provider: Python's client
# writes a `connection` header, the Rust core's writes none.
#
# Version: litellm 1.110.2 (PyPI).
# Source:  litellm/rust_bridge/detectors.py, caller_client and timeout_variants; litellm/rust_bridge/catalog.py line 222.
# Hurts:   operators who set it and measure: what they compare is Python with Python.
# Do:      measure by what arrives at the provider; in the proxy the switch is for other things (redaction of log messages).
# Seen:    connection header at the provider: library without the switch yes, with it no, proxy with it yes
. "$(dirname "$0")/lib.sh"
cat >"$WORK/claude.py" <<'PY'
import http.server, json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "A"}],
           "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
class Talk(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args):
        pass
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        with (folder / "log").open("a") as log:
            log.write("yes\n" if "connection" in self.headers else "no\n")
        body = json.dumps(MESSAGE).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Talk)
(folder / "port").write_text(str(server.server_address[1]))
server.serve_forever()
PY
proxy_packages
"$PY" "$WORK/claude.py" "$WORK" 2>/dev/null &
STARTED+=("$!")
await_file "$WORK/port"
BASE="http://127.0.0.1:$(cat "$WORK/port")"
export BASE
library() {
  LITELLM_LOCAL_MODEL_COST_MAP=True "$PY" - >/dev/null 2>"$WORK/errors" <<'PY' || tail -1 "$WORK/errors" >&2
import asyncio, os
import litellm
def call():
    message = {"role": "user", "content": "x"}
    return litellm.anthropic.messages.acreate(model="anthropic/claude-3-5-sonnet", max_tokens=9, messages=[message], api_key="x", api_base=os.environ["BASE"])
async def both():
    for switch in ("false", "true"):
        os.environ["LITELLM_RUST"] = switch
        await call()
asyncio.run(both())
PY
  provider_log
}
through_the_proxy() {
  "$PY" - >/dev/null 2>"$WORK/errors" <<'PY' || tail -1 "$WORK/errors" >&2
import json, os, urllib.request
body = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
headers = {"content-type": "application/json", "authorization": f"Bearer {os.environ['PROXY_KEY']}"}
urllib.request.urlopen(urllib.request.Request(f"{os.environ['PROXY']}/v1/messages", json.dumps(body).encode(), headers)).read()
PY
  provider_log
}
mapfile -t seen < <(library)
export LITELLM_RUST=true
proxy <<YAML
model_list:
  - {model_name: claude, litellm_params: {model: anthropic/claude-3-5-sonnet, api_key: x, api_base: "$BASE"}}
YAML
echo "connection header at the provider:"
measured "library, LITELLM_RUST=false" "yes" "yes" "${seen[0]:-}"
measured "library, LITELLM_RUST=true" "no" "no" "${seen[1]:-}"
measured "proxy, LITELLM_RUST=true" "no" "yes" "$(through_the_proxy)"
finish
