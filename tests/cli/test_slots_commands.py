"""status, slots, release and reconcile, asked of a real Redis in either layout."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import secrets
import signal
import subprocess
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml

from litellm_cancel_guard.gauge.connect import Target
from litellm_cancel_guard.gauge.layout import slots_layout
from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.host.redis_settings import target_of
from litellm_cancel_guard.lease.lease import Lease
from litellm_cancel_guard.lease.records import Aside, Record
from litellm_cancel_guard.lease.slotname import worker_name
from tests.cli.command import COMMAND, Watching, asked, assert_one_clear_message, environ, guard
from tests.cli.store import Store
from tests.gauge.stores import start_cluster_node
from tests.harness.process import LOOPBACK
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("cli-redis"))
    yield server
    server.close()


@pytest.fixture
def store(server: RedisServer) -> Store:
    server.client.flushall()
    return Store(Target({"url": f"redis://{LOOPBACK}:{server.port}"}, "", "the test"))


@pytest.fixture
def key() -> str:
    return f"sk-{secrets.token_hex(8)}"


@pytest.mark.parametrize("counting", [True, False], ids=["counting", "slots"])
class TestEachLayout:
    def test_status_shows_every_key_with_its_slots(self, store: Store, counting: bool) -> None:
        names = {store.hold(f"sk-{n}", *map(str, range(n)), counting=counting): n for n in (1, 3)}
        shown = asked("status", "--redis", store.url)

        assert {one["key"]: (one["slots"], one["number"]) for one in shown} == {
            name: (count, count) for name, count in names.items()
        }
        assert {one["limiter"] for one in shown} == {"counting" if counting else "slots"}
        assert all(25 < one["first_lapses_in_seconds"] <= 30 for one in shown)
        table = guard("status", "--redis", store.url).stdout
        assert all(name in table for name in names)

    def test_slots_are_found_by_the_key_its_hash_and_how_that_begins(
        self, store: Store, key: str, counting: bool
    ) -> None:
        name = store.hold(key, "one", "two", counting=counting)
        for word in (key, name, name[:8]):
            shown = asked("slots", word, "--redis", store.url)
            assert (shown["key"], {held["slot"] for held in shown["held"]}) == (name, {"one", "two"})
        assert key not in guard("slots", key, "--redis", store.url).stdout

    def test_who_waits_is_shown_and_whose_turn_it_is(self, store: Store, key: str, counting: bool) -> None:
        store.hold("sk-without-a-line", "one", counting=counting)
        assert "in line" not in guard("status", "--redis", store.url).stdout
        name = store.line_up(key, "deadbeef00000001", "0" * 16, counting=counting)
        shown = {one["key"]: one for one in asked("status", "--redis", store.url)}
        assert sorted((one["waiting"], one["turn"]) for one in shown.values()) == [(0, None), (2, "deadbeef")]
        assert 0 < shown[name]["first_waited_seconds"] < 60
        said = asked("slots", name, "--redis", store.url)
        assert (said["waiting"], said["agents_waiting"]) == (2, 2)
        line = r"2 of 2 agents, the first for \d+\.\d s, agent deadbeef"
        table = guard("status", "--redis", store.url).stdout
        assert re.search(rf"│ {line} +│", table), table
        text = guard("slots", name, "--redis", store.url).stdout
        assert re.search(rf"^In line for one: {line}\.$", text, re.MULTILINE), text

    def test_release_gives_back_one_or_all(self, store: Store, server: RedisServer, key: str, counting: bool) -> None:
        name = store.hold(key, "first", "second", "third", counting=counting)

        assert asked("release", name, "fir", "--redis", store.url, "--yes") == {"released": ["first"], "in_flight": 2}
        assert asked("release", name, "--redis", store.url, "--yes")["in_flight"] == 0
        assert server.client.exists(f"{{api_key:{name}}}:max_parallel_requests") == 0

    def test_release_does_nothing_unless_it_is_confirmed(self, store: Store, key: str, counting: bool) -> None:
        name = store.hold(key, "one", counting=counting)
        assert guard("release", name, "--redis", store.url).returncode == 1
        assert asked("slots", name, "--redis", store.url)["slots"] == 1
        assert_one_clear_message(guard("release", name, "no-such-slot", "--redis", store.url), "No such slot", code=3)

    def test_what_is_right_needs_no_reconciling(self, store: Store, key: str, counting: bool) -> None:
        store.hold(key, "one", counting=counting)
        assert asked("reconcile", "--redis", store.url) == {"done": False, "changes": []}

    def test_a_namespace_is_looked_into_alone(self, store: Store, counting: bool) -> None:
        ours = store.hold("sk-ours", "one", counting=counting, namespace="ours:")
        store.hold("sk-theirs", "one", counting=counting, namespace="theirs:")

        shown = asked("status", "--redis", store.url, "--namespace", "ours")
        assert [(one["key"], one["namespace"]) for one in shown] == [(ours, "ours")]
        assert len(asked("status", "--redis", store.url)) == 2


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


def test_watch_shows_what_changes_and_outlives_a_redis_that_is_away(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    store = Store(Target({"url": f"redis://{LOOPBACK}:{server.port}"}, "", "the test"))
    store.hold("sk-one", "a", counting=False)
    with closing(Watching("status", "--watch", "--redis", store.url)) as watching:
        watching.until("1 keys hold slots")
        store.hold("sk-two", "b", counting=True)
        watching.until("2 keys hold slots")
        server.stop()
        watching.until("can't be asked")
        server.restart()
        watching.until("0 keys hold slots")
        assert watching.interrupted() == 0
    server.close()


@pytest.mark.parametrize("how", [(), ("--json",)], ids=["text", "json"])
def test_watch_into_a_pipe_prints_one_look_after_the_other(store: Store, how: tuple[str, ...]) -> None:
    argv = [*COMMAND, "status", "--watch", *how, "--redis", store.url]
    with subprocess.Popen(argv, env=environ(), stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        try:
            if how:
                assert [json.loads(watching.stdout.readline()) for _ in range(2)] == [[], []]
            else:
                titles = (line for line in watching.stdout if "keys hold slots" in line)
                assert [next(titles).strip() for _ in range(2)] == ["0 keys hold slots"] * 2
            watching.send_signal(signal.SIGINT)
            assert watching.wait(30) == 0
        finally:
            watching.kill()


def test_reconcile_shows_first_and_mends_when_told_to(store: Store, server: RedisServer, key: str) -> None:
    """Up to 1.93 a leaked count of an unguarded worker stands in LiteLLM's number, and in no slot."""
    name = store.hold(key, "one", "two", counting=True)
    number = f"{{api_key:{name}}}:max_parallel_requests"
    server.client.incrby(number, 5)

    dry = asked("reconcile", name, "--redis", store.url, code=1)
    assert [(change["number"], change["becomes"]) for change in dry["changes"]] == [(7, 2)]
    assert server.client.get(number) == "7"
    assert "Repeat it with --yes" in guard("reconcile", "--redis", store.url).stdout
    done = guard("reconcile", "--redis", store.url, "--yes")
    assert (done.returncode, server.client.get(number)) == (0, "2")
    assert "7 is now 2" in done.stdout
    assert server.client.ttl(number) > 0


