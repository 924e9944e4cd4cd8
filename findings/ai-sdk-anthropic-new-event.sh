#!/usr/bin/env bash
# An event type that is new to @ai-sdk/anthropic is an error to it, though Anthropic announces that there will be new ones.
#
# Anthropic's documentation of streaming asks clients to take unknown event types gracefully, and its SDKs pass them on.
# @ai-sdk/anthropic validates each event against a closed list: an unknown event, block or delta becomes an `error` part
# of the stream, the text goes on behind it, and the finish reason is `stop` all the same.
#
# Version: ai 6.0.326 with @ai-sdk/anthropic 3.0.140, @anthropic-ai/sdk 1.14.0 (npm).
# Source:  @ai-sdk/anthropic, anthropicMessagesChunkSchema (a closed union); the same schema for blocks and deltas.
# Hurts:   users of AI-SDK agents on the day that the provider, or a proxy with an event of its own, sends something new:
#          whoever aborts on an `error` part (most agents do) loses a good answer.
# Do:      a proxy must add no event types of its own on /v1/messages; an agent should look at the finish reason before it gives up.
# Seen:    ai: AI_TypeValidationError, A, finish stop | sdk: message_start news content_block_start ... message_stop
. "$(dirname "$0")/lib.sh"
node_packages ai@6.0.326 @ai-sdk/anthropic@3.0.140 @anthropic-ai/sdk@1.14.0 zod@4.6.7
provider <<'PY'
from provider import *
block = claude("content_block_start", index=0, content_block={"type": "hologram"}) + claude("content_block_stop", index=0)
ANSWERS = {
    "event": sse(claude_start(), claude("news", text="hi"), claude_text("A"), claude_end()),
    "block": sse(claude_start(), block, claude_text("A", index=1), claude_end()),
}
PY
reads() {
  PACKAGE="$1" NAME="$2" node_run <<'JS'
import Anthropic from "@anthropic-ai/sdk";
import { streamText } from "ai";
import { createAnthropic } from "@ai-sdk/anthropic";
const options = { apiKey: "x", baseURL: `${process.env.PROVIDER}/${process.env.NAME}`, maxRetries: 0 }, seen = [];
if (process.env.PACKAGE === "sdk") {
  const request = { model: "m", max_tokens: 9, messages: [{ role: "user", content: "x" }], stream: true };
  for await (const event of await new Anthropic(options).messages.create(request))
    if (event.type === "content_block_delta") seen.push(event.delta.text);
} else {
  for await (const part of streamText({ model: createAnthropic(options)("m"), prompt: "x", maxRetries: 0, onError() {} }).fullStream) {
    if (part.type === "text-delta") seen.push(part.text);
    if (part.type === "error") seen.push(part.error.name);
    if (part.type === "finish") seen.push(`finish ${part.finishReason}`);
  }
}
console.log(seen.join(" "));
JS
}
measured "sdk, an event of an unknown type" "A" "A" "$(reads sdk event)"
measured "ai, an event of an unknown type" "A finish stop" "AI_TypeValidationError A finish stop" "$(reads ai event)"
measured "ai, a block of an unknown type" "A finish stop" "AI_TypeValidationError A finish stop" "$(reads ai block)"
finish
