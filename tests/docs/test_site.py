"""The documentation as a site: every page has its place, every link and anchor leads somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import venvs

ROOT = Path(__file__).parents[2]


def needed() -> list[str]:
    """The packages of the extra `docs`, without the project's own: LiteLLM is no part of a site."""
    extra = re.search(r"^docs = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    assert extra is not None
    return re.findall(r'"([^"]+)"', extra[1])


@pytest.mark.docs
@pytest.mark.timeout(240)
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    environ = {**os.environ, "PYTHONPATH": "", "NO_MKDOCS_2_WARNING": "1"}
    commands: list[list[str | Path]] = [
        [venvs._uv(), "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"],
        [venvs._uv(), "pip", "install", "--quiet", "--python", python, *needed()],
        [python.with_name("mkdocs"), "build", "--strict", "--site-dir", tmp_path / "site"],
    ]
    for command in commands:
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    start = (tmp_path / "site" / "index.html").read_text()
    assert "Do I need it?" in start
    assert 'href="docs/' not in start, "links of the README lead into the checkout"