def test_reconcile_clears_away_what_has_lapsed(store: Store, server: RedisServer, key: str) -> None:
    name = store.hold(key, "one", "two", counting=False)
    slots = f"{{api_key:{name}}}:max_parallel_requests"
    server.client.zincrby(slots, -60, "one")

    assert asked("reconcile", "--redis", store.url, "--yes")["changes"][0]["becomes"] == 1
    assert server.client.zrange(slots, 0, -1) == ["two"]


def test_a_number_that_leaked_without_any_slot_is_found(store: Store, server: RedisServer) -> None:
    number = f"{{api_key:{'cd' * 32}}}:max_parallel_requests"
    server.client.set(number, 4, ex=60)
    assert asked("reconcile", "--redis", store.url, "--yes")["changes"][0]["becomes"] == 0
    assert server.client.exists(number) == 0


def test_a_beginning_that_fits_two_keys_is_refused(store: Store, server: RedisServer) -> None:
    for end in "ab":
        server.client.set(f"{{api_key:{'cd' * 31}e{end}}}:max_parallel_requests", 1, ex=60)
    assert_one_clear_message(guard("slots", "cdcdcd", "--redis", store.url), "more than one")


def test_a_key_at_rest_a_key_of_another_type_and_no_redis_are_one_clear_message(
    store: Store, server: RedisServer
) -> None:
    for command in ("slots", "release", "reconcile"):
        done = guard(command, "sk-nobody", "--redis", store.url)
        assert (done.returncode, done.stderr) == (0, ""), done
    assert "holds no slot" in guard("slots", "sk-nobody", "--redis", store.url).stdout
    assert asked("slots", "sk-nobody", "--redis", store.url) == {"slots": 0, "held": []}
    assert asked("release", "sk-nobody", "--redis", store.url) == {"released": [], "in_flight": 0}
    name = f"{{api_key:{'cd' * 32}}}:max_parallel_requests"
    server.client.rpush(name, "something else")
    assert_one_clear_message(guard("status", "--redis", store.url), "is of type list", code=4)
    assert_one_clear_message(guard("status", "--redis", "redis://:secret@127.0.0.1:1"), "can't be asked", code=4)
    assert "secret" not in guard("status", "--redis", "redis://:secret@127.0.0.1:1").stderr
    assert_one_clear_message(guard("status"), "names no Redis")


