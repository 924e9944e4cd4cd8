"""What deploy/Dockerfile does to LiteLLM's image, done to an environment of that LiteLLM."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.host.setup_files import SHIM, SHIM_NAME
from tests.harness import venvs
from tests.packaging.test_wheel import run, wheel  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from tests.harness.versions import Version

DOCKERFILE = Path(__file__).parents[2] / "deploy" / "Dockerfile"
ADDED = {"litellm-cancel-guard", "prometheus-client"}


def steps() -> list[str]:
    """The commands of its RUN lines; what they mount is on the PATH here."""
    lines = DOCKERFILE.read_text().replace("\\\n", " ")
    return [re.sub(r"^(--mount=\S+ +)+", "", step) for step in re.findall(r"^RUN (.+)$", lines, re.MULTILINE)]


@pytest.fixture
def image(litellm_version: Version, tmp_path: Path) -> Path:
    """An environment without pip in which that LiteLLM is installed already, as in its image."""
    there = run(venvs.python_of(litellm_version), "-c", "import site; print(site.getsitepackages()[0])").strip()
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "image")
    [packages] = (tmp_path / "image" / "lib").glob("python*/site-packages")
    (packages / "litellm.pth").write_text(f"{there}\n")
    return tmp_path / "image"


@pytest.mark.thorough
@pytest.mark.timeout(240)
def test_its_steps_add_the_guard_and_change_no_version_of_anything_else(
    image: Path,
    tmp_path: Path,
    wheel: Path,  # noqa: F811
    litellm_version: Version,
) -> None:
    guard, app = tmp_path / "guard", tmp_path / "app"
    guard.mkdir()
    app.mkdir()
    (guard / wheel.name).write_bytes(wheel.read_bytes())
    for step in steps():
        command = step.replace("/tmp/guard", str(guard)).replace("'/app'", repr(str(app)))
        uv = Path(venvs._uv()).parent
        environ = {**os.environ, "PATH": f"{image}/bin:/usr/bin:/bin:{uv}", "PYTHONPATH": "", "VIRTUAL_ENV": ""}
        done = subprocess.run(["sh", "-c", command], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    [packages] = (image / "lib").glob("python*/site-packages")
    added = {path.name.split("-")[0].replace("_", "-") for path in packages.glob("*.dist-info")}
    assert added == ADDED, f"the image's own {added - ADDED} would be replaced"
    assert not guard.exists(), "the wheel stays out of the image"
    assert (app / SHIM_NAME).read_text() == SHIM
    doctor = subprocess.run(
        [image / "bin" / "litellm-cancel-guard", "doctor"], capture_output=True, text=True, check=False
    )
    assert f"LiteLLM: {litellm_version}" in doctor.stdout
