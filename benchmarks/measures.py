"""Every measure by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import attach, chunks, growth, hang_up, killed, leases, line, pair, throughput, traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.figures import Figure, Results
    from benchmarks.stage import Plan, Stage
    from tests.harness.versions import Version

PER_VERSION: dict[str, Callable[[Stage, Version, Plan], list[Figure]]] = {
    module.NAME: module.measure for module in (throughput, traffic, hang_up, killed, attach, line)
}
IN_PROCESS: dict[str, Callable[[Stage, Plan], Results]] = {
    module.NAME: module.measure for module in (chunks, pair, leases, growth)
}


def names() -> list[str]:
    return [*PER_VERSION, *IN_PROCESS]
