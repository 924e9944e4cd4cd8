"""The command: `python -m benchmarks --help`."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks import measures, report
from benchmarks.figures import Results
from benchmarks.machine import cores, described
from benchmarks.stage import Plan, Stage, staged
from tests.harness.versions import chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.versions import Version

# What takes a minute may still begin then.
_QUICK_SECONDS = 240


@click.command()
@click.option("--litellm", default="1.83.14,1.110.2", show_default=True, help="Versions, as the tests take them.")
@click.option("--only", default="", metavar="NAME,…", help=f"Some of: {', '.join(measures.names())}.")
@click.option("--rounds", default=2, show_default=True, help="Pairs of runs on each start of the proxies.")
@click.option("--starts", default=5, show_default=True, help="How often the proxies are started anew.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all figures there.")
@click.option("--plots", "plots_folder", type=click.Path(path_type=Path), help="Write PNGs of the growth there.")
@click.option("--quick", is_flag=True, help="The ratios, in five minutes or six; what there is no time for is named.")
@click.option("--noise", is_flag=True, help="Compare bare with bare.")
def main(litellm: str, only: str, json_path: Path | None, plots_folder: Path | None, **how: Any) -> None:
    """Measure the guard against LiteLLM alone, and say of each target whether it was met.

    A verdict goes by the spread: `too noisy to tell` where chance brings as much in more than 5 of 100 runs. A
    verdict takes five starts of the proxies that agree; for a p99 of single events, three hundred of them.
    """
    plan = Plan(**how)
    usual = measures.QUICK if plan.quick else measures.names()
    wanted = only.split(",") if only else list(usual)
    if unknown := set(wanted) - set(measures.names()):
        raise click.BadParameter(f"no such measure: {', '.join(sorted(unknown))}", param_hint="--only")
    versions = chosen(litellm)
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    began, results = time.monotonic(), Results()
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as folder,
        staged(Path(folder), cores(), forks=plan.quick) as stage,
    ):
        for found in _measured(stage, plan, versions, wanted):
            results.add(found)
            # Each time: a run that is broken off has lost none of what it had found.
            if json_path is not None:
                report.save(results, _about(plan, wanted, began), json_path)
    report.show(results, _about(plan, wanted, began))
    if plots_folder is not None:
        from benchmarks.plots import draw

        draw(results.series, plots_folder)
    sys.exit(results.broken)


def _about(plan: Plan, wanted: list[str], began: float) -> dict[str, str]:
    return {
        **described(),
        "run": "quick" if plan.quick else "full",
        "took": f"{(time.monotonic() - began) / 60:.1f} min",
        "left out": ", ".join(name for name in measures.names() if name not in wanted) or "nothing",
    }


def _measured(stage: Stage, plan: Plan, versions: list[Version], wanted: list[str]) -> Iterator[Results]:
    """Measure one after another; what a quick run has no time to begin any more is named instead."""
    over = time.monotonic() + (_QUICK_SECONDS if plan.quick else float("inf"))
    for name, measure in _measures(stage, plan, versions, wanted):
        if time.monotonic() < over:
            yield timed(name, measure)
        else:
            yield Results(amiss=[f"{name}: not begun after {_QUICK_SECONDS} s; --only has it measured by itself"])


def _measures(
    stage: Stage, plan: Plan, versions: list[Version], wanted: list[str]
) -> Iterator[tuple[str, Callable[[], Results]]]:
    """Yield each by its name: first those that are done soon."""
    for name, inside in measures.IN_PROCESS.items():
        if name in wanted:
            yield name, partial(inside, stage, plan)
    for version in versions:
        for name, measure in measures.PER_VERSION.items():
            everywhere = not plan.quick or name in measures.QUICK_ON_EACH or version == versions[-1]
            if name in wanted and everywhere:
                yield f"{name} {version}", partial(_of_version, measure, stage, version, plan)


def _of_version(measure: measures.PerVersion, stage: Stage, version: Version, plan: Plan) -> Results:
    return Results(measure(stage, version, plan))


def timed(name: str, do: Callable[[], Results]) -> Results:
    began = time.monotonic()
    print(f"{name} …", end=" ", file=sys.stderr, flush=True)
    try:
        found = do()
    except Exception as trouble:
        # The figures of all others are worth no less.
        traceback.print_exc()
        found = Results(amiss=[f"{name}: {trouble}"], broken=True)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    main()
