"""`stats`: what has happened, for those who have no Prometheus."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from litellm_cancel_guard.lease.counters import COUNTERS, HOUR_SECONDS, KEPT_HOURS
from litellm_cancel_guard.operator.commands.redis_options import FAILURES, ask, redis_options, say_json

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge.connect import Target
    from litellm_cancel_guard.lease.counters import Hour

_EXIT_CODES = f"""\b
Exit codes:
  0  shown, also where nothing was counted
{FAILURES}"""
_SECONDS = {"m": 60, "h": HOUR_SECONDS, "d": 24 * HOUR_SECONDS}


class _Since(click.ParamType):  # type: ignore[type-arg]
    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return seconds of what is written as ``30m``, ``24h`` or ``7d``."""
        said = re.fullmatch(r"(\d{1,6})([mhd])", str(value))
        seconds = int(said[1]) * _SECONDS[said[2]] if said else 0
        if not 0 < seconds <= KEPT_HOURS * HOUR_SECONDS:
            self.fail(f"{value!r} is no time such as 30m, 24h or 7d, up to {KEPT_HOURS // 24}d", param, ctx)
        return seconds


@click.command(epilog=_EXIT_CODES, short_help="Show what has happened since some time, without Prometheus.")
@click.option("--since", type=_Since(), default="24h", show_default=True, help="30m, 24h, 7d: up to 8d.")
@redis_options
def stats(since: int, target: Target, as_json: bool) -> None:
    """Show what all workers on this Redis have counted: whole hours, from the one in which that time began.

    Each worker adds what it has counted with each beat (a third of the lease). What a killed worker had counted since
    its last one is lost; hours are kept for eight days.
    """
    began = int(time.time()) - since
    hours: list[Hour] = ask(target, lambda survey: survey.hours(began))
    totals: Counter[str] = Counter()
    for hour in hours:
        totals.update(hour.counted)
    if as_json:
        counted = [{"hour": _written(hour.began), **_all(hour.counted)} for hour in hours]
        say_json({"since": _written(began // HOUR_SECONDS * HOUR_SECONDS), **_all(totals), "hours": counted})
        return
    click.echo(f"Since {_written(began // HOUR_SECONDS * HOUR_SECONDS)}:")
    width = max(len(str(number)) for number in _all(totals).values())
    for name, number in _all(totals).items():
        click.echo(f"  {number:>{width}}  {COUNTERS[name]}")


def _all(counted: Any) -> dict[str, int]:
    return {name: counted.get(name, 0) for name in COUNTERS}


def _written(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(seconds))