def test_the_redis_of_a_config_and_of_the_environment_is_found_with_its_password(
    store: Store, server: RedisServer, tmp_path: Path
) -> None:
    server.client.acl_setuser(
        "operator", enabled=True, passwords=["+secret"], keys=["*"], channels=["*"], commands=["+@all"]
    )
    name = store.hold("sk-ours", "one", counting=False, namespace="ours:")
    port = str(server.port)
    params = {"type": "redis", "host": LOOPBACK, "port": "os.environ/PORT", "password": "os.environ/WORD"}
    config = tmp_path / "config.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "litellm_settings": {
                    "cache": True,
                    "cache_params": {**params, "username": "operator", "namespace": "ours"},
                }
            }
        )
    )
    shown = asked("status", "--config", config, env={"PORT": port, "WORD": "secret", "REDIS_URL": "redis://elsewhere"})
    assert [one["key"] for one in shown] == [name]
    hosts = {"REDIS_HOST": LOOPBACK, "REDIS_PORT": port, "REDIS_USERNAME": "operator", "REDIS_PASSWORD": "secret"}
    assert len(asked("status", env=hosts)) == 1
    assert_one_clear_message(guard("status", env={**hosts, "REDIS_PASSWORD": "wrong"}), "can't be asked", code=4)


def test_a_cluster_is_asked_on_all_its_nodes(tmp_path: Path) -> None:
    process, port = start_cluster_node(tmp_path, os.environ)
    try:
        nodes = json.dumps([{"host": LOOPBACK, "port": port}])
        cluster = Store(target_of(None, None, {"REDIS_CLUSTER_NODES": nodes}))
        name = cluster.hold("sk-ours", "one", counting=True)
        cluster.hold("sk-others", "one", "two", counting=False)
        environ = {"REDIS_CLUSTER_NODES": nodes}
        assert sorted(one["slots"] for one in asked("status", env=environ)) == [1, 2]
        assert asked("release", name, "--yes", env=environ)["in_flight"] == 0
    finally:
        process.stop()
