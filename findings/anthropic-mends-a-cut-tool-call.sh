#!/usr/bin/env bash
# A tool call that is cut off in mid-JSON comes out of Anthropic's stream helpers as a valid, shorter one.
#
# The helpers parse the input with a parser for partial JSON and never with a strict one. When the stream ends inside a
# tool's input, at `max_tokens` or because the provider was cut off, `get_final_message()` returns a tool_use block whose
# input lacks what had not come: the unfinished string is gone, and so is its key. Python raises nothing at a cut (only
# stop_reason is None); and the two SDKs repair differently, [1, 2] against [1].
#
# Version: anthropic 2.14.0 (PyPI), @anthropic-ai/sdk 1.14.0 (npm).
# Source:  anthropic/lib/streaming/_messages.py line 509 (jiter, partial_mode=True); _vendor/partial-json-parser.
# Hurts:   users of agents: `{"path": ..., "content": "rm` becomes a call with a path and no content, and tools with
#          optional arguments run it.
# Do:      run a tool only if stop_reason is `tool_use`; a proxy must end a cut stream in an error, which both SDKs raise.
# Seen:    cut, python: None {'path': 'notes.txt'} | max_tokens, python: max_tokens {'a': [1, 2]} |
#          max_tokens, node: max_tokens {"a":[1]} | cut, node: AnthropicError
. "$(dirname "$0")/lib.sh"
python_packages anthropic==2.14.0
node_packages @anthropic-ai/sdk@1.14.0
provider <<'PY'
from provider import *
def tool(text):
    block = {"type": "tool_use", "id": "t1", "name": "write", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": text}
    return claude_start() + claude("content_block_start", index=0, content_block=block) + claude("content_block_delta", index=0, delta=delta)
ANSWERS = {
    "cut": sse(tool('{"path": "notes.txt", "content": "first li')),
    "full": sse(tool('{"a": [1, 2') + claude("content_block_stop", index=0) + claude_end("max_tokens")),
}
PY
python_reads() {
  "$PY" - "$@" <<'PY'
import os, sys, anthropic
def one(name):
    client = anthropic.Anthropic(api_key="x", base_url=f"{os.environ['PROVIDER']}/{name}", max_retries=0)
    try:
        with client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]) as stream:
            message = stream.get_final_message()
        print(message.stop_reason, message.content[0].input)
    except Exception as error:
        print(type(error).__name__)
for name in sys.argv[1:]:
    one(name)
PY
}
mapfile -t python < <(python_reads cut full)
node_reads() {
  CASES="$*" node_run <<'JS'
import Anthropic from "@anthropic-ai/sdk";
for (const name of process.env.CASES.split(" ")) {
  const client = new Anthropic({ apiKey: "x", baseURL: `${process.env.PROVIDER}/${name}`, maxRetries: 0 });
  try {
    const message = await client.messages.stream({ model: "m", max_tokens: 9, messages: [{ role: "user", content: "x" }] }).finalMessage();
    console.log(message.stop_reason, JSON.stringify(message.content[0].input));
  } catch (error) { console.log(error.constructor.name); }
}
JS
}
mapfile -t node < <(node_reads full cut)
measured "python, cut off in a string" "an exception" "None {'path': 'notes.txt'}" "${python[0]:-}"
measured "python, max_tokens in a list" "an exception" "max_tokens {'a': [1, 2]}" "${python[1]:-}"
measured "node, max_tokens in a list" "the same as python" 'max_tokens {"a":[1]}' "${node[0]:-}"
measured "node, cut off in a string" "an exception" "AnthropicError" "${node[1]:-}"
finish
