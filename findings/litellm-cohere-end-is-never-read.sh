#!/usr/bin/env bash
# The end of a streamed Cohere answer is never read by LiteLLM: MAX_TOKENS is `stop`, and the tokens are not those that Cohere billed.
#
# Cohere's `/v2/chat` names each line by `type`, and LiteLLM reads text and tool calls by that. For `message-end` it looks at a
# key `event`, and for reason and usage below a key `data`: neither is ever there. The stream's end gets the `stop` of every stream
# without a reason, and the usage is LiteLLM's own count of the words. Whole answers are right, and the table of reasons knows MAX_TOKENS.
#
# Version: litellm 1.110.2 (PyPI).
# Source:  litellm/llms/cohere/common_utils.py, CohereV2ModelResponseIterator (chunk_parser, _parse_message_end); the format:
#          https://docs.cohere.com/reference/chat-stream
# Hurts:   users of the proxy who stream: an answer that was cut off at max_tokens counts as finished; and operators,
#          whose spend and budgets go by a count that is not the bill's.
# Do:      no streams where reason or cost matter; as a client, compare the completion's tokens with max_tokens.
# Seen:    COMPLETE: whole stop, 300 + 70 tokens, streamed stop, 8 + 3 | MAX_TOKENS: whole length, 300 + 70, streamed stop, 8 + 3
. "$(dirname "$0")/lib.sh"
python_packages litellm==1.110.2
provider <<'PY'
from provider import *
usage = {"billed_units": {"input_tokens": 300, "output_tokens": 70}, "tokens": {"input_tokens": 300, "output_tokens": 70}}
def line(kind, **more):
    return json.dumps({"type": kind, **more}).encode() + b"\n"
def streamed(reason):
    start = {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}
    block = {"message": {"content": {"type": "text", "text": ""}}}
    text = {"message": {"content": {"text": "half an ans"}}}
    return Answer([line("message-start", id="c1", delta=start), line("content-start", index=0, delta=block),
                   line("content-delta", index=0, delta=text), line("content-end", index=0),
                   line("message-end", id="c1", delta={"finish_reason": reason, "usage": usage})], type="application/stream+json")
def whole(reason):
    return body({"id": "c1", "finish_reason": reason, "usage": usage,
                 "message": {"role": "assistant", "content": [{"type": "text", "text": "half an ans"}]}})
ANSWERS = {reason: whole(reason) for reason in ("COMPLETE", "MAX_TOKENS")}
ANSWERS |= {f"{reason}-streamed": streamed(reason) for reason in ("COMPLETE", "MAX_TOKENS")}
PY
"$PY" - >"$WORK/seen" 2>/dev/null <<'PY'
import logging, os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)
def end(reason, **more):
    base = f"{os.environ['PROVIDER']}/{reason}{'-streamed' if more else ''}"
    got = litellm.completion(model="cohere_chat/command-r", messages=[{"role": "user", "content": "x"}], api_key="x", api_base=base, **more)
    parts = list(got) if more else [got]
    finish = [part.choices[0].finish_reason for part in parts if part.choices and part.choices[0].finish_reason]
    usage = [part.usage for part in parts if getattr(part, "usage", None)]
    return f"{finish[-1]}, {usage[-1].prompt_tokens} + {usage[-1].completion_tokens} tokens"
for reason in ("COMPLETE", "MAX_TOKENS"):
    print(end(reason))
    print(end(reason, stream=True, stream_options={"include_usage": True}))
PY
mapfile -t seen <"$WORK/seen"
measured "COMPLETE, whole" "stop, 300 + 70 tokens" "stop, 300 + 70 tokens" "${seen[0]:-}"
measured "COMPLETE, streamed" "stop, 300 + 70 tokens" "stop, 8 + 3 tokens" "${seen[1]:-}"
measured "MAX_TOKENS, whole" "length, 300 + 70 tokens" "length, 300 + 70 tokens" "${seen[2]:-}"
measured "MAX_TOKENS, streamed" "length, 300 + 70 tokens" "stop, 8 + 3 tokens" "${seen[3]:-}"
finish
