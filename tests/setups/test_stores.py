"""The proxy and the command line on Redis as larger installations run it: both find it by the same config."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
import redis
import yaml

from litellm_cancel_guard.lease.slotname import read
from tests.cli.command import guard
from tests.faults.open_streams import LEASE_SECONDS, SHORT_LEASE, held
from tests.harness.clients import Admission
from tests.harness.keys import fresh_key
from tests.harness.process import LOOPBACK
from tests.harness.proxy import Proxy
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled, wait_until
from tests.setups.stores import PASSWORD, Secured, Sentinels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.harness.clients import Caller
    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.proxy import Proxies
    from tests.harness.versions import Version

QUICK = "callback_settings: {cancel_guard: {lease_seconds: 6, heartbeat_seconds: 0.5}}"


@pytest.fixture
def start(proxies: Proxies, setup: Setup) -> Iterator[Callable[..., Proxy]]:
    """Start a proxy that differs from the usual one in the fields given, for this test alone."""
    with proxies.alone(setup, Proxy.stop) as start:
        yield start


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    store = Secured(tmp_path)
    yield store
    store.close()


@pytest.fixture(params=["", PASSWORD], ids=["open", "password"])
def sentinels(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Sentinels]:
    store = Sentinels(tmp_path, request.param)
    yield store
    store.close()


def cached_in(params: dict[str, Any]) -> str:
    cache = {"cache": True, "cache_params": {"type": "redis", "supported_call_types": [], **params}}
    return yaml.safe_dump({"litellm_settings": cache, **yaml.safe_load(QUICK)})


def shown(config: Path, command: str, *args: str) -> Any:
    done = guard(command, *args, "--config", config, "--json")
    assert done.returncode == 0, done
    return json.loads(done.stdout)


async def held_and_given_back(caller: Caller, key: Key, *, namespace: str = "") -> None:
    """By the proxy, by what the command line sees of it, and by the command line itself."""
    config = caller.proxy.log.parent / "config.yaml"
    async with caller.holding(key, 2):

        def told() -> bool:
            [one] = shown(config, "status")
            return bool(one["limit"] == key.cap)

        await wait_until(told, "the worker's record is there", within=15)
        [one] = shown(config, "status")
        assert (one["key"], one["namespace"], one["slots"], one["number"]) == (key.name, namespace, 2, 2)
        held = shown(config, "slots", key.name)["held"]
        assert {slot["pid"] for slot in held} <= set(caller.proxy.workers)
        assert all(read(slot["slot"]) for slot in held)
        assert shown(config, "release", key.name, held[0]["slot"], "--yes")["in_flight"] == 1
    for _ in range(2):
        await caller.hang_up_mid(ROUTES["chat"], key)
    await wait_until(lambda: at_rest(caller, key), "every slot is back")


async def at_rest(caller: Caller, key: Key) -> bool:
    return await caller.admitted_at_once(key, cap=4) == Admission(admitted=4, refused=2)


async def test_tls_with_a_user_of_its_own_and_a_namespace(
    start: Callable[..., Proxy], call_on: Callable[[Proxy], Caller], key: Key, secured: Secured
) -> None:
    proxy = start(redis_port=None, settings=cached_in({**secured.params, "namespace": "ours"}))
    namespace = "ours" if proxy.setup.version.namespaces_slots else ""
    await held_and_given_back(call_on(proxy), key, namespace=namespace)
    doctor = guard("doctor", "--config", proxy.log.parent / "config.yaml", "--json")
    [store] = [finding for finding in json.loads(doctor.stdout) if finding["check"] == "Redis"]
    assert store["ok"], store
    assert PASSWORD not in doctor.stdout


def test_the_command_line_takes_tls_from_the_environment_and_by_url(secured: Secured) -> None:
    environ = {
        "REDIS_HOST": LOOPBACK,
        "REDIS_PORT": str(secured.port),
        "REDIS_USERNAME": secured.params["username"],
        "REDIS_PASSWORD": PASSWORD,
        "REDIS_SSL": "True",
        "REDIS_SSL_CA_CERTS": str(secured.authority),
    }
    url = (
        f"rediss://{secured.params['username']}:{PASSWORD}@{LOOPBACK}:{secured.port}/0?ssl_ca_certs={secured.authority}"
    )
    for asked in (guard("status", "--json", env=environ), guard("status", "--json", "--redis", url)):
        assert (asked.returncode, json.loads(asked.stdout or "null")) == (0, []), asked
    untrusted = guard("status", env={**environ, "REDIS_SSL_CA_CERTS": ""})
    assert (untrusted.returncode, "CERTIFICATE_VERIFY_FAILED" in untrusted.stderr) == (4, True), untrusted
    assert PASSWORD not in untrusted.stderr


@pytest.mark.timeout(240)
async def test_a_master_behind_sentinels_and_the_one_that_follows_it(
    litellm_version: Version,
    start: Callable[..., Proxy],
    call_on: Callable[[Proxy], Caller],
    key: Key,
    sentinels: Sentinels,
) -> None:
    password = sentinels._password
    if password and not litellm_version.at_least(1, 86):
        pytest.skip("up to 1.83 LiteLLM gives sentinel_password to the master, and the sentinels none (_redis.py)")
    params: dict[str, Any] = {"sentinel_nodes": [[LOOPBACK, sentinels.port]], "service_name": Sentinels.NAME}
    if password:
        params |= {"password": password, "sentinel_password": password}
    proxy = start(redis_port=None, settings=cached_in(params), env=(("LITELLM_LOG", "INFO"),))
    caller = call_on(proxy)
    await held_and_given_back(caller, key)
    sentinels.fail_over()
    await wait_until(lambda: at_rest(caller, key), "the cap is enforced again", within=30, every=1)
    [line] = proxy.attached
    assert "slots in Redis" in line


async def test_a_cluster_of_one_shard_that_is_given_as_a_plain_host(
    start: Callable[..., Proxy], call_on: Callable[[Proxy], Caller], key: Key, one_shard: int
) -> None:
    """Redis Enterprise and others look like that too: no command there may be about two API keys."""
    caller = call_on(start(redis_port=one_shard, env=SHORT_LEASE))
    other = fresh_key(cap=4)
    with redis.Redis(port=one_shard, decode_responses=True) as client:
        async with held(caller, key, 2), held(caller, other, 2):
            await asyncio.sleep(LEASE_SECONDS + 1)
            assert (gauge(client, key), gauge(client, other)) == (2, 2)
        for each in (key, other):
            assert await settled(lambda each=each: gauge(client, each), 0) == 0  # type: ignore[misc]
    assert "cannot count slots in Redis" not in caller.proxy.text()
