#!/usr/bin/env bash
# Node's fetch sends a POST a second time when it is answered 421, below every SDK's own count of retries.
#
# The fetch standard lets a 421 (misdirected request) be tried once more on another connection, and Node's does, also for
# a POST with a body. An SDK told not to retry, or one that has no retries at all, still makes two calls of one.
#
# Version: Node 20.20 (undici inside), openai 6.49.0, @mistralai/mistralai 2.7.0 (npm).
# Source:  fetch standard, HTTP-network-or-cache fetch, "if response's status is 421"; undici lib/web/fetch/index.js.
# Hurts:   users of a proxy that answers 421, for example behind a TLS front that checks SNI: two log lines, two units of
#          the request limit, for each call; the same call from Python makes one.
# Do:      answer 400 or 404 instead of 421 from an HTTP/1.1 proxy.
# Seen:    calls at the provider: fetch 421: 2 | openai maxRetries 0: 2 | mistralai: 2 | fetch 420: 1
. "$(dirname "$0")/lib.sh"
node_packages openai@6.49.0 @mistralai/mistralai@2.7.0
provider <<'PY'
from provider import *
ANSWERS = {"421": body({"error": {"message": "no"}}, 421), "420": body({"error": {"message": "no"}}, 420)}
PY
calls() {
  CLIENT="$1" NAME="$2" node_run <<'JS'
import OpenAI from "openai";
import { Mistral } from "@mistralai/mistralai";
const base = `${process.env.PROVIDER}/${process.env.NAME}`, messages = [{ role: "user", content: "x" }];
try {
  if (process.env.CLIENT === "fetch") await fetch(base, { method: "POST", body: JSON.stringify({ messages }) });
  else if (process.env.CLIENT === "openai")
    await new OpenAI({ apiKey: "x", baseURL: base, maxRetries: 0 }).chat.completions.create({ model: "m", messages });
  else await new Mistral({ apiKey: "x", serverURL: base }).chat.complete({ model: "m", messages });
} catch {}
JS
  provider_log | grep -c request
}
measured "fetch, answered 420" "1" "1" "$(calls fetch 420)"
measured "fetch, answered 421" "1" "2" "$(calls fetch 421)"
measured "openai with maxRetries 0, answered 421" "1" "2" "$(calls openai 421)"
measured "mistralai, answered 421" "1" "2" "$(calls mistral 421)"
finish
