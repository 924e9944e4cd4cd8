"""What forks proxies: each has its own arguments, environment and end, as a process that was started by its command."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.harness.forking import Seedbed
from tests.harness.process import Process
from tests.harness.witness import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SAYS = "import os, sys; import beside; print(sys.argv[1:], os.environ['NAME'], os.getcwd(), beside.here); sys.exit(7)"
WAITS = "import time; print('begun', flush=True); time.sleep(60)"


@pytest.fixture
def seedbed() -> Iterator[Seedbed]:
    seedbed = Seedbed()
    yield seedbed
    seedbed.end()


@pytest.fixture
def no_litellm(tmp_path: Path) -> str:
    """A folder in which a package stands in for LiteLLM, which takes its time to import, and sets a variable then."""
    (tmp_path / "libraries" / "litellm").mkdir(parents=True)
    (tmp_path / "libraries" / "litellm" / "__init__.py").write_text("import os; os.environ['TOKENIZERS'] = 'bundled'")
    return str(tmp_path / "libraries")


def forked(seedbed: Seedbed, libraries: str, folder: Path, program: str, **env: str) -> Process:
    (folder / "beside.py").write_text("here = __file__\n")
    (folder / "program").write_text(program)
    env = {"PYTHONPATH": str(folder), "PATH": os.environ["PATH"], **env}
    argv = [sys.executable, str(folder / "program"), "--port", "1"]
    seedling = seedbed.of(sys.executable, env, libraries, folder)
    return Process("forked", argv, env=env, folder=folder, seedling=seedling)


async def test_it_has_its_own_arguments_environment_folder_and_log(
    seedbed: Seedbed, no_litellm: str, tmp_path: Path
) -> None:
    process = forked(seedbed, no_litellm, tmp_path, SAYS, NAME="own")
    await wait_until(lambda: not process.alive, "it has ended")
    assert process.text() == f"['--port', '1'] own {tmp_path} {tmp_path / 'beside.py'}\n"
    assert process.stop() == 7


async def test_it_has_what_the_import_of_litellm_added_to_the_environment(
    seedbed: Seedbed, no_litellm: str, tmp_path: Path
) -> None:
    """LiteLLM points TIKTOKEN_CACHE_DIR at its own tokenizers; without that a proxy fetches them from the internet."""
    process = forked(seedbed, no_litellm, tmp_path, "import os; print(os.environ['TOKENIZERS'])")
    await wait_until(lambda: not process.alive, "it has ended")
    assert process.text() == "bundled\n"


async def test_it_ends_as_a_group_by_signals_like_any_other(seedbed: Seedbed, no_litellm: str, tmp_path: Path) -> None:
    process = forked(seedbed, no_litellm, tmp_path, WAITS)
    process.wait_ready(lambda: "begun" in process.text(), within=10)
    assert process.alive
    assert os.getpgid(process.pid) == process.pid
    assert process.stop() == -signal.SIGTERM


def test_what_is_read_by_an_import_is_not_shared_and_idle_ones_are_ended(
    seedbed: Seedbed, no_litellm: str, tmp_path: Path
) -> None:
    busy = forked(seedbed, no_litellm, tmp_path, WAITS, LITELLM_LOG="INFO")
    pids = {busy.pid}
    for level in range(Seedbed.AT_ONCE):
        idle = forked(seedbed, no_litellm, tmp_path, WAITS, LITELLM_LOG=str(level))
        idle.kill()
        pids.add(idle.pid)
    assert (len(pids), len(seedbed._growing), busy.alive) == (1 + Seedbed.AT_ONCE, Seedbed.AT_ONCE, True)
    busy.kill()


@pytest.mark.parametrize("thaws", [False, True])
async def test_the_collector_looks_at_what_was_imported_only_where_that_is_asked_for(
    no_litellm: str, tmp_path: Path, thaws: bool
) -> None:
    seedbed = Seedbed(thaws=thaws)
    process = forked(seedbed, no_litellm, tmp_path, "import gc; print(gc.get_freeze_count() > 0)")
    await wait_until(lambda: not process.alive, "it has ended")
    seedbed.end()
    assert process.text() == f"{not thaws}\n"
