"""`why`: who stood in the way of a request that was refused."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from litellm_cancel_guard.lease import slotname
from litellm_cancel_guard.operator.commands.redis_options import FAILURES, NotFound, ask, redis_options, say_json

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge.connect import Target
    from litellm_cancel_guard.gauge.survey import Survey
    from litellm_cancel_guard.lease.holders import Holder, Refusal
    from litellm_cancel_guard.lease.records import Seen

_EXIT_CODES = f"""\b
Exit codes:
  0  shown
{FAILURES}"""


@click.command(epilog=_EXIT_CODES, short_help="Show who stood in the way of a refused request.")
@click.argument("call_id")
@redis_options
def why(call_id: str, target: Target, as_json: bool) -> None:
    """Show who stood in the way of the request of CALL_ID, which is in the x-litellm-call-id header of its 429.

    Each worker keeps its last 100 refusals for a quarter of an hour, and tells of them with its next beat (a third of
    the lease); those of a worker that has ended are gone.
    """

    async def found(survey: Survey) -> Any:
        return await survey.refusal(call_id)

    told = ask(target, found)
    if told is None:
        raise NotFound("No worker knows of such a refusal: not yet, no more, or it was none of the guard's.")
    refusal, holding, seen = told
    in_the_way = [_in_the_way(slot, refusal.at, holding.holders.get(slot)) for slot in refusal.holders]
    if as_json:
        said = {name: value for name, value in asdict(refusal).items() if name != "holders"}
        say_json({**said, "worker": seen.record.place, "held_by": in_the_way})
    else:
        _say(refusal, seen, in_the_way)


_IN_WORDS = {"slot": "{}", "held_then_for_seconds": "held then for {} s", "still_held": "still held"}


def _say(refusal: Refusal, seen: Seen, in_the_way: list[dict[str, Any]]) -> None:
    click.echo(
        f"{refusal.call_id} was refused {time.time() - refusal.at:.0f} s ago by {seen.record.place}: "
        f"key {refusal.key}… held {refusal.in_flight} of {refusal.limit}."
    )
    for one in in_the_way:
        known = (
            _IN_WORDS.get(name, f"{name.replace('_', ' ')} {{}}").format(told) for name, told in one.items() if told
        )
        click.echo(f"  {', '.join(known)}")
    if left := refusal.in_flight - len(in_the_way):
        click.echo(f"  and {left} more" + ("" if in_the_way else ", of which nothing is known"))


def _in_the_way(slot: str, at: float, holder: Holder | None) -> dict[str, Any]:
    said = slotname.read(slot)
    known = {"route": said.route, "held_then_for_seconds": round(max(0.0, at - said.since), 1)} if said else {}
    if holder is None:
        return {"slot": slot, **known}
    still = {"model": holder.model, "path": holder.path, "call_id": holder.call_id, "agent": holder.agent}
    return {"slot": slot, **known, "still_held": True, **still, **holder.detail}
