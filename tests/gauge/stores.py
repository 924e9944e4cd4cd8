"""The places a gauge can be, each with a second client that asks the place itself."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import redis

from litellm_cancel_guard.gauge.layout import WINDOW_SECONDS, Layout, counted_layout, slots_layout
from litellm_cancel_guard.gauge.redis import RedisGauge
from tests.harness.process import LOOPBACK, Process, free_port
from tests.harness.redis_server import require_redis_server

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

LEASE_SECONDS = 30.0
TIMEOUT_SECONDS = 5.0

GAUGE = "api_key:88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"
LIMITER_KEY = f"{{{GAUGE}}}:max_parallel_requests"
WINDOW_KEY = f"{{{GAUGE}}}:window"
REQUESTS_KEY = f"{{{GAUGE}}}:requests"
TOKENS_KEY = f"{{{GAUGE}}}:tokens"
SLOTS_KEY = f"{{{GAUGE}}}:cancel_guard:slots"
MIRROR_KEY = f"{{{GAUGE}}}:cancel_guard:mirror"

BOOK = ("held", "unguarded", "rose", "expires", "slots_expire")

# Milliseconds that fakeredis' clock may run on within a script.
_SOON = 200

LAYOUTS: dict[str, Layout] = {"slots": slots_layout(), "counted": counted_layout()}


@dataclass(frozen=True)
class Store:
    """A Redis: *client* is the gauge's, *witness* is ours and speaks text."""

    client: Any
    witness: Any

    def gauge(
        self, layout: str = "slots", *, lease_seconds: float = LEASE_SECONDS, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> RedisGauge:
        return RedisGauge(
            lambda: self.client,
            LAYOUTS[layout],
            lease_seconds=lease_seconds,
            timeout_seconds=timeout_seconds,
        )

    async def in_flight(self, layout: str, gauge: str = GAUGE) -> int:
        """The slots as an operator reads them, without the guard; an absent key is 0."""
        key = f"{{{gauge}}}:max_parallel_requests"
        if layout == "slots":
            return int(await self.witness.zcard(key))
        number = await self.witness.get(key)
        held = int(await self.witness.zcard(f"{{{gauge}}}:cancel_guard:slots"))
        assert number is None or (number.isdecimal() and int(number) >= held), (number, held)
        return int(number or 0)

    async def age(self, layout: str, name: str, seconds: float) -> None:
        """Let *seconds* pass for one slot of GAUGE, as if its last renewal were that long ago."""
        key = LIMITER_KEY if layout == "slots" else SLOTS_KEY
        assert await self.witness.zincrby(key, -seconds, name)

    async def book(self) -> dict[str, float]:
        """What the guard has noted on GAUGE's number; nothing at rest."""
        text = await self.witness.get(MIRROR_KEY)
        return {} if text is None else dict(zip(BOOK, map(float, text.split(" ")), strict=True))

    async def assert_book_is_true(self) -> None:
        """It says of slots and number what Redis says; the number lives as long as they, the book a window more."""
        book = await self.book()
        async with self.witness.pipeline(transaction=True) as pipe:
            pipe.time().zcard(SLOTS_KEY)
            for key in (SLOTS_KEY, LIMITER_KEY, MIRROR_KEY):
                pipe.pttl(key)
            (seconds, microseconds), held, slots, number, own = await pipe.execute()
        now = seconds * 1000 + microseconds / 1000
        if not book:
            assert (held, number) == (0, -2)
            return
        assert book["held"] == held
        assert book["slots_expire"] == (pytest.approx(now + slots, abs=_SOON) if held else 0)
        assert book["expires"] == pytest.approx(now + number, abs=_SOON)
        assert number >= slots - _SOON
        assert own >= number + WINDOW_SECONDS * 1000 - _SOON

    async def age_book(self, **fields: float) -> None:
        """Put the moments of these *fields* so much earlier, as if it had been noted then; 0 is never."""
        text = await self.witness.get(MIRROR_KEY)
        assert text is not None
        noted = dict(zip(BOOK, text.split(" "), strict=True))
        for name, amount in fields.items():
            decimals = len(noted[name].partition(".")[2])
            noted[name] = f"{max(0.0, float(noted[name]) - amount):.{decimals}f}"
        await self.witness.set(MIRROR_KEY, " ".join(noted.values()), keepttl=True)

    async def expire_together(self, *keys: str, seconds: int = 60) -> None:
        """What EXPIRE in one script does, to the millisecond even where the clock runs on in between."""
        now, _ = await self.witness.time()
        async with self.witness.pipeline(transaction=True) as pipe:
            for key in keys:
                pipe.pexpireat(key, (now + seconds) * 1000)
            assert all(await pipe.execute())

    async def begin_window(self, key: str) -> None:
        """What BATCH_RATE_LIMITER_SCRIPT does with its first counter once the window is over."""
        await self.witness.mset({WINDOW_KEY: 1700000000, key: 1})
        await self.expire_together(WINDOW_KEY, key)

    async def eternal_keys(self) -> list[str]:
        """The keys that would live for ever."""
        return [key for key in await self.witness.keys("*") if await self.witness.pttl(key) == -1]


def free_port_with_bus() -> int:
    """A port whose cluster bus, 10000 above it, is free and below the ephemeral range too."""
    while True:
        port = free_port()
        with socket.socket() as bus:
            if port + 10000 < 32768 and bus.connect_ex((LOOPBACK, port + 10000)):
                return port


def start_cluster_node(folder: Path, env: Mapping[str, str] | os._Environ[str]) -> tuple[Process, int]:
    """A cluster of one node that serves every hash slot."""
    port = free_port_with_bus()
    argv = [require_redis_server(), "--port", str(port), "--bind", LOOPBACK, "--save", "", "--cluster-enabled", "yes"]
    process = Process(
        "redis-cluster", [*argv, "--cluster-announce-ip", LOOPBACK, "--dir", str(folder)], env=env, folder=folder
    )
    client: Any = redis.Redis(host=LOOPBACK, port=port, decode_responses=True, socket_timeout=5)

    def answers() -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    def serves() -> bool:
        try:
            return bool(client.set("serves", 1, px=1))
        except redis.ResponseError:  # CLUSTERDOWN, until the node has noticed
            return False

    process.wait_ready(answers, within=10)
    client.execute_command("CLUSTER ADDSLOTS", *range(16384))
    process.wait_ready(serves, within=20)
    client.close()
    return process, port
