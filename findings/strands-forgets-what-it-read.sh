#!/usr/bin/env bash
# A stream that just stops has ended well to strands-agents, without its words; a tool whose call was cut runs, with no arguments at all.
#
# The end of a block of text is told at a finish_reason, and only then do the words go into the message. Where the provider's stream
# stops without one the callback has seen all words, while the result is the empty text and the history gets an assistant message without
# content. The missing reason is filled up with `end_turn`. A call that was cut in its JSON becomes one with `{}`: the tool runs with its defaults.
#
# Version: strands-agents 1.62.0, openai 2.54.0 (PyPI).
# Source:  strands/models/openai.py, stream (`content_stop` inside `if choice.finish_reason`, then `finish_reason or "end_turn"`);
#          strands/event_loop/streaming.py, handle_content_block_stop (`except ValueError` around the arguments).
# Hurts:   users whose provider, or a proxy before it, ends a stream early and in good form: the agent has answered nothing and ended well,
#          or a tool runs with its defaults.
# Do:      an empty str(result) is a failure; no defaults in tools that change something.
# Seen:    stops: callback 'Half an answer', result '' end_turn, history '' | length: MaxTokensReachedException, history 'Half an answer' |
#          remove(path="/tmp/ol, stops: ran with its default; length: not run
. "$(dirname "$0")/lib.sh"
python_packages strands-agents==1.62.0 openai==2.54.0
provider <<'PY'
from provider import *
half = chat("Half an ") + chat("answer")
def part(delta):
    return event({**chunk(), "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
call = {"index": 0, "id": "t1", "type": "function", "function": {"name": "remove", "arguments": '{"path": "/tmp/ol'}}
ANSWERS = {
    "stopped": sse(half),
    "length": sse(half, chat(None, "length"), DONE),
    "stop": sse(half, chat(None, "stop"), DONE),
    "tool": [sse(part({"role": "assistant", "tool_calls": [call]})), sse(chat("Done."), chat(None, "stop"), DONE)],
    "toollength": [sse(part({"role": "assistant", "tool_calls": [call]}), chat(None, "length"), DONE), sse(chat("Done."), chat(None, "stop"), DONE)],
}
PY
cat >"$WORK/ask.py" <<'PY'
import logging, os
from strands import Agent, tool
from strands.models.openai import OpenAIModel
logging.disable(logging.CRITICAL)
ran = []
@tool
def remove(path: str = "everything") -> str:
    """Remove a folder."""
    ran.append(path)
    return "removed"
for name in ("stopped", "length", "stop", "tool", "toollength"):
    read = []
    ran.clear()
    model = OpenAIModel(client_args={"base_url": f"{os.environ['PROVIDER']}/{name}", "api_key": "none", "max_retries": 0}, model_id="m")
    agent = Agent(model=model, tools=[remove], callback_handler=lambda **event: read.append(event.get("data", "")))
    try:
        told = agent("x")
        outcome = f"{str(told).strip()!r} {told.stop_reason}"
    except Exception as error:
        outcome = type(error).__name__
    kept = "".join(block.get("text", "") for block in agent.messages[1]["content"])
    told = f"ran {ran}" if "tool" in name else f"read {''.join(read)!r}, result {outcome}, in the history {kept!r}"
    print(name, told)
PY
OTEL_SDK_DISABLED=true "$PY" "$WORK/ask.py" >"$WORK/seen" 2>/dev/null || echo "the script failed" >&2
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
measured "the stream stops without a finish_reason" "read 'Half an answer', result an exception, in the history ''" \
  "read 'Half an answer', result '' end_turn, in the history ''" "$(seen stopped)"
measured "finish_reason length" "read 'Half an answer', result MaxTokensReachedException, in the history 'Half an answer'" \
  "read 'Half an answer', result MaxTokensReachedException, in the history 'Half an answer'" "$(seen length)"
measured "finish_reason stop" "read 'Half an answer', result 'Half an answer' end_turn, in the history 'Half an answer'" \
  "read 'Half an answer', result 'Half an answer' end_turn, in the history 'Half an answer'" "$(seen stop)"
echo 'the model says remove(path="/tmp/ol, and no more; the tool:'
measured "the stream stops without a finish_reason" "ran []" "ran ['everything']" "$(seen tool)"
measured "finish_reason length" "ran []" "ran []" "$(seen toollength)"
finish
