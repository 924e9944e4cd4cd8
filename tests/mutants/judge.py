"""What is harmful: whatever is worse with the guard than without it, on one and the same LiteLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

CAP = 2
_IN_FORCE, _ASIDE, _OUT = "in force", "stands aside", "taken out"
_SLOTS = "max_parallel_requests"


def harm(played: dict[str, Any]) -> list[str]:
    """Return what was worse, in words; nothing where the mutant makes no sense, or nothing was."""
    if "senseless" in played:
        return []
    if "broken" in played:
        return [f"the guarded play broke: {played['broken']}"]
    bare, guarded = played["bare"], played["guarded"]
    if played["kind"] != "limiter":
        if guarded["states"].get("tasks.noting") == _IN_FORCE and not guarded.get("noted", True):
            return ["tasks.noting says in force, and nothing notes what serves a request"]
        if guarded["states"].get("admin.routes") == _IN_FORCE and not guarded.get("reached", True):
            return ["admin.routes says in force, and they are not there"]
        return [
            f"{what}: {guarded.get(what)!r}, bare {seen!r}"
            for what, seen in bare.items()
            if _differs(what, bare, guarded)
        ]
    return [*_caps(bare, guarded), *_errors(bare, guarded), *_counts(bare, guarded), *_states(bare, guarded)]


def _differs(what: str, bare: dict[str, Any], guarded: dict[str, Any]) -> bool:
    return what not in ("states", "noted", "reached") and bare[what] != guarded.get(what)


def _caps(bare: dict[str, Any], guarded: dict[str, Any]) -> Iterator[str]:
    for number, (alone, beside) in enumerate(zip(bare["admitted"], guarded["admitted"], strict=True), 1):
        if beside > max(alone, CAP):
            yield f"round {number}: {beside} admitted at once, bare {alone}"
        if beside < min(alone, CAP):
            yield f"round {number}: only {beside} admitted, bare {alone}"


def _errors(bare: dict[str, Any], guarded: dict[str, Any]) -> Iterator[str]:
    for what, times in guarded["errors"].items():
        if what != "429" and what not in bare["errors"]:
            yield f"{what} reaches the caller {times} times, bare never"
    for what, times in guarded["logged"].items():
        if what.startswith("litellm") and what not in bare["logged"]:
            yield f"LiteLLM logs {times} times, bare never: {what}"


def _counts(bare: dict[str, Any], guarded: dict[str, Any]) -> Iterator[str]:
    """Tokens of every scope as bare; requests no more, since a refusal of the guard's uses none up (#39309)."""
    same = bare["admitted"] == guarded["admitted"]
    for name in sorted({*bare["rest"], *guarded["rest"]}):
        alone, beside = bare["rest"].get(name, 0), guarded["rest"].get(name, 0)
        if name.endswith(":requests"):
            if not min(sum(guarded["admitted"]), alone) <= beside <= max(alone, sum(guarded["admitted"])):
                yield f"{name}: {beside} counted, bare {alone}"
        elif _SLOTS in name:
            if abs(beside) > abs(alone):
                yield f"{name}: {beside} left, bare {alone}"
        elif same and alone != beside:
            yield f"{name}: {beside} counted, bare {alone}"


def _states(bare: dict[str, Any], guarded: dict[str, Any]) -> Iterator[str]:
    if guarded["states"].get("slots.seam") != _IN_FORCE:
        return
    if guarded["unleased"]:
        yield f"slots.seam says in force, and {guarded['unleased']} requests hold no slot of the guard's"
    there = {name for during in bare["during"] for name in during if _SLOTS in name}
    seen = {name for during in guarded["during"] for name in during if _SLOTS in name}
    if there and not there & seen:
        yield f"slots.seam says in force, and no slot lies at {sorted(there)}"


def outcome(played: dict[str, Any], usual: dict[str, str]) -> str:
    """Return how the guard took it: `attached`, `stood aside` or `taken out`, by the grafts that are *usual*."""
    if "senseless" in played:
        return "senseless"
    states = played.get("guarded", {}).get("states", {})
    changed = {state for graft, state in states.items() if usual.get(graft) == _IN_FORCE != state}
    return "taken out" if _OUT in changed else "stood aside" if changed else "attached"
