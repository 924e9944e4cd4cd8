#!/usr/bin/env bash
# When a stream fails, pydantic-ai's stream_text() throws away the words of the last tenth of a second, which had arrived.
#
# It hands words on in groups, each 0.1 s (`debounce_by`). An error ends the loop at once, and the group that was being gathered goes
# with it. The bytes were here and are paid for; a fast model says a sentence in that time. With debounce_by=None, and in openai-agents
# and in openai's own client, all words come first and then the error.
#
# Version: pydantic-ai-slim 2.68.0, openai-agents 0.24.0, openai 3.57.0 (PyPI).
# Source:  pydantic_ai/_utils.py, group_by_temporal and _debounced_groups.
# Hurts:   users who keep what was said when a long answer breaks off, or go on from there: they resume before the end of what they have,
#          and the model says it twice.
# Do:      stream_text(debounce_by=None).
# Seen:    "one", a pause, "two" and "three", 20 ms, an error. By words: pydantic-ai one | debounce_by=None one two three |
#          openai-agents one two three | openai one two three. Connection cut instead: the same
. "$(dirname "$0")/lib.sh"
python_packages 'pydantic-ai-slim[openai]==2.68.0' openai-agents==0.24.0 openai==3.57.0
provider <<'PY'
from provider import *
words = [chat("one "), 0.5, chat("two "), chat("three "), 0.02]
ANSWERS = {"error": sse(*words, event({"error": {"message": "Overloaded.", "code": 503}}), DONE), "cut": sse(*words, cut=True)}
PY
cat >"$WORK/ask.py" <<'PY'
import asyncio, os
from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI
import pydantic_ai
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
set_tracing_disabled(True)
def client(name):
    return AsyncOpenAI(api_key="none", base_url=f"{os.environ['PROVIDER']}/{name}", max_retries=0)
async def pydantic(name, **options):
    agent = pydantic_ai.Agent(OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client(name))))
    async with agent.run_stream("x") as result:
        async for text in result.stream_text(delta=True, **options):
            yield text
async def undebounced(name):
    async for text in pydantic(name, debounce_by=None):
        yield text
async def agents(name):
    async for event in Runner.run_streamed(Agent(name="a", model=OpenAIChatCompletionsModel("m", client(name))), "x").stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            yield event.data.delta
async def openai(name):
    async for piece in await client(name).chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True):
        yield piece.choices[0].delta.content or ""
async def main():
    for name in ("error", "cut"):
        for read in (pydantic, undebounced, agents, openai):
            words, end = "", "ended"
            try:
                async for text in read(name):
                    words += text
            except Exception:
                end = "raised"
            print(name, read.__name__, words.strip() + ",", end)
asyncio.run(main())
PY
"$PY" "$WORK/ask.py" >"$WORK/seen" 2>"$WORK/errors" || tail -3 "$WORK/errors" >&2
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
for name in error cut; do
  echo "one, half a second, two, three, 20 ms, and then: $name"
  measured "pydantic-ai" "one two three, raised" "one, raised" "$(seen "$name pydantic")"
  measured "pydantic-ai, debounce_by=None" "one two three, raised" "one two three, raised" "$(seen "$name undebounced")"
  measured "openai-agents" "one two three, raised" "one two three, raised" "$(seen "$name agents")"
  measured "openai" "one two three, raised" "one two three, raised" "$(seen "$name openai")"
done
finish
