#!/usr/bin/env bash
# LiteLLM's limit for a whole request lets every stream go on for as long as it likes, and takes nonsense for one.
#
# `x-litellm-total-timeout: 1` ends a plain answer that takes 3 seconds with a 408 after one. The same header on a stream is
# passed over without a word, even when it is no number; `total_timeout` in the body of a stream is a 400; with both the
# header wins, and the stream runs on. `timeout` bounds neither: it is the time between two reads.
#
# Version: litellm 1.110.2 (PyPI).
# Source:  litellm/proxy/common_request_processing.py, total_timeout_for (the header is looked at after `bounded`);
#          litellm/litellm_core_utils/total_deadline.py, bounded_by_total_timeout.
# Hurts:   users whose client sends the header with each request: plain ones are bounded, the long ones, which are streamed,
#          are not, and nothing in the answer says so.
# Do:      bound a stream in the client (asyncio.timeout around the loop) or in a callback of the proxy.
# Seen:    limit 1 s, answers of 3 s: plain 408 after 1 s | stream 200, 3 s | stream, header "soon": 200 | stream, body: 400 |
#          stream, both: 200, 3 s | plain, `timeout: 1`: 200, 3 s
. "$(dirname "$0")/lib.sh"
provider <<'PY'
from provider import *
WHOLE = json.dumps(answer()).encode()
ANSWERS = {"stream": sse(*[part for _ in range(10) for part in (chat("A"), 0.3)], chat(finish="stop"), DONE),
           "plain": Answer([part for _ in range(10) for part in (b" ", 0.3)] + [WHOLE], type="application/json")}
PY
proxy_packages
proxy <<YAML
model_list:
  - {model_name: stream, litellm_params: {model: openai/m, api_key: x, api_base: "$PROVIDER/stream"}}
  - {model_name: plain, litellm_params: {model: openai/m, api_key: x, api_base: "$PROVIDER/plain"}}
YAML
cat >"$WORK/ask.py" <<'PY'
import json, os, time, urllib.error, urllib.request
def ask(model, header=None, **more):
    body = {"model": model, "messages": [{"role": "user", "content": "x"}], "stream": model == "stream", **more}
    headers = {"content-type": "application/json", "authorization": f"Bearer {os.environ['PROXY_KEY']}"}
    if header:
        headers["x-litellm-total-timeout"] = header
    begun = time.monotonic()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{os.environ['PROXY']}/v1/chat/completions", json.dumps(body).encode(), headers)) as got:
            got.read()
            status = got.status
    except urllib.error.HTTPError as error:
        status = error.code
    took = time.monotonic() - begun
    return f"{status} {'at once' if took < 0.9 else 'at the limit' if took < 2.5 else 'at the end'}"
ask("plain")  # the first request is slow
print(ask("plain", header="1"))
print(ask("stream", header="1"))
print(ask("stream", header="soon"))
print(ask("stream", total_timeout=1))
print(ask("stream", header="1", total_timeout=1))
print(ask("plain", timeout=1))
PY
mapfile -t seen < <("$PY" "$WORK/ask.py" 2>"$WORK/errors" || tail -2 "$WORK/errors" >&2)
measured "plain, header" "408 at the limit" "408 at the limit" "${seen[0]:-}"
measured "stream, header" "200 at the limit" "200 at the end" "${seen[1]:-}"
measured "stream, header that is no number" "400 at once" "200 at the end" "${seen[2]:-}"
measured "stream, body" "200 at the limit" "400 at once" "${seen[3]:-}"
measured "stream, header and body" "200 at the limit" "200 at the end" "${seen[4]:-}"
measured "plain, timeout: 1" "408 at the limit" "200 at the end" "${seen[5]:-}"
finish
