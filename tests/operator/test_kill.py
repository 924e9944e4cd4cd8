"""A request ended by hand: what its client is told, that its provider is hung up on, and that its slot is back."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command import guard
from tests.harness.process import LOOPBACK
from tests.harness.routes import ROUTES, SOCKETS
from tests.harness.sessions import session
from tests.harness.witness import gauge, settled, wait_until
from tests.operator.admins import ON, Admin, role

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.harness.clients import Answer, Caller
    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.provider.script import Script
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.redis_server import RedisServer

SAYS = "ended by an operator"


@pytest.fixture
def ours(proxies: Proxies, setup: Setup) -> Proxy:
    """A proxy with the routes."""
    return proxies.shared(dataclasses.replace(setup, **ON))


class Operator(Admin):
    async def slot(self, key: Key) -> str:
        """The id of the one slot that the key holds, once its worker has told of itself."""

        async def told() -> bool:
            return [held["worker_state"] for held in (await self.shown(key))["held"]] == ["alive"]

        await wait_until(told, "its worker has written its record")
        return str((await self.shown(key))["held"][0]["slot"])

    async def kill(self, **body: Any) -> httpx.Response:
        return await self._http.post(f"{self._proxy.url}/cancel_guard/kill", json=body, headers=self._headers)

    async def killed(self, key: Key) -> Any:
        answer = await self.kill(slot=await self.slot(key))
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass
class Scene:
    """A user of the proxy and its operator."""

    caller: Caller
    operator: Operator
    key: Key
    redis: RedisServer

    def held(self, stall: str) -> Script:
        """What has the provider hold the answer there."""
        return replace(self.caller.script(), stall=stall)

    async def killed(self) -> Any:
        return await self.operator.killed(self.key)

    async def is_over(self, script: Script) -> None:
        await self.caller.provider.wait(script.run, open=0)
        assert await settled(lambda: gauge(self.redis.client, self.key), 0) == 0, "its slot is back"
        assert await self.caller.admitted_at_once(self.key, cap=4) == (4, 2)


@pytest.fixture
def scene(
    ours: Proxy, call_on: Callable[[Proxy], Caller], key: Key, http: httpx.AsyncClient, redis_server: RedisServer
) -> Scene:
    return Scene(call_on(ours), Operator(http, ours), key, redis_server)


def skip_unless_counted(scene: Scene, name: str) -> None:
    if name == "genai" and not scene.caller.proxy.setup.version.hooks_genai:
        pytest.skip("this LiteLLM counts no request of that route")


@pytest.mark.parametrize("name", ["chat", "messages_claude", "responses", "genai"])
async def test_a_stream_ends_in_an_error_of_its_protocol(scene: Scene, name: str) -> None:
    skip_unless_counted(scene, name)
    caller, route = scene.caller, ROUTES[name]
    script = scene.held("2")
    async with caller.opened(route, scene.key, script) as stream:
        await stream.read_chunks(2)
        said = await scene.killed()
        assert said["within_seconds"] == 0, "the worker that was asked is the one"
        await asyncio.wait_for(stream.read_rest(), 10)
        assert SAYS in stream.text
        assert '"code":"503"' in stream.text or '"code":503' in stream.text or '"type":"api_error"' in stream.text
        assert route.terminal == "[DONE]" or route.terminal not in stream.text, "it is no whole answer"
        await scene.is_over(script)


@pytest.mark.parametrize("stall", ["headers", "0"])
@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("chat", False),
        ("chat", True),
        ("messages_claude", False),
        ("messages_claude", True),
        ("responses", True),
        ("genai", True),
        ("embed", False),
        ("pass_anthropic", False),
        ("pass_anthropic", True),
    ],
)
async def test_a_request_that_waits_for_its_provider_is_answered_with_a_503(
    scene: Scene, name: str, stream: bool, stall: str
) -> None:
    if stall == "0" and (not stream or name == "pass_anthropic"):
        pytest.skip("a plain answer has no step before its first chunk, and a pass-through one has begun by then")
    skip_unless_counted(scene, name)
    script = scene.held(stall)
    asking = asyncio.create_task(scene.caller.whole(ROUTES[name], scene.key, script, stream=stream))
    await scene.caller.provider.wait(script.run, stalled=1)
    await scene.killed()
    answer: Answer = await asyncio.wait_for(asking, 10)
    assert (answer.status, SAYS in answer.text, answer.broken_off) == (503, True, False), answer.text
    assert "error" in json.loads(answer.text)
    assert answer.headers.get("x-should-retry") == "false"
    await scene.is_over(script)


async def test_a_pass_through_stream_is_cut_off(scene: Scene) -> None:
    script = scene.held("2")
    asking = asyncio.create_task(scene.caller.streamed(ROUTES["pass_anthropic"], scene.key, script))
    await scene.caller.provider.wait(script.run, stalled=1)
    await scene.killed()
    answer = await asyncio.wait_for(asking, 10)
    assert (answer.broken_off, "message_stop" in answer.text) == (True, False)
    await scene.is_over(script)


@pytest.mark.parametrize("name", sorted(SOCKETS))
async def test_a_session_over_a_websocket_is_closed_and_says_why(scene: Scene, name: str) -> None:
    caller, route = scene.caller, SOCKETS[name]
    if not caller.proxy.setup.version.at_least(*route.since):
        pytest.skip("this LiteLLM has no such route")
    script = scene.held("2")
    async with session(caller, route, scene.key) as held:
        await held.ask(script)
        await held.read_chunks(2)
        await scene.killed()
        while await held._read():
            pass
        # 1.83's route of realtime sessions meets a cancellation with a fault of its own, and tells of that.
        assert held.reason.startswith("This request was ended by an operator") or "Internal server error" in held.reason
        await scene.is_over(script)


async def test_the_command_line_waits_until_the_slot_is_back(scene: Scene) -> None:
    script = scene.held("headers")
    asking = asyncio.create_task(scene.caller.plain(ROUTES["chat"], scene.key, script))
    await scene.caller.provider.wait(script.run, stalled=1)
    slot, redis = await scene.operator.slot(scene.key), f"redis://{LOOPBACK}:{scene.redis.port}"
    done = await asyncio.to_thread(guard, "kill", slot, "--yes", "--redis", redis)
    assert (done.returncode, "within 0.5 s" in done.stdout, "the slot is back" in done.stdout) == (0, True, True), done
    assert (await asyncio.wait_for(asking, 10)).status == 503
    await scene.is_over(script)
    again = await asyncio.to_thread(guard, "kill", slot, "--yes", "--redis", redis)
    assert (again.returncode, again.stderr) == (3, "Error: No such slot is held.\n")
    lines = [line for line in scene.caller.proxy.text().splitlines() if "ended by hand" in line and slot in line]
    assert len(lines) == 1
    assert "route acompletion" in lines[0]
    assert "asked for by the command line" in lines[0]
    assert scene.key.secret not in lines[0]


async def test_a_worker_ends_what_another_was_asked_to_end(
    scene: Scene, two_workers: Proxy, http: httpx.AsyncClient
) -> None:
    script = scene.held("2")
    async with scene.caller.opened(ROUTES["chat"], scene.key, script) as stream:
        await stream.read_chunks(2)
        said = await Operator(http, two_workers).killed(scene.key)
        assert said["within_seconds"] == 0.5, "a beat"
        await asyncio.wait_for(stream.read_rest(), 10)
        assert SAYS in stream.text
        await scene.is_over(script)


async def test_what_can_not_be_ended_says_why_and_what_to_do(
    ours: Proxy, key: Key, http: httpx.AsyncClient, redis_server: RedisServer
) -> None:
    operator, store = Operator(http, ours), redis_server.client
    for body, status, text in (
        ({"slot": "not-there"}, 404, "No such slot"),
        ({"slot": "abc"}, 422, "slot"),
        ({}, 422, "slot: Field required"),
        ({"slot": "abcd", "key": "x"}, 422, "key: Extra inputs"),
    ):
        answer = await operator.kill(**body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, str(status))
        assert text in answer.json()["error"]["message"]
    viewer = Operator(http, ours, role("proxy_admin_viewer"))
    assert (await viewer.kill(slot="abcd")).status_code == 403
    name, when = f"{{api_key:{key.name}}}:max_parallel_requests", 2_000_000_000
    gone, unguarded = "0123456789ab.19a00000000.1.acompletion", "litellms-own-slot"
    try:
        if ours.setup.version.release >= (1, 94):
            store.zadd(name, {gone: when, unguarded: when})
        else:
            store.zadd(f"{{api_key:{key.name}}}:cancel_guard:slots", {gone: when, unguarded: when})
        for slot, text in ((gone, "has not been heard of"), (unguarded, "without the guard")):
            answer = await operator.kill(slot=slot)
            assert (answer.status_code, text in answer.json()["error"]["message"]) == (409, True), answer.text
            assert "`release`" in answer.json()["error"]["message"]
    finally:
        store.delete(name, f"{{api_key:{key.name}}}:cancel_guard:slots")


@pytest.fixture
def two_workers(proxies: Proxies, setup: Setup) -> Proxy:
    return proxies.shared(dataclasses.replace(setup, **ON, workers=2, arguments=("--run_gunicorn",)))


async def test_without_redis_the_worker_that_is_asked_ends_its_own(
    proxies: Proxies, setup: Setup, call_on: Callable[[Proxy], Caller], key: Key, http: httpx.AsyncClient
) -> None:
    alone = proxies.shared(dataclasses.replace(setup, **ON, redis_port=None))
    caller, operator = call_on(alone), Operator(http, alone)
    script = replace(caller.script(), stall="headers")
    asking = asyncio.create_task(caller.plain(ROUTES["chat"], key, script))
    await caller.provider.wait(script.run, stalled=1)
    assert (await operator.killed(key))["scope"] == "this worker"
    assert (await asyncio.wait_for(asking, 10)).status == 503
    await caller.provider.wait(script.run, open=0)
    assert await caller.admitted_at_once(key, cap=4) == (4, 2)
