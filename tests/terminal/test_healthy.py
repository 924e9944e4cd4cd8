"""A healthy stream is, byte for byte, the one that LiteLLM alone sends."""

from __future__ import annotations

import asyncio
import dataclasses
import difflib
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.harness.keys import fresh_key
from tests.harness.provider.script import Script
from tests.harness.tables import every

if TYPE_CHECKING:
    from tests.harness.config import Setup
    from tests.harness.proxy import Proxies, Proxy

# What differs from one request to the next with LiteLLM alone: ids, and the time of day.
_IDS = "id|item_id|response_id|previous_response_id|created|created_at|completed_at|system_fingerprint"
_OWN = re.compile(
    rf"""(?P<name>"(?:{_IDS})": ?)(?:"[^"]*"|[\d.]+)|\b(?:resp|msg|chatcmpl|rs|fc|call)_?-?[\w=-]{{8,}}"""
)
SHAPES = ("", "tools", "reasoning", "choices", "pings", "length", "filtered", "blocked")
ROUTES: dict[str, tuple[str, Any]] = {
    "chat": ("/v1/chat/completions", lambda text: {"messages": [{"role": "user", "content": text}], "n": 1}),
    "usage": (
        "/v1/chat/completions",
        lambda text: {"messages": [{"role": "user", "content": text}], "stream_options": {"include_usage": True}},
    ),
    "messages": ("/v1/messages", lambda text: {"messages": [{"role": "user", "content": text}], "max_tokens": 64}),
    "responses": ("/v1/responses", lambda text: {"input": text}),
}
ASKED = [(route, model) for route in ROUTES for model in ("openai", "anthropic", "gemini", "vertex")]


async def asked(proxy: Proxy, route: str, model: str, shape: str) -> str:
    path, body = ROUTES[route]
    text = str(Script("healthy", chunks=4, shape=shape))
    # A session without a pool: each answer ends where its connection says so.
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        headers = {"Authorization": f"Bearer {fresh_key(cap=4).secret}", "anthropic-version": "2023-06-01"}
        asking = {"model": model, "stream": True, **body(text)}
        answer = await client.post(f"{proxy.url}{path}", json=asking, headers=headers)
    return f"{answer.status_code} {without_ids(answer.text)}"


def without_ids(text: str) -> str:
    """What of an answer is the same at each request."""
    return _OWN.sub(lambda found: found["name"] or "", text)


def _difference(route: str, model: str, shape: str, guarded: str, bare: str) -> str:
    lines = difflib.unified_diff(bare.splitlines(), guarded.splitlines(), "bare", "guarded", n=0, lineterm="")
    return "\n".join((f"{route} {model} {shape}", *lines))


@pytest.mark.timeout(180)
@every(5)
async def test_it_is_the_stream_that_litellm_alone_sends(proxies: Proxies, failing: Setup, every: int) -> None:
    guarded, bare = (proxies.shared(dataclasses.replace(failing, guarded=state)) for state in (True, False))
    turn, differing = asyncio.Semaphore(1 if failing.version.mixes_streams else 4), []

    async def compare(route: str, model: str, shape: str) -> None:
        async with turn:
            one, other = [await asked(proxy, route, model, shape) for proxy in (guarded, bare)]
        assert one.startswith("200 "), (route, model, shape, one)
        if one != other:
            differing.append((route, model, shape, one, other))

    cells = [(route, model, shape) for route, model in ASKED for shape in SHAPES]
    await asyncio.gather(*(compare(*cell) for cell in cells[::every]))
    assert not differing, "\n".join(_difference(*one) for one in differing)


@pytest.mark.parametrize("model", ["openai", "anthropic", "gemini", "vertex"])
async def test_an_answer_that_the_config_made_up_is_whole(proxies: Proxies, failing: Setup, model: str) -> None:
    """LiteLLM streams a `mock_response` without a finish_reason, and adds it at the end."""
    guarded, bare = (proxies.shared(dataclasses.replace(failing, guarded=state)) for state in (True, False))
    one, other = [await asked(proxy, "chat", f"canned-{model}", "") for proxy in (guarded, bare)]

    assert one == other
    assert '"finish_reason":"stop"' in one


async def test_a_server_that_speaks_of_reasons_and_gives_none_has_not_finished(failing_proxy: Proxy) -> None:
    """Its chunks have a `finish_reason` of null, as OpenAI's; with `[DONE]` alone a gateway ends a cut."""
    assert '"error"' in await asked(failing_proxy, "chat", "openai", "done")
