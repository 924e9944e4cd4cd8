"""What is installed: the wheel as it ships, in the environments where it will live."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import litellm_cancel_guard
from tests.harness import venvs

if TYPE_CHECKING:
    from tests.harness.versions import Version

PACKAGE = Path(litellm_cancel_guard.__file__).parent
CHECKOUT = Path(__file__).parents[2]


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, or the one that CI built and installed in the checkout's place."""
    folder = tmp_path_factory.mktemp("wheel")
    if not (CHECKOUT / "litellm_cancel_guard").exists():
        return next((CHECKOUT / "dist").glob("*.whl"))
    run(venvs._uv(), "build", "--quiet", "--wheel", "--out-dir", folder, CHECKOUT)
    return next(folder.glob("*.whl"))


def test_the_wheel_has_everything_that_the_package_has(wheel: Path) -> None:
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("litellm_cancel_guard/")}
    here = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }

    assert shipped == here
    assert "litellm_cancel_guard/py.typed" in shipped
    assert any(name.endswith(".lua") for name in shipped)


def test_importing_the_package_imports_neither_litellm_nor_redis() -> None:
    code = "import sys, litellm_cancel_guard; print(sorted({'litellm', 'redis', 'pydantic'} & set(sys.modules)))"

    assert run(sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); {code}").strip() == "[]"


def test_the_handler_is_one_however_often_and_by_whatever_road_it_is_asked_for() -> None:
    from litellm_cancel_guard import entry

    assert litellm_cancel_guard.handler is litellm_cancel_guard.handler is entry.handler


def test_a_wrong_attribute_is_answered_with_the_line_to_write() -> None:
    with pytest.raises(AttributeError, match=r"callbacks: \[litellm_cancel_guard.handler\]"):
        _ = litellm_cancel_guard.hander


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_installing_it_changes_no_version_beside_it(wheel: Path, litellm_version: Version, tmp_path: Path) -> None:
    """LiteLLM's images pin what they ship: a plugin that moves a version breaks them."""
    venvs._build(litellm_version, tmp_path / "venv")
    uv, python = venvs._uv(), tmp_path / "venv" / "bin" / "python"
    before = run(uv, "pip", "freeze", "--quiet", "--python", python).splitlines()
    # Without the overrides the resolver would leave a LiteLLM whose own pins are not on the index, guard or no guard.
    overrides = tmp_path / "venv" / "overrides.txt"
    run(uv, "pip", "install", "--quiet", "--python", python, "--override", overrides, wheel)
    after = run(uv, "pip", "freeze", "--quiet", "--python", python).splitlines()

    assert [line for line in after if line not in before] == [f"litellm-cancel-guard @ {wheel.as_uri()}"]
    assert [line for line in before if line not in after] == []
    assert "usage" in run(python.with_name("litellm-cancel-guard"), "--help").lower()
