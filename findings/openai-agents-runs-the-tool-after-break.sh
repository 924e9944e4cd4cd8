#!/usr/bin/env bash
# After `break` out of an openai-agents stream its run goes on: the answer is read to its end, the tool is run, the model asked again.
#
# The run is a task of its own; stream_events() only reads from its queue. Leaving the loop ends the reading, not the run; closing the
# generator by aclosing() waits for the run to end, tool and all. It stops where the task that reads is cancelled, and where
# result.cancel() is called. pydantic-ai stops at the same break.
#
# Version: openai-agents 0.24.0, pydantic-ai-slim 2.68.0, openai 3.57.0 (PyPI).
# Source:  agents/result.py, RunResultStreaming.stream_events and its `finally`, which awaits the run's task.
# Hurts:   users who break when they have seen enough, or when the model goes astray: the mail is sent and the order placed all the
#          same, the turns behind it are paid for, and the slot at the proxy stays taken meanwhile.
# Do:      result.cancel() before the break.
# Seen:    break at the first words of an answer that ends in a tool call; tool run by then 0, 2 s later 1, requests 2 | aclosing()
#          around it: 1, 1, 2 | cancel(), then break: 0, 0, 1 | the reading task cancelled: 0, 0, 1 | pydantic-ai, break: 0, 0, 1
. "$(dirname "$0")/lib.sh"
python_packages openai-agents==0.24.0 'pydantic-ai-slim[openai]==2.68.0' openai==3.57.0
provider <<'PY'
from provider import *
call = {"index": 0, "id": "t1", "type": "function", "function": {"name": "order", "arguments": '{"item": "x"}'}}
asks = event({**chunk(), "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]})
turns = [sse(chat("Let"), 0.4, chat(" me see"), asks, 0.2, chat(None, "tool_calls"), DONE), sse(chat("Ordered."), chat(None, "stop"), DONE)]
ANSWERS = {name: list(turns) for name in ("break", "aclosing", "cancel", "task", "pydantic")}
PY
cat >"$WORK/leave.py" <<'PY'
import asyncio, os
from contextlib import aclosing
import pydantic_ai
from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
set_tracing_disabled(True)
ordered = []
def order(item: str) -> str:
    ordered.append(item)
    return "ordered"
def client(name):
    return AsyncOpenAI(api_key="none", base_url=f"{os.environ['PROVIDER']}/{name}", max_retries=0)
def run(name):
    return Runner.run_streamed(Agent(name="a", model=OpenAIChatCompletionsModel("m", client(name)), tools=[function_tool(order)]), "x")
def words(event):
    return getattr(getattr(event, "data", None), "delta", None) == "Let"
async def broken(name):
    async for event in run(name).stream_events():
        if words(event):
            break
async def aclosed(name):
    async with aclosing(run(name).stream_events()) as events:
        async for event in events:
            if words(event):
                break
async def cancelled(name):
    result = run(name)
    async for event in result.stream_events():
        if words(event):
            result.cancel()
            break
async def read(name, begun):
    async for event in run(name).stream_events():
        if words(event):
            begun.set()
async def taken(name):
    begun = asyncio.Event()
    reader = asyncio.create_task(read(name, begun))
    await begun.wait()
    reader.cancel()
    await asyncio.wait([reader])
async def pydantic(name):
    agent = pydantic_ai.Agent(OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client(name))), tools=[order])
    async with agent.run_stream_events("x") as events:
        async for event in events:
            if "Let" in str(event):
                break
async def main():
    for name, leave in {"break": broken, "aclosing": aclosed, "cancel": cancelled, "task": taken, "pydantic": pydantic}.items():
        ordered.clear()
        await leave(name)
        at_once = len(ordered)
        await asyncio.sleep(2)
        print(name, at_once, len(ordered))
asyncio.run(main())
PY
"$PY" "$WORK/leave.py" >"$WORK/seen" 2>"$WORK/errors" || tail -3 "$WORK/errors" >&2
provider_log >"$WORK/asked"
seen() { echo "$(sed -n "s/^$1 //p" "$WORK/seen") $(grep -c "^$1 request" "$WORK/asked")"; }
echo "left at the first words of an answer that ends in a tool call: tools run by then, two seconds later, requests made:"
measured "openai-agents, break" "0 0 1" "0 1 2" "$(seen break)"
measured "openai-agents, break inside aclosing()" "0 0 1" "1 1 2" "$(seen aclosing)"
measured "openai-agents, cancel() and break" "0 0 1" "0 0 1" "$(seen cancel)"
measured "openai-agents, the reading task cancelled" "0 0 1" "0 0 1" "$(seen task)"
measured "pydantic-ai, break" "0 0 1" "0 0 1" "$(seen pydantic)"
finish
