#!/usr/bin/env bash
# `retry-after: 60` counts for nothing in older JavaScript SDKs of OpenAI and Anthropic; 59 is obeyed to the second.
#
# openai-node up to 6.20 at least and @anthropic-ai/sdk up to 0.71 at least take a delay for noise unless it is below 60 s, and
# come back after half a second of their own. Later ones obey it, as the Python ones do (what they make of more is in
# retry-after-of-an-hour.sh). 60 is the very number that LiteLLM's proxy says of every full key: the length of its window.
#
# Version: openai 6.20.0, @anthropic-ai/sdk 0.71.0 (npm); not openai 6.49.0, @anthropic-ai/sdk 1.14.0.
# Source:  openai/client.mjs line 426 and @anthropic-ai/sdk/client.mjs line 400, retryRequest (`timeoutMillis < 60 * 1000`);
#          the same in openai 4.104.0 and @anthropic-ai/sdk 0.39.0, core.mjs; LiteLLM 1.110.2,
#          proxy/hooks/parallel_request_limiter_v3.py line 3324 (`"retry-after": str(self.window_size)`).
# Hurts:   whoever runs a gateway: with the SDK's own two retries a refused call asks three times within two seconds and fails,
#          where it was told when it would be served. qwen-code 0.24.4 carries both.
# Do:      as a proxy, say 59 at most; as a user, newer SDKs, or a loop of one's own around maxRetries 0.
# Seen:    seconds asked of setTimeout: 6.20.0 and 0.71.0, told 59: 59, told 60: below 1 | 6.49.0 and 1.14.0, told 60: 60
. "$(dirname "$0")/lib.sh"
node_packages openai@6.49.0 openai-before@npm:openai@6.20.0 @anthropic-ai/sdk@1.14.0 anthropic-before@npm:@anthropic-ai/sdk@0.71.0
provider <<'PY'
from provider import *
MESSAGE = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "whole"}]}
MESSAGE |= {"stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
def told(seconds, then):
    return [body({"error": {"message": "full", "type": "rate_limit_error"}}, 429, retry_after=seconds), body(then)]
ANSWERS = {
    f"{sdk}-{which}-{seconds}": told(seconds, then)
    for sdk, then in (("openai", answer()), ("anthropic", MESSAGE))
    for which in ("before", "now")
    for seconds in ("59", "60")
}
PY
node_run >"$WORK/seen" <<'JS'
import OpenAINow from "openai";
import OpenAIBefore from "openai-before";
import AnthropicNow from "@anthropic-ai/sdk";
import AnthropicBefore from "anthropic-before";
// The SDKs' own sleep ends at once, and is written down. Their `timeout` and fetch's clocks are left alone.
const later = globalThis.setTimeout;
let slept = [];
globalThis.setTimeout = (then, delay, ...more) => {
  if (!/ at sleep /.test(new Error().stack)) return later(then, delay, ...more);
  slept.push(delay < 1000 ? "below 1" : delay / 1000);
  return later(then, 0);
};
const request = { model: "m", max_tokens: 9, messages: [{ role: "user", content: "x" }] };
const ask = {
  openai: (SDK, baseURL) => new SDK({ apiKey: "none", baseURL }).chat.completions.create(request),
  anthropic: (SDK, baseURL) => new SDK({ apiKey: "none", baseURL }).messages.create(request),
};
const clients = { "openai-before": OpenAIBefore, "openai-now": OpenAINow, "anthropic-before": AnthropicBefore, "anthropic-now": AnthropicNow };
for (const [client, SDK] of Object.entries(clients))
  for (const seconds of [59, 60]) {
    slept = [];
    const name = `${client}-${seconds}`;
    let end = "answered";
    try { await ask[client.split("-")[0]](SDK, `${process.env.PROVIDER}/${name}`); } catch (error) { end = error.constructor.name; }
    console.log(name, slept.join(" ") || "none", end);
  }
JS
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
echo "seconds before the second request, which is answered:"
measured "openai 6.20.0, told 59" "59 answered" "59 answered" "$(seen openai-before-59)"
measured "openai 6.20.0, told 60" "60 answered" "below 1 answered" "$(seen openai-before-60)"
measured "openai 6.49.0, told 60" "60 answered" "60 answered" "$(seen openai-now-60)"
measured "@anthropic-ai/sdk 0.71.0, told 59" "59 answered" "59 answered" "$(seen anthropic-before-59)"
measured "@anthropic-ai/sdk 0.71.0, told 60" "60 answered" "below 1 answered" "$(seen anthropic-before-60)"
measured "@anthropic-ai/sdk 1.14.0, told 60" "60 answered" "60 answered" "$(seen anthropic-now-60)"
finish
