#!/usr/bin/env bash
# `overloaded_error` inside a stream is an APIStatusError of status 200: neither OverloadedError nor anything else that is retried.
#
# The same error before the first event comes with a status, 529, and gets the class that belongs to it. In the stream the SDK still makes the
# class from the response's status, and that was 200 as the stream began; the type in the event is not asked. Node's SDK has no
# status at all there, and the type in a field of its own.
#
# Version: anthropic 2.14.0 (PyPI), @anthropic-ai/sdk 1.14.0 (npm, Node 20.20).
# Source:  anthropic/_streaming.py line 108 (`_make_status_error(…, response=self.response)`); Anthropic's documentation names the event as
#          what stands for a 529 in a stream.
# Hurts:   users whose code retries `except (RateLimitError, OverloadedError)` or `status_code >= 500`: an overloaded model in mid-stream is
#          let through to them as a bug, and counted as a status 200 in their metrics.
# Do:      around a stream ask `error.body["error"]["type"]`, not the class and not the status.
# Seen:    overloaded_error in the stream: Python APIStatusError 200, Node APIError undefined overloaded_error; as a 529: OverloadedError 529
#          in both | rate_limit_error in the stream: APIStatusError 200, APIError undefined; as a 429: RateLimitError 429 in both
. "$(dirname "$0")/lib.sh"
python_packages anthropic==2.14.0
node_packages @anthropic-ai/sdk@1.14.0
provider <<'PY'
from provider import *
def error(kind):
    return {"type": "error", "error": {"type": kind, "message": "later"}}
def inside(kind):
    return sse(claude_start(), claude_text("Half"), event(error(kind), "error"))
ANSWERS = {
    "overloaded": inside("overloaded_error"), "529": body(error("overloaded_error"), 529),
    "limited": inside("rate_limit_error"), "429": body(error("rate_limit_error"), 429),
}
PY
cat >"$WORK/ask.py" <<'PY'
import os
import anthropic
for name in ("overloaded", "529", "limited", "429"):
    client = anthropic.Anthropic(api_key="none", base_url=f"{os.environ['PROVIDER']}/{name}", max_retries=0)
    try:
        with client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]) as stream:
            stream.get_final_message()
    except anthropic.APIError as error:
        print("python", name, type(error).__name__, getattr(error, "status_code", None))
PY
"$PY" "$WORK/ask.py" >"$WORK/seen"
node_run >>"$WORK/seen" <<'JS' || echo "the script failed" >&2
import Anthropic from "@anthropic-ai/sdk";
for (const name of ["overloaded", "529", "limited", "429"]) {
  const client = new Anthropic({ apiKey: "none", baseURL: `${process.env.PROVIDER}/${name}`, maxRetries: 0 });
  try {
    await client.messages.stream({ model: "m", max_tokens: 9, messages: [{ role: "user", content: "x" }] }).finalMessage();
  } catch (error) {
    console.log("node", name, error.constructor.name, error.status, error.type);
  }
}
JS
seen() { sed -n "s/^$1 $2 //p" "$WORK/seen"; }
measured "python, overloaded_error in the stream" "OverloadedError 529" "APIStatusError 200" "$(seen python overloaded)"
measured "python, overloaded_error at status 529" "OverloadedError 529" "OverloadedError 529" "$(seen python 529)"
measured "python, rate_limit_error in the stream" "RateLimitError 429" "APIStatusError 200" "$(seen python limited)"
measured "python, rate_limit_error at status 429" "RateLimitError 429" "RateLimitError 429" "$(seen python 429)"
measured "node, overloaded_error in the stream" "OverloadedError 529 overloaded_error" "APIError undefined overloaded_error" "$(seen node overloaded)"
measured "node, overloaded_error at status 529" "OverloadedError 529 overloaded_error" "OverloadedError 529 overloaded_error" "$(seen node 529)"
measured "node, rate_limit_error in the stream" "RateLimitError 429 rate_limit_error" "APIError undefined rate_limit_error" "$(seen node limited)"
measured "node, rate_limit_error at status 429" "RateLimitError 429 rate_limit_error" "RateLimitError 429 rate_limit_error" "$(seen node 429)"
finish
