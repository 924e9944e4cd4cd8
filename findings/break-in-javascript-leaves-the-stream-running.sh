#!/usr/bin/env bash
# `break` in a loop over the AI SDK's textStream, or over @google/genai's stream, does not stop the provider.
#
# In JavaScript `break` calls the iterator's return(), and openai, @anthropic-ai/sdk and @mistralai/mistralai hang up there.
# The AI SDK's textStream is one branch of a tee, the other branch reads on to the end; @google/genai lets the body be.
#
# Version: ai 6.0.326 with @ai-sdk/openai 3.0.141, @google/genai 2.32.0, openai 6.49.0, @mistralai/mistralai 2.7.0 (npm).
# Source:  ai/dist/index.js line 8957, teeStream; @google/genai dist/node/index.mjs, processStreamResponse (its finally
#          calls reader.releaseLock() and no cancel()).
# Hurts:   users who show the first lines and break: the whole answer is made and billed, and the slot is held meanwhile.
# Do:      pass an AbortSignal (`abortSignal` in the AI SDK, `config.abortSignal` in @google/genai) and abort it.
# Seen:    provider sees the client leave within 1.5 s of break: openai yes | mistralai yes | ai no, with abortSignal yes |
#          @google/genai no, with abortSignal yes
. "$(dirname "$0")/lib.sh"
node_packages openai@6.49.0 @mistralai/mistralai@2.7.0 @google/genai@2.32.0 ai@6.0.326 @ai-sdk/openai@3.0.141 zod@4.6.7
provider <<'PY'
from provider import *
ANSWERS = {
    "chat": sse(chat("A"), chat("B"), 4.0, DONE),
    "gemini": sse(gemini("A"), gemini("B"), 4.0, gemini("", "STOP")),
}
PY
leaves() {
  CASES="$*" LOG="$WORK/log" node_run <<'JS'
import { readFileSync } from "node:fs";
import OpenAI from "openai";
import { Mistral } from "@mistralai/mistralai";
import { GoogleGenAI } from "@google/genai";
import { streamText } from "ai";
import { createOpenAI } from "@ai-sdk/openai";
const base = process.env.PROVIDER, messages = [{ role: "user", content: "x" }], model = "m", stream = true;
const chat = { apiKey: "x", baseURL: `${base}/chat` };
const begin = {
  openai: () => new OpenAI(chat).chat.completions.create({ model, messages, stream }),
  mistralai: () => new Mistral({ apiKey: "x", serverURL: `${base}/chat` }).chat.stream({ model, messages }),
  google: (abortSignal) => new GoogleGenAI({ apiKey: "x", httpOptions: { baseUrl: `${base}/gemini` } }).models
    .generateContentStream({ model, contents: "x", config: { abortSignal } }),
  ai: (abortSignal) => streamText({ model: createOpenAI(chat).chat(model), prompt: "x", abortSignal, onError() {} }).textStream,
};
process.on("unhandledRejection", () => {});
const left = () => readFileSync(process.env.LOG, "utf8").split("left").length;
for (const [client, how] of process.env.CASES.split(" ").map((pair) => pair.split(":"))) {
  const abort = new AbortController(), before = left();
  for await (const piece of await begin[client](how ? abort.signal : undefined)) break;
  if (how) abort.abort();
  await new Promise((wake) => setTimeout(wake, 1500));
  console.log(left() > before ? "yes" : "no");
  await new Promise((wake) => setTimeout(wake, 3500)); // until the provider is through with it either way
}
process.exit(0);
JS
}
mapfile -t left < <(leaves openai mistralai ai ai:abort google google:abort)
measured "openai" "yes" "yes" "${left[0]:-}"
measured "@mistralai/mistralai" "yes" "yes" "${left[1]:-}"
measured "ai, textStream" "yes" "no" "${left[2]:-}"
measured "ai, textStream, then abort" "yes" "yes" "${left[3]:-}"
measured "@google/genai" "yes" "no" "${left[4]:-}"
measured "@google/genai, then abort" "yes" "yes" "${left[5]:-}"
finish
