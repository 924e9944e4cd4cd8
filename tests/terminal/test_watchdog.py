"""A loop that stands still is told of, from outside of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from litellm_cancel_guard.aio import watchdog

ROOT = Path(__file__).parents[2]
STALL = """
import asyncio, time
from litellm_cancel_guard.aio import watchdog

async def main():
    watchdog.watch(0.2, {action!r})
    await asyncio.sleep(0.1)
    time.sleep(1.5)
    print("went on", flush=True)

asyncio.run(main())
"""


def stand_still(seconds: float) -> None:
    time.sleep(seconds)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "CRITICAL"]


async def test_one_line_says_where_the_loop_stands(caplog: pytest.LogCaptureFixture) -> None:
    dog = watchdog.Watchdog(asyncio.get_running_loop(), 0.1, "log")
    dog.start()
    await asyncio.sleep(0.05)
    stand_still(0.6)
    await asyncio.sleep(0.1)
    (line,) = lines(caplog)
    assert "stood still for 0.1 seconds" in line
    assert "stand_still" in line


async def test_a_loop_that_is_busy_but_turns_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    watchdog.Watchdog(asyncio.get_running_loop(), 0.5, "log").start()
    for _ in range(20):
        stand_still(0.05)
        await asyncio.sleep(0)
    assert lines(caplog) == []


async def test_a_second_stall_is_a_second_line(caplog: pytest.LogCaptureFixture) -> None:
    watchdog.Watchdog(asyncio.get_running_loop(), 0.1, "log").start()
    for _ in range(2):
        stand_still(0.4)
        await asyncio.sleep(0.1)
    assert len(lines(caplog)) == 2


async def test_a_loop_is_watched_once_and_not_with_zero_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(watchdog.Watchdog, "start", lambda self: started.append(self.name))
    watchdog.watch(0, "log")
    assert started == []
    watchdog.watch(30, "log")
    watchdog.watch(30, "log")
    assert len(started) == 1


def test_a_closed_loop_is_no_stall(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.new_event_loop()
    dog = watchdog.Watchdog(loop, 0.1, "log")
    loop.close()
    dog.run()
    assert lines(caplog) == []


@pytest.mark.parametrize(("action", "status", "said"), [("log", 0, "went on"), ("exit", watchdog.EXIT_STATUS, "")])
def test_a_worker_ends_only_where_the_operator_chose_it(action: str, status: int, said: str) -> None:
    script = STALL.format(action=action)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (status, said)
    assert "the event loop has stood still" in done.stderr
