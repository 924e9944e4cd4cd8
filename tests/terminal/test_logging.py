"""A failed stream is no success to LiteLLM: what its loggers and hooks are told, without the guard and with it."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import secrets
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.harness.keys import fresh_key
from tests.terminal.cells import FAILURES, PROVIDERS, Cell
from tests.terminal.sdks import ask

if TYPE_CHECKING:
    from tests.harness.config import Setup
    from tests.harness.proxy import Proxies, Proxy

ASKED = [
    Cell(sdk, PROVIDERS[provider], FAILURES[failure])
    for sdk in ("chat", "messages", "responses")
    for provider in ("openai", "anthropic", "gemini")
    for failure in ("http429", "mid429", "close")
]
SECONDS_TO_LOG = 2.5


async def told(proxy: Proxy) -> list[Counter[str]]:
    """What LiteLLM told the operator's logger of each cell."""
    key, runs = fresh_key(cap=None), [secrets.token_hex(6) for _ in ASKED]
    pairs = zip(ASKED, runs, strict=True)
    await asyncio.gather(*(ask(cell.sdk, proxy.url, key.secret, cell.model, cell.text(run)) for cell, run in pairs))
    await asyncio.sleep(SECONDS_TO_LOG)
    lines = re.findall(r"^RECORD (\w+) (\w+)", proxy.text(), re.MULTILINE)
    return [Counter(what for of, what in lines if of == run) for run in runs]


def worse(bare: Counter[str], guarded: Counter[str]) -> str:
    """What an operator would miss, or find wrong, with the guard; empty if nothing."""
    if guarded["success"] > bare["success"]:
        return "one more success"
    if guarded["failure"] < bare["failure"] or guarded["failure_hook"] < bare["failure_hook"]:
        return "a failure less"
    return "told twice" if guarded["failure_hook"] > max(bare["failure_hook"], 1) else ""


@pytest.mark.more
@pytest.mark.timeout(180)
async def test_an_operator_is_told_no_less(proxies: Proxies, failing: Setup) -> None:
    setups = (dataclasses.replace(failing, guarded=state) for state in (False, True))
    bare, guarded = [await told(proxies.shared(setup)) for setup in setups]
    faults = [
        f"{cell}: {fault}, {dict(one)} -> {dict(other)}"
        for cell, one, other in zip(ASKED, bare, guarded, strict=True)
        if (fault := worse(one, other))
    ]
    assert faults == []
