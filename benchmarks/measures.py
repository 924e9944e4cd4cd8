"""Every measure by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import (
    arrivals,
    attach,
    builds,
    chunks,
    growth,
    hang_up,
    killed,
    leases,
    line,
    pair,
    storm,
    throughput,
    traffic,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.figures import Figure, Results
    from benchmarks.stage import Plan, Stage
    from tests.harness.versions import Version

    PerVersion = Callable[[Stage, Version, Plan], list[Figure]]

PER_VERSION: dict[str, PerVersion] = {
    module.NAME: module.measure for module in (throughput, arrivals, traffic, hang_up, storm, killed, attach, line)
}
IN_PROCESS: dict[str, Callable[[Stage, Plan], Results]] = {
    module.NAME: module.measure for module in (chunks, pair, leases, growth, builds)
}


# What five minutes are enough for: the first of them on each LiteLLM, the others on the last that is named.
QUICK_ON_EACH = (throughput.NAME, traffic.NAME)
QUICK = (*QUICK_ON_EACH, arrivals.NAME, storm.NAME, line.NAME, chunks.NAME, pair.NAME, leases.NAME, builds.NAME)


def names() -> list[str]:
    return [*PER_VERSION, *IN_PROCESS]
