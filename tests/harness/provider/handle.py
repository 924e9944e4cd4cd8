"""The provider as a test sees it."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import trustme

from tests.harness.process import LOOPBACK, Process, free_port
from tests.harness.provider.runs import Counts

if TYPE_CHECKING:
    import httpx

_ROOT = Path(__file__).parents[3]


class Secure(NamedTuple):
    """Where the provider speaks TLS, and the file with the authority that vouches for it."""

    url: str
    authority: str


class Provider:
    def __init__(self, folder: Path) -> None:
        self.port, secure_port = free_port(), free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        authority, certificate = folder / "authority.pem", folder / "certificate.pem"
        vouching = trustme.CA()
        vouching.cert_pem.write_to_path(str(authority))
        vouching.issue_cert(LOOPBACK).private_key_and_cert_chain_pem.write_to_path(str(certificate))
        self.secure = Secure(f"https://{LOOPBACK}:{secure_port}", str(authority))
        command = [sys.executable, "-m", "tests.harness.provider.server"]
        command += [str(self.port), str(secure_port), str(certificate)]
        self._process = Process("provider", command, env={**os.environ, "PYTHONPATH": str(_ROOT)}, folder=folder)
        self._process.wait_ready(self._listens, within=20)

    def stop(self) -> None:
        self._process.stop()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, self.port)) == 0


class Control:
    """What a test asks the provider, over the test's own HTTP client."""

    def __init__(self, provider: Provider, http: httpx.AsyncClient) -> None:
        self._base = f"{provider.url}/_control"
        self._http = http

    async def counts(self, run: str) -> Counts:
        answer = await self._http.get(f"{self._base}/{run}")
        return Counts(**answer.json())

    async def release(self, run: str) -> None:
        await self._http.post(f"{self._base}/{run}/release")

    async def wait(self, run: str, within: float = 10, **wanted: int) -> Counts:
        """Until the run's counts are as wanted: `open` and `stalled` exactly, the others at least."""
        answer = await self._http.get(f"{self._base}/{run}/wait/{within}", params=wanted)
        counts = Counts(**answer.json())
        assert answer.status_code == 200, f"the provider waited {within} s for {wanted} of run {run}, but has {counts}"
        return counts

    async def hung_up(self, run: str, within: float) -> bool:
        """Whether the proxy closes the provider's connection in that time."""
        return await self.comes_to(run, within, hung_up=1)

    async def comes_to(self, run: str, within: float, **wanted: int) -> bool:
        """Whether the run's counts are as wanted in that time, as `wait` reads them."""
        answer = await self._http.get(f"{self._base}/{run}/wait/{within}", params=wanted)
        return answer.status_code == 200
