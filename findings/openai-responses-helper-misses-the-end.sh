#!/usr/bin/env bash
# At max_output_tokens openai-python's get_final_response() raises RuntimeError, and openai-node's finalResponse() returns a cut stream.
#
# A response ends in `response.completed`, `.incomplete` or `.failed`. The Python helper knows the first alone: to the other two, and
# to a stream that stops short, it says in one sentence that there was no `response.completed`, so text and reason are lost. The
# Node helper knows no bad end: it returns what it has, a failed response as well as one whose stream was cut.
#
# Version: openai 3.57.0 (PyPI), openai 6.49.0 (npm).
# Source:  openai/lib/streaming/responses/_responses.py, accumulate_event (`elif event.type == "response.completed"`) and
#          get_final_response; lib/responses/ResponseStream.mjs, finalResponse.
# Hurts:   users of client.responses.stream(): in Python an answer that reached its limit, and is paid, is thrown away, and looks like
#          a lost connection; in Node half an answer passes for a whole one.
# Do:      in Python, take the response from the event that ends the stream; in Node, look at `status`, which only a good end
#          makes `completed`.
# Seen:    python: completed | incomplete RuntimeError | failed RuntimeError | cut RuntimeError (one message for all three)
#          node: completed | incomplete | failed | cut in_progress, nothing raised
. "$(dirname "$0")/lib.sh"
python_packages openai==3.57.0
node_packages openai@6.49.0
provider <<'PY'
from provider import *
def response(status, **more):
    fields = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "output": []}
    return {"id": "r1", "object": "response", "created_at": 1, "model": "m", "status": status, **fields, **more}
def item(status, *content):
    return {"id": "i1", "type": "message", "role": "assistant", "status": status, "content": list(content)}
def part(text):
    return {"type": "output_text", "text": text, "annotations": []}
def stream(end, **more):
    half = item("incomplete", part("Half an ans"))
    at = {"item_id": "i1", "output_index": 0, "content_index": 0}
    events = [
        ("response.created", {"response": response("in_progress")}),
        ("response.output_item.added", {"output_index": 0, "item": item("in_progress")}),
        ("response.content_part.added", {**at, "part": part("")}),
        ("response.output_text.delta", {**at, "delta": "Half an ans", "logprobs": []}),
        ("response.output_text.done", {**at, "text": "Half an ans", "logprobs": []}),
        ("response.content_part.done", {**at, "part": part("Half an ans")}),
        ("response.output_item.done", {"output_index": 0, "item": half}),
    ]
    if end:
        events.append((f"response.{end}", {"response": response(end, output=[half], **more)}))
    return sse(*(event({"type": kind, "sequence_number": n, **data}, kind) for n, (kind, data) in enumerate(events)))
ANSWERS = {
    "completed": stream("completed"),
    "incomplete": stream("incomplete", incomplete_details={"reason": "max_output_tokens"}),
    "failed": stream("failed", error={"code": "server_error", "message": "The model is gone."}),
    "cut": stream(None),
}
PY
cat >"$WORK/ask.py" <<'PY'
import os, openai
for name in ("completed", "incomplete", "failed", "cut"):
    client = openai.OpenAI(api_key="none", base_url=f"{os.environ['PROVIDER']}/{name}")
    try:
        with client.responses.stream(model="m", input="x") as stream:
            final = stream.get_final_response()
            print(name, final.status, final.output_text)
    except Exception as error:
        print(name, type(error).__name__, error)
PY
"$PY" "$WORK/ask.py" >"$WORK/python"
node_run >"$WORK/node" <<'JS'
import OpenAI from "openai";
for (const name of ["completed", "incomplete", "failed", "cut"]) {
  const client = new OpenAI({ apiKey: "none", baseURL: `${process.env.PROVIDER}/${name}` });
  try {
    const final = await client.responses.stream({ model: "m", input: "x" }).finalResponse();
    console.log(name, final.status, final.output_text);
  } catch (error) {
    console.log(name, error.constructor.name, error.message);
  }
}
JS
seen() { sed -n "s/^$2 //p" "$WORK/$1"; }
missed="RuntimeError Didn't receive a \`response.completed\` event."
half="Half an ans"
measured "python, completed" "completed $half" "completed $half" "$(seen python completed)"
measured "python, max_output_tokens" "incomplete $half" "$missed" "$(seen python incomplete)"
measured "python, failed" "APIError The model is gone." "$missed" "$(seen python failed)"
measured "python, cut" "an error, another one" "$missed" "$(seen python cut)"
measured "node, completed" "completed $half" "completed $half" "$(seen node completed)"
measured "node, max_output_tokens" "incomplete $half" "incomplete $half" "$(seen node incomplete)"
measured "node, failed" "APIError The model is gone." "failed $half" "$(seen node failed)"
measured "node, cut" "an error" "in_progress $half" "$(seen node cut)"
finish
