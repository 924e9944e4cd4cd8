"""Draws deploy/slots.png from what a real Prometheus scraped of a guarded proxy: `python -m tests.operator.picture`.

Two workers serve a key with a cap of 8. First there are fewer clients than that, then more; some hang up. A worker is
killed with its streams open: its slots are another worker's once its lease (30 s) has lapsed. Takes four minutes.
"""

from __future__ import annotations

import asyncio
import random
import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import matplotlib as mpl
import yaml
from matplotlib import pyplot as plt

from tests.cli.command import environ
from tests.harness import venvs, versions
from tests.harness.config import Setup
from tests.harness.keys import Key, fresh_key
from tests.harness.process import Process, free_port
from tests.harness.programs import required
from tests.harness.provider.handle import Provider
from tests.harness.provider.script import Script
from tests.harness.proxy import Proxy
from tests.harness.redis_server import RedisServer
from tests.harness.routes import ROUTES

PICTURE = Path(__file__).parents[2] / "deploy" / "slots.png"
CAP, FEW, MANY = 8, 5, 14
MANY_AT, KILL_AT, LOAD_ENDS_AT, END_AT = 40.0, 90.0, 180.0, 200.0
P = "litellm_cancel_guard_"
HELD = f"sum({P}slots_held)"
RATES = {
    "admitted": f"sum(rate({P}leases_acquired_total[10s]))",
    "refused (429)": f"sum(rate({P}requests_refused_total[10s]))",
    "given back, client left": f'sum(rate({P}leases_released_total{{ending="client_left"}}[10s]))',
    "given back, completed": f'sum(rate({P}leases_released_total{{ending="completed"}}[10s]))',
}
RECLAIMED = f"sum({P}leases_reclaimed_total)"
Series = list[tuple[float, float]]


class Load:
    """Clients of one key: each streams for three seconds, hangs up now and then, and waits a second when refused."""

    def __init__(self, url: str, key: Key) -> None:
        self._url, self._key = url, key
        self._chance = random.Random(7)
        self.over = False

    async def client(self) -> None:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            while not self.over:
                try:
                    await self._stream(http)
                except httpx.TransportError:
                    await asyncio.sleep(1)

    async def _stream(self, http: httpx.AsyncClient) -> None:
        path, body, headers = ROUTES["chat"].request(self._key, str(Script("picture", chunks=10, gap=0.3)), stream=True)
        leaves_after = self._chance.uniform(0.5, 2.5) if self._chance.random() < 1 / 3 else None
        # A connection that is kept alive would stay with the worker that has it.
        headers = {**headers, "Connection": "close"}
        began = time.monotonic()
        async with http.stream("POST", f"{self._url}{path}", json=body, headers=headers) as answer:
            async for _ in answer.aiter_bytes():
                if leaves_after is not None and time.monotonic() - began > leaves_after:
                    return
        if answer.status_code != httpx.codes.OK:
            await asyncio.sleep(1)


async def play(proxy: Proxy) -> float:
    """Return when it began, in seconds since 1970."""
    began, load = time.time(), Load(proxy.url, fresh_key(cap=CAP))
    clients = [asyncio.create_task(load.client()) for _ in range(FEW)]

    async def until(moment: float) -> None:
        await asyncio.sleep(began + moment - time.time())

    await until(MANY_AT)
    clients += [asyncio.create_task(load.client()) for _ in range(MANY - FEW)]
    await until(KILL_AT)
    proxy.send(signal.SIGKILL, proxy.workers[0])
    await until(LOAD_ENDS_AT)
    load.over = True
    await asyncio.gather(*clients)
    await until(END_AT)
    return began


