"""status, slots, release and reconcile, asked of a real Redis in either layout."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import yaml

from litellm_cancel_guard.gauge.connect import Target
from litellm_cancel_guard.host.redis_settings import target_of
from tests.cli.command import COMMAND, Watching, asked, assert_one_clear_message, environ, guard
from tests.cli.store import Store
from tests.gauge.stores import start_cluster_node
from tests.harness.process import LOOPBACK
from tests.harness.redis_server import RedisServer
from tests.operator.screens import in_a_terminal, read

if TYPE_CHECKING:
    from pathlib import Path


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


def in_eighty_columns(*args: str) -> str:
    """What a terminal of 80 columns shows, without its colours."""
    with in_a_terminal(*args) as (_, end):
        return re.sub(r"\x1b\[[0-9;]*m", "", read(end)).replace("\r\n", "\n")


def test_what_eighty_columns_show_of_a_key_and_of_its_slots_can_be_used_again(store: Store, key: str) -> None:
    name = store.line_up(key, "deadbeef00000001", counting=False)
    table = in_eighty_columns("status", "--redis", store.url)
    [shown] = re.findall(r"^│ ([0-9a-f]+) *│", table, re.MULTILINE)
    assert name.startswith(shown)
    ids = [slot["slot"] for slot in asked("slots", shown, "--redis", store.url)["held"]]
    assert len(ids) == 1
    assert [line for line in in_eighty_columns("slots", name, "--redis", store.url).splitlines() if line in ids] == ids


def test_a_key_is_read_from_standard_input_where_the_command_line_names_none(store: Store, key: str) -> None:
    name = store.hold(key, "one", counting=False)

    def typed(text: str) -> subprocess.CompletedProcess[str]:
        argv = [*COMMAND, "slots", "-", "--json", "--redis", store.url]
        return subprocess.run(argv, env=environ(), input=text, capture_output=True, text=True, timeout=60, check=False)

    done, none = typed(f"{key}\n"), typed("")
    assert (done.returncode, json.loads(done.stdout)["key"]) == (0, name)
    assert (none.returncode, "standard input brought no key" in none.stderr) == (2, True)


@pytest.mark.parametrize("how", [(), ("--json",)], ids=["text", "json"])
def test_watch_ends_well_when_nobody_reads_its_pipe_any_more(store: Store, how: tuple[str, ...]) -> None:
    argv = [*COMMAND, "status", "--watch", *how, "--redis", store.url]
    with subprocess.Popen(argv, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        try:
            watching.stdout.readline()
            watching.stdout.close()
            assert (watching.wait(30), watching.stderr.read()) == (0, "")
        finally:
            watching.kill()


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


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        ({"REDIS_HOST": "h", "REDIS_PORT": "six"}, "the port of Redis is no number: 'six'"),
        ({"REDIS_CLUSTER_NODES": "[1]"}, "startup_nodes is no list of nodes"),
        ({"REDIS_CLUSTER_NODES": '[{"port": 6379}]'}, "startup_nodes is no list of nodes"),
        ({"REDIS_SENTINEL_NODES": '["ab"]'}, "sentinel_nodes is no list of nodes"),
        ({"REDIS_CLUSTER_NODES": "{}"}, "names no Redis"),
        ({"REDIS_URL": "no-url"}, "can't be used"),
        ({"REDIS_HOST": "h", "LITELLM_RATE_LIMIT_WINDOW_SIZE": "soon"}, "LITELLM_RATE_LIMIT_WINDOW_SIZE is no number"),
    ],
)
def test_an_environment_that_means_no_redis_gets_one_message(environment: dict[str, str], word: str) -> None:
    assert_one_clear_message(guard("status", env=environment), word, code=2)


def caching(params: object) -> dict[str, object]:
    return {"litellm_settings": {"cache": True, "cache_params": params}}


@pytest.mark.parametrize(
    ("wrong", "word", "doctors"),
    [
        ({"litellm_settings": "text"}, "litellm_settings is ", 2),
        ({"general_settings": ["text"]}, "general_settings is no block of settings", 1),
        (caching(["redis"]), "cache_params is no block of settings", 1),
        (caching({"host": "h", "port": ["6379"]}), "the port of Redis is no number", 1),
        (caching({"redis_startup_nodes": [1]}), "startup_nodes is no list of nodes", 1),
    ],
    ids=str,
)
def test_a_config_that_means_no_redis_gets_one_message_and_no_traceback(
    wrong: object, word: str, doctors: int, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(wrong))
    assert_one_clear_message(guard("status", "--config", config), word, code=2)
    done = guard("doctor", "--patience", "0", "--config", config)
    assert (done.returncode, "Traceback" in done.stderr) == (doctors, False)
    assert word in done.stdout + done.stderr


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
    config.write_text(yaml.safe_dump(caching({**params, "username": "operator", "namespace": "ours"})))
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
