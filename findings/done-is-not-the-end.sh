#!/usr/bin/env bash
# `data: [DONE]` ends nothing for openai-node and for the AI SDK: both go on until the body ends.
#
# openai-node yields nothing more after [DONE], but reads on: `for await` returns only when the server ends the body. The
# AI SDK skips [DONE] as if it were a comment: it still takes what comes after, text included, and sends its `finish` at
# the body's end. openai-python returns at [DONE].
#
# Version: openai 6.49.0, ai 6.0.326 with @ai-sdk/openai 3.0.141 (npm); openai 3.57.0 (PyPI).
# Source:  core/streaming.mjs, Stream.fromSSEResponse (`done = true; continue`); @ai-sdk/provider-utils,
#          parseJsonEventStream (`if (data === "[DONE]") return`).
# Hurts:   users whose proxy does its work (logging, spend, hooks) between [DONE] and the end of the body: an agent's turn
#          lasts that much longer, although the answer is on the screen.
# Do:      end the body right after [DONE] and do the rest behind it; send nothing behind [DONE].
# Seen:    seconds until the loop is over when the body ends 2 s after [DONE]: python 0, node 2, ai 2
. "$(dirname "$0")/lib.sh"
python_packages openai==3.57.0
node_packages openai@6.49.0 ai@6.0.326 @ai-sdk/openai@3.0.141 zod@4.6.7
provider <<'PY'
from provider import *
ANSWERS = {
    "late": sse(chat("A"), chat(finish="stop"), DONE, 2.0),
    "more": sse(chat("A"), chat(finish="stop"), DONE, chat("Z")),
}
PY
python_takes() {
  "$PY" - <<'PY'
import os, time, openai
client = openai.OpenAI(api_key="x", base_url=f"{os.environ['PROVIDER']}/late", max_retries=0)
begun = time.monotonic()
for chunk in client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True):
    pass
print(round(time.monotonic() - begun), "s")
PY
}
node_reads() {
  LIBRARY="$1" NAME="$2" node_run <<'JS'
import OpenAI from "openai";
import { streamText } from "ai";
import { createOpenAI } from "@ai-sdk/openai";
const baseURL = `${process.env.PROVIDER}/${process.env.NAME}`, content = "x", begun = Date.now();
let text = "";
if (process.env.LIBRARY === "openai") {
  const client = new OpenAI({ apiKey: "x", baseURL, maxRetries: 0 });
  const messages = [{ role: "user", content }];
  for await (const chunk of await client.chat.completions.create({ model: "m", messages, stream: true }))
    text += chunk.choices[0].delta.content ?? "";
} else {
  const model = createOpenAI({ apiKey: "x", baseURL }).chat("m");
  for await (const piece of streamText({ model, prompt: content, maxRetries: 0 }).textStream) text += piece;
}
console.log(process.env.NAME === "late" ? `${Math.round((Date.now() - begun) / 1000)} s` : text);
JS
}
measured "openai-python, body ends 2 s after [DONE]" "0 s" "0 s" "$(python_takes)"
measured "openai-node, body ends 2 s after [DONE]" "0 s" "2 s" "$(node_reads openai late)"
measured "ai, body ends 2 s after [DONE]" "0 s" "2 s" "$(node_reads ai late)"
measured "openai-node, text after [DONE]" "A" "A" "$(node_reads openai more)"
measured "ai, text after [DONE]" "A" "AZ" "$(node_reads ai more)"
finish
