"""What would be in force in a worker of the LiteLLM that is installed: tried in a process that ends with the answer.

A child does it, for whoever asks: LiteLLM takes seconds to import, and its classes are changed where they are.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host import facts, mends
from litellm_cancel_guard.host import limiter as host
from litellm_cancel_guard.host.grafting import Board, NotFoundError
from litellm_cancel_guard.host.grafts import GRAFTS
from litellm_cancel_guard.host.limiter.canary import Verdict
from litellm_cancel_guard.host.proven import UnprovenError, look_up
from litellm_cancel_guard.host.standing import Standing
from litellm_cancel_guard.lease.graft import State, Status
from litellm_cancel_guard.lease.records import Aside
from litellm_cancel_guard.ledger.registry import Registry
from litellm_cancel_guard.redaction import for_log
from litellm_cancel_guard.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litellm_cancel_guard.gauge.connect import Target
    from litellm_cancel_guard.host.limiter.canary import Proof


# The folder that it is run from may hold a file of the package's name: the one beside LiteLLM's config.
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from litellm_cancel_guard.host.rehearsal import main; main()"
)


class RehearsalError(Exception):
    """It could not be tried; the message says why."""


class SlowError(RehearsalError):
    """LiteLLM takes longer to load than it was given."""


@dataclass(frozen=True)
class Rehearsed:
    """What was found.

    Attributes:
        statuses: how each graft that was tried would stand; those that need a whole proxy are not among them.
        verdict: of the canary; None where it was not asked.
        reason: why the verdict is not ``proven``.
    """

    statuses: tuple[Status, ...]
    verdict: Verdict | None = None
    reason: str = ""


def rehearse(target: Target | None, settings: Settings, within: float) -> Rehearsed:
    """Attach the guard to a limiter of the installed LiteLLM that counts in *target*, or in its process.

    Raises:
        RehearsalError: LiteLLM can't be imported, or gives no limiter.
        SlowError: all that takes longer than *within* seconds.
    """
    asked = {
        "params": None if target is None else target.params,
        "namespace": "" if target is None else target.namespace,
        "settings": settings.model_dump(),
    }
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, and what it runs is above
            [sys.executable, "-c", _CODE, json.dumps(sys.path)],
            env=_environ(os.environ),
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SlowError(f"LiteLLM was not loaded within {within:g} s; --patience gives it more") from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.strip().splitlines()
        fault = for_log(said[-1]) if said else f"its process ended with {done.returncode}"
        raise RehearsalError(f"LiteLLM can't be loaded here: {fault}") from None
    if fault := answer.get("fault"):
        raise RehearsalError(f"LiteLLM can't be loaded here: {fault}")
    return _read(answer)


def _environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* without a Redis, which LiteLLM would mix with the one that is asked for."""
    kept = {name: value for name, value in environ.items() if not name.startswith("REDIS_")}
    # Else it fetches its price list from the network while it is imported.
    return kept | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONWARNINGS": "ignore"}


def _read(answer: Any) -> Rehearsed:
    declared = {graft.name: graft for graft in GRAFTS}
    statuses = tuple(Status(declared[name], State(state), reason) for name, state, reason in answer["grafts"])
    return Rehearsed(statuses, answer["verdict"] and Verdict(answer["verdict"]), answer["reason"])


def main() -> None:
    """Answer what standard input asks, on standard output, and end: LiteLLM leaves threads and connections."""
    # LiteLLM and its libraries print.
    out = os.dup(1)
    os.dup2(2, 1)
    try:
        answer = asyncio.run(_rehearsed(json.load(sys.stdin)))
    except Exception as fault:
        answer = {"fault": for_log(f"{type(fault).__name__}: {fault}").replace("\n", " ")}
    os.write(out, json.dumps(answer).encode())
    os._exit(0)


async def _rehearsed(asked: Any) -> dict[str, Any]:
    limiter, settings = _limiter(asked), Settings.model_validate(asked["settings"])
    told: dict[str, Status] = {}
    board = Board(GRAFTS, told=lambda status: told.update({status.graft.name: status}))
    standing, proofs = Standing(board, Registry()), list["Proof"]()
    try:
        look_up(host.litellm_version(), settings.on_unproven_litellm, lambda **_: None)
        recognised = host.recognise(limiter)
        gauge = host.gauge_for(recognised, settings, Aside())

        async def canary() -> Proof:
            proofs.append(await host.prove(recognised, gauge, within=2 * settings.redis_timeout))
            return proofs[-1]

        standing.attach(lambda touches: touches.extend(host.attach(recognised, _Idle(), lambda: True, board)), canary)
        await standing.decided()
    except (host.UnknownLimiterError, UnprovenError, NotFoundError) as reason:
        standing.stand_aside(State.STANDS_ASIDE, str(reason))
    mends.mend(settings, board)
    return {
        "grafts": [(name, status.state.value, status.reason) for name, status in told.items()],
        "verdict": proofs[-1].verdict.value if proofs else None,
        "reason": proofs[-1].reason if proofs else "",
    }


def _limiter(asked: Any) -> Any:
    """Return a limiter as a proxy makes it (F1), in the Redis that is asked for."""
    from litellm.caching.caching import Cache, DualCache
    from litellm.proxy.hooks import PROXY_HOOKS
    from litellm.proxy.utils import InternalUsageCache

    redis_cache = None
    if asked["params"] is not None:
        params = dict(asked["params"])
        nodes, namespace = params.pop("startup_nodes", None), asked["namespace"] or None
        redis_cache = Cache(type="redis", redis_startup_nodes=nodes, namespace=namespace, **params).cache
    return PROXY_HOOKS[facts.LIMITER_HOOK](InternalUsageCache(DualCache(redis_cache=redis_cache)))


class _Idle:
    """A worker that nobody asks for anything."""

    def guarded_request(self) -> None:
        """Return that no request is served."""

    def counts(self) -> bool:
        """Tell that none would be counted."""
        return False

    def decides(self, *, guarded: bool) -> None:
        """Never called: there is no request."""

    async def admit(self, *_: Any) -> Any:
        """Never called: there is no request."""

    async def end(self, *_: Any) -> None:
        """Never called: there is no request."""
