"""What `doctor` says of the guard's grafts: tried on the LiteLLM that is installed, or as a running proxy has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litellm_cancel_guard.host.limiter.canary import Verdict
from litellm_cancel_guard.host.rehearsal import RehearsalError, SlowError, rehearse
from litellm_cancel_guard.lease.graft import State
from litellm_cancel_guard.operator.commands.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from litellm_cancel_guard.gauge.connect import Target
    from litellm_cancel_guard.host.rehearsal import Rehearsed
    from litellm_cancel_guard.lease.graft import Status
    from litellm_cancel_guard.settings import Settings


def tried(target: Target | None, settings: Settings, within: float) -> Iterator[Finding]:
    """Attach the guard to the installed LiteLLM as a worker would, and say what would be in force; in seconds."""
    try:
        found = rehearse(target, settings, within)
    except SlowError as fault:
        yield Finding("grafts", True, f"not tried: {fault}", warning=True)
        return
    except RehearsalError as fault:
        yield Finding("grafts", False, f"not tried: {fault}")
        return
    yield from (Finding(f"graft {name}", False, text) for name, text in missing(found.statuses))
    yield _in_force(found, target)


def missing(statuses: Iterable[Status]) -> Iterator[tuple[str, str]]:
    """Return what is not in force and what is lost by it, once for those of a group that share a reason."""
    seen = set()
    for status in statuses:
        shared = status.graft.group, status.state, status.reason
        if status.missing and shared not in seen:
            seen.add(shared)
            yield status.graft.group, f"{status}. Without it, {status.graft.without}."


def _in_force(found: Rehearsed, target: Target | None) -> Finding:
    here = [status for status in found.statuses if status.state is State.IN_FORCE]
    needless = sum(status.state is State.NOT_NEEDED for status in found.statuses)
    text = f"{len(here)} would be in force, and {needless} this LiteLLM does not need"
    slots = any(status.graft.group == "slots" for status in here)
    if found.verdict is Verdict.UNDECIDED:
        return Finding("grafts", False, f"{text}; whether both count the same is not known: {found.reason}")
    if not slots:
        return Finding(
            "grafts", False, f"{text}. It would count nothing: upgrade the guard, or go back to the LiteLLM before."
        )
    where = "in each worker alone" if target is None else "in Redis"
    return Finding("grafts", True, f"{text}; LiteLLM and the guard count the same {where}.")
