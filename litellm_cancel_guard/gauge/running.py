"""Runs calls in Redis: by SHA or text, together or apart, in the layout that a key is kept in."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from litellm_cancel_guard.aio.deadline import Deadline
from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.gauge.batches import notable, together
from litellm_cancel_guard.gauge.layout import NOT_OURS
from litellm_cancel_guard.gauge.nodes import ask, crosses_hash_slots, is_cluster
from litellm_cancel_guard.gauge.sending import (
    command_of,
    is_unknown_script,
    pipelined,
    text_of,
    wants_text,
    what_of,
    whole,
    whole_pipelined,
)
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from litellm_cancel_guard.gauge.layout import Call, Layout
    from litellm_cancel_guard.gauge.sending import Command

T = TypeVar("T")

_TURNS = 8
_BOTH = (
    "workers of LiteLLM 1.94 or newer and of an older one share this Redis. Those with the guard keep one count of "
    "each key; those without it may count alone: put the guard on all of them, or end those of one side first "
    "(docs/upgrade.md)"
)


@dataclass
class Known:
    """What was found out about a Redis, and said: who asks it by another client is not to do so again.

    Attributes:
        by_sha: whether it takes a script by its SHA.
        apart: whether it takes no script with keys of several hash slots, although its client is no cluster's.
        told_of_both: whether the log has been told of LiteLLMs on both sides of 1.94.
    """

    by_sha: bool = True
    apart: bool = False
    told_of_both: bool = False


class Runner:
    """What it raises of a call, it raises within ``timeout_seconds``, as GaugeUnavailableError or GaugeCorruptError.

    Args:
        client: returns the asyncio client for the running event loop; called for every use.
        layout: the one that is tried first. A key that holds what the layout `beyond` keeps there is asked in that one.
        timeout_seconds: how long any one call may take, connecting included.
        known: what is known already.
    """

    def __init__(
        self, client: Callable[[], Any], layout: Layout, timeout_seconds: float, known: Known | None = None
    ) -> None:
        self.timeout_seconds = timeout_seconds
        self._client = client
        self._layout = layout
        # From one look to the next the last slot may go and the first of the other layout come, under load time and
        # again: a request that gave up then would be refused, or let through uncounted, for a key that has room.
        self._layouts = (layout,) if layout.beyond is None else (*_TURNS * (layout, layout.beyond), layout)
        self.known = known or Known()

    async def run(self, call_of: Callable[[Layout], Call], ask: Callable[..., Awaitable[Any]] = ask) -> Any:
        """Return what the call answers."""
        try:
            async with Deadline(self.timeout_seconds):
                *tries, last = self._layouts
                for layout in tries:
                    try:
                        answer = await self._run_one(call_of(layout), ask)
                    except Exception as refusal:
                        if not layout.is_foreign(refusal):
                            raise
                    else:
                        if layout is not self._layout:
                            self._tell_of_both()
                        return answer
                return await self._run_one(call_of(last), ask)
        except Exception as exc:
            raise await self.fault(exc, call_of(self._layout)) from exc

    async def _run_one(self, call: Call, ask: Callable[..., Awaitable[Any]]) -> Any:
        client = self._client()
        try:
            return await ask(client, call.keys[0], *command_of(call, by_sha=self.known.by_sha))
        except Exception as refusal:
            if not (self.known.by_sha and wants_text(refusal)):
                raise
            answer = await whole(client, call, ask)
            self._note(refusal)
            return answer

    async def run_all(
        self, batch: list[T], call_of: Callable[[Layout, T], Call], beside: Command | None
    ) -> dict[int, Any]:
        """Return what there is to say of each of *batch*, errors of its keys among it, by its place.

        One round trip for each node, and *beside* goes along with it; where it was refused, the answer says so.
        """
        try:
            async with Deadline(self.timeout_seconds):
                client, own = self._client(), functools.partial(call_of, self._layout)
                found = await self._answers(client, batch, own, beside)
                for before, layout in pairwise(self._layouts):
                    astray = [place for place, answer in found.items() if before.is_foreign(answer)]
                    if astray:
                        await self._ask_again(client, batch, found, astray, functools.partial(call_of, layout))
                return found
        except Exception as exc:
            raise GaugeUnavailableError(what_of(exc)) from exc

    async def _ask_again(
        self, client: Any, batch: list[T], found: dict[int, Any], astray: list[int], call_of: Callable[[T], Call]
    ) -> None:
        answers = await self._answers(client, [batch[place] for place in astray], call_of, None)
        for place in astray:
            del found[place]
        found.update((astray[at], answer) for at, answer in answers.items())
        if sum(isinstance(answer, Exception) for answer in answers.values()) < len(astray):
            self._tell_of_both()

    async def _answers(
        self, client: Any, batch: list[T], call_of: Callable[[T], Call], beside: Command | None
    ) -> dict[int, Any]:
        if not (self.known.apart or is_cluster(client)):
            answers = await self._evaluate_all(client, together(batch, call_of), beside)
            if not any(map(crosses_hash_slots, answers)):
                return notable(answers, len(batch))
            # A plain client may speak to a cluster: of one shard, or behind a single address (Redis Enterprise, Azure,
            # ElastiCache Serverless). An acquire has one hash slot and works; no renewal would, and slots would lapse.
            self.known.apart, beside = True, None
            log.info(
                "cancel_guard: Redis takes no script with keys of several hash slots; each key is renewed by its own"
            )
        calls = [call_of(each) for each in batch]
        return dict(enumerate(await self._evaluate_all(client, calls, beside)))

    async def _evaluate_all(self, client: Any, calls: Sequence[Call], beside: Command | None) -> list[Any]:
        answers = await pipelined(client, calls, beside, by_sha=self.known.by_sha)
        again = [i for i, answer in enumerate(answers) if self.known.by_sha and wants_text(answer)]
        if again:
            texts = [calls[i] for i in again]
            for i, answer in zip(again, await whole_pipelined(client, texts), strict=True):
                if not isinstance(answer, Exception):
                    self._note(answers[i])
                answers[i] = answer
        return answers

    def _note(self, refusal: Exception | None) -> None:
        """Remember that the text was taken where the SHA was refused, unless the server only did not know it yet."""
        if refusal and self.known.by_sha and not is_unknown_script(refusal):
            self.known.by_sha = False
            log.warning(
                "cancel_guard: Redis refuses EVALSHA (%s); its scripts are sent whole from now on", what_of(refusal)
            )

    def _tell_of_both(self) -> None:
        if not self.known.told_of_both:
            self.known.told_of_both = True
            log.warning("cancel_guard: %s", _BOTH)

    async def fault(self, exc: Exception, call: Call) -> GaugeUnavailableError | GaugeCorruptError:
        """Return what to raise for *exc* of *call*, asking Redis which key is to blame for a wrong type."""
        if "WRONGTYPE" not in str(exc):
            return GaugeUnavailableError(what_of(exc))
        try:
            async with Deadline(self.timeout_seconds):
                return GaugeCorruptError(await self._diagnosis(exc, call))
        except Exception as asking:
            return GaugeUnavailableError(f"{what_of(exc)}, and then {what_of(asking)}")

    async def _diagnosis(self, exc: Exception, call: Call) -> str:
        client = self._client()
        # A call that leaves some of the layout's keys out says of its others what they are.
        kinds = dict(zip(call.keys, self._layout.kinds, strict=False)) | dict(call.kinds)
        for key, kind in kinds.items():
            if kind.content and f"{key} holds no {kind.content}" in str(exc):
                return f"Redis key {key} holds no {kind.content}. {NOT_OURS}"
            found = text_of(await client.type(key))
            if found not in {kind.expected, "none"}:
                return f"Redis key {key} is of type {found}, not {kind.expected}. {kind.remedy(found)}"
        return f"One of the Redis keys {', '.join(call.keys)} held another type a moment ago, and no longer does."
