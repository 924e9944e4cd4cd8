#!/usr/bin/env bash
# An error in a Gemini stream whose `code` is a string, as LiteLLM writes it, is a TypeError in Python and nothing in Node.
#
# LiteLLM's own errors have the form {"error": {"message", "type", "param", "code": "429"}}: the code is text. google-genai
# compares it to 400 and raises TypeError, which is none of its errors; @google/genai raises only for numbers, so the loop
# gets one more chunk, without candidates, and ends as if all were well.
#
# Version: google-genai 3.6.1 (PyPI), @google/genai 2.32.0 (npm).
# Source:  google/genai/errors.py line 215 (`400 <= status_code`); dist/node/index.mjs line 14281 (`typeof code === 'number'`).
# Hurts:   users of a proxy's Gemini route: an `except errors.APIError` misses it, and in Node half an answer passes for a whole.
# Do:      write the code as a number on Gemini's routes, with `status` beside it.
# Seen:    python: A TypeError | node: A nothing | with a number: A ClientError, A ApiError
. "$(dirname "$0")/lib.sh"
python_packages google-genai==3.6.1
node_packages @google/genai@2.32.0
provider <<'PY'
from provider import *
def failed(code):
    return sse(gemini("A"), event({"error": {"message": "no", "type": "throttling_error", "param": None, "code": code}}))
ANSWERS = {"text": failed("429"), "number": failed(429)}
PY
python_reads() {
  "$PY" - "$@" <<'PY'
import os, sys
from google import genai
from google.genai import types
def one(name):
    options = types.HttpOptions(base_url=f"{os.environ['PROVIDER']}/{name}")
    client, seen = genai.Client(api_key="x", http_options=options), []
    try:
        for chunk in client.models.generate_content_stream(model="m", contents="x"):
            seen.append(chunk.text or "nothing")
    except Exception as error:
        seen.append(type(error).__name__)
    print(*seen)
for name in sys.argv[1:]:
    one(name)
PY
}
mapfile -t python < <(python_reads number text)
node_reads() {
  CASES="$*" node_run <<'JS'
import { GoogleGenAI } from "@google/genai";
for (const name of process.env.CASES.split(" ")) {
  const client = new GoogleGenAI({ apiKey: "x", httpOptions: { baseUrl: `${process.env.PROVIDER}/${name}` } });
  const seen = [];
  try {
    for await (const chunk of await client.models.generateContentStream({ model: "m", contents: "x" })) seen.push(chunk.text ?? "nothing");
  } catch (error) { seen.push(error.constructor.name); }
  console.log(seen.join(" "));
}
JS
}
mapfile -t node < <(node_reads number text)
measured "python, code 429" "A ClientError" "A ClientError" "${python[0]:-}"
measured "python, code \"429\"" "A ClientError" "A TypeError" "${python[1]:-}"
measured "node, code 429" "A ApiError" "A ApiError" "${node[0]:-}"
measured "node, code \"429\"" "A ApiError" "A nothing" "${node[1]:-}"
finish
