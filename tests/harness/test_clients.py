"""Clients leave when the provider has done its part, however busy the machine: else a cell ends in another way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.exits import endings
from tests.harness.clients import GAVE_UP, Answer, Caller
from tests.harness.keys import fresh_key
from tests.harness.provider.handle import Control
from tests.harness.routes import ROUTES

if TYPE_CHECKING:
    import httpx

    from tests.harness.keys import Key
    from tests.harness.provider.handle import Provider
    from tests.harness.provider.script import Script
    from tests.harness.proxy import Proxy
    from tests.harness.routes import Route

IMPATIENT = replace(ROUTES["chat"], patience=0.05)


class Direct(Caller):
    """Of the provider itself, with no proxy between."""

    def __init__(self, provider: Provider, http: httpx.AsyncClient) -> None:
        super().__init__(cast("Proxy", SimpleNamespace(url=provider.url)), Control(provider, http), http)


@pytest.fixture
def caller(provider: Provider, http: httpx.AsyncClient) -> Direct:
    return Direct(provider, http)


async def test_a_client_is_patient_until_the_provider_has_answered(caller: Direct, key: Key) -> None:
    script = replace(caller.script(), stall="headers")
    asking = asyncio.create_task(caller.plain(IMPATIENT, key, script))
    await caller.provider.wait(script.run, stalled=1)
    await asyncio.sleep(3 * IMPATIENT.patience)
    await caller.provider.release(script.run)
    assert (await asking).status == 200


async def test_a_client_who_gets_nothing_of_the_providers_answer_leaves(caller: Direct, key: Key) -> None:
    script = caller.script()
    assert (await caller.plain(ROUTES["chat"], key, script)).status == 200
    assert (await caller.plain(IMPATIENT, key, replace(script, stall="headers"))).status == GAVE_UP
    await caller.provider.wait(script.run, open=0, hung_up=1)


async def test_a_timeout_before_the_provider_was_asked_is_not_taken_for_one_of_its(
    caller: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteLLM may have given up on its own busy loop: it is asked once more, and has more time."""
    given: list[str] = []

    async def gives_up(route: Route, key: Key, script: Script, **_: Any) -> Answer:
        given.append(dict(route.headers)["x-litellm-timeout"])
        if len(given) > 1:
            async with caller.opened(ROUTES["chat"], key, replace(script, stall="0")):
                await caller.provider.wait(script.run, stalled=1)
        return Answer(408, "", {})

    monkeypatch.setattr(caller, "whole", gives_up)
    await endings.timeout(caller, ROUTES["chat"], fresh_key())
    assert given == list(endings.TIMEOUTS[:2])
