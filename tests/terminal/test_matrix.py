"""Versions x routes x providers x failures x fallbacks, each asked with the official SDK: what its program sees.

`--terminal-table PATH` also asks LiteLLM without the guard, and writes what it has seen of both (table.py).
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from typing import TYPE_CHECKING

import pytest

from tests.harness.keys import fresh_key
from tests.harness.provider.script import words
from tests.harness.tables import part
from tests.harness.witness import gauge, settled
from tests.terminal.cells import FALLBACKS, PROVIDERS, cells
from tests.terminal.sdks import LEAVES_CONNECTIONS, Outcome, ask
from tests.terminal.table import TABLE

if TYPE_CHECKING:
    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.provider.handle import Control
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.redis_server import RedisServer
    from tests.harness.versions import Version
    from tests.terminal.cells import Cell

pytestmark = LEAVES_CONNECTIONS

AT_ONCE = 6
SDKS = ("chat", "text", "messages", "responses", "genai")
USUAL = [(sdk, "none") for sdk in SDKS] + [("chat", "good"), ("messages", "limited")]
ANTHROPIC_TYPES = {429: "rate_limit_error", 529: "overloaded_error", 504: "timeout_error"}
# What a client must never be told: names and places inside the proxy.
INSIDES = ("litellm", "MidStream", "Traceback", ".py", "Exception")


def rows(sdk: str, fallback: str) -> list[Cell]:
    providers = [provider for provider in PROVIDERS.values() if sdk in provider.sdks]
    return [cell for provider in providers for cell in cells(sdk, provider, fallback)]


@pytest.mark.parametrize(("sdk", "fallback"), part([(sdk, fallback) for sdk in SDKS for fallback in FALLBACKS], *USUAL))
async def test_every_failure_is_one_to_the_sdk(
    failing_proxy: Proxy,
    redis_server: RedisServer,
    control: Control,
    sdk: str,
    fallback: str,
) -> None:
    version = failing_proxy.setup.version
    if sdk == "genai" and not (version.hooks_genai and version.spells_genai):
        pytest.skip(f"{version} calls no hook on the native route of Gemini, or spells its streams wrongly")
    key = fresh_key(cap=100)
    asked = rows(sdk, fallback)

    outcomes = await ask_all(failing_proxy, asked, key, control)

    for cell, (outcome, _) in zip(asked, outcomes, strict=True):
        TABLE.note(str(version), cell, outcome, guarded=True)
    wrong = [
        f"{cell}: {problem}; {outcome}, {outcome.text!r}, {outcome.message[:200]!r}"
        for cell, (outcome, attempts) in zip(asked, outcomes, strict=True)
        if (problem := complaint(cell, version, outcome, attempts))
    ]
    assert not wrong, "\n".join(wrong)
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


async def test_without_the_guard(
    proxies: Proxies, failing: Setup, control: Control, pytestconfig: pytest.Config
) -> None:
    """Not a test of ours: the other half of the table. What hangs for good is left to test_spin."""
    if not pytestconfig.getoption("--terminal-table"):
        pytest.skip("only for --terminal-table")
    bare = proxies.shared(dataclasses.replace(failing, guarded=False))
    version = bare.setup.version
    for sdk in SDKS:
        asked = [cell for fallback in FALLBACKS for cell in rows(sdk, fallback)]
        served = [cell for cell in asked if not cell.spins(version)]
        outcomes = await ask_all(bare, served, fresh_key(cap=None), control)
        for cell, (outcome, _) in zip(served, outcomes, strict=True):
            TABLE.note(str(version), cell, outcome, guarded=False)
        for cell in asked:
            if cell not in served:
                hangs = Outcome(raised="hang, for good")
                TABLE.note(str(version), cell, hangs, guarded=False)


async def ask_all(proxy: Proxy, asked: list[Cell], key: Key, control: Control) -> list[tuple[Outcome, int]]:
    """Every cell's outcome, and how often the providers were asked for it."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(cell: Cell) -> tuple[Outcome, int]:
        run = secrets.token_hex(6)
        async with turn:
            outcome = await ask(cell.sdk, proxy.url, key.secret, cell.model, cell.text(run))
        return outcome, (await control.counts(run)).total

    return list(await asyncio.gather(*(one(cell) for cell in asked)))


def complaint(cell: Cell, version: Version, outcome: Outcome, attempts: int) -> str:
    """What is wrong with an outcome; empty if it is as it must be."""
    partial = words(3) if cell.failure.begun else ""
    if cell.fallback == "good" and not outcome.raised:
        ended_well = outcome.text.endswith(words(5)) and partial.startswith(outcome.text.removesuffix(words(5)))
        return "" if ended_well and attempts == 2 else f"not what the fallback answered, {attempts} attempts"
    if cell.fallback == "good" and cell.fallback_must_run(version):
        return "the fallback did not run"
    if not outcome.raised or outcome.raised == "hang":
        return "no error"
    # A reset overtakes what the proxy's kernel has received and nobody has read yet: on a busy machine a word or two.
    if outcome.text != partial and not (cell.failure.name == "reset" and partial.startswith(outcome.text)):
        return f"not the text that came before: {partial!r}"
    return _wrong_error(cell, version, outcome)


def _wrong_error(cell: Cell, version: Version, outcome: Outcome) -> str:
    complaints = [_differs(cell, outcome, status) for status in sorted(cell.statuses(version))]
    return "" if "" in complaints else complaints[-1]


def _differs(cell: Cell, outcome: Outcome, status: int) -> str:
    if any(word in outcome.message for word in INSIDES):
        return "it tells of the proxy's insides"
    if cell.sdk == "messages" and cell.failure.begun:
        expected = ("APIStatusError", ANTHROPIC_TYPES.get(status, "api_error"))
        return "" if (outcome.raised, outcome.code) == expected else f"not {expected}"
    if cell.sdk == "genai":
        kind = "ClientError" if status < 500 else "ServerError"
        wrong = outcome.raised != kind or str(status) not in (outcome.code or "")
        return f"not {kind} {status}" if wrong else _without_delay(cell, outcome)
    if cell.failure.begun:
        return "" if outcome.raised == "APIError" and str(status) in (outcome.code or "") else f"not APIError {status}"
    if (outcome.raised, outcome.status) != ("RateLimitError", 429):
        return "not a real HTTP 429"
    return _without_delay(cell, outcome)


def _without_delay(cell: Cell, outcome: Outcome) -> str:
    # A provider that says so in its stream has sent its headers long before.
    wanted = "7" if cell.failure.name == "http429" and cell.fallback != "limited" else None
    return "" if wanted in {None, outcome.retry_after} else f"not Retry-After {wanted} but {outcome.retry_after}"
