#!/usr/bin/env bash
# `"error": null` beside a chunk's text makes @ai-sdk/openai-compatible throw the text away.
#
# The package asks whether the chunk *has* a key `error`, not whether there is anything in it. A server that serializes
# every optional field, as pydantic's model_dump does unless told not to, loses its whole answer. @ai-sdk/openai, made by the same
# people for the same format, reads it.
#
# Version: @ai-sdk/openai-compatible 2.0.92, @ai-sdk/openai 3.0.141, ai 6.0.326 (npm).
# Source:  @ai-sdk/openai-compatible/dist/index.js, doStream (`if ("error" in chunk.value)`).
# Hurts:   users of OpenCode and of every AI-SDK agent that reaches its proxy through the "compatible" package: an empty
#          answer with an error `null`, where curl and OpenAI's own SDKs show the text.
# Do:      leave `error` out of chunks that have none (`exclude_none=True`); as a user, take @ai-sdk/openai's `.chat()`.
# Seen:    @ai-sdk/openai: A B finish stop | @ai-sdk/openai-compatible: error null, error null, error null, finish error
. "$(dirname "$0")/lib.sh"
node_packages ai@6.0.326 @ai-sdk/openai@3.0.141 @ai-sdk/openai-compatible@2.0.92 zod@4.6.7
provider <<'PY'
from provider import *
ANSWERS = {"null": sse(chat("A", error=None), chat("B", error=None), chat(finish="stop", error=None), DONE)}
PY
reads() {
  PACKAGE="$1" node_run <<'JS'
import { streamText } from "ai";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
const options = { name: "p", apiKey: "x", baseURL: `${process.env.PROVIDER}/null` };
const model = process.env.PACKAGE === "openai" ? createOpenAI(options).chat("m") : createOpenAICompatible(options).chatModel("m");
const seen = [];
for await (const part of streamText({ model, prompt: "x", maxRetries: 0, onError() {} }).fullStream) {
  if (part.type === "text-delta") seen.push(part.text);
  if (part.type === "error") seen.push(`error ${part.error},`);
  if (part.type === "finish") seen.push(`finish ${part.finishReason}`);
}
console.log(seen.join(" "));
JS
}
measured "@ai-sdk/openai" "A B finish stop" "A B finish stop" "$(reads openai)"
measured "@ai-sdk/openai-compatible" "A B finish stop" "error null, error null, error null, finish error" "$(reads compatible)"
finish
