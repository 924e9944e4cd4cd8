"""The command line in a process of its own, as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COMMAND = (sys.executable, "-m", "litellm_cancel_guard.cli")
Finished = subprocess.CompletedProcess[str]


def environ(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the tests' own environment passes on, without what would reach another LiteLLM or Redis."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LITELLM_", "REDIS_"))}
    return kept | {"COLUMNS": "100"} | dict(more or {})


def guard(*args: str | Path, env: Mapping[str, str] | None = None, timeout: float = 60) -> Finished:
    argv = [*COMMAND, *map(str, args)]
    return subprocess.run(argv, env=environ(env), capture_output=True, text=True, timeout=timeout, check=False)


def python(code: str, *args: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> Finished:
    argv = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(argv, cwd=cwd, env=environ(env), capture_output=True, text=True, timeout=90, check=False)


def pretend_litellm(version: str, folder: Path) -> dict[str, str]:
    """Return an environment in which LiteLLM's metadata says another version."""
    described = folder / "pretended" / "litellm-0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: litellm\nVersion: {version}\n")
    return {"PYTHONPATH": str(described.parent)}


def assert_one_clear_message(finished: Finished, *words: str) -> None:
    assert finished.returncode == 2, finished
    assert finished.stderr.startswith("Error: "), finished
    assert "Traceback" not in finished.stderr
    assert len(finished.stderr.splitlines()) == 1, finished.stderr
    for word in words:
        assert word in finished.stderr
