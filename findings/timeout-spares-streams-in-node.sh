#!/usr/bin/env bash
# `timeout: 2000` bounds nothing of a stream in OpenAI's and Anthropic's JavaScript SDKs, and the whole of it in Google's.
#
# openai-node and @anthropic-ai/sdk stop their clock once the status is there: the stream behind it may be silent for as long as
# it likes (Node's fetch gives up after 300 s). In @google/genai the clock runs on and ends a stream that is alive. One name,
# two meanings, and neither is the one of the Python SDKs, where it is the longest silence between two pieces.
#
# Version: openai 6.49.0, @anthropic-ai/sdk 1.14.0, @google/genai 2.32.0 (npm, Node 20.20).
# Source:  openai/client.mjs, fetchWithTimeout (`finally { clearTimeout(timeout); }`), and the same in @anthropic-ai/sdk;
#          @google/genai dist/node/index.mjs, createAttemptSignal (a deadline for the attempt, its body included).
# Hurts:   users who port an agent from Python: a model that hangs in mid-answer holds the turn for minutes, and its slot at the
#          proxy; with Google's SDK every long answer breaks off at the same second.
# Do:      a clock of one's own that starts anew with each chunk, and an AbortSignal.
# Seen:    timeout 2 s. Silent for 5 s: openai whole, anthropic whole, google AbortError | a word each 0.4 s for 5 s: openai
#          whole, anthropic whole, google AbortError
. "$(dirname "$0")/lib.sh"
node_packages openai@6.49.0 @anthropic-ai/sdk@1.14.0 @google/genai@2.32.0
provider <<'PY'
from provider import *
def in_block(*parts):
    head = claude_start() + claude("content_block_start", index=0, content_block={"type": "text", "text": ""})
    return sse(head, *parts, claude("content_block_stop", index=0), claude_end())
def said(word):
    return claude("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
def slowly(words):
    return [part for word in words for part in (word, 0.4)]
ANSWERS = {
    "silent": sse(chat("A"), 5.0, chat("B", "stop"), DONE),
    "slow": sse(*slowly([chat("x")] * 12), chat("B", "stop"), DONE),
    "silent_claude": in_block(said("A"), 5.0, said("B")),
    "slow_claude": in_block(*slowly([said("x")] * 12), said("B")),
    "silent_gemini": sse(gemini("A"), 5.0, gemini("B", "STOP")),
    "slow_gemini": sse(*slowly([gemini("x")] * 12), gemini("B", "STOP")),
}
PY
node_run >"$WORK/seen" <<'JS'
import OpenAI from "openai";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
const at = process.env.PROVIDER, messages = [{ role: "user", content: "x" }];
const of = {
  async *openai(name) {
    const client = new OpenAI({ apiKey: "none", baseURL: `${at}/${name}`, maxRetries: 0, timeout: 2000 });
    for await (const chunk of await client.chat.completions.create({ model: "m", messages, stream: true })) yield chunk.choices[0].delta.content ?? "";
  },
  async *anthropic(name) {
    const client = new Anthropic({ apiKey: "none", baseURL: `${at}/${name}_claude`, maxRetries: 0, timeout: 2000 });
    for await (const chunk of await client.messages.create({ model: "m", max_tokens: 9, messages, stream: true })) yield chunk.delta?.text ?? "";
  },
  async *google(name) {
    const client = new GoogleGenAI({ apiKey: "none", httpOptions: { baseUrl: `${at}/${name}_gemini`, timeout: 2000 } });
    for await (const chunk of await client.models.generateContentStream({ model: "m", contents: "x" })) yield chunk.text ?? "";
  },
};
const read = async (which, name) => {
  let text = "", end = "ended";
  try {
    for await (const word of of[which](name)) text += word;
  } catch (error) {
    end = error.name;
  }
  console.log(`${which} ${name} ${text.endsWith("B") ? "whole" : end}`);
};
await Promise.all(["silent", "slow"].flatMap((name) => Object.keys(of).map((which) => read(which, name))));
JS
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
echo "timeout 2 s; silent for 5 s in mid-stream, or slow: a word each 0.4 s for 5 s:"
measured "openai, silent" "APIConnectionTimeoutError" "whole" "$(seen "openai silent")"
measured "anthropic, silent" "APIConnectionTimeoutError" "whole" "$(seen "anthropic silent")"
measured "google, silent" "AbortError" "AbortError" "$(seen "google silent")"
measured "openai, slow" "whole" "whole" "$(seen "openai slow")"
measured "anthropic, slow" "whole" "whole" "$(seen "anthropic slow")"
measured "google, slow" "whole" "AbortError" "$(seen "google slow")"
finish
