"""A cached environment for each LiteLLM version; `python -m tests.harness.venvs all` builds them ahead."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from litellm_cancel_guard.demo import overrides
from tests.harness.versions import Version, chosen, installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_READY = "ready"


def cache() -> Path:
    default = Path.home() / ".cache" / "litellm-cancel-guard" / "venvs"
    return Path(os.environ.get("CANCEL_GUARD_TEST_CACHE", default))


def filled_once(folder: Path, fill: Callable[[], None]) -> Path:
    """The folder, filled by whoever asks first; others wait for that, in other processes too."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.parent.joinpath(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # The marker is written last: a build that was killed half way is torn down, never trusted.
        if not (folder / _READY).exists():
            shutil.rmtree(folder, ignore_errors=True)
            fill()
            (folder / _READY).touch()
    return folder


def python_of(version: Version) -> Path:
    """The interpreter that has this version: the running one where it fits, else one built on first use."""
    if version == installed():
        return Path(sys.executable)
    venv = cache() / _name(version)
    return filled_once(venv, lambda: _build(version, venv)) / "bin" / "python"


def library(name: str, *more: str) -> Path:
    """A folder with packages, without what they need, that a proxy may find on its path or not: Setup.libraries."""
    digest = hashlib.sha256("\n".join(more).encode()).hexdigest()[:10]
    folder = cache() / "libraries" / (f"{name}-{digest}" if more else name)
    install = (_uv(), "pip", "install", "--python", sys.executable, "--target", str(folder), "--no-deps", name, *more)
    return filled_once(folder, lambda: _run(*install))


def with_packages(venv: Path, *packages: str) -> Path:
    """An environment of a program's own, which neither the tests nor LiteLLM need, in that folder."""

    def fill() -> None:
        _run(_uv(), "venv", "--python", sys.executable, str(venv))
        _run(_uv(), "pip", "install", "--python", str(venv / "bin" / "python"), *packages)

    return filled_once(venv, fill)


def add_program(version: Version, program: str) -> None:
    """Install what LiteLLM's command line offers to run and its own requirements leave out."""
    python = python_of(version)
    if not python.with_name(program).exists():
        _run(_uv(), "pip", "install", "--python", str(python), program)


def build_all(versions: Iterable[Version]) -> dict[Version, Future[Path]]:
    """Build side by side; each future holds its interpreter, or the reason why there is none."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return {version: pool.submit(python_of, version) for version in versions}


def _name(version: Version) -> str:
    recipe = "\n".join((*version.overrides, platform.python_version()))
    # No dots: with_suffix would take the patch number for a suffix.
    return f"{version.number.replace('.', '_')}-{hashlib.sha256(recipe.encode()).hexdigest()[:10]}"


def _build(version: Version, venv: Path) -> None:
    _run(_uv(), "venv", "--python", sys.executable, str(venv))
    python = venv / "bin" / "python"
    _install(f"litellm[proxy]=={version.number}", python, list(version.overrides))
    # Some releases install and don't import; told here, it is not taken for a fault of the proxy's config.
    _run(str(python), "-c", "import litellm.proxy.proxy_server", LITELLM_LOCAL_MODEL_COST_MAP="True")


def _install(wanted: str, python: Path, lines: list[str]) -> None:
    path = python.parents[1] / "overrides.txt"
    while True:
        path.write_text("\n".join(lines))
        try:
            _run(_uv(), "pip", "install", "--python", str(python), "--override", str(path), wanted)
            return
        except RuntimeError as failure:
            more = [line for line in overrides.named_by(str(failure)) if line not in lines]
            if not more:
                raise
            lines += more


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise RuntimeError("uv builds the environments of the LiteLLM versions: pip install uv")
    return found


def _run(*command: str, **env: str) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}")


def main() -> None:
    broken = []
    for version, built in build_all(chosen(sys.argv[1])).items():
        fault = built.exception()
        print(version, fault or built.result(), flush=True)
        broken += [str(version)] if fault else []
    if broken:
        sys.exit(f"not built: {', '.join(broken)}")


if __name__ == "__main__":
    main()
