"""The guard follows its block of the config file: alone, and in the workers of a real proxy."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from litellm_cancel_guard.operator.reload import ConfigWatch, InForce
from litellm_cancel_guard.settings import Settings
from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import attached, gauge, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.clients import Caller
    from tests.harness.proxy import Proxy
    from tests.harness.redis_server import RedisServer

CHAT = ROUTES["chat"]


class Config:
    """A config file, and what a watch over it adopts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.adopted: list[Settings] = []

    def write(self, block: Any) -> None:
        self.path.write_text(yaml.safe_dump({"callback_settings": {"cancel_guard": block}} if block else {"a": 1}))

    def watched(self, block: Any) -> ConfigWatch:
        return ConfigWatch(self.path, block, self.adopted.append)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path / "config.yaml")


def test_what_litellm_has_read_is_not_adopted_again(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEASE", "60")
    config.write({"lease_seconds": "os.environ/LEASE"})
    config.watched({"lease_seconds": "60"}).look()
    assert config.adopted == []


def test_a_change_before_the_first_request_is_adopted(config: Config) -> None:
    config.write({"enabled": False})
    config.watched({"enabled": True}).look()
    assert config.adopted == [Settings(enabled=False)]


def test_a_block_that_came_from_elsewhere_is_kept(config: Config) -> None:
    config.write(None)
    watch = config.watched({"enabled": False})
    watch.look()
    watch.look()
    assert config.adopted == []


def test_a_removed_block_means_the_defaults(config: Config) -> None:
    config.write({"lease_seconds": 60})
    watch = config.watched({"lease_seconds": 60})
    watch.look()
    config.write(None)
    watch.look()
    watch.look()
    assert config.adopted == [Settings()]


@pytest.mark.parametrize("half", ["", "callback_settings: {cancel_guard: {lease_seconds: 9}}"], ids=["empty", "half"])
def test_a_file_that_is_being_written_is_not_gone_by(config: Config, half: str) -> None:
    config.write({"lease_seconds": 60})
    watch = config.watched({"lease_seconds": 60})
    watch.look()
    config.path.write_text(half)
    watch.look()
    config.write({"lease_seconds": 120})
    for _ in range(3):
        watch.look()
    assert [settings.lease_seconds for settings in config.adopted] == [120]


@pytest.mark.parametrize(
    "broken", ["callback_settings: {cancel_guard: {lease: 10}}", "callback_settings: [", "since: 2026-13-45", None]
)
def test_what_is_wrong_or_gone_is_said_once_and_changes_nothing(
    config: Config, caplog: pytest.LogCaptureFixture, broken: str | None
) -> None:
    config.write({"lease_seconds": 60})
    watch = config.watched({"lease_seconds": 60})
    watch.look()
    if broken is None:
        config.path.unlink()
    else:
        config.path.write_text(broken)
    for _ in range(3):
        watch.look()
    assert config.adopted == []
    assert caplog.text.count("What was in force stays") == 1
    config.write({"lease_seconds": 90})
    watch.look()
    watch.look()
    assert [settings.lease_seconds for settings in config.adopted] == [90]


def test_the_environment_goes_before_a_changed_block(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANCEL_GUARD_LEASE_SECONDS", "45")
    config.write({"lease_seconds": 90})
    config.watched(None).look()
    assert [settings.lease_seconds for settings in config.adopted] == [45]


async def test_it_looks_again_and_again(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litellm_cancel_guard.operator.reload.POLL_SECONDS", 0.01)
    config.write({"lease_seconds": 60})
    watch = config.watched({"lease_seconds": 60})
    watch.look()
    watch.start()
    for seconds in (70, 80):
        config.write({"lease_seconds": seconds})

        async def adopted(seconds: int = seconds) -> bool:
            return bool(config.adopted) and config.adopted[-1].lease_seconds == seconds

        await wait_until(adopted, f"{seconds} s are adopted")
    assert watch._task is not None
    watch._task.cancel()
    await asyncio.gather(watch._task, return_exceptions=True)


async def test_it_keeps_nothing_of_the_request_that_started_it(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litellm_cancel_guard.operator.reload.POLL_SECONDS", 0.01)
    served, seen = ContextVar("served", default="nothing"), asyncio.Queue[str]()
    config.write({"lease_seconds": 60})
    watch = ConfigWatch(config.path, None, lambda _: seen.put_nowait(served.get()))
    served.set("the first request")
    watch.start()
    assert await asyncio.wait_for(seen.get(), 5) == "nothing"
    assert watch._task is not None
    watch._task.cancel()
    await asyncio.gather(watch._task, return_exceptions=True)


def test_what_takes_a_restart_is_named_and_stays(caplog: pytest.LogCaptureFixture) -> None:
    in_force: Any = InForce(Settings())
    with caplog.at_level(logging.WARNING):
        in_force.adopt(Settings(metrics_per_key=True, lease_seconds=60))
    assert (in_force.metrics_per_key, in_force.lease_seconds) == (False, 60)
    assert "metrics_per_key: takes effect when the worker is restarted" in caplog.text


@pytest.mark.timeout(300)
async def test_every_worker_stands_aside_and_comes_back_without_a_restart(
    start: Callable[..., Proxy], call_on: Callable[[Proxy], Caller], redis_server: RedisServer
) -> None:
    # uvicorn's own supervisor kills a worker that imports for longer than 5 s without an answer.
    proxy = start(workers=2, arguments=("--run_gunicorn",), env=(("LITELLM_LOG", "INFO"),))
    config = proxy.log.parent / "config.yaml"
    original = yaml.safe_load(config.read_text())

    def write(block: dict[str, Any]) -> None:
        config.write_text(yaml.safe_dump({**original, "callback_settings": {"cancel_guard": block}}))

    async def said(text: str) -> None:
        async def told() -> bool:
            return proxy.text().count(text) >= 2

        # Each looks every 2 s; the rest is for a machine that is busy with other tests.
        await wait_until(told, f"both workers say: {text}", within=20)

    caller, key = call_on(proxy), fresh_key(cap=4)
    await attached(proxy, 2)
    script = dataclasses.replace(caller.script(), stall="2")
    async with caller.opened(CHAT, key, script) as in_flight:
        await in_flight.read_chunks(2)
        write({"enabled": False})
        await said("the guard stands aside")
        assert gauge(redis_server.client, key) == 1, "what is in flight keeps its slot"
    await caller.left(script.run)
    assert await settled(lambda: gauge(redis_server.client, key), 0, within=10) == 0

    later = fresh_key(cap=4)
    assert await caller.admitted_at_once(later, cap=4) == (4, 2), "LiteLLM alone enforces the cap"
    assert await settled(lambda: gauge(redis_server.client, later), 0, within=20) == 0, "and uncounts what ended"

    write({"lease_seconds": "soon"})
    await said("What was in force stays")
    write({"lease_seconds": 5})
    await said("lease_seconds=5.0")
    for _ in range(3):
        await caller.hang_up_mid(CHAT, key)
    assert await settled(lambda: gauge(redis_server.client, key), 0, within=10) == 0
    assert await caller.admitted_at_once(key, cap=4) == (4, 2)
