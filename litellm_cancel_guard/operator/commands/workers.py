"""`workers`: in which of them the guard is in force, and by which settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.table import Table

from litellm_cancel_guard.operator.commands import watching
from litellm_cancel_guard.operator.commands.redis_options import FAILURES, ask, redis_options, say_json
from litellm_cancel_guard.operator.overview import introduced

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from litellm_cancel_guard.gauge.connect import Target
    from litellm_cancel_guard.lease.records import Seen

_EXIT_CODES = f"""\b
Exit codes:
  0  all is in force in every worker that is there, or none is
  1  something is not in force in one of them
{FAILURES}"""


@click.command(epilog=_EXIT_CODES, short_help="Show every worker, and what is not in force in it.")
@redis_options
@click.pass_context
def workers(ctx: click.Context, target: Target, as_json: bool) -> None:
    """Show every worker of the proxies on this Redis, from its start on: what it runs, and what is not in force in it.

    One that was ended leaves the list; one that was killed, stands still or has no Redis is silent, and leaves it some
    40 s later. A worker without the guard, or with one of 0.1.0, says nothing.
    """
    seen = ask(target, lambda survey: survey.workers())
    if as_json:
        say_json([introduced(one) for one in seen])
    else:
        watching.console().print(_table(seen))
    ctx.exit(1 if any(one.record.missing for one in seen) else 0)


def lines(missing: Mapping[str, str]) -> list[str]:
    """Return what is missing, a line for those that share a reason."""
    by_reason: dict[str, list[str]] = {}
    for name, how in missing.items():
        by_reason.setdefault(how, []).append(name)
    return [f"{', '.join(names)}: {how}" for how, names in by_reason.items()]


def _table(seen: Iterable[Seen]) -> Table:
    columns = ("worker", "last beat", "guard", "LiteLLM", "limiter", "slots", "settings", "not in force")
    table = Table(*columns)
    for one in seen:
        record = one.record
        silent = "silent for " if one.silent else ""
        slots = "-" if record.slots is None else str(record.slots)
        table.add_row(
            record.place,
            f"{silent}{one.silent_for:.0f} s" + ("" if silent else " ago"),
            str(record.guard),
            str(record.litellm),
            record.limiter or "-",
            slots,
            "\n".join(f"{name}: {record.settings.get(name)}" for name in record.changed) or "default",
            "\n".join(lines(record.missing)) or "-",
        )
    return table
