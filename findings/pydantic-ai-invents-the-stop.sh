#!/usr/bin/env bash
# A chat stream that ends in the middle is, to pydantic-ai, a complete answer with finish reason `stop`, which nobody sent.
#
# Where the body ends without any finish_reason the OpenAI model writes 'stop' in, for the sake of servers that never send one, and for
# OpenAI's own too. State and reason in the history then say what a whole answer says, and a tool that was asked for is run. A profile
# setting, off by default, makes an error of it.
#
# Version: pydantic-ai-slim 2.68.0, openai 3.57.0 (PyPI).
# Source:  pydantic_ai/models/openai/_chat_streaming.py, _missing_finish_reason (return 'stop'), and
#          openai_chat_streaming_requires_finish_reason in profiles/openai.py.
# Hurts:   users behind a gateway that ends a cut stream well: half an answer is stored and shown as a whole one, and who looks at
#          finish_reason, as one should, is told that all is fine. openai's own client has None there.
# Do:      OpenAIChatModel(…, profile=OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)).
# Seen:    half an answer, the body ends: stop complete | half a turn, a tool call without an end: tool run 1 | the setting on:
#          ModelAPIError | openai: None
. "$(dirname "$0")/lib.sh"
python_packages 'pydantic-ai-slim[openai]==2.68.0' openai==3.57.0
provider <<'PY'
from provider import *
call = {"index": 0, "id": "t1", "type": "function", "function": {"name": "order", "arguments": '{"item": "x"}'}}
asks = event({**chunk(), "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]})
ANSWERS = {"half": sse(chat("half an")), "tool": [sse(chat("Let"), asks), sse(chat("Ordered."), chat(None, "stop"), DONE)]}
PY
cat >"$WORK/ask.py" <<'PY'
import asyncio, os
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider
ordered = []
def order(item: str) -> str:
    ordered.append(item)
    return "ordered"
def client(name):
    return AsyncOpenAI(api_key="none", base_url=f"{os.environ['PROVIDER']}/{name}", max_retries=0)
async def told(name, **options):
    agent = Agent(OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client(name)), **options), tools=[order])
    try:
        async with agent.run_stream("x") as result:
            async for text in result.stream_text():
                pass
        return f"{result.response.finish_reason} {result.response.state}"
    except Exception as error:
        return type(error).__name__
async def bare():
    stream = await client("half").chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True)
    return [piece.choices[0].finish_reason async for piece in stream][-1]
async def main():
    print("half", await told("half"))
    await told("tool")
    print("tool", len(ordered))
    strict = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
    print("strict", await told("half", profile=strict))
    print("bare", await bare())
asyncio.run(main())
PY
"$PY" "$WORK/ask.py" >"$WORK/seen" 2>"$WORK/errors" || tail -3 "$WORK/errors" >&2
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
measured "half an answer: finish_reason and state" "ModelAPIError" "stop complete" "$(seen half)"
measured "a tool call without an end: tools run" "0" "1" "$(seen tool)"
measured "half an answer, finish_reason required by the profile" "ModelAPIError" "ModelAPIError" "$(seen strict)"
measured "half an answer, openai's own client: last finish_reason" "None" "None" "$(seen bare)"
finish
