#!/usr/bin/env bash
# An SSE block that has no data kills an OpenAI stream with a JSON error that is none of the SDK's own.
#
# The SSE format dispatches nothing for a block without `data:`. openai-python hands such a block on as an event with
# empty data and parses that as JSON: a lone `retry: 3000`, a lone `event: ping`, and, since an id is kept for ever, any
# comment line after the first `id:`. openai-node does so for `event:` alone. What is raised is json.JSONDecodeError or
# SyntaxError, so `except openai.OpenAIError` around the loop does not see it.
#
# Version: openai 3.57.0 (PyPI), openai 6.49.0 (npm).
# Source:  openai/_streaming.py, SSEDecoder.decode (line 405: last_event_id is never reset); core/streaming.mjs, SSEDecoder.
# Hurts:   users of a proxy that keeps streams alive with `event: ping` or sends `retry:` first: their answer breaks off,
#          the tokens are billed, and the error names JSON, not the proxy.
# Do:      keep streams alive with comments (`: ping`) and send no `id:`, `retry:` or `event:` line on OpenAI's routes;
#          catch ValueError around the loop too.
# Seen:    python retry: JSONDecodeError | event: A JSONDecodeError | id, then comment: A JSONDecodeError
#          node   retry: A B | event: A SyntaxError | id, then comment: A B
. "$(dirname "$0")/lib.sh"
python_packages openai==3.57.0
node_packages openai@6.49.0
provider <<'PY'
from provider import *
end = chat(finish="stop") + DONE
ANSWERS = {
    "retry": sse(b"retry: 3000\n\n", chat("A"), chat("B"), end),
    "event": sse(chat("A"), b"event: ping\n\n", chat("B"), end),
    "id": sse(b"id: 1\n", chat("A"), b": ping\n\n", chat("B"), end),
    "comment": sse(chat("A"), b": ping\n\n", chat("B"), end),
}
PY
python_reads() {
  "$PY" - "$@" <<'PY'
import os, sys, openai
def one(name):
    client = openai.OpenAI(api_key="x", base_url=f"{os.environ['PROVIDER']}/{name}", max_retries=0)
    seen = []
    try:
        for chunk in client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True):
            seen += [chunk.choices[0].delta.content] if chunk.choices[0].delta.content else []
    except Exception as error:
        seen.append(type(error).__name__ + (" (an OpenAIError)" if isinstance(error, openai.OpenAIError) else ""))
    print(*seen)
for name in sys.argv[1:]:
    one(name)
PY
}
mapfile -t python < <(python_reads comment retry event id)
node_reads() {
  CASES="$*" node_run <<'JS'
import OpenAI from "openai";
for (const name of process.env.CASES.split(" ")) {
  const client = new OpenAI({ apiKey: "x", baseURL: `${process.env.PROVIDER}/${name}`, maxRetries: 0 });
  const seen = [];
  try {
    const messages = [{ role: "user", content: "x" }];
    for await (const chunk of await client.chat.completions.create({ model: "m", messages, stream: true }))
      if (chunk.choices[0].delta.content) seen.push(chunk.choices[0].delta.content);
  } catch (error) { seen.push(error.constructor.name + (error instanceof OpenAI.OpenAIError ? " (an OpenAIError)" : "")); }
  console.log(seen.join(" "));
}
JS
}
mapfile -t node < <(node_reads retry event id)
measured "python: a comment alone" "A B" "A B" "${python[0]:-}"
measured "python: retry: alone" "A B" "JSONDecodeError" "${python[1]:-}"
measured "python: event: alone" "A B" "A JSONDecodeError" "${python[2]:-}"
measured "python: a comment after an id:" "A B" "A JSONDecodeError" "${python[3]:-}"
measured "node: retry: alone" "A B" "A B" "${node[0]:-}"
measured "node: event: alone" "A B" "A SyntaxError" "${node[1]:-}"
measured "node: a comment after an id:" "A B" "A B" "${node[2]:-}"
finish
