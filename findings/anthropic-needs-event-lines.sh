#!/usr/bin/env bash
# Without `event:` lines an Anthropic stream is empty to Anthropic's SDKs, errors included.
#
# Each event carries its type twice, in `event:` and in the JSON's `type`. Both SDKs go by the first alone: where a gateway
# passes only the `data:` lines on, every event is dropped in silence, and `data: {"type": "error", ...}` with them.
# @ai-sdk/anthropic goes by the second and reads it all.
#
# Version: anthropic 2.14.0 (PyPI), @anthropic-ai/sdk 1.14.0, ai 6.0.326 with @ai-sdk/anthropic 3.0.140 (npm).
# Source:  anthropic/_streaming.py, Stream.__stream__ (line 96: events without a name are skipped); core/streaming.mjs.
# Hurts:   users of Claude Code and the SDKs behind a gateway that rewrites SSE: an answer without content, which the
#          agent takes for the model's silence; an overload error is not seen, so nothing is tried again.
# Do:      write `event:` before each `data:` on /v1/messages, for errors that the proxy makes itself, too.
# Seen:    python and node: no event | error without its name: A, then the end, nothing raised | ai: A B stop
. "$(dirname "$0")/lib.sh"
python_packages anthropic==2.14.0
node_packages @anthropic-ai/sdk@1.14.0 ai@6.0.326 @ai-sdk/anthropic@3.0.140 zod@4.6.7
provider <<'PY'
from provider import *
whole = claude_start() + claude_text("A", "B") + claude_end()
error = event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
ANSWERS = {
    "named": sse(whole),
    "bare": sse(b"\n".join(line for line in whole.split(b"\n") if not line.startswith(b"event:"))),
    "error": sse(claude_start() + claude_text("A") + error),
}
PY
python_reads() {
  "$PY" - "$@" <<'PY'
import os, sys, anthropic
def one(name):
    client = anthropic.Anthropic(api_key="x", base_url=f"{os.environ['PROVIDER']}/{name}", max_retries=0)
    seen = []
    try:
        for event in client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}], stream=True):
            seen += [event.delta.text] if event.type == "content_block_delta" else []
    except Exception as error:
        seen.append(type(error).__name__)
    print(*(seen or ["no event"]))
for name in sys.argv[1:]:
    one(name)
PY
}
mapfile -t python < <(python_reads named bare error)
node_reads() {
  CASES="$*" node_run <<'JS'
import Anthropic from "@anthropic-ai/sdk";
import { streamText } from "ai";
import { createAnthropic } from "@ai-sdk/anthropic";
for (const [kind, name] of process.env.CASES.split(" ").map((pair) => pair.split(":"))) {
  const options = { apiKey: "x", baseURL: `${process.env.PROVIDER}/${name}`, maxRetries: 0 }, seen = [];
  try {
    if (kind === "sdk") {
      const request = { model: "m", max_tokens: 9, messages: [{ role: "user", content: "x" }], stream: true };
      for await (const event of await new Anthropic(options).messages.create(request))
        if (event.type === "content_block_delta") seen.push(event.delta.text);
    } else {
      const model = createAnthropic(options)("m");
      for await (const part of streamText({ model, prompt: "x", maxRetries: 0, onError() {} }).fullStream) {
        if (part.type === "text-delta") seen.push(part.text);
        if (part.type === "error") seen.push("error");
      }
    }
  } catch (error) { seen.push(error.constructor.name); }
  console.log(seen.join(" ") || "no event");
}
JS
}
mapfile -t node < <(node_reads sdk:bare sdk:error ai:bare ai:error)
measured "python, with event: lines" "A B" "A B" "${python[0]:-}"
measured "python, without" "A B" "no event" "${python[1]:-}"
measured "python, an error without its name" "A APIStatusError" "A" "${python[2]:-}"
measured "node, without" "A B" "no event" "${node[0]:-}"
measured "node, an error without its name" "A APIError" "A" "${node[1]:-}"
measured "@ai-sdk/anthropic, without" "A B" "A B" "${node[2]:-}"
measured "@ai-sdk/anthropic, an error without its name" "A error" "A error" "${node[3]:-}"
finish
