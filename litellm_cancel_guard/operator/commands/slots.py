"""`status`, `slots`, `release`, `reconcile`: what is held, and how to get it right by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group
from rich.markup import escape
from rich.table import Column, Table

from litellm_cancel_guard.lease.keyname import key_of
from litellm_cancel_guard.operator.commands import watching
from litellm_cancel_guard.operator.commands.keys import Key
from litellm_cancel_guard.operator.commands.redis_options import FAILURES, Undone, ask, redis_options, say_json
from litellm_cancel_guard.operator.commands.workers import lines
from litellm_cancel_guard.operator.overview import (
    AtRestError,
    StillRunsError,
    all_counts,
    chosen,
    count_of,
    described,
    detailed,
    give_back,
    refuse_running,
    state_of,
    turn_of,
    with_holders,
)

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge.connect import Target
    from litellm_cancel_guard.gauge.survey import Count, Slot, Survey
    from litellm_cancel_guard.lease.records import Seen

_DIGITS = 12
_READING_EXIT_CODES = f"""\b
Exit codes:
  0  shown, also where nothing is held
{FAILURES}"""
_RELEASE_EXIT_CODES = f"""\b
Exit codes:
  0  given back, or the key holds none
  1  nothing was done: not confirmed, or a request that runs holds one
{FAILURES}"""
_RECONCILE_EXIT_CODES = f"""\b
Exit codes:
  0  every number is right, or was put right
  1  dry run: some number is wrong; nothing was done
{FAILURES}"""


@click.command(epilog=_READING_EXIT_CODES)
@redis_options
@click.option(
    "--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C; with --json, a line each time."
)
def status(target: Target, as_json: bool, watch: bool) -> None:
    """Show every key that holds slots, and what is not in force in a worker.

    A key at rest leaves nothing in Redis and is not shown. The limit is what the workers with its slots say of it, from
    their next heartbeat on (10 s).
    """
    if watch:
        watching.watch(lambda: ask(target, _all), _said if as_json else _shown)
        return
    seen = ask(target, _all)
    if as_json:
        say_json([described(count) for count in seen.counts])
    else:
        watching.console().print(_shown(seen))


@dataclass(frozen=True)
class _Seen:
    counts: list[Count]
    workers: list[Seen]


async def _all(survey: Survey) -> _Seen:
    return _Seen(await all_counts(survey), await survey.workers())


def _said(seen: _Seen) -> str:
    return json.dumps([described(count) for count in seen.counts])


def _shown(seen: _Seen) -> Group:
    missing = [f"{_name(one)}: {line}" for one in seen.workers for line in lines(one.record.missing)]
    return Group(_status_table(seen.counts), *missing)


@click.command(epilog=_READING_EXIT_CODES, short_help="Show each slot that KEY holds.")
@click.argument("key", type=Key())
@redis_options
def slots(key: str, target: Target, as_json: bool) -> None:
    """Show each slot that KEY holds: a key (- reads it from standard input), LiteLLM's hash of it, or how that begins.

    Its holder and its worker are told from the worker's next beat on (a third of the lease). A silent worker was
    killed, stands still or has no Redis. A slot that lapses in more than its lease is one of a worker without the guard
    (LiteLLM 1.94 and newer).
    """

    async def found(survey: Survey) -> Count:
        return (await with_holders(survey, [await count_of(survey, key)]))[0]

    try:
        count = ask(target, found)
    except AtRestError as rest:
        _say_rest(rest, as_json=as_json, empty={"slots": 0, "held": []})
        return
    if as_json:
        say_json(detailed(count))
        return
    limit = "" if count.limit is None else f", limit {count.limit}"
    columns = ("slot", "route", "since", "holder", "worker", "lapses in")
    title = f"key {key_of(count.place.gauge)}{limit}"
    rows = [
        (slot.id, slot.route or "-", _ago(slot.age), held_by(said["holder"]), _worker(slot), _seconds(slot.lapses_in))
        for slot, said in zip(count.slots, detailed(count)["held"], strict=True)
    ]
    watching.say_rows(columns, rows, title)
    if count.line.waiting:
        click.echo(f"In line for one: {_in_line(count)}.")
    if count.left_out:
        click.echo(f"Of {count.left_out} more slots their workers do not say who holds them: it would be too much.")


def held_by(holder: dict[str, Any] | None) -> str:
    """Return what is known of a holder, a line each."""
    said = {name: told for name, told in (holder or {}).items() if told not in (None, "")}
    quiet = said.pop("last_chunk_seconds", None)
    lines = [f"{name.replace('_', ' ')} {told}" for name, told in said.items()]
    # What a client has named is no markup.
    return escape("\n".join([*lines, *([] if quiet is None else [f"last chunk {quiet:.0f} s ago"])])) or "-"


@click.command(epilog=_RELEASE_EXIT_CODES, short_help="Give back the slots of KEY, or only SLOT.")
@click.argument("key", type=Key())
@click.argument("slot", required=False)
@redis_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also those of requests that run.")
def release(  # noqa: PLR0913, PLR0917 - click calls it by name
    key: str, slot: str | None, target: Target, as_json: bool, yes: bool, force: bool
) -> None:
    """Give back the slots of KEY (- reads it from standard input), or only SLOT (or how it begins).

    For slots whose request is gone. One that a living worker holds would be taken again with its next heartbeat, and
    more than the limit would run until then: nothing is done where there is one, unless --force is given.
    """

    async def found(survey: Survey) -> tuple[Count, list[str]]:
        count = await count_of(survey, key)
        return count, chosen(count, slot)

    try:
        count, ids = ask(target, found)
    except AtRestError as rest:
        _say_rest(rest, as_json=as_json, empty={"released": [], "in_flight": 0})
        return
    try:
        if not force:
            refuse_running(count, ids)
    except StillRunsError as running:
        raise Undone(f"{running} --force gives them back all the same.") from running
    if not yes:
        click.confirm(f"Give back {len(ids)} of {len(count.slots)} slots of {key_of(count.place.gauge)}?", abort=True)
    released = ask(target, lambda survey: give_back(survey, count, ids))
    if as_json:
        say_json({"released": released.slots, "in_flight": released.in_flight})
    else:
        click.echo(f"Gave back {len(ids)}; {released.in_flight} are in flight.")


@click.command(epilog=_RECONCILE_EXIT_CODES, short_help="Make LiteLLM's number equal the slots that live.")
@click.argument("key", required=False, type=Key())
@redis_options
@click.option("--yes", is_flag=True, help="Do it; without, only what would be done is shown.")
@click.pass_context
def reconcile(ctx: click.Context, key: str | None, target: Target, as_json: bool, yes: bool) -> None:
    """Make LiteLLM's number equal the slots that live, for KEY (- reads it from standard input) or for all keys.

    Up to LiteLLM 1.93 requests in flight of workers without the guard are in that number and in no slot: they are
    forgotten. From 1.94 on the slots are LiteLLM's own; what has lapsed is cleared away.
    """

    async def counts(survey: Survey) -> list[Count]:
        return [await count_of(survey, key)] if key else await all_counts(survey)

    try:
        wrong = [count for count in ask(target, counts) if count.differs or count.lapsed]
    except AtRestError:
        wrong = []

    async def mend(survey: Survey) -> list[int]:
        return [await survey.reconcile(count.place) for count in wrong]

    after = ask(target, mend) if yes and wrong else [len(count.slots) for count in wrong]
    changes = [
        {**described(count), "number": count.number + count.lapsed, "becomes": number}
        for count, number in zip(wrong, after, strict=True)
    ]
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
    digits = max((len(count.place.prefix) for count in counts), default=0) + _DIGITS
    # How it begins is taken for the key, with an ellipsis behind it is not.
    key = Column("key", overflow="crop", min_width=digits)
    columns = ("slots", "limit", "LiteLLM's number", "oldest", "first lapses in")
    lined = any(count.line.waiting for count in counts)
    table = Table(key, *columns, *(("in line",) if lined else ()), title=f"{len(counts)} keys hold slots")
    for count in counts:
        lapses = _seconds(count.slots[0].lapses_in) if count.slots else "-"
        number = f"{count.number} (wrong: see reconcile)" if count.differs else str(count.number)
        silent = sum(state_of(slot) == "silent" for slot in count.slots)
        held = f"{len(count.slots)} ({silent} of silent workers)" if silent else str(len(count.slots))
        limit = "-" if count.limit is None else str(count.limit)
        name = f"{count.place.prefix}{key_of(count.place.gauge)}"
        table.add_row(name, held, limit, number, _ago(count.oldest), lapses, *((_in_line(count),) if lined else ()))
    return table


def _in_line(count: Count) -> str:
    """Return how many wait, of how many agents, for how long the one that is next, and of which agent it is."""
    if not count.line.waiting:
        return "-"
    since = "" if count.line.first_for is None else f", the first for {_seconds(count.line.first_for)}"
    of = f" of {count.line.classes} agents" if count.line.classes > 1 else ""
    turn = turn_of(count.line)
    return f"{count.line.waiting}{of}{since}{'' if turn is None else f', agent {turn}'}"


def _worker(slot: Slot) -> str:
    if slot.worker is None:
        return "without the guard, or an older one"
    if slot.seen is None:
        return f"{slot.worker}, not heard of yet"
    silent = f", silent for {slot.seen.silent_for:.0f} s" if slot.seen.silent else ""
    return f"{_name(slot.seen)}{silent}"


def _name(seen: Seen) -> str:
    return seen.record.place


def _ago(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s ago"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def _say_rest(rest: AtRestError, *, as_json: bool, empty: dict[str, Any]) -> None:
    if as_json:
        say_json(empty)
    else:
        click.echo(str(rest))
