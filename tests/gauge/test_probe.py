"""Whether a Redis lets the guard do what it has to, tried by a user who may not do all of it."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge.connect import Target
from litellm_cancel_guard.gauge.probe import Examined, examine
from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from tests.harness.redis_server import RedisServer

LUA = resources.files("litellm_cancel_guard.gauge") / "lua"
# Redis 7.0 does not say which one it is.
REFUSED = re.compile("permission|can't run this command")
OF_THE_LINE = sorted(
    {
        command.lower()
        for file in LUA.iterdir()
        if file.name.startswith("line")
        for command in re.findall(r"redis\.call\('(\w+)'", file.read_text())
    }
)


def tried(server: RedisServer, *, counting: bool, without: str = "", channels: tuple[str, ...] = ("*",)) -> Examined:
    """What a user finds who may do all but one command."""
    server.client.flushall()
    commands = ["+@all", *([f"-{without}"] if without else [])]
    server.client.acl_setuser(
        "tried", enabled=True, reset=True, nopass=True, keys=["*"], channels=list(channels), commands=commands
    )
    target = Target({"url": f"redis://tried:any@{LOOPBACK}:{server.port}"}, "", "the test")
    return examine(target, counting=counting, timeout_seconds=5)


def left(server: RedisServer) -> dict[str, int]:
    """What is left, and for how many milliseconds."""
    return {str(key): int(str(server.client.pttl(key))) for key in server.client.keys("*")}


@pytest.mark.parametrize("counting", [True, False])
class TestARedis:
    """In either layout."""

    def test_that_lets_all_be_done_is_left_as_it_was(self, gauge_redis: RedisServer, counting: bool) -> None:
        found = tried(gauge_redis, counting=counting)
        assert (found.fault, found.unlined, found.untold) == ("", "", "")
        assert {key for key in left(gauge_redis) if "mirror" not in key} == set()

    @pytest.mark.parametrize("command", OF_THE_LINE)
    def test_that_forbids_a_command_of_the_line_is_found_out_and_keeps_nothing_for_ever(
        self, gauge_redis: RedisServer, counting: bool, command: str
    ) -> None:
        found = tried(gauge_redis, counting=counting, without=command)
        assert REFUSED.search(found.unlined or found.fault)
        assert all(0 < milliseconds <= 125_000 for milliseconds in left(gauge_redis).values())

    @pytest.mark.parametrize(("command", "channels"), [("", ()), ("publish", ("*",)), ("subscribe", ("*",))])
    def test_that_tells_nobody_is_found_out_and_lets_requests_wait(
        self, gauge_redis: RedisServer, counting: bool, command: str, channels: tuple[str, ...]
    ) -> None:
        found = tried(gauge_redis, counting=counting, without=command, channels=channels)
        assert (found.fault, found.unlined, bool(found.untold)) == ("", "", True)
        assert found.channel == "cancel_guard:handed:"


def test_a_cluster_lets_all_be_done(cluster_port: int) -> None:
    target = Target({"startup_nodes": [{"host": LOOPBACK, "port": cluster_port}]}, "", "the test")
    found = examine(target, counting=False, timeout_seconds=5)
    assert (found.fault, found.unlined, found.untold) == ("", "", "")
