#!/usr/bin/env bash
# An error body with status 200 is a finished, empty answer to @ai-sdk/openai and to both OpenAI SDKs.
#
# Asked for a stream, a server answers 200 and `content-type: application/json` with an error object: a gateway's quota
# page, a proxy that had sent the status before it knew. None of the three looks at the content type. What has no `data:`
# line is no event, so the loop is over at once, and nothing is raised. @ai-sdk/openai-compatible and Mistral's SDK do object.
#
# Version: @ai-sdk/openai 3.0.141, @ai-sdk/openai-compatible 2.0.92, ai 6.0.326, openai 6.49.0 (npm); openai 3.57.0,
#          mistralai 3.7.0 (PyPI).
# Source:  @ai-sdk/provider-utils, createEventSourceResponseHandler; openai/_streaming.py, SSEDecoder.
# Hurts:   users who see an agent stop without a word: no text, no tool call, no error.
# Do:      a proxy must give a failed stream its real status, or an SSE error event; a client must treat a stream without
#          finish_reason as failed.
# Seen:    openai-python: nothing | openai-node: nothing | @ai-sdk/openai: finish other |
#          @ai-sdk/openai-compatible: error, finish error | mistralai: SDKError
. "$(dirname "$0")/lib.sh"
python_packages openai==3.57.0 mistralai==3.7.0
node_packages openai@6.49.0 ai@6.0.326 @ai-sdk/openai@3.0.141 @ai-sdk/openai-compatible@2.0.92 zod@4.6.7
provider <<'PY'
from provider import *
ANSWERS = {"quota": body({"error": {"message": "quota exceeded", "type": "insufficient_quota", "code": 429}})}
PY
python_reads() {
  "$PY" - "$1" <<'PY'
import os, sys
seen, messages = [], [{"role": "user", "content": "x"}]
try:
    if sys.argv[1] == "openai":
        import openai
        client = openai.OpenAI(api_key="x", base_url=f"{os.environ['PROVIDER']}/quota", max_retries=0)
        seen += list(client.chat.completions.create(model="m", messages=messages, stream=True))
    else:
        from mistralai.client import Mistral
        client = Mistral(api_key="x", server_url=f"{os.environ['PROVIDER']}/quota")
        seen += list(client.chat.stream(model="m", messages=messages))
except Exception as error:
    seen.append(type(error).__name__)
print(*(seen or ["nothing"]))
PY
}
node_reads() {
  PACKAGE="$1" node_run <<'JS'
import OpenAI from "openai";
import { streamText } from "ai";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
const options = { name: "p", apiKey: "x", baseURL: `${process.env.PROVIDER}/quota`, maxRetries: 0 }, seen = [];
if (process.env.PACKAGE === "openai") {
  const messages = [{ role: "user", content: "x" }];
  for await (const chunk of await new OpenAI(options).chat.completions.create({ model: "m", messages, stream: true })) seen.push(chunk);
} else {
  const model = process.env.PACKAGE === "ai" ? createOpenAI(options).chat("m") : createOpenAICompatible(options).chatModel("m");
  for await (const part of streamText({ model, prompt: "x", maxRetries: 0, onError() {} }).fullStream) {
    if (part.type === "error") seen.push("error,");
    if (part.type === "finish") seen.push(`finish ${part.finishReason}`);
  }
}
console.log(seen.join(" ") || "nothing");
JS
}
measured "openai-python" "APIError" "nothing" "$(python_reads openai)"
measured "openai-node" "APIError" "nothing" "$(node_reads openai)"
measured "@ai-sdk/openai" "error, finish error" "finish other" "$(node_reads ai)"
measured "@ai-sdk/openai-compatible" "error, finish error" "error, finish error" "$(node_reads compatible)"
measured "mistralai" "SDKError" "SDKError" "$(python_reads mistral)"
finish
