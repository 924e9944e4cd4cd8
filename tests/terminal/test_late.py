"""A request that fails when keep-alives have opened its answer: its SDK raises; sooner, it has a status."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from tests.harness.keys import fresh_key
from tests.harness.provider.script import Script
from tests.harness.witness import gauge, settled, wait_until
from tests.terminal.cells import PROVIDERS
from tests.terminal.relay import relaying
from tests.terminal.sdks import LEAVES_CONNECTIONS, ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.provider.handle import Control
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.redis_server import RedisServer
    from tests.terminal.sdks import Outcome

pytestmark = [LEAVES_CONNECTIONS, pytest.mark.more]

AT_ONCE = 0.05
NEVER = 60.0
PING = b": ping\n\n"
# google-genai 3.4 takes every comment for a chunk that it can't read, in healthy streams too: it is spared them.
UNREADABLE = {"genai": b"8\r\n: ping\n\n\r\n"}
# What a client must never be told.
INSIDES = ("litellm", "Traceback", "Exception")
FAILURES: dict[str, dict[str, Any]] = {"http429": {"status": 429}, "first429": {"error_step": 0}}


class Cell(NamedTuple):
    """An SDK, the provider behind the proxy, and how that fails."""

    sdk: str
    provider: str
    failure: str

    def script(self, **more: Any) -> Script:
        only = PROVIDERS[self.provider].upstream
        return dataclasses.replace(Script(secrets.token_hex(6), only=only), **FAILURES[self.failure], **more)

    def __str__(self) -> str:
        return "-".join(self)


PAIRS = (
    ("chat", "openai"),
    ("messages", "openai"),
    ("messages", "anthropic"),
    ("responses", "openai"),
    ("responses", "anthropic"),
    ("genai", "gemini"),
    ("cursor", "openai"),
)
CELLS = pytest.mark.parametrize("way", [Cell(*pair, failure) for pair in PAIRS for failure in FAILURES], ids=str)
# How each SDK names the failure when it comes as an event, and when it is a status.
EVENTS = {
    "chat": ("APIError", "rate_limit_error 429"),
    "messages": ("APIStatusError", "rate_limit_error"),
    "responses": ("APIError", "rate_limit_error 429"),
    "genai": ("ClientError", "429 RESOURCE_EXHAUSTED"),
    "cursor": ("APIError", "rate_limit_error 429"),
}


STATUSES = {
    "chat": ("RateLimitError", 429),
    "messages": ("RateLimitError", 429),
    "responses": ("RateLimitError", 429),
    "genai": ("ClientError", None),
    "cursor": ("RateLimitError", 429),
}


def pings(setup: Setup, seconds: float) -> str:
    """The setup's settings, and a ping after so many seconds."""
    if not setup.version.opens_early:
        pytest.skip(f"{setup.version} opens no answer before it is there")
    settings = yaml.safe_load(setup.settings)
    settings["litellm_settings"]["sse_keepalive_ping_interval_seconds"] = seconds
    return yaml.safe_dump(settings)


@pytest.fixture
def pinging(proxies: Proxies, failing: Setup) -> Callable[[float], Proxy]:
    """The proxy that pings after so many seconds."""
    return lambda seconds: proxies.shared(dataclasses.replace(failing, settings=pings(failing, seconds)))


async def late(proxy: Proxy, control: Control, way: Cell, key: Key, script: Script) -> tuple[Outcome, bytes]:
    """What the SDK makes of a failure that the provider keeps back until a ping was there, and what was on the wire."""
    async with relaying(proxy.port, UNREADABLE.get(way.sdk, b"")) as relay:
        asking = asyncio.create_task(ask(way.sdk, relay.url, key.secret, way.provider, str(script)))
        await control.wait(script.run, stalled=1)
        await relay.until(PING)
        await control.release(script.run)
        return await asking, relay.answered


def hooks(proxy: Proxy, run: str) -> int:
    """How often LiteLLM's failure hook was called for that run."""
    return len(re.findall(rf"^RECORD {run} failure_hook$", proxy.text(), re.MULTILINE))


@CELLS
async def test_a_failure_behind_a_ping_is_one_to_the_sdk(
    pinging: Callable[[float], Proxy], redis_server: RedisServer, control: Control, way: Cell
) -> None:
    proxy, key, script = pinging(AT_ONCE), fresh_key(cap=4), way.script(stall="headers")

    outcome, answered = await late(proxy, control, way, key, script)

    assert (outcome.raised, outcome.code) == EVENTS[way.sdk]
    assert "scripted 429" in outcome.message
    assert not any(word in outcome.message for word in INSIDES)
    assert (b"[DONE]" in answered) == (way.sdk in ("chat", "cursor", "genai"))
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    await wait_until(lambda: hooks(proxy, script.run) > 0, "LiteLLM's failure hook was called")
    assert hooks(proxy, script.run) == 1


@CELLS
async def test_a_failure_before_the_first_ping_has_its_status(pinging: Callable[[float], Proxy], way: Cell) -> None:
    proxy, script = pinging(NEVER), way.script()

    outcome = await ask(way.sdk, proxy.url, fresh_key(cap=4).secret, way.provider, str(script))

    assert (outcome.raised, outcome.status) == STATUSES[way.sdk]
    await wait_until(lambda: hooks(proxy, script.run) > 0, "LiteLLM's failure hook was called")
    assert hooks(proxy, script.run) == 1


async def test_the_first_request_of_a_worker_ends_like_all_others(
    start: Callable[..., Proxy], failing: Setup, control: Control
) -> None:
    way = Cell("messages", "anthropic", "http429")
    proxy = start(settings=pings(failing, AT_ONCE), warm=False)

    outcome, _ = await late(proxy, control, way, fresh_key(cap=4), way.script(stall="headers"))

    assert (outcome.raised, outcome.code) == EVENTS[way.sdk]
