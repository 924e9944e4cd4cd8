"""Real LiteLLM proxies, each in its own process, shared by the tests that ask for the same setup."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import urllib.error
import urllib.request
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.harness import config, tls
from tests.harness.forking import Seedbed
from tests.harness.keys import MASTER_KEY
from tests.harness.process import LOOPBACK, Process, free_port

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator

    from tests.harness.config import Setup
    from tests.harness.versions import Version

_DIRECT = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls.trusting())
)


class Proxy:
    """`litellm --config …` of one version; if it is to be warm, it has served a request once it is constructed."""

    def __init__(self, setup: Setup, python: Path, folder: Path, seedbed: Seedbed | None = None) -> None:
        self.setup = setup
        self.port = free_port()
        scheme = "https" if tls.of(setup.arguments) else "http"
        self.url = f"{scheme}://{LOOPBACK}:{self.port}"
        path = config.write(setup, folder)
        name = f"proxy-{setup.version}-{'guarded' if setup.guarded else 'bare'}-{self.port}"
        command = [str(python), str(python.with_name("litellm")), "--config", str(path), "--telemetry", "False"]
        command += ["--host", LOOPBACK, "--port", str(self.port), "--num_workers", str(setup.workers)]
        command += setup.arguments
        env = config.environment(setup, folder)
        seedling = seedbed.of(str(python), env, setup.libraries, folder) if seedbed and _may_fork(setup) else None
        self._process = Process(name, command, env=env, folder=folder, seedling=seedling)
        self.log = self._process.log
        self._process.wait_ready(self._ready, within=90)
        if setup.warm:
            self._warm_up()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.alive

    @property
    def workers(self) -> list[int]:
        """The pids of what serves requests: children of the one that was started, or that one itself."""
        children = [pid for pid in _children(self.pid) if b"resource_tracker" not in _command_line(pid)]
        return children or [self.pid]

    def send(self, number: signal.Signals, pid: int | None = None) -> None:
        """Send to one process, as `kill` does: the one that was started, unless another is named."""
        os.kill(pid or self.pid, number)

    def text(self) -> str:
        """All of the log so far."""
        return self._process.text()

    @property
    def attached(self) -> list[str]:
        """What each worker logs at its first request, with LITELLM_LOG=INFO: which limiter it guards, and where."""
        return [line for line in self.text().splitlines() if "limiter of LiteLLM" in line]

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        """As the kernel's OOM killer does it: no handler runs."""
        self._process.kill()

    @property
    def _started(self) -> str:
        """What each worker writes when it has started."""
        if "--run_granian" in self.setup.arguments:
            return "Started worker-"
        return "Running on http" if "--run_hypercorn" in self.setup.arguments else "Application startup complete"

    def _ready(self) -> bool:
        # One worker that answers says nothing of the others.
        if self.text().count(self._started) < self.setup.workers:
            return False
        try:
            with _DIRECT.open(f"{self.url}/health/liveliness", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, http.client.HTTPException):
            return False

    def ask(self) -> None:
        """Ask for one plain answer, over a connection of its own: of several workers, any may serve it.

        Raises:
            OSError: the proxy could not serve it.
        """
        body = {"model": "gpt", "messages": [{"role": "user", "content": "hello"}]}
        headers = {"Authorization": f"Bearer {MASTER_KEY}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/v1/chat/completions", json.dumps(body).encode(), headers)
        _DIRECT.open(request, timeout=60).close()

    def _warm_up(self) -> None:
        # Before 1.88 LiteLLM registers its success callbacks at the first normal call: a pass-through before
        # it leaks whatever its ending. Tests of that one start a proxy of their own.
        try:
            self.ask()
        except urllib.error.HTTPError as refused:
            refused.close()
            raise RuntimeError(f"{self._process.name} can't serve; its log:\n{self.text()[-6000:]}") from None


def _may_fork(setup: Setup) -> bool:
    # Hypercorn's and Granian's workers are started from nothing, whatever their parent is; an APM comes before LiteLLM.
    return setup.forks and not setup.begins and not {"--run_hypercorn", "--run_granian"} & set(setup.arguments)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


class Proxies:
    """The proxies of a session: started when first asked for, the longest unused one stopped for a fifth."""

    AT_ONCE = 4

    def __init__(
        self, python_of: Callable[[Version], Path], folder_of: Callable[[str], Path], *, forks: bool = False
    ) -> None:
        self._seedbed = Seedbed() if forks else None
        self._python_of = python_of
        self._folder_of = folder_of
        self._numbers = itertools.count(1)
        self._shared: OrderedDict[Setup, Proxy] = OrderedDict()
        self._broken: dict[Setup, RuntimeError] = {}
        self.logs: list[Path] = []

    def shared(self, setup: Setup) -> Proxy:
        """A running proxy of this setup, perhaps with a history; keys are what keeps tests apart."""
        proxy = self._shared.pop(setup, None)
        if proxy is not None and not proxy.alive:
            raise RuntimeError(
                f"the proxy at {proxy.url} has died by itself; its log ended so:\n{proxy.text()[-6000:]}"
            )
        if proxy is None:
            proxy = self._start_another(setup)
        self._shared[setup] = proxy
        return proxy

    def start(self, setup: Setup) -> Proxy:
        """A proxy for the caller alone, who stops it."""
        python = self._python_of(setup.version)
        proxy = Proxy(setup, python, self._folder_of(f"proxy-{next(self._numbers)}"), self._seedbed)
        self.logs.append(proxy.log)
        return proxy

    def _start_another(self, setup: Setup) -> Proxy:
        # A proxy that can't start says so to every test that asks, but takes its time only once.
        if setup in self._broken:
            raise self._broken[setup]
        while len(self._shared) >= self.AT_ONCE:
            self._shared.popitem(last=False)[1].stop()
        try:
            return self.start(setup)
        except RuntimeError as broken:
            self._broken[setup] = broken
            raise

    @contextmanager
    def alone(self, usual: Setup, end: Callable[[Proxy], object]) -> Iterator[Callable[..., Proxy]]:
        """Start proxies that differ from the usual one in the fields given; each is ended with the block."""
        running: list[Proxy] = []

        def start(**changes: Any) -> Proxy:
            running.append(self.start(replace(usual, **changes)))
            return running[-1]

        yield start
        for proxy in running:
            end(proxy)

    def stop(self) -> None:
        while self._shared:
            self._shared.popitem()[1].stop()
        if self._seedbed:
            self._seedbed.end()
