"""A transcription that is streamed: LiteLLM calls no hook around it, and its slot comes back however it ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.exits.endings import ENDINGS
from tests.harness.clients import Admission
from tests.harness.keys import fresh_key
from tests.harness.routes import TRANSCRIPTION
from tests.harness.witness import gauge, lasting, settled

if TYPE_CHECKING:
    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer

CAP = 4


@pytest.fixture(autouse=True)
def _streams_them(caller: Caller) -> None:
    if not caller.proxy.setup.version.at_least(*TRANSCRIPTION.since):
        pytest.skip("this LiteLLM streams no transcription")


@pytest.mark.parametrize("name", ["complete", "cancel_mid", "cancel_before_first", "mid429", "midreset", "http500"])
async def test_its_slot_comes_back(caller: Caller, key: Key, redis_server: RedisServer, name: str) -> None:
    for _ in range(3):
        await ENDINGS[name](caller, TRANSCRIPTION, key)
    left = await settled(lambda: gauge(redis_server.client, key), 0)
    assert (left, await caller.admitted_at_once(key, cap=CAP, route=TRANSCRIPTION)) == (0, Admission(CAP, 2))
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert lasting(redis_server.client, key) == []


async def test_it_holds_its_slot_until_it_ends_and_its_provider_is_let_go_with_its_client(
    caller: Caller, redis_server: RedisServer
) -> None:
    one, script = fresh_key(cap=1), replace(caller.script(), stall="2")
    async with caller.opened(TRANSCRIPTION, one, script) as stream:
        await asyncio.wait_for(stream.read_chunks(2), 10)
        held, refused = gauge(redis_server.client, one), (await caller.plain(TRANSCRIPTION, one)).status

    assert (held, refused) == (1, 429)
    assert await caller.provider.hung_up(script.run, within=1)
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
async def test_one_after_another_is_never_refused_at_a_cap_of_one(caller: Caller, *, stream: bool) -> None:
    one = fresh_key(cap=1)
    script = replace(caller.script(), chunks=2)
    statuses = [(await caller.whole(TRANSCRIPTION, one, script, stream=stream)).status for _ in range(40)]
    assert statuses == [200] * 40
