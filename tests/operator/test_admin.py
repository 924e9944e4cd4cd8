"""The slots over HTTP, for LiteLLM's admins: who may, what is shown, and what giving back does."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.open_streams import held
from tests.harness.keys import MASTER_KEY, fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled, wait_until
from tests.operator.admins import ON, Admin, role, statuses

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.harness.clients import Caller
    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.more

# LiteLLM's own authentication: without a database there is the master key, and no other.
OWN = ON["settings"].replace("admin_auth.user_api_key_auth", "null")


@pytest.fixture
def shared(proxies: Proxies, setup: Setup) -> Callable[..., Proxy]:
    """A proxy with the routes that differs in the fields given, and has a history."""
    return lambda **changes: proxies.shared(dataclasses.replace(setup, **{**ON, **changes}))


@pytest.fixture
def two_workers(shared: Callable[..., Proxy]) -> Proxy:
    # uvicorn's own supervisor kills a worker that imports for longer than 5 s without an answer.
    return shared(workers=2, arguments=("--run_gunicorn",))


@pytest.fixture
def without_redis(shared: Callable[..., Proxy]) -> Proxy:
    return shared(redis_port=None)


async def test_only_admins_are_served_and_only_admins_give_back(two_workers: Proxy, http: httpx.AsyncClient) -> None:
    asked = {
        "ordinary": fresh_key(4).secret,
        "internal user": role("internal_user"),
        "viewer": role("proxy_admin_viewer"),
        "admin": role("proxy_admin"),
        "master key": MASTER_KEY,
    }
    assert {name: await statuses(http, two_workers, secret) for name, secret in asked.items()} == {
        "ordinary": (403, 403),
        "internal user": (403, 403),
        "viewer": (200, 403),
        "admin": (200, 404),
        "master key": (200, 404),
    }
    refused = (await Admin(http, two_workers, asked["ordinary"]).get()).json()
    assert "Admin-only endpoint" in refused["detail"]["error"]


async def test_without_a_key_or_with_a_wrong_one_it_is_as_on_litellms_own_admin_routes(
    shared: Callable[..., Proxy], http: httpx.AsyncClient
) -> None:
    proxy = shared(settings=OWN, libraries=str(Path(__file__).with_name("stubs")))
    assert await statuses(http, proxy, MASTER_KEY) == (200, 404)
    for secret in ("", "sk-nobodys"):
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        theirs = await http.get(f"{proxy.url}/active/callbacks", headers=headers)
        ours = await Admin(http, proxy, secret).get()
        assert theirs.status_code in (400, 401), "400 of a key that would have to be looked up in a database"
        assert (ours.status_code, ours.json()["error"].keys()) == (theirs.status_code, theirs.json()["error"].keys())
        assert (await Admin(http, proxy, secret).post(key="ab" * 32, all=True)).status_code == theirs.status_code


async def test_they_are_not_there_unless_asked_for(proxy: Proxy, http: httpx.AsyncClient) -> None:
    for secret in ("", MASTER_KEY, fresh_key(4).secret):
        admin = Admin(http, proxy, secret)
        for answer in (await admin.get(), await admin.post(key="ab" * 32, all=True)):
            assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


async def test_each_slot_is_shown_with_its_route_age_and_worker_and_the_key_with_its_limit(
    two_workers: Proxy, call_on: Callable[[Proxy], Caller], key: Key, http: httpx.AsyncClient
) -> None:
    caller, admin = call_on(two_workers), Admin(http, two_workers)
    async with caller.holding(key, 2), caller.holding(key, 1, ROUTES["messages"]):

        async def told() -> bool:
            return {held["worker_state"] for held in (await admin.shown(key))["held"]} == {"alive"}

        await wait_until(told, "every worker with a slot has written its record")
        shown = await admin.shown(key)
        assert (shown["slots"], shown["number"], shown["limit"]) == (3, 3, 4)
        routes = sorted(held["route"] for held in shown["held"])
        assert routes == ["acompletion", "acompletion", "anthropic_messages"]
        assert {held["pid"] for held in shown["held"]} <= set(two_workers.workers)
        assert all(0 <= held["age_seconds"] <= shown["oldest_seconds"] < 20 for held in shown["held"])
        assert all(0 < held["lapses_in_seconds"] <= 6 for held in shown["held"])
        assert all(held["litellm"] == str(two_workers.setup.version) for held in shown["held"])
        every = (await admin.get()).json()
        assert (every["scope"], key.name in {one["key"] for one in every["keys"]}) == ("all workers", True)


async def test_the_line_is_shown_with_how_many_wait_since_when_and_whose_turn_it_is(
    two_workers: Proxy,
    without_redis: Proxy,
    call_on: Callable[[Proxy], Caller],
    http: httpx.AsyncClient,
) -> None:
    for proxy in (two_workers, without_redis):
        caller, admin, lined = call_on(proxy), Admin(http, proxy), fresh_key(cap=1, wait=60)
        async with caller.holding(lined, 1):
            asking = asyncio.create_task(caller.plain(ROUTES["chat"], lined))

            async def waits(admin: Admin = admin, lined: Key = lined) -> bool:
                return bool((await admin.shown(lined))["waiting"] == 1)

            await wait_until(waits, "it waits")
            shown = await admin.shown(lined)
            assert (shown["slots"], shown["waiting"], shown["turn"]) == (1, 1, None)
            assert 0 <= shown["first_waited_seconds"] < 20
        assert (await asking).status == 200


async def test_a_slot_that_is_given_back_is_free_until_its_worker_beats(
    two_workers: Proxy,
    call_on: Callable[[Proxy], Caller],
    key: Key,
    http: httpx.AsyncClient,
    redis_server: RedisServer,
) -> None:
    caller, admin = call_on(two_workers), Admin(http, two_workers)
    async with caller.holding(key, 3):
        shown = await admin.shown(key)
        slot = shown["held"][0]["slot"]
        refused = await admin.post(key=key.name[:12], slot=slot)
        assert refused.status_code == 409
        assert "of requests that run" in refused.json()["error"]["message"]
        answer = await admin.post(key=key.name[:12], slot=slot, force=True)
        assert (answer.status_code, answer.json()) == (
            200,
            {"scope": "all workers", "key": key.name, "slots": [slot], "in_flight": 2},
        )
        assert await settled(lambda: gauge(redis_server.client, key), 3) == 3, "its request runs: it is taken again"
        assert len((await admin.post(key=key.secret, all=True, force=True)).json()["slots"]) == 3
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


async def test_what_cannot_be_understood_is_refused_with_what_to_send(
    two_workers: Proxy, http: httpx.AsyncClient
) -> None:
    admin = Admin(http, two_workers)

    async def complaint(answer: httpx.Response) -> tuple[int, str]:
        error = answer.json()["error"]
        assert error["code"] == str(answer.status_code)
        return answer.status_code, str(error["message"])

    assert await complaint(await admin.post(key="ab" * 32)) == (422, "give either the slot, or all: true")
    assert await complaint(await admin.post(key="ab" * 32, slot="x", all=True)) == (
        422,
        "give either the slot, or all: true",
    )
    assert await complaint(await admin.post(slot="x")) == (422, "key: Field required")
    status, text = await complaint(await admin.post(key="ab" * 32, slots="x"))
    assert (status, "slots: Extra inputs are not permitted" in text) == (422, True)
    status, text = await complaint(await admin.get(key="sk-a-secret"))
    assert (status, "a URL ends up in logs" in text) == (422, True)
    assert await complaint(await admin.get(key="ab" * 32)) == (
        404,
        "That key holds no slot (a key at rest leaves nothing in Redis).",
    )


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "", 415),
        (b"key=abcd&all=true", "application/x-www-form-urlencoded", 415),
        (b"--a--", "multipart/form-data; boundary=a", 415),
        (b"{}", "text/plain", 415),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff", "application/json; charset=utf-8", 400),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'{"key": 7, "all": true}', "application/json", 422),
    ],
)
async def test_a_body_that_is_none_is_refused_in_litellms_shape(
    two_workers: Proxy, http: httpx.AsyncClient, body: bytes, kind: str, status: int
) -> None:
    answer = await Admin(http, two_workers).post_raw(body, kind)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, str(status)), answer.text


async def test_every_worker_is_there_from_its_start_on_with_what_is_in_force(
    two_workers: Proxy, http: httpx.AsyncClient
) -> None:
    admin, pids = Admin(http, two_workers), set(two_workers.workers)

    async def all_there() -> bool:
        seen = {one["pid"]: one for one in (await admin.health())["workers"]}
        return pids <= seen.keys()

    await wait_until(all_there, "both workers have said that they are there")
    shown = await admin.health()
    ours = [one for one in shown["workers"] if one["pid"] in pids]
    assert shown["answered_by"] in {one["worker"] for one in ours}
    for one in ours:
        assert (one["state"], one["litellm"]) == ("alive", str(two_workers.setup.version))
        assert one["limiter"] in ("slots, in Redis", "counting, in Redis")
        assert "slots.seam" not in one["not_in_force"], one
        assert (one["settings"]["lease_seconds"], one["settings"]["admin_routes"]) == (6, True)


async def test_without_redis_a_worker_shows_its_own_slots(
    without_redis: Proxy, call_on: Callable[[Proxy], Caller], key: Key, http: httpx.AsyncClient
) -> None:
    caller, admin = call_on(without_redis), Admin(http, without_redis)
    async with caller.holding(key, 2):
        shown = await admin.shown(key)
        assert (shown["slots"], shown["limit"], {held["worker_state"] for held in shown["held"]}) == (2, 4, {"alive"})
        assert {held["pid"] for held in shown["held"]} <= set(without_redis.workers)
        answer = await admin.post(key=key.name, slot=shown["held"][0]["slot"], force=True)
        assert (answer.json()["scope"], answer.json()["in_flight"]) == ("this worker", 1)
        [alone] = (await admin.health())["workers"]
        assert (alone["limiter"].endswith("in the process"), alone["slots"]) == (True, 2), "its requests run"


async def test_litellm_lists_the_guard_under_a_name_that_tells_what_it_is(
    two_workers: Proxy, call_on: Callable[[Proxy], Caller], key: Key, http: httpx.AsyncClient
) -> None:
    """Of most callbacks LiteLLM shows the class and an address; up to 1.83 /health/readiness needs no key."""
    await call_on(two_workers).plain(ROUTES["chat"], key)
    headers = {"Authorization": f"Bearer {MASTER_KEY}"}
    active = (await http.get(f"{two_workers.url}/active/callbacks", headers=headers)).json()
    assert "litellm_cancel_guard" in active["all_litellm_callbacks"]
    ready = (await http.get(f"{two_workers.url}/health/readiness", headers=headers)).json()
    assert "_PROXY_CancelGuard" not in str((active, ready))
    named = ready.get("success_callbacks")
    assert named is None or "litellm_cancel_guard" in named


async def test_they_come_and_go_with_the_setting_without_a_restart(
    without_redis: Proxy, http: httpx.AsyncClient
) -> None:
    admin, config = Admin(http, without_redis), without_redis.log.parent / "config.yaml"
    text = config.read_text()
    assert "admin_routes: true" in text
    for now, status in ((text.replace("admin_routes: true", "admin_routes: false"), 404), (text, 200)):
        config.write_text(now)

        async def answered(status: int = status) -> bool:
            return (await admin.get()).status_code == status

        await wait_until(answered, f"{status}", within=10)


@pytest.mark.timeout(240)
async def test_the_slots_of_a_killed_worker_say_so_until_they_lapse(
    start: Callable[..., Proxy],
    two_workers: Proxy,
    call_on: Callable[[Proxy], Caller],
    key: Key,
    http: httpx.AsyncClient,
) -> None:
    dying, admin = start(**ON), Admin(http, two_workers)

    async def states() -> Counter[str]:
        return Counter(one["worker_state"] for one in (await admin.shown(key))["held"])

    async def are(**wanted: int) -> bool:
        return await states() == wanted

    async with held(call_on(two_workers), key, 1), held(call_on(dying), key, 2):
        await wait_until(lambda: are(alive=3), "all are of living workers")
        dying.kill()
        await wait_until(lambda: are(alive=1, silent=2), "two are of a silent one", within=6)
        silent = [one for one in (await admin.shown(key))["held"] if one["worker_state"] == "silent"]
        assert {one["pid"] for one in silent} == {dying.pid}
        await wait_until(lambda: are(alive=1), "they have lapsed", within=8)
