#!/usr/bin/env bash
# An SSE event named `error` is not an error to the OpenAI SDKs: it arrives as a chunk without choices.
#
# Both readers look for a key `error` in the data, not at the event's name. `event: error` with `{"message": …}`, or a
# plain `{"detail": …}` (what FastAPI writes), is handed to the loop as a ChatCompletionChunk whose `choices` is None;
# code that skips chunks without choices, as everybody does for the usage chunk, takes the half answer for a whole one.
#
# Version: openai 3.57.0 (PyPI), openai 6.49.0 (npm).
# Source:  openai/_streaming.py, Stream.__stream__ (`data.get("error")`); core/streaming.mjs, Stream.fromSSEResponse.
# Hurts:   users of proxies and gateways that end a failed chat stream in an error that lacks the outer `error` object.
# Do:      end a failed chat stream with `data: {"error": {...}}`; in a client, treat a stream without finish_reason as failed.
# Seen:    python: A nothing | node: A nothing (and with the outer `error` object: A APIError in both)
. "$(dirname "$0")/lib.sh"
python_packages openai==3.57.0
node_packages openai@6.49.0
provider <<'PY'
from provider import *
ANSWERS = {
    "named": sse(chat("A"), event({"message": "overloaded", "code": 529}, "error"), DONE),
    "detail": sse(chat("A"), event({"detail": "overloaded"}), DONE),
    "wrapped": sse(chat("A"), event({"error": {"message": "overloaded", "code": 529}}), DONE),
}
PY
python_reads() {
  "$PY" - "$1" <<'PY'
import os, sys, openai
client = openai.OpenAI(api_key="x", base_url=f"{os.environ['PROVIDER']}/{sys.argv[1]}", max_retries=0)
seen = []
try:
    for chunk in client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True):
        seen.append(chunk.choices[0].delta.content if chunk.choices else "nothing")
except Exception as error:
    seen.append(type(error).__name__)
print(*seen)
PY
}
node_reads() {
  NAME="$1" node_run <<'JS'
import OpenAI from "openai";
const client = new OpenAI({ apiKey: "x", baseURL: `${process.env.PROVIDER}/${process.env.NAME}`, maxRetries: 0 });
const seen = [];
try {
  const messages = [{ role: "user", content: "x" }];
  for await (const chunk of await client.chat.completions.create({ model: "m", messages, stream: true }))
    seen.push(chunk.choices?.length ? chunk.choices[0].delta.content : "nothing");
} catch (error) { seen.push(error.constructor.name); }
console.log(seen.join(" "));
JS
}
for reads in python_reads node_reads; do
  measured "$reads: an error object" "A APIError" "A APIError" "$($reads wrapped)"
  measured "$reads: event: error with a flat body" "A APIError" "A nothing" "$($reads named)"
  measured "$reads: {\"detail\": ...}" "A APIError" "A nothing" "$($reads detail)"
done
finish
