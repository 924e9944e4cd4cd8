"""How soon a slot is free, and the provider rid of its request, when a client hangs up while 200 others stream."""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, part_of, percentile
from benchmarks.load import secrets_of
from benchmarks.streams import held
from tests.harness.keys import Key, fresh_key
from tests.harness.process import LOOPBACK
from tests.harness.provider.script import Script, word
from tests.harness.routes import ROUTES

if TYPE_CHECKING:
    from benchmarks.stage import Plan, Stage
    from tests.harness.proxy import Proxy
    from tests.harness.versions import Version

NAME = "hang_up"
OTHERS = 200
# Each of the others gets a token twice a second.
_GAP_SECONDS = 0.5
_GIVE_UP_SECONDS = 5.0
_POLL_SECONDS = 0.0005


@dataclass
class _Times:
    """Milliseconds from the hang-up on."""

    free: list[float] = field(default_factory=list)
    provider: list[float] = field(default_factory=list)


def measure(stage: Stage, version: Version, plan: Plan) -> list[Figure]:
    """Return the times of one LiteLLM version with the guard, and LiteLLM's own for comparison."""
    others, times = plan.pick(OTHERS, 20), {}
    for guarded in (False, True):
        with (
            stage.proxy(stage.setup(version, guarded=guarded)) as proxy,
            held(proxy.url, secrets_of(others), _GAP_SECONDS),
        ):
            times[guarded] = _hang_ups(stage, proxy, plan.pick(200 if guarded else 20, 5))
    about = f"{others} other streams"
    parts = (
        (f"slot free after the hang-up, median, {about}", 50, "free"),
        (f"slot free after the hang-up, p99, {about}", 99, "free"),
        (f"provider sees the hang-up, p99, {about}", 99, "provider"),
    )
    return [
        part_of(
            NAME,
            name,
            "ms",
            getattr(times[True], what),
            percent,
            version=str(version),
            bare=percentile(getattr(times[False], what), percent),
        )
        for name, percent, what in parts
    ]


def _hang_ups(stage: Stage, proxy: Proxy, count: int) -> _Times:
    times = _Times()
    for _ in range(count):
        if times.free and times.free[-1] >= _GIVE_UP_SECONDS * 1000 and not proxy.setup.guarded:
            break
        _hang_up(stage, proxy, times)
    return times


def _hang_up(stage: Stage, proxy: Proxy, times: _Times) -> None:
    key, script = fresh_key(4), Script(secrets.token_hex(6), chunks=1_000_000, gap=0.05)
    client = _opened(proxy, key, script)
    seen = _Watch(stage, script.run)
    began = time.perf_counter()
    client.hang_up()
    times.free.append((_free_at(stage, key) - began) * 1000)
    times.provider.append((seen.at() - began) * 1000)


def _opened(proxy: Proxy, key: Key, script: Script) -> _Client:
    """Return the connection of a client that has read the first words of its stream."""
    path, body, headers = ROUTES["chat"].request(key, str(script), stream=True)
    client = http.client.HTTPConnection(LOOPBACK, proxy.port, timeout=30)
    client.request("POST", path, json.dumps(body), {**headers, "Content-Type": "application/json"})
    answer, read = client.getresponse(), b""
    while word(1).strip().encode() not in read:
        read += answer.read1(65536)
    return _Client(client, answer)


@dataclass
class _Client:
    connection: http.client.HTTPConnection
    answer: http.client.HTTPResponse

    def hang_up(self) -> None:
        # The answer keeps the socket open for as long as it lives.
        self.answer.close()
        self.connection.close()


def _free_at(stage: Stage, key: Key) -> float:
    """Return when Redis holds no slot of the key any more."""
    until = time.perf_counter() + _GIVE_UP_SECONDS
    while time.perf_counter() < until and slots_held(stage, key) > 0:
        time.sleep(_POLL_SECONDS)
    return time.perf_counter()


def slots_held(stage: Stage, key: Key) -> int:
    """Return how many slots of the key Redis holds, by the record that LiteLLM itself goes by."""
    store: Any = stage.redis.client
    name = f"{{api_key:{key.name}}}:max_parallel_requests"
    return int((store.zcard(name) if store.type(name) == "zset" else store.get(name)) or 0)


class _Watch:
    """Asks the provider, from a thread, when it is rid of a request."""

    def __init__(self, stage: Stage, run: str) -> None:
        self._at = 0.0
        self._client = http.client.HTTPConnection(LOOPBACK, stage.provider.port, timeout=30)
        self._client.request("GET", f"/_control/{run}/wait/{_GIVE_UP_SECONDS}?hung_up=1")
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def at(self) -> float:
        self._thread.join()
        return self._at

    def _wait(self) -> None:
        self._client.getresponse().read()
        self._at = time.perf_counter()
        self._client.close()
