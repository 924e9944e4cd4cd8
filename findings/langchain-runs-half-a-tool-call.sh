#!/usr/bin/env bash
# A LangChain agent runs a tool whose call was cut off in the middle of its JSON, with half a string for the argument.
#
# A streamed call's arguments are put together by a parser for partial JSON, and what that mends stands in `tool_calls` like any
# other, at finish_reason `length` as well as behind a stream that just stopped. The agent asks neither for the reason nor for
# the end. Unstreamed, the same arguments go to `invalid_tool_calls`, and nothing runs.
#
# Version: langchain 1.5.2, langchain-core 1.8.3, langchain-openai 1.7.4, langgraph 1.2.24, openai 2.54.0 (PyPI).
# Source:  langchain_core/messages/ai.py line 557, AIMessageChunk.init_tool_calls (parse_partial_json); langchain/agents/factory.py.
# Hurts:   users of agents with a streaming model: a file is written with its first lines, a command or a query runs that was
#          not finished, and the model is told that it went well.
# Do:      a middleware that drops tool calls unless finish_reason is `tool_calls`; tools that can tell a whole argument from half.
# Seen:    streamed, length: ran ('notes.txt', 'first li') | streamed, cut: ran ('notes.txt', 'first li') | plain, length: nothing ran
. "$(dirname "$0")/lib.sh"
python_packages langchain==1.5.2 langchain-core==1.8.3 langchain-openai==1.7.4 langgraph==1.2.24 openai==2.54.0
provider <<'PY'
from provider import *
half = '{"path": "notes.txt", "content": "first li'
def call(arguments, **more):
    return {"index": 0, "function": {"arguments": arguments, **more.pop("function", {})}, **more}
def part(delta, finish=None):
    return event({**chunk(), "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
begun = part({"role": "assistant", "tool_calls": [call("", id="t1", type="function", function={"name": "write"})]}) + part({"tool_calls": [call(half)]})
plain = answer(finish="length")
plain["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "t1", "type": "function", "function": {"name": "write", "arguments": half}}]}
done = chat("Done.", "stop") + DONE
ANSWERS = {
    "length": [sse(begun, part({}, "length"), DONE), sse(done)],
    "stopped": [sse(begun), sse(done)],
    "plain": [body(plain), body(answer("Done."))],
}
PY
cat >"$WORK/agent.py" <<'PY'
import os
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
ran = []
@tool
def write(path: str, content: str) -> str:
    """Write a file."""
    ran.append((path, content))
    return "written"
for name in ("length", "stopped", "plain"):
    model = ChatOpenAI(model="m", api_key="none", base_url=f"{os.environ['PROVIDER']}/{name}", max_retries=0, streaming=name != "plain")
    ran.clear()
    told = create_agent(model, [write]).invoke({"messages": [("user", "Write my notes.")]})
    print(name, "ran", *ran or ["nothing"])
PY
LANGSMITH_TRACING=false "$PY" "$WORK/agent.py" >"$WORK/seen"
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
echo "the model says write(path=\"notes.txt\", content=\"first li, and no more:"
measured "streamed, finish_reason length" "ran nothing" "ran ('notes.txt', 'first li')" "$(seen length)"
measured "streamed, the stream stops short" "ran nothing" "ran ('notes.txt', 'first li')" "$(seen stopped)"
measured "not streamed, finish_reason length" "ran nothing" "ran nothing" "$(seen plain)"
finish
