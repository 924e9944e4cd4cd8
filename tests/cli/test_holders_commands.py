"""slots and why say who holds a slot, and who stood in a request's way."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge.layout import slots_layout
from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.lease.lease import Lease
from litellm_cancel_guard.lease.records import Aside, Record
from litellm_cancel_guard.lease.slotname import worker_name
from tests.cli.command import asked, assert_one_clear_message, guard

if TYPE_CHECKING:
    from tests.cli.store import Store
    from tests.harness.redis_server import RedisServer


class TestWhoHoldsIt:
    """What ids and workers' records say: limit, oldest, route, host and process."""

    def hold(self, store: Store, secret: str, record: Record) -> str:
        """Take two slots, the second a minute old, and beat once."""
        name = hashlib.sha256(secret.encode()).hexdigest()
        gauge_name = f"api_key:{name}"
        old = Lease(gauge_name, f"{worker_name()}.{int((time.time() - 60) * 1000):x}.1.anthropic_messages")

        async def take() -> None:
            client = store.target.client(5)
            gauge = RedisGauge(
                lambda: client,
                slots_layout(),
                lease_seconds=30,
                timeout_seconds=5,
                aside=Aside(lambda: replace(record, limits={name[:16]: 7})),
            )
            leases = [Lease.new(gauge_name, "acompletion"), old, Lease(gauge_name, "an-older-guards")]
            for lease in leases:
                await gauge.acquire(lease, 10)
            await gauge.renew(leases)
            await client.aclose()

        asyncio.run(take())
        return name

    @pytest.fixture
    def record(self) -> Record:
        return Record(worker_name(), "host-a", 4711, "0.1.0", "1.109.1", 10.0, 30.0)

    def test_status_shows_the_cap_and_since_when(self, store: Store, key: str, record: Record) -> None:
        self.hold(store, key, record)
        [one] = asked("status", "--redis", store.url)
        assert (one["slots"], one["limit"], one["of_silent_workers"]) == (3, 7, 0)
        assert 60 <= one["oldest_seconds"] < 70
        table = guard("status", "--redis", store.url).stdout
        assert "limit" in table
        assert re.search(r"│ 7 +│", table), table

    def test_slots_shows_route_age_and_whose_each_is(self, store: Store, key: str, record: Record) -> None:
        name = self.hold(store, key, record)
        held = {slot["route"]: slot for slot in asked("slots", name, "--redis", store.url)["held"]}
        assert held.keys() == {"acompletion", "anthropic_messages", None}
        for route in ("acompletion", "anthropic_messages"):
            slot = held[route]
            assert (slot["host"], slot["pid"], slot["worker_state"]) == ("host-a", 4711, "alive")
        assert (held[None]["worker_state"], held[None]["age_seconds"]) == ("unknown", None)
        table = guard("slots", name, "--redis", store.url).stdout
        assert "limit 7" in table
        assert table.count("host-a:4711") == 2
        assert "an older one" in table

    def test_release_takes_nothing_from_a_request_that_runs_unless_it_is_forced(
        self, store: Store, key: str, record: Record
    ) -> None:
        name = self.hold(store, key, record)
        refused = guard("release", name, "--redis", store.url, "--yes")
        assert_one_clear_message(refused, "2 of them are of requests that run (host-a:4711)", "--force", code=1)
        assert asked("slots", name, "--redis", store.url)["slots"] == 3
        assert asked("release", name, "an-older", "--redis", store.url, "--yes")["in_flight"] == 2
        assert asked("release", name, "--redis", store.url, "--yes", "--force")["in_flight"] == 0

    def test_workers_and_status_say_what_is_not_in_force(self, store: Store, key: str, record: Record) -> None:
        seam = {"slots.seam": "stands aside: it counts elsewhere", "slots.order": "stands aside: it counts elsewhere"}
        settings = {"lease_seconds": 60.0, "redis_timeout": 2.0}
        self.hold(
            store,
            key,
            replace(record, missing=seam, limiter="slots, in Redis", settings=settings, changed=["lease_seconds"]),
        )
        [one] = asked("workers", "--redis", store.url, code=1)
        assert (one["state"], one["pid"], one["litellm"]) == ("alive", 4711, "1.109.1")
        assert (one["not_in_force"], one["settings"]) == (seam, settings)
        line = "host-a:4711: slots.seam, slots.order: stands aside: it counts elsewhere"
        assert line in guard("status", "--redis", store.url).stdout
        table = guard("workers", "--redis", store.url).stdout
        assert "slots.seam, slots.order: stands aside" in table
        assert "lease_seconds: 60" in table
        assert "redis_timeout" not in table

    def test_doctor_names_the_deployments_of_which_a_worker_says_that_they_end_no_stream(
        self, store: Store, key: str, record: Record
    ) -> None:
        self.hold(store, key, replace(record, endless=["muse (openai/muse)"]))
        printed = guard("doctor", "--patience", "0", "--redis", store.url).stdout
        assert "! streams: the last 10 streams of muse (openai/muse) all ended without an end" in printed
        [one] = asked("workers", "--redis", store.url)
        assert one["streams_without_end"] == ["muse (openai/muse)"]

    def test_a_worker_with_an_older_guard_is_shown_with_what_it_says(
        self, store: Store, server: RedisServer, key: str, record: Record
    ) -> None:
        self.hold(store, key, record)
        name = f"cancel_guard:worker:{worker_name()}"
        said = json.loads(str(server.client.get(name)))
        for field in ("limiter", "missing", "settings", "changed", "slots", "endless"):
            del said[field]
        server.client.set(name, json.dumps(said), px=30_000)
        server.client.set("cancel_guard:worker:torn", "{", px=30_000)
        server.client.rpush("cancel_guard:worker:other", "x")
        [one] = asked("workers", "--redis", store.url)
        assert (one["pid"], one["slots"], one["limiter"], one["not_in_force"]) == (4711, None, None, {})

    def test_a_worker_that_was_killed_is_silent(
        self, store: Store, server: RedisServer, key: str, record: Record
    ) -> None:
        name = self.hold(store, key, record)
        server.client.pexpire(f"cancel_guard:worker:{worker_name()}", record.lives_for - 20_000)
        assert {slot["worker_state"] for slot in asked("slots", name, "--redis", store.url)["held"]} == {
            "silent",
            "unknown",
        }
        table = guard("slots", name, "--redis", store.url).stdout
        assert re.search(r"host-a:4711, silent for 2\d s", table), table
        assert "(2 of silent workers)" in guard("status", "--redis", store.url).stdout

    def test_before_its_first_heartbeat_its_name_is_all_that_is_known(
        self, store: Store, server: RedisServer, key: str, record: Record
    ) -> None:
        name = self.hold(store, key, record)
        server.client.delete(f"cancel_guard:worker:{worker_name()}")
        assert asked("status", "--redis", store.url)[0]["limit"] is None
        assert f"{worker_name()}, not heard of yet" in guard("slots", name, "--redis", store.url).stdout
