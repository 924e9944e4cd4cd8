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

LACKING = """\
  x No solution found when resolving dependencies:
  ╰─▶ Because there is no version of certifi==2099.1.1 and
      litellm[proxy]==1.109.1 depends on certifi==2099.1.1, we can conclude that
      litellm[proxy]==1.109.1 cannot be used.
      And because you require litellm[proxy]==1.109.1, we can conclude that your
      requirements are unsatisfiable."""
ABSENT = (
    "cause: Because litellm-proxy was not found in the package registry and litellm[proxy]>=1.110.2 depends on "
    "litellm-proxy==1.110.2, we can conclude that litellm[proxy]>=1.110.2 cannot be used."
)
NOT_A_RELEASE = (
    "cause: Because there is no version of litellm[proxy]==1.107.1 and you require litellm[proxy]==1.107.1, we can "
    "conclude that your requirements are unsatisfiable."
)
FAKE_UV = """#!/bin/sh
echo "$@" >> {calls}
for word; do case "$word" in */overrides.txt) given="$(cat "$word")" ;; esac; done
case "$1 $* $given" in
  venv*) for folder; do :; done; mkdir -p "$folder/bin"; cp /bin/sh "$folder/bin/python" ;;
  {works}) echo "given: $given" >> {calls} ;;
  *certifi*) cat {folder}/second; exit 1 ;;
  *) cat {folder}/first; exit 1 ;;
esac
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "litellm-cancel-guard"


def fake_uv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, works: str, first: str = LACKING, second: str = ABSENT
) -> Path:
    """A `uv` that installs once its arguments and overrides are as *works* says, a pattern of the shell's `case`."""
    calls, uv = tmp_path / "calls", tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(FAKE_UV.format(calls=calls, works=works, folder=tmp_path))
    (tmp_path / "first").write_text(first)
    (tmp_path / "second").write_text(second)
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{uv.parent}:/usr/bin:/bin")
    return calls


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_it_is_built_once(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_uv(tmp_path, monkeypatch, works="*pip*")
    first = await venvs.python_with("1.83.14", Screen())
    built = calls.read_text()
    assert first.startswith(str(cache / "litellm-1.83.14-py3"))
    assert "litellm[proxy]==1.83.14" in built
    assert await venvs.python_with("1.83.14", Screen()) == first
    assert calls.read_text() == built


async def test_pins_that_the_index_lacks_are_overridden_as_the_failure_names_them(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_uv(tmp_path, monkeypatch, works="*litellm-proxy*")
    await venvs.python_with("1.110.2", Screen())
    said = calls.read_text()
    assert said.count("pip install") == 3
    assert said.endswith("given: certifi\nlitellm-proxy; python_version < '3'\n")


async def test_what_litellm_does_not_pin_itself_is_not_overridden(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_uv(tmp_path, monkeypatch, works="nothing", first=NOT_A_RELEASE)
    with pytest.raises(DemoError, match="no version of litellm"):
        await venvs.python_with("1.107.1", Screen())
    assert calls.read_text().count("pip install") == 1


async def test_a_failure_says_why_and_leaves_nothing_half_built(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_uv(tmp_path, monkeypatch, works="nothing", second=LACKING)
    with pytest.raises(DemoError, match=r"no version of certifi==2099\.1\.1"):
        await venvs.python_with("1.83.14", Screen())
    assert files_in(cache) == []


async def test_a_venv_whose_python_is_gone_is_built_again(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_uv(tmp_path, monkeypatch, works="*pip*")
    python = await venvs.python_with("1.83.14", Screen())
    (cache / python).unlink()
    await venvs.python_with("1.83.14", Screen())
    assert calls.read_text().count("venv --python") == 2


async def test_a_cache_that_takes_no_files_gets_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    with pytest.raises(DemoError, match=r"/proc/nowhere.* can't be written"):
        await venvs.python_with("1.83.14", Screen())
