"""`kill`: ends the request of a slot, on whatever worker that runs."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import click

from litellm_cancel_guard.operator import orders
from litellm_cancel_guard.operator.commands.redis_options import FAILURES, Undone, ask, redis_options, say_json

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge.connect import Target
    from litellm_cancel_guard.gauge.survey import Place, Survey

_EXIT_CODES = f"""\b
Exit codes:
  0  ended, and the slot is back
  1  not ended: its worker can't be told, or has not done it in time
{FAILURES}"""
# For what a worker does when it has read the order: it hangs up on the provider, and tells its client.
_TO_END_SECONDS = 5.0
_BETWEEN_LOOKS_SECONDS = 0.2


@click.command("kill", epilog=_EXIT_CODES, short_help="End the request that holds SLOT.")
@click.argument("slot")
@redis_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def kill(slot: str, target: Target, as_json: bool, yes: bool) -> None:
    """End the request that holds SLOT (an id as `slots` shows it, or how it begins), and wait until the slot is back.

    Its client gets an error in its protocol (503), its provider's connection is closed, and the log of its worker says
    so. The worker reads the order with its next beat: that takes a third of the lease at most. A client may ask again.
    """
    count, found = ask(target, lambda survey: orders.find(survey, slot))
    if not yes:
        click.confirm(f"End the request of {found.id} ({found.route or 'route unknown'})?", abort=True)
    began = time.monotonic()
    try:
        ordered = ask(target, lambda survey: orders.kill(survey, found.id, "the command line", _not_here))
    except orders.NotKillableError as error:
        raise Undone(str(error)) from error
    if not as_json:
        click.echo(f"Ordered of worker {ordered.worker}, which reads it within {ordered.within_seconds:g} s.")
    if not ask(target, lambda survey: _gone(survey, count.place, found.id, ordered.within_seconds + _TO_END_SECONDS)):
        raise Undone("It is still held: see the log of that worker, and `slots` for whether it is silent by now.")
    took = round(time.monotonic() - began, 3)
    if as_json:
        say_json({"key": ordered.key, "slot": ordered.slot, "worker": ordered.worker, "took_seconds": took})
    else:
        click.echo(f"Ended, and the slot is back, after {took:.1f} s.")


def _not_here(_slot: str, _by: str) -> bool:
    return False


async def _gone(survey: Survey, place: Place, slot: str, within: float) -> bool:
    until = time.monotonic() + within
    while True:
        # Where it is: to find it anew, all keys of a Redis would be looked through five times a second.
        if all(held.id != slot for held in (await survey.count(place)).slots):
            return True
        if time.monotonic() >= until:
            return False
        await asyncio.sleep(_BETWEEN_LOOKS_SECONDS)
