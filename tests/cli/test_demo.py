"""The demo as a user runs it, on the LiteLLM that is installed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import COMMAND, assert_one_clear_message, environ, guard, python, started
from tests.harness import venvs, versions

if TYPE_CHECKING:
    from collections.abc import Iterator

linux_only = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")


@pytest.mark.thorough
@pytest.mark.timeout(240)
def test_it_shows_a_leak_without_the_guard_and_none_with_it(tmp_path: Path) -> None:
    done = started("demo", "--turns", "6", env={"TMPDIR": str(tmp_path)}, timeout=230)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout
    assert "alone keeps" in shown or "alone gave slots back that were never taken" in shown
    assert "With the guard nothing was refused, and every slot is free." in shown
    assert "LITELLM_RATE_LIMIT_WINDOW_SIZE=3600" in shown
    assert re.search(r"With the guard: +4 words, then an error: ", shown)
    assert "tell the client of the cut" in shown
    guarded = shown[shown.index("\nWith the guard: pass-through") :]
    assert re.findall(r"(\d)/6  asked, left before the first chunk +slots in Redis: 1 -> 0", guarded) == list("123456")
    guarded = shown[shown.index("\nWith the guard: Claude Code's pattern") :]
    turns = re.findall(r"(\d)/(\d)  A streams, B answered, A dropped +slots in Redis: 1 -> 0", guarded)
    assert turns[-1] == (str(len(turns)), str(len(turns)))
    assert re.search(r"Refused when full: +16 answers .*; refused: [1-9]", shown)
    assert re.search(r"Waiting in line: +16 answers .*; refused: 0", shown)
    assert not list(tmp_path.iterdir()), "files are left behind"


@pytest.mark.thorough
@pytest.mark.timeout(240)
def test_another_litellm_than_the_installed_one_leaks_alone_and_not_with_this_guard(tmp_path: Path) -> None:
    """Its Python has no guard installed: this one's package is laid on its path."""
    folder = tmp_path / "cache" / "litellm-cancel-guard"
    folder.mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
    venv = venvs.python_of(versions.named("1.83.14")).parents[1]
    (folder / f"litellm-1.83.14-py{sys.version_info[0]}.{sys.version_info[1]}").symlink_to(venv)
    places = {"TMPDIR": str(tmp_path / "tmp"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = started("demo", "--litellm", "1.83.14", "--turns", "6", env=places, timeout=230)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search("LiteLLM 1.83.14 alone keeps 4 of 4 slots for clients that have left. Refused: [1-9]", done.stdout)
    turns = re.findall(r"(\d)/6  A streams, B answered, A dropped +slots in Redis: 1 -> 0", done.stdout)
    assert turns[-6:] == list("123456"), "where the first turns leak, all are played"
    assert "With the guard nothing was refused, and every slot is free." in done.stdout
    assert re.search(r"Without the guard: +4 words, then nothing, and no error", done.stdout)
    assert re.search(r"With the guard: +4 words, then an error: ", done.stdout)


@linux_only
@pytest.mark.thorough
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("Starting LiteLLM", signal.SIGINT),
        ("Without the guard", signal.SIGTERM),
        ("2/12", signal.SIGINT),
    ],
)
def test_a_signal_leaves_no_process_and_no_file_behind(moment: str, number: signal.Signals, tmp_path: Path) -> None:
    with playing(tmp_path) as (demo, seen):
        seen(moment)
        assert processes_of(tmp_path), "nothing to end"
        demo.send_signal(number)
        rest = demo.stdout.read() if demo.stdout else ""
        assert demo.wait(20) == 128 + number
    assert processes_of(tmp_path) == []
    assert not list(tmp_path.iterdir()), "files are left behind"
    assert "Stopped; every process of the demo has ended." in rest
    assert "Traceback" not in rest


@linux_only
@pytest.mark.thorough
@pytest.mark.timeout(240)
def test_a_demo_that_is_killed_takes_its_processes_along(tmp_path: Path) -> None:
    with playing(tmp_path) as (demo, seen):
        assert "\x1b" not in seen("1/12"), "colours without a terminal"
        demo.kill()
        demo.wait(20)
    deadline = time.monotonic() + 10
    while processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(tmp_path) == []


@linux_only
@pytest.mark.thorough
@pytest.mark.timeout(240)
def test_served_it_answers_the_curl_line_until_it_is_ended(tmp_path: Path) -> None:
    with playing(tmp_path, "--turns", "1", "--serve") as (demo, seen):
        line = seen("curl -N").strip()
        seen("Ctrl-C here")
        answer = subprocess.run(f"{line} -s -m 2", shell=True, capture_output=True, text=True, check=False)
        assert "content_block_delta" in answer.stdout, answer
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 130
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("version", ["latest", "1.83", "v1.83.14", "--help"])
def test_a_version_that_is_none_gets_one_message(version: str) -> None:
    assert_one_clear_message(guard("demo", f"--litellm={version}"), "such as 1.83.14")


def test_a_version_before_1_80_gets_one_message() -> None:
    assert_one_clear_message(guard("demo", "--litellm", "1.79.3"), "1.80 and newer")


@pytest.mark.parametrize("url", ["redis://:secret@127.0.0.1:1/0", "127.0.0.1:1", "http://127.0.0.1"])
def test_a_redis_that_does_not_answer_gets_one_message_without_its_password(url: str) -> None:
    done = guard("demo", "--redis", url)
    assert_one_clear_message(done, "no answer from the Redis at")
    assert "secret" not in done.stderr


@pytest.mark.parametrize("missing", ["fakeredis", "lupa", "fastapi"])
def test_a_missing_extra_gets_one_message_that_says_how_to_install_it(missing: str, tmp_path: Path) -> None:
    start = "from litellm_cancel_guard.operator.cli import main; main(['demo'])"
    code = f"import sys; sys.modules[{missing!r}] = None\n{start}"
    assert_one_clear_message(python(code, cwd=tmp_path), "pip install 'litellm-cancel-guard[demo]'")


def test_no_turns_is_a_usage_error() -> None:
    assert started("demo", "--turns", "0").returncode == 2


def test_the_help_is_quick_and_names_the_exit_codes() -> None:
    began = time.monotonic()
    assert "130, 143  ended by SIGINT (Ctrl-C), SIGTERM" in guard("demo", "--help").stdout
    assert time.monotonic() - began < 5
    heavy = "import sys, litellm_cancel_guard.operator.cli; assert not {'litellm', 'redis', 'httpx'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", heavy], check=False).returncode == 0


class Seen:
    """Reads the demo's output up to a line with some words, and keeps what it read for a failure's message."""

    def __init__(self, demo: subprocess.Popen[str]) -> None:
        self._demo = demo
        self._lines: list[str] = []

    def __call__(self, words: str) -> str:
        for line in self._demo.stdout or ():
            self._lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"never said {words!r}:\n{''.join(self._lines)}")


@contextmanager
def playing(folder: Path, *args: str) -> Iterator[tuple[subprocess.Popen[str], Seen]]:
    env = environ({"TMPDIR": str(folder)})
    demo = subprocess.Popen(
        [*COMMAND, "demo", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    )
    with demo:
        try:
            yield demo, Seen(demo)
        finally:
            demo.kill()


def processes_of(folder: Path) -> list[str]:
    """Return the processes, other than ended ones, that were started with this folder as their TMPDIR."""
    mark = f"TMPDIR={folder}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0") and int(entry.name) != os.getpid():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200])
        except OSError:
            continue
    return found
