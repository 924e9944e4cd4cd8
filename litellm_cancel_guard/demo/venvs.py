"""Another LiteLLM than the one installed, in a venv that is built once."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from litellm_cancel_guard.demo import children, overrides

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litellm_cancel_guard.demo.screen import Screen

_REPORT_SECONDS = 15.0


async def python_with(version: str, screen: Screen) -> str:
    """Return a Python that has `version` of LiteLLM, built on first use and kept for the next."""
    cache = _cache()
    folder = cache / f"litellm-{version}-py{sys.version_info[0]}.{sys.version_info[1]}"
    python = folder / "bin" / "python"
    try:
        if not python.exists():  # also where the Python that the venv was built from is gone
            shutil.rmtree(folder, ignore_errors=True)
            cache.mkdir(parents=True, exist_ok=True)
            await _build(folder, version, screen)
    except OSError as error:
        raise children.DemoError(f"{folder} can't be written: {error.strerror}") from error
    return str(python)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "litellm-cancel-guard"


async def _build(folder: Path, version: str, screen: Screen) -> None:
    # Built under another name and renamed: a venv under its own name is always whole, whoever was interrupted.
    with tempfile.TemporaryDirectory(prefix="building-", dir=folder.parent, ignore_cleanup_errors=True) as scratch:
        building = _Building(Path(scratch), screen)
        with screen.waiting(f"Installing LiteLLM {version} into {folder} (once)"):
            await building.install(f"litellm[proxy]=={version}")
        building.give(folder)


class _Building:
    def __init__(self, scratch: Path, screen: Screen) -> None:
        self.venv = scratch / "venv"
        self._scratch = scratch
        self._screen = screen
        self._python = str(self.venv / "bin" / "python")

    async def install(self, requirement: str) -> None:
        uv = _uv()
        if uv:
            await self._run(*uv, "venv", "--python", sys.executable, str(self.venv))
        else:
            await self._run(sys.executable, "-m", "venv", str(self.venv))
            try:
                await self._run(self._python, "-m", "pip", "install", requirement)
                return
            except children.DemoError:  # pip can't override what a package requires
                await self._run(self._python, "-m", "pip", "install", "uv")
                uv = [self._python, "-m", "uv"]
        await self._install_around_pins(uv, requirement)

    def give(self, folder: Path) -> None:
        try:
            self.venv.rename(folder)
        except OSError:
            if not folder.exists():  # it does if another demo was faster
                raise

    async def _install_around_pins(self, uv: Sequence[str], requirement: str) -> None:
        path = self._scratch / "overrides.txt"
        passed_over: list[str] = []
        while True:
            path.write_text("\n".join(passed_over))
            try:
                await self._run(*uv, "pip", "install", "--python", self._python, "--overrides", str(path), requirement)
                return
            except children.DemoError as failure:
                more = [line for line in overrides.named_by(str(failure)) if line not in passed_over]
                if not more:
                    raise
                passed_over += more

    async def _run(self, *argv: str) -> None:
        log = self._scratch / "build.log"
        started = reported = time.monotonic()
        with children.command(Path(argv[0]).name, argv, log=log, env=os.environ, cwd=self._scratch) as child:
            while (code := child.process.poll()) is None:
                await asyncio.sleep(0.1)
                if time.monotonic() - reported > _REPORT_SECONDS:
                    reported = time.monotonic()
                    self._screen.say(f"... still installing ({reported - started:.0f} s)")
            if code:
                raise children.DemoError(f"LiteLLM couldn't be installed:\n{child.tail()}")


def _uv() -> list[str]:
    found = shutil.which("uv")
    if found:
        return [found]
    return [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else []
