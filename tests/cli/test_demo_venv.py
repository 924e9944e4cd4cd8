"""The venv of another LiteLLM: built whole or not at all, once, around pins that the index can't serve."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.demo import venvs
from litellm_cancel_guard.demo.children import DemoError
from litellm_cancel_guard.demo.screen import Screen

if TYPE_CHECKING:
    from pathlib import Path

FAKE_UV = """#!/bin/sh
echo "$@" >> {calls}
case "$1 $*" in
  venv*) for folder; do :; done; mkdir -p "$folder/bin"; cp /bin/sh "$folder/bin/python" ;;
  *'{works}'*) exit 0 ;;
  *) echo 'there is no version of certifi==2099.1.1'; exit 1 ;;
esac
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "litellm-cancel-guard"


def fake_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, works: str) -> Path:
    calls, uv = tmp_path / "calls", tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(FAKE_UV.format(calls=calls, works=works))
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{uv.parent}:/usr/bin:/bin")
    return calls


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_it_is_built_once(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_uv(tmp_path, monkeypatch, works="pip install")
    first = await venvs.python_with("1.83.14", Screen())
    built = calls.read_text()
    assert first.startswith(str(cache / "litellm-1.83.14-py3"))
    assert "litellm[proxy]==1.83.14" in built
    assert await venvs.python_with("1.83.14", Screen()) == first
    assert calls.read_text() == built


async def test_pins_that_the_index_lacks_are_overridden(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_uv(tmp_path, monkeypatch, works="--overrides")
    await venvs.python_with("1.109.1", Screen())
    _, plain, overridden = calls.read_text().splitlines()
    assert "--overrides" not in plain
    assert "--overrides" in overridden


async def test_a_failure_says_why_and_leaves_nothing_half_built(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_uv(tmp_path, monkeypatch, works="nothing at all")
    with pytest.raises(DemoError, match=r"no version of certifi==2099\.1\.1"):
        await venvs.python_with("1.83.14", Screen())
    assert files_in(cache) == []


async def test_a_venv_whose_python_is_gone_is_built_again(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_uv(tmp_path, monkeypatch, works="pip install")
    python = await venvs.python_with("1.83.14", Screen())
    (cache / python).unlink()
    await venvs.python_with("1.83.14", Screen())
    assert calls.read_text().count("venv --python") == 2


async def test_a_cache_that_takes_no_files_gets_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    with pytest.raises(DemoError, match=r"/proc/nowhere.* can't be written"):
        await venvs.python_with("1.83.14", Screen())
