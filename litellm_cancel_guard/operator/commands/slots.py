"""`status`, `slots`, `release`, `reconcile`: what is held, and how to get it right by hand."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from litellm_cancel_guard.lease.keyname import key_of
from litellm_cancel_guard.operator.commands.redis_options import Refusal, ask, redis_options, say_json
from litellm_cancel_guard.operator.overview import (
    NotHeldError,
    all_counts,
    chosen,
    count_of,
    described,
    detailed,
    give_back,
    state_of,
)

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge.connect import Target
    from litellm_cancel_guard.gauge.survey import Count, Slot, Survey

_WATCH_SECONDS = 2.0

_READING_EXIT_CODES = """\b
Exit codes:
  0  shown
  2  no such key, or Redis can't be asked
"""
_RELEASE_EXIT_CODES = """\b
Exit codes:
  0  given back
  1  nothing was done: not confirmed, or no such slot
  2  no such key, or Redis can't be asked
"""
_RECONCILE_EXIT_CODES = """\b
Exit codes:
  0  every number is right, or was put right
  1  dry run: some number is wrong; nothing was done
  2  no such key, or Redis can't be asked
"""


@click.command(epilog=_READING_EXIT_CODES)
@redis_options
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
def status(target: Target, as_json: bool, watch: bool) -> None:
    """Show every key that holds slots.

    A key at rest leaves nothing in Redis and is not shown. The limit is what the workers with its slots say of it, from
    their next heartbeat on (10 s).
    """
    counts = ask(target, all_counts)
    if as_json:
        say_json([described(count) for count in counts])
    elif not watch:
        _console().print(_status_table(counts))
    else:
        _watch(target, counts)


@click.command(epilog=_READING_EXIT_CODES, short_help="Show each slot that KEY holds.")
@click.argument("key")
@redis_options
def slots(key: str, target: Target, as_json: bool) -> None:
    """Show each slot that KEY holds: a key, LiteLLM's hash of it, or how the hash begins.

    A worker is named from its first heartbeat with a slot on; one that is silent was killed, stands still or has no
    Redis. A slot that lapses in more than its lease is one of a worker without the guard (LiteLLM 1.94 and newer).
    """
    count = ask(target, lambda survey: count_of(survey, key))
    if as_json:
        say_json(detailed(count))
        return
    limit = "" if count.limit is None else f", limit {count.limit}"
    table = Table("slot", "route", "since", "worker", "lapses in", title=f"key {key_of(count.place.gauge)}{limit}")
    for slot in count.slots:
        table.add_row(slot.id, slot.route or "-", _ago(slot.age), _worker(slot), _seconds(slot.lapses_in))
    _console().print(table)


@click.command(epilog=_RELEASE_EXIT_CODES, short_help="Give back the slots of KEY, or only SLOT.")
@click.argument("key")
@click.argument("slot", required=False)
@redis_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def release(key: str, slot: str | None, target: Target, as_json: bool, yes: bool) -> None:
    """Give back the slots of KEY, or only SLOT (or how it begins).

    For slots whose request is gone: one that a living worker holds is taken again with its next heartbeat.
    """
    count = ask(target, lambda survey: count_of(survey, key))
    try:
        ids = chosen(count, slot)
    except NotHeldError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if not yes:
        click.confirm(f"Give back {len(ids)} of {len(count.slots)} slots of {key_of(count.place.gauge)}?", abort=True)
    released = ask(target, lambda survey: give_back(survey, count, ids))
    if as_json:
        say_json({"released": released.slots, "in_flight": released.in_flight})
    else:
        click.echo(f"Gave back {len(ids)}; {released.in_flight} are in flight.")


@click.command(epilog=_RECONCILE_EXIT_CODES, short_help="Make LiteLLM's number equal the slots that live.")
@click.argument("key", required=False)
@redis_options
@click.option("--yes", is_flag=True, help="Do it; without, only what would be done is shown.")
@click.pass_context
def reconcile(ctx: click.Context, key: str | None, target: Target, as_json: bool, yes: bool) -> None:
    """Make LiteLLM's number equal the slots that live, for KEY or for all keys.

    Up to LiteLLM 1.93 requests in flight of workers without the guard are in that number and in no slot: they are
    forgotten. From 1.94 on the slots are LiteLLM's own; what has lapsed is cleared away.
    """

    async def counts(survey: Survey) -> list[Count]:
        return [await count_of(survey, key)] if key else await all_counts(survey)

    wrong = [count for count in ask(target, counts) if count.differs]

    async def mend(survey: Survey) -> list[int]:
        return [await survey.reconcile(count.place) for count in wrong]

    after = ask(target, mend) if yes and wrong else [len(count.slots) for count in wrong]
    changes = [{**described(count), "becomes": number} for count, number in zip(wrong, after, strict=True)]
    if as_json:
        say_json({"done": yes, "changes": changes})
    else:
        _say_changes(changes, done=yes)
    ctx.exit(1 if wrong and not yes else 0)


def _say_changes(changes: list[dict[str, Any]], *, done: bool) -> None:
    if not changes:
        click.echo("Every number is that of the slots that live.")
    verb = "is now" if done else "would become"
    for change in changes:
        click.echo(f"key {change['key']}: {change['number']} {verb} {change['becomes']}")
    if changes and not done:
        click.echo("Nothing was changed. Repeat it with --yes to do so.")


def _status_table(counts: list[Count]) -> Table:
    columns = ("key", "slots", "limit", "LiteLLM's number", "oldest", "first lapses in")
    table = Table(*columns, title=f"{len(counts)} keys hold slots")
    for count in counts:
        lapses = _seconds(count.slots[0].lapses_in) if count.slots else "-"
        number = f"{count.number} (wrong: see reconcile)" if count.differs else str(count.number)
        silent = sum(state_of(slot) == "silent" for slot in count.slots)
        held = f"{len(count.slots)} ({silent} of silent workers)" if silent else str(len(count.slots))
        limit = "-" if count.limit is None else str(count.limit)
        name = f"{count.place.prefix}{key_of(count.place.gauge)}"
        table.add_row(name, held, limit, number, _ago(count.oldest), lapses)
    return table


def _worker(slot: Slot) -> str:
    if slot.worker is None:
        return "without the guard, or an older one"
    if slot.seen is None:
        return f"{slot.worker}, not heard of yet"
    record = slot.seen.record
    silent = f", silent for {slot.seen.silent_for:.0f} s" if slot.seen.silent else ""
    return f"{record.host}:{record.pid}{silent}"


def _ago(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s ago"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def _watch(target: Target, counts: list[Count]) -> None:
    """Show it until Ctrl-C; a Redis that is away for a while is no reason to end."""
    with suppress(KeyboardInterrupt), Live(_status_table(counts), console=_console(), auto_refresh=False) as live:
        while True:
            time.sleep(_WATCH_SECONDS)
            live.update(_now(target), refresh=True)


def _now(target: Target) -> Table | str:
    try:
        return _status_table(ask(target, all_counts))
    except Refusal as error:
        return error.message


def _console() -> Console:
    # A pipe has no width, and a hash that is cut can't be pasted into the next command.
    console = Console()
    return console if console.is_terminal else Console(width=200)
