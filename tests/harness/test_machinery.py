"""The parts of the harness that start and end things."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from tests.harness import venvs, versions
from tests.harness.keys import fresh_key
from tests.harness.process import _KEPT, Process, free_port
from tests.harness.redis_server import RedisServer
from tests.harness.versions import Version
from tests.harness.witness import gauge, lasting, wait_until


def test_a_process_ends_with_all_that_it_started(tmp_path: Path) -> None:
    program = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    parent = Process("parent", [sys.executable, "-c", program], env=os.environ, folder=tmp_path)
    parent.wait_ready(lambda: "\n" in parent.text(), within=10)
    parent.kill()
    # A zombie of a foreign parent may keep its entry for a moment; it runs no more.
    state = subprocess.run(["ps", "-o", "stat=", "-p", parent.text().strip()], capture_output=True, check=False)
    assert state.stdout.strip()[:1] in (b"", b"Z")
    assert parent not in Process.running


def test_a_session_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    program = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    session = f"""
import os, sys, time
from pathlib import Path
from tests.harness.process import Process
child = Process("child", [sys.executable, "-c", {program!r}], env=os.environ, folder=Path({str(tmp_path)!r}))
child.wait_ready(lambda: "\\n" in child.text(), within=10)
print(child.text(), flush=True)
time.sleep(60)
"""
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", session], cwd=root, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        grandchild = killed.stdout.readline()
        assert "sleep" in _state(grandchild)
        killed.kill()
    deadline = time.monotonic() + 20
    while "sleep" in _state(grandchild):
        assert time.monotonic() < deadline, "the grandchild has outlived the session"
        time.sleep(0.02)


def _state(pid: str) -> str:
    found = subprocess.run(["ps", "-o", "stat=,comm=", "-p", pid.strip()], capture_output=True, check=False, text=True)
    return "" if found.stdout.startswith("Z") else found.stdout


def test_a_process_that_dies_at_once_shows_its_log(tmp_path: Path) -> None:
    broken = Process("broken", [sys.executable, "-c", "raise SystemExit('no config')"], env={}, folder=tmp_path)
    with pytest.raises(RuntimeError, match="no config"):
        broken.wait_ready(lambda: False, within=10)


def test_redis_can_be_paused_and_restarted(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    try:
        server.client.set("here", "1")
        server.pause()
        with redis.Redis(port=server.port, socket_timeout=0.2) as other, pytest.raises(redis.TimeoutError):
            other.ping()
        server.resume()
        assert server.client.get("here") == "1"
        server.restart()
        assert server.client.get("here") is None
    finally:
        server.close()


def test_the_gauge_is_read_in_each_of_its_shapes(redis_server: RedisServer) -> None:
    key, store = fresh_key(), redis_server.client
    name = f"{{api_key:{key.name}}}:max_parallel_requests"
    assert gauge(store, key) == 0
    store.set(name, "-2.0")
    assert (gauge(store, key), lasting(store, key)) == (-2, [name])
    store.delete(name)
    store.zadd(name, {"a": 1, "b": 2})
    store.expire(name, 9)
    assert (gauge(store, key), lasting(store, key)) == (2, [])


@pytest.mark.parametrize(
    ("option", "numbers"),
    [("1.83.14, 1.999.0", ["1.83.14", "1.999.0"]), ("all", [version.number for version in versions.VERSIONS])],
)
def test_versions_are_chosen_by_number(option: str, numbers: list[str]) -> None:
    assert [version.number for version in versions.chosen(option)] == numbers


def test_releases_compare_by_their_numbers() -> None:
    assert [Version(number).at_least(1, 94) for number in ("1.93.2", "1.94.0", "1.100.5", "1.94.0rc1")] == [
        False,
        True,
        True,
        True,
    ]


def test_an_environment_that_was_half_built_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Path] = []

    def build(version: Version, venv: Path) -> None:
        assert not venv.exists(), "built over the remains of another"
        venv.mkdir()
        built.append(venv)
        if len(built) == 1:
            raise KeyboardInterrupt

    monkeypatch.setenv("CANCEL_GUARD_TEST_CACHE", str(tmp_path))
    monkeypatch.setattr(venvs, "_build", build)
    with pytest.raises(KeyboardInterrupt):
        venvs.python_of(Version("1.999.0"))
    assert venvs.python_of(Version("1.999.0")) == venvs.python_of(Version("1.999.0")) == built[1] / "bin" / "python"
    assert len(built) == 2


async def test_waiting_names_what_never_came_true() -> None:
    with pytest.raises(AssertionError, match="the moon"):
        await wait_until(lambda: False, "the moon is blue", within=0.05)


def test_a_stopped_process_tells_its_status(tmp_path: Path) -> None:
    sleeper = Process("sleeper", ["sleep", "60"], env=os.environ, folder=tmp_path)
    assert sleeper.alive
    assert sleeper.stop() == -signal.SIGTERM
    assert not sleeper.alive


def test_ports_are_handed_out_for_as_long_as_a_session_lasts_and_no_two_that_were_handed_out_last_are_one() -> None:
    """The sixty-fifth had failed its test: the file that had reserved the first was left to the garbage collector."""
    ports = [free_port() for _ in range(3 * _KEPT)]
    assert all(len(set(ports[at : at + _KEPT])) == _KEPT for at in range(2 * _KEPT))
