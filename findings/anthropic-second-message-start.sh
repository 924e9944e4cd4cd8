#!/usr/bin/env bash
# Two messages in one stream are glued together by Anthropic's Python helper, and refused by the Node one.
#
# A proxy that falls back in mid-stream to another deployment passes a second `message_start` on. Python's
# `messages.stream()` goes on with the first message: the second's block 0 writes into the first's block 0, so the texts
# join, and an empty block stays behind. Node's helper raises. The plain event loops of both show two starts.
#
# Version: anthropic 2.14.0 (PyPI), @anthropic-ai/sdk 1.14.0 (npm).
# Source:  anthropic/lib/streaming/_messages.py, accumulate_event (a message_start is looked at only while there is no
#          snapshot); lib/MessageStream.mjs, accumulateMessage ("Unexpected event order").
# Hurts:   users behind a proxy with mid-stream fallbacks: half an answer and a whole one as one text, or, in Node, an error.
# Do:      a proxy that falls back after content has gone out must swallow the second message_start and number on its
#          blocks, or end in an error.
# Seen:    python: ['Half an ansA whole answer', ''] id m1 | node: AnthropicError
. "$(dirname "$0")/lib.sh"
python_packages anthropic==2.14.0
node_packages @anthropic-ai/sdk@1.14.0
provider <<'PY'
from provider import *
half = claude("content_block_start", index=0, content_block={"type": "text", "text": ""})
half += claude("content_block_delta", index=0, delta={"type": "text_delta", "text": "Half an ans"})
ANSWERS = {"fallback": sse(claude_start("m1") + half, claude_start("m2") + claude_text("A whole answer") + claude_end())}
PY
python_reads() {
  "$PY" - <<'PY'
import os, anthropic
client = anthropic.Anthropic(api_key="x", base_url=f"{os.environ['PROVIDER']}/fallback", max_retries=0)
try:
    with client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]) as stream:
        message = stream.get_final_message()
    print([block.text for block in message.content], "id", message.id)
except Exception as error:
    print(type(error).__name__)
PY
}
node_reads() {
  node_run <<'JS'
import Anthropic from "@anthropic-ai/sdk";
const client = new Anthropic({ apiKey: "x", baseURL: `${process.env.PROVIDER}/fallback`, maxRetries: 0 });
try {
  const message = await client.messages.stream({ model: "m", max_tokens: 9, messages: [{ role: "user", content: "x" }] }).finalMessage();
  console.log(JSON.stringify(message.content.map((block) => block.text)), "id", message.id);
} catch (error) { console.log(error.constructor.name); }
JS
}
measured "python" "an exception, or the second message alone" "['Half an ansA whole answer', ''] id m1" "$(python_reads)"
measured "node" "the same as python" "AnthropicError" "$(node_reads)"
finish
