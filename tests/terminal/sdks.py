"""The official SDKs, asking on each route, and what each makes of the answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types as genai_types

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECONDS = 20.0
# For the tests that ask with google-genai, which leaves its connections to the garbage collector when it raises.
LEAVES_CONNECTIONS = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:google",
    "ignore::DeprecationWarning:aiohttp",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


@dataclass
class Outcome:
    """What a program saw: the text so far, and how it ended."""

    text: str = ""
    raised: str = ""
    """The class that the SDK raised; empty if it ended as if the answer were whole."""
    status: int | None = None
    code: str | None = None
    """The failure's own name or number, where the SDK keeps it: `code`, `type` or `status`."""
    message: str = ""
    retry_after: str | None = None
    events: list[str] = field(default_factory=list, repr=False)
    finish: str | None = None

    def __str__(self) -> str:
        if not self.raised:
            return f"silent end, finish={self.finish}"
        return f"{self.raised} {self.status or ''} {self.code or ''}".strip()


async def chat(seen: Outcome, url: str, key: str, model: str, text: str, *, under: str = "/v1", **body: Any) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}{under}", api_key=key, max_retries=0, timeout=SECONDS) as client:
        messages: Any = [{"role": "user", "content": text}]
        stream = await client.chat.completions.create(model=model, messages=messages, stream=True, extra_body=body)
        async for chunk in stream:
            for choice in chunk.choices:
                seen.text += choice.delta.content or ""
                seen.finish = choice.finish_reason or seen.finish


async def cursor(seen: Outcome, url: str, key: str, model: str, text: str) -> None:
    """As Cursor's agent asks: chat, with the Responses API's body."""
    await chat(seen, url, key, model, "", under="/cursor", input=text, messages=None)


async def completions(seen: Outcome, url: str, key: str, model: str, text: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=SECONDS) as client:
        stream = await client.completions.create(model=model, prompt=text, stream=True)
        async for chunk in stream:
            for choice in chunk.choices:
                seen.text += choice.text or ""
                seen.finish = choice.finish_reason or seen.finish


async def messages(seen: Outcome, url: str, key: str, model: str, text: str) -> None:
    async with anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0, timeout=SECONDS) as client:
        asked: Any = [{"role": "user", "content": text}]
        stream = await client.messages.create(model=model, messages=asked, max_tokens=64, stream=True)
        async for event in stream:
            seen.events.append(event.type)
            if event.type == "content_block_delta":
                seen.text += getattr(event.delta, "text", "")
            elif event.type == "message_delta":
                seen.finish = event.delta.stop_reason


async def responses(seen: Outcome, url: str, key: str, model: str, text: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=SECONDS) as client:
        stream = await client.responses.create(model=model, input=text, stream=True)
        async for event in stream:
            seen.events.append(event.type)
            if event.type == "response.output_text.delta":
                seen.text += event.delta
            elif event.type in ("response.completed", "response.failed", "response.incomplete", "error"):
                seen.finish = event.type


async def generate(seen: Outcome, url: str, key: str, model: str, text: str) -> None:
    options = genai_types.HttpOptions(base_url=url, api_version="v1beta", timeout=int(SECONDS * 1000))
    client = genai.Client(api_key=key, vertexai=False, http_options=options)
    async with client.aio as models:
        stream = await models.models.generate_content_stream(model=model, contents=text)
        async for chunk in stream:
            seen.text += chunk.text or ""
            for candidate in chunk.candidates or ():
                seen.finish = str(candidate.finish_reason or seen.finish)


ASKERS: dict[str, Any] = {
    "chat": chat,
    "cursor": cursor,
    "text": completions,
    "messages": messages,
    "responses": responses,
    "genai": generate,
}


async def ask(sdk: str, url: str, key: str, model: str, text: str, *, within: float = SECONDS, **body: Any) -> Outcome:
    """Ask for a stream and read it to its end with the SDK of that protocol; chat takes more for the request's body."""
    seen = Outcome()
    try:
        await asyncio.wait_for(ASKERS[sdk](seen, url, key, model, text, **body), within)
    except asyncio.TimeoutError:
        seen.raised = "hang"
    except Exception as error:
        _note(seen, error)
    return seen


def _note(seen: Outcome, error: Exception) -> None:
    seen.raised = type(error).__name__
    response: Any = getattr(error, "response", None)
    seen.status = getattr(error, "status_code", None)
    # Anthropic keeps the kind in `type`, OpenAI the number in `code`, Google both and the word in `status`.
    kept = (getattr(error, name, None) for name in ("type", "code", "status"))
    named = [str(value) for value in kept if value not in (None, "")]
    seen.code = " ".join(named) or None
    seen.message = str(getattr(error, "message", "") or error)
    if hasattr(response, "headers"):
        seen.retry_after = response.headers.get("retry-after")


async def frames(url: str, key: str, path: str, body: Any) -> AsyncIterator[bytes]:
    """The bytes of an answer, as they are on the wire."""
    headers = {"Authorization": f"Bearer {key}", "anthropic-version": "2023-06-01"}
    async with (
        httpx.AsyncClient(timeout=SECONDS, trust_env=False) as client,
        client.stream("POST", f"{url}{path}", content=json.dumps(body), headers=headers) as answer,
    ):
        async for piece in answer.aiter_raw():
            yield piece
