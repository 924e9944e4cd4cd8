"""Who holds a slot, and who stood in the way of a refused request: shown by the command line and over HTTP."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.cli.command import asked, guard
from tests.harness.process import LOOPBACK
from tests.harness.routes import ROUTES
from tests.harness.witness import wait_until
from tests.operator.admins import ON, Admin

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.harness.clients import Caller
    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.redis_server import RedisServer


@pytest.fixture
def ours(proxies: Proxies, setup: Setup) -> Proxy:
    """The proxy of test_kill.py."""
    return proxies.shared(dataclasses.replace(setup, **ON))


@pytest.fixture
def redis(redis_server: RedisServer) -> str:
    return f"redis://{LOOPBACK}:{redis_server.port}"


async def test_a_holder_is_shown_by_model_path_call_id_and_agent_and_by_no_more(
    ours: Proxy, call_on: Callable[[Proxy], Caller], key: Key, http: httpx.AsyncClient, redis: str
) -> None:
    caller, admin = call_on(ours), Admin(http, ours)
    route = replace(ROUTES["chat"], headers=(("x-litellm-call-id", "call-7"), ("thread-id", "a secret thread")))
    script = replace(caller.script(), stall="2")

    async def holder() -> Any:
        return (await admin.shown(key))["held"][0]["holder"]

    async with caller.opened(route, key, script) as stream:
        await stream.read_chunks(2)

        async def is_quiet() -> bool:
            told = await holder()
            return told is not None and (told["last_chunk_seconds"] or 0) >= 1

        await wait_until(is_quiet, "the last chunk was a second ago")
        told = await holder()
        assert told.keys() == {"model", "call_id", "path", "agent", "last_chunk_seconds"}
        assert (told["model"], told["path"], told["call_id"]) == ("gpt", "/v1/chat/completions", "call-7")
        assert (len(told["agent"]), told["last_chunk_seconds"] < 10) == (8, True)
        shown = await asyncio.to_thread(asked, "slots", key.name, "--redis", redis)
        assert shown["held"][0]["holder"]["call_id"] == "call-7"
        table = (await asyncio.to_thread(guard, "slots", key.name, "--redis", redis)).stdout
        assert all(word in table for word in ("model gpt", "call id call-7", "last chunk"))
        for name in stored(redis):
            assert key.secret not in name
            assert "secret thread" not in name


def stored(redis: str) -> list[str]:
    """Every text in Redis that the guard has beside the slots."""
    import redis as client

    store: Any = client.from_url(redis, decode_responses=True)
    with store:
        names = [name for name in store.scan_iter("cancel_guard:*") if store.type(name) == "string"]
        return [store.get(name) or "" for name in names]


async def test_who_a_holder_is_is_shown_where_it_is_asked_for_without_a_restart(
    ours: Proxy, call_on: Callable[[Proxy], Caller], key: Key, http: httpx.AsyncClient
) -> None:
    caller, admin, config = call_on(ours), Admin(http, ours), ours.log.parent / "config.yaml"
    text = config.read_text()
    changed = yaml.safe_load(text)
    changed["callback_settings"]["cancel_guard"]["holders_detail"] = ["address", "user", "alias"]
    config.write_text(yaml.safe_dump(changed))
    try:

        async def adopted() -> bool:
            workers = (await admin.health())["workers"]
            return any(
                one["pid"] in ours.workers and one["settings"]["holders_detail"] == ["address", "user", "alias"]
                for one in workers
            )

        await wait_until(adopted, "the setting is in force", within=15, every=0.5)
        async with caller.holding(key, 1):

            async def told() -> bool:
                return (await admin.shown(key))["held"][0]["holder"] is not None

            await wait_until(told, "its worker has beaten")
            assert (await admin.shown(key))["held"][0]["holder"]["address"] == LOOPBACK
    finally:
        config.write_text(text)


async def test_a_refused_call_leads_to_those_who_stood_in_its_way(
    ours: Proxy, call_on: Callable[[Proxy], Caller], key: Key, http: httpx.AsyncClient, redis: str
) -> None:
    caller, admin = call_on(ours), Admin(http, ours)
    async with caller.holding(key, 4):
        held = {one["slot"] for one in (await admin.shown(key))["held"]}
        refused = await caller.plain(ROUTES["chat"], key)
        assert refused.status == 429
        call_id = refused.headers["x-litellm-call-id"]

        async def told() -> bool:
            return (await asyncio.to_thread(guard, "why", call_id, "--redis", redis)).returncode == 0

        await wait_until(told, "its worker has beaten", within=15)
        said = await asyncio.to_thread(asked, "why", call_id, "--redis", redis)
        assert (said["call_id"], said["limit"], said["in_flight"]) == (call_id, 4, 4)
        assert key.name.startswith(said["key"])
        assert {one["slot"] for one in said["held_by"]} == held
        assert {(one["route"], one["model"], one["still_held"]) for one in said["held_by"]} == {
            ("acompletion", "gpt", True)
        }
        assert call_id in (await asyncio.to_thread(guard, "why", call_id, "--redis", redis)).stdout
    unknown = await asyncio.to_thread(guard, "why", "nobodys", "--redis", redis)
    assert (unknown.returncode, unknown.stderr.startswith("Error: No worker knows")) == (3, True)
