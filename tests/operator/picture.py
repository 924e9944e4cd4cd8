"""Draws docs/dashboard.png, each panel of deploy/grafana-dashboard.json: `python -m tests.operator.picture`.

A real Prometheus scrapes a guarded proxy of two workers, and is asked the panels' own queries. A key with a cap of 8
has fewer clients than that, then more; some hang up, and some streams are cut. On another one, with a cap of 2, five
clients wait in line. A worker is killed with its streams open: its slots are another worker's once its lease (30 s) has
lapsed. Takes four minutes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import random
import re
import signal
import tempfile
import textwrap
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
PICTURE = ROOT / "docs" / "dashboard.png"
CAP, FEW, MANY, IN_LINE = 8, 5, 14, 5
MANY_AT, KILL_AT, LOAD_ENDS_AT, END_AT = 40.0, 90.0, 180.0, 200.0
LEASE_SECONDS = 30.0
Values = list[tuple[float, float]]
Series = dict[str, Values]


class Load:
    """Clients of one key: each streams for three seconds, hangs up now and then, and waits a second when refused.

    One of its streams in twelve is cut by the provider, on chat or on `/v1/messages`.
    """

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
        cut_at = 5 if self._chance.random() < 1 / 12 else -1
        script = Script("picture", chunks=10, gap=0.3, break_step=cut_at, break_by="cut")
        route = ROUTES[self._chance.choice(["chat", "messages"])]
        path, body, headers = route.request(self._key, str(script), stream=True)
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
    began = time.time()
    load, lined = Load(proxy.url, fresh_key(cap=CAP)), Load(proxy.url, fresh_key(cap=2, wait=60))
    clients = [asyncio.create_task(one.client()) for one in [load] * FEW + [lined] * IN_LINE]

    async def until(moment: float) -> None:
        await asyncio.sleep(began + moment - time.time())

    await until(MANY_AT)
    clients += [asyncio.create_task(load.client()) for _ in range(MANY - FEW)]
    await until(KILL_AT)
    proxy.send(signal.SIGKILL, proxy.workers[0])
    await until(LOAD_ENDS_AT)
    load.over = lined.over = True
    await asyncio.gather(*clients)
    await until(END_AT)
    return began


def scraping(proxy: Proxy, folder: Path) -> tuple[Process, str]:
    """A Prometheus that asks the proxy every two seconds."""
    target = {"targets": [proxy.url.removeprefix("http://")]}
    scrape = {"job_name": "litellm", "scrape_interval": "2s", "scrape_timeout": "2s", "static_configs": [target]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [scrape]}))
    address = f"127.0.0.1:{free_port()}"
    argv = [required("prometheus", "prometheus"), f"--config.file={folder}/prometheus.yml"]
    argv += [f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}"]
    return Process("prometheus", argv, env=environ(), folder=folder), f"http://{address}"


def asked(url: str, target: dict[str, str], began: float) -> Series:
    """What a panel's query gives: by the legend's name its values, by seconds since *began*."""
    query = target["expr"].replace("$__rate_interval", "10s").replace("$job", ".*")
    params = {"query": query, "start": f"{began}", "end": f"{began + END_AT}", "step": "1"}
    answer = httpx.get(f"{url}/api/v1/query_range", params=params, trust_env=False).raise_for_status().json()
    return {
        named(target["legendFormat"], found["metric"]): [
            (float(at) - began, float(value)) for at, value in found["values"]
        ]
        for found in answer["data"]["result"]
    }


def named(legend: str, labels: dict[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda label: labels.get(label[1], ""), legend)


def measured(folder: Path) -> list[Series]:
    """What each panel of the dashboard shows, in their order."""
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
        panels = [[asked(url, target, began) for target in panel["targets"]] for panel in DASHBOARD["panels"]]
        return [{name: line for target in panel for name, line in target.items()} for panel in panels]


class Picture:
    """The dashboard's panels where it has them: 24 columns, and rows of 30 pixels."""

    def __init__(self) -> None:
        self._rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in DASHBOARD["panels"])
        self.figure = plt.figure(figsize=(12, self._rows * 0.3))

    def draw(self, panel: dict[str, Any], series: Series) -> None:
        x, y, width, height = (panel["gridPos"][name] for name in "xywh")
        # Below the title, right of the numbers, above the seconds.
        left, below, right, above = (0.15, 1.0, 0.1, 1.4) if panel["type"] == "stat" else (1.0, 2.2, 0.2, 1.4)
        axes = self.figure.add_axes(
            (
                (x + left) / 24,
                1 - (y + height - below) / self._rows,
                (width - left - right) / 24,
                (height - below - above) / self._rows,
            )
        )
        title = "\n".join(textwrap.wrap(panel["title"], 7 * width))
        axes.set_title(title, fontsize=8, loc="left", fontweight="bold")
        (number if panel["type"] == "stat" else lines)(axes, series, panel["fieldConfig"]["defaults"]["unit"])


def number(axes: Axes, series: Series, _unit: str) -> None:
    """The last value of each."""
    axes.set_axis_off()
    last = [f"{values[-1][1]:.0f} {name}" for name, values in series.items()]
    axes.text(0.5, 0.5, "\n".join(last) or "none", ha="center", va="center", fontsize=13 if len(last) < 3 else 9)


def lines(axes: Axes, series: Series, unit: str) -> None:
    for name, values in series.items():
        axes.plot(*zip(*with_gaps(values), strict=True), label=name, linewidth=1.1)
    axes.set_xlim(0, END_AT)
    axes.set_ylim(bottom=0)
    axes.tick_params(labelsize=7)
    axes.set_ylabel({"reqps": "per second", "s": "seconds"}.get(unit, ""), fontsize=7)
    for moment, style in ((KILL_AT, "-"), (KILL_AT + LEASE_SECONDS, ":")):
        axes.axvline(moment, color="#555555", linewidth=0.8, linestyle=style)
    axes.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(series), frameon=False)
    axes.grid(visible=True, linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def with_gaps(values: Values) -> Values:
    """With nothing in between where no value came for seconds."""
    gaps = [((at + after) / 2, math.nan) for (at, _), (after, _) in itertools.pairwise(values) if after - at > 5]
    return sorted([*values, *gaps])


def main() -> None:
    mpl.use("Agg")
    with tempfile.TemporaryDirectory(prefix="picture-") as name:
        shown = measured(Path(name))
    picture = Picture()
    for panel, series in zip(DASHBOARD["panels"], shown, strict=True):
        picture.draw(panel, series)
    picture.figure.savefig(PICTURE, dpi=100, metadata={"Software": None})
    print(f"{PICTURE}: {PICTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
