#!/usr/bin/env bash
# @google/genai drops an event, text and all, whose first line is not `data:`; an error under `event: error` with it.
#
# The reader cuts the body at blank lines and keeps only the pieces that begin with `data:`. A legal SSE event that begins
# with `id:` or `event:` is gone without a word. So a stream that a proxy ends in `event: error` looks like one that
# ended well, and a stream whose first event has an id lacks its beginning.
#
# Version: @google/genai 2.32.0 (npm).
# Source:  dist/node/index.mjs, ApiClient.processStreamResponse (line 14010, `dataPrefix`).
# Hurts:   users of Gemini's CLI and of agents on @google/genai behind a proxy: half an answer as a whole one.
# Do:      on Gemini's native routes write `data:` as an event's only line, errors too: `data: {"error": {"code": 429, ...}}`.
# Seen:    id first: B | event: error: A | data: error: A ApiError
. "$(dirname "$0")/lib.sh"
node_packages @google/genai@2.32.0
provider <<'PY'
from provider import *
refused = {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}
ANSWERS = {
    "id": sse(b"id: 1\r\n" + gemini("A"), gemini("B"), gemini("", "STOP")),
    "named": sse(gemini("A"), event(refused, "error")),
    "data": sse(gemini("A"), event(refused)),
}
PY
reads() {
  CASES="$*" node_run <<'JS'
import { GoogleGenAI } from "@google/genai";
for (const name of process.env.CASES.split(" ")) {
  const client = new GoogleGenAI({ apiKey: "x", httpOptions: { baseUrl: `${process.env.PROVIDER}/${name}` } });
  const seen = [];
  try {
    for await (const chunk of await client.models.generateContentStream({ model: "m", contents: "x" }))
      if (chunk.text) seen.push(chunk.text);
  } catch (error) { seen.push(error.constructor.name); }
  console.log(seen.join(" "));
}
JS
}
mapfile -t seen < <(reads id data named)
measured "an id before the first event" "A B" "B" "${seen[0]:-}"
measured "data: with an error" "A ApiError" "A ApiError" "${seen[1]:-}"
measured "event: error with the same error" "A ApiError" "A" "${seen[2]:-}"
finish