def scraping(proxy: Proxy, folder: Path) -> tuple[Process, str]:
    """A Prometheus that asks the proxy every second."""
    target = {"targets": [proxy.url.removeprefix("http://")]}
    scrape = {"job_name": "litellm", "scrape_interval": "1s", "static_configs": [target]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [scrape]}))
    address = f"127.0.0.1:{free_port()}"
    argv = [required("prometheus", "prometheus"), f"--config.file={folder}/prometheus.yml"]
    argv += [f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}"]
    return Process("prometheus", argv, env=environ(), folder=folder), f"http://{address}"


def asked(url: str, query: str, began: float) -> Series:
    """The values of a query, by seconds since *began*."""
    params = {"query": query, "start": f"{began}", "end": f"{began + END_AT}", "step": "1"}
    answer = httpx.get(f"{url}/api/v1/query_range", params=params, trust_env=False).raise_for_status().json()
    [found] = answer["data"]["result"]
    return [(float(at) - began, float(value)) for at, value in found["values"]]


def measured(folder: Path) -> dict[str, Series]:
    (folder / "workers").mkdir()
    with ExitStack() as stack:
        redis_server, provider = RedisServer(folder), Provider(folder)
        stack.callback(redis_server.close)
        stack.callback(provider.stop)
        setup = Setup(
            versions.chosen("installed")[0],
            guarded=True,
            provider=provider.url,
            redis_port=redis_server.port,
            workers=2,
            arguments=("--run_gunicorn",),
            env=(("PROMETHEUS_MULTIPROC_DIR", str(folder / "workers")),),
            libraries=str(venvs.library("prometheus-client")),
            settings="litellm_settings: {require_auth_for_metrics_endpoint: false}",
            callbacks=("prometheus",),
        )
        proxy = Proxy(setup, venvs.python_of(setup.version), folder)
        stack.callback(proxy.stop)
        server, url = scraping(proxy, folder)
        stack.callback(server.stop)
        began = asyncio.run(play(proxy))
        return {query: asked(url, query, began) for query in (HELD, *RATES.values(), RECLAIMED)}


def draw(series: dict[str, Series]) -> None:
    mpl.use("Agg")
    figure, (held, rates, reclaimed) = plt.subplots(
        3, sharex=True, figsize=(9, 6.2), height_ratios=(3, 3, 1.2), layout="constrained"
    )
    held.step(*zip(*series[HELD], strict=True), where="post", color="#1f5fa8")
    held.axhline(CAP, color="#b03a2e", linestyle="--", linewidth=1)
    held.annotate(f"max_parallel_requests: {CAP}", (2, CAP), xytext=(0, 3), textcoords="offset points", fontsize=8)
    held.set(ylabel="slots held by\nliving workers", ylim=(0, CAP + 2))
    for (name, query), color in zip(RATES.items(), ("#1f5fa8", "#b03a2e", "#d98e04", "#2e7d4f"), strict=True):
        rates.plot(*zip(*series[query], strict=True), label=name, color=color, linewidth=1.2)
    rates.set(ylabel="per second")
    rates.legend(fontsize=8, loc="upper left", frameon=False)
    reclaimed.step(*zip(*series[RECLAIMED], strict=True), where="post", color="#6a4c93")
    reclaimed.set(ylabel="slots\nreclaimed", xlabel="seconds", xlim=(0, END_AT))
    for axes in (held, rates, reclaimed):
        mark(axes)
    held.annotate("a worker is killed", (KILL_AT, CAP + 1.2), xytext=(4, 0), textcoords="offset points", fontsize=8)
    held.annotate("its lease lapses", (KILL_AT + 30, CAP + 1.2), xytext=(4, 0), textcoords="offset points", fontsize=8)
    figure.savefig(PICTURE, dpi=100, metadata={"Software": None})


def mark(axes: Any) -> None:
    axes.axvline(KILL_AT, color="#555555", linewidth=0.8)
    axes.axvline(KILL_AT + 30, color="#555555", linewidth=0.8, linestyle=":")
    axes.grid(visible=True, linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="picture-") as name:
        draw(measured(Path(name)))
    print(f"{PICTURE}: {PICTURE.stat().st_size} bytes")
