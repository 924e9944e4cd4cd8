"""LiteLLM's own loader finds the guard's one instance, wherever the shim stands on sys.path."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import litellm_cancel_guard
from litellm_cancel_guard.host import setup_files
from tests.cli.command import python

if TYPE_CHECKING:
    from pathlib import Path

LOAD_TWICE = """
import json, sys
from litellm.proxy.types_utils.utils import get_instance_fn
loaded = [get_instance_fn("litellm_cancel_guard.handler", sys.argv[1]) for _ in range(2)]
from litellm_cancel_guard.entry import handler
import litellm_cancel_guard
from litellm.integrations.custom_logger import CustomLogger
print(json.dumps({
    "one_instance": all(each is handler for each in loaded) and litellm_cancel_guard.handler is handler,
    "a_callback": isinstance(handler, CustomLogger),
    "package": litellm_cancel_guard.__file__,
}))
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "proxy" / "config.yaml"
    path.parent.mkdir()
    path.write_text("litellm_settings: {callbacks: [litellm_cancel_guard.handler]}\n")
    setup_files.write_shim(path)
    return path


def loaded(config: Path, *, cwd: Path, env: dict[str, str] | None = None) -> dict[str, Any]:
    done = python(LOAD_TWICE, config, cwd=cwd, env=env)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.more
@pytest.mark.timeout(180)
def test_site_packages_comes_first_as_under_the_litellm_command(config: Path, tmp_path: Path) -> None:
    seen = loaded(config, cwd=tmp_path)
    assert seen == {
        "one_instance": True,
        "a_callback": True,
        "package": litellm_cancel_guard.__file__,
    }


@pytest.mark.timeout(180)
@pytest.mark.thorough
def test_the_configs_folder_comes_first_as_under_gunicorn(config: Path) -> None:
    seen = loaded(config, cwd=config.parent)
    assert seen == {"one_instance": True, "a_callback": True, "package": str(config.with_name(setup_files.SHIM_NAME))}


@pytest.mark.timeout(180)
@pytest.mark.thorough
def test_the_configs_folder_is_on_the_pythonpath(config: Path, tmp_path: Path) -> None:
    seen = loaded(config, cwd=tmp_path, env={"PYTHONPATH": str(config.parent)})
    assert seen == {"one_instance": True, "a_callback": True, "package": str(config.with_name(setup_files.SHIM_NAME))}


def test_without_the_path_the_shim_would_find_only_itself(tmp_path: Path) -> None:
    lines = [line for line in setup_files.SHIM.splitlines() if not line.startswith("__path__")]
    (tmp_path / setup_files.SHIM_NAME).write_text("\n".join(lines))
    done = python("import litellm_cancel_guard", cwd=tmp_path)
    assert "'litellm_cancel_guard' is not a package" in done.stderr


def test_the_shim_is_a_comment_and_two_lines() -> None:
    code = [line for line in setup_files.SHIM.splitlines() if not line.startswith("#")]
    assert code == [
        '__path__ = __import__("pkgutil").extend_path([], "litellm_cancel_guard")',
        "from litellm_cancel_guard.entry import __getattr__, handler  # noqa: F401",
    ]
