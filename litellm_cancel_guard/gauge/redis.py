"""The gauge in Redis, and the one door to Redis: its exceptions do not pass."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from litellm_cancel_guard.aio.deadline import Deadline
from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.gauge.batches import batches, notable, pipelines, together
from litellm_cancel_guard.gauge.layout import NOT_OURS, followed
from litellm_cancel_guard.gauge.nodes import ask, ask_anew, crosses_hash_slots, is_cluster, node_of
from litellm_cancel_guard.gauge.sending import (
    command_of,
    is_unknown_script,
    pipelined,
    text_of,
    wants_text,
    what_of,
)
from litellm_cancel_guard.lease.keyname import without_key
from litellm_cancel_guard.lease.lease import Admission, Lease
from litellm_cancel_guard.lease.records import Aside
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from litellm_cancel_guard.gauge.batches import Share, Wanted
    from litellm_cancel_guard.gauge.layout import Call, Layout
    from litellm_cancel_guard.gauge.sending import Command
    from litellm_cancel_guard.lease.lease import FollowUp

T = TypeVar("T")


class RedisGauge:
    """Slots in the Redis that LiteLLM uses, for all its workers.

    What is not promised: a call that raised may have been carried out, because
    the answer was lost; release the lease, or let it lapse. All times are in
    seconds.

    Args:
        client_factory: returns LiteLLM's asyncio client, ``redis.asyncio.Redis``
            or ``RedisCluster``, for the running event loop; called for every use.
        layout: how the slots lie in Redis, which LiteLLM's version decides.
        lease_seconds: how long a slot is held without renewal.
        timeout_seconds: how long any one call may take, connecting included.
        aside: what goes along with its calls.
    """

    def __init__(
        self,
        client_factory: Callable[[], Any],
        layout: Layout,
        *,
        lease_seconds: float,
        timeout_seconds: float,
        aside: Aside = Aside(),  # noqa: B008 - it can't be changed
    ) -> None:
        self._client = client_factory
        self._aside = aside
        self._recording: asyncio.Task[None] | None = None
        self._layout = layout
        self._lease_seconds = lease_seconds
        self._timeout_seconds = timeout_seconds
        self._by_sha = True
        self._apart = False

    def retime(self, *, lease_seconds: float, timeout_seconds: float) -> None:
        """Go by other times from the next call on; both in seconds."""
        self._lease_seconds, self._timeout_seconds = lease_seconds, timeout_seconds

    async def acquire(self, lease: Lease, limit: int, follow_up: FollowUp | None = None) -> Admission:
        """Hold a slot for *lease* if fewer than *limit* are held, and run *follow_up* in the same call then."""
        call = self._layout.acquire(lease, limit, self._lease_seconds)
        if follow_up is not None:
            call = followed(call, follow_up)
        admitted, in_flight, lapsed, *more = await self._run(call)
        self._tell(lapsed)
        if admitted != 1:
            return Admission(admitted=False, in_flight=in_flight, holders=tuple(map(text_of, *more)))
        return Admission(True, in_flight, *more)

    async def release(self, lease: Lease) -> int:
        """Give the slot of *lease* back, if it is held; return the slots still held."""
        in_flight, lapsed = await self._run(self._layout.release(lease))
        self._tell(lapsed)
        return int(in_flight)

    async def renew(self, leases: Collection[Lease]) -> set[Lease]:
        """Hold each of *leases* for another lease time; return those that were no longer held.

        One round trip for each Redis node and 5000 gauges. A lease whose gauge's
        keys hold another type is among those no longer held, and the log says
        why: one such key must not keep the other leases from being renewed.

        Raises:
            GaugeUnavailableError: Redis could not be asked about one of them;
                the others may have been renewed.
        """
        lost: set[Lease] = set()
        beside = self._recorded()
        for batch in batches(leases):
            answers, beside = await self._renew_all(batch, beside), None
            for place, answer in answers.items():
                gauge, ids = batch[place]
                lapsed, *positions = answer or (0, *range(1, len(ids) + 1))
                lost.update(Lease(gauge, ids[position - 1]) for position in positions)
                # Those that are lost here may be among the lapsed, and are no other worker's.
                self._tell(lapsed - len(positions))
        return lost

    async def hold(self, wanted: Sequence[Wanted]) -> list[bool | None]:
        """Acquire each of many leases under the limit beside it; return of each whether it is held now.

        One round trip for each Redis node and 5000 leases. None is said of a lease
        whose gauge's keys hold another type; it is a renewal that names them.

        Raises:
            GaugeUnavailableError: Redis could not be asked about one of them;
                the others may be held.
        """
        held: list[bool | None] = []
        for some in pipelines(wanted):
            answers = await self._ask_all(some, self._holding, None)
            held += [self._held(answers[place]) for place in range(len(some))]
        return held

    def _held(self, answer: Any) -> bool | None:
        if not isinstance(answer, Exception):
            self._tell(answer[2])
            return bool(answer[0] == 1)
        if "WRONGTYPE" not in str(answer):
            raise GaugeUnavailableError(what_of(answer)) from answer
        return None

    async def count(self, gauge: str) -> int:
        """Return the slots held now, wherever a cluster has them: in an outage, the heartbeat asks by this."""
        in_flight: int = await self._run(self._layout.count(gauge), ask_anew)
        return in_flight

    def node(self, gauge: str) -> str:
        """Return the node of a cluster that has *gauge*, and "" where there is no cluster, or no knowing."""
        try:
            found = node_of(self._client(), self._layout.keys_of(gauge)[0])
        except Exception:
            # Asked while an outage begins: raised there, none would, and on_redis_error would decide nothing.
            return ""
        return "" if found is None else str(found.name)

    async def slots(self, gauge: str) -> list[tuple[str, float]]:
        """Return the id of each slot held and the seconds until it lapses, the first to lapse first.

        Workers without the guard are among them from LiteLLM 1.94 on; before, they have no ids.

        Raises:
            GaugeUnavailableError: Redis could not be asked.
            GaugeCorruptError: the key holds another type.
        """
        found = await self._run(self._layout.listing(gauge))
        pairs = zip(found[::2], found[1::2], strict=True)
        return [(text_of(name), milliseconds / 1000) for name, milliseconds in pairs]

    async def forget(self, gauge: str) -> None:
        """Delete all keys of *gauge*, whatever is held: a made-up one, to be left without a trace.

        Raises:
            Exception: Redis' own, where it could not be asked.
        """
        keys = self._layout.keys_of(gauge)
        await ask(self._client(), keys[0], "DEL", *keys)

    def _tell(self, lapsed: int) -> None:
        if lapsed > 0:
            self._aside.reclaimed(lapsed)

    async def _run(self, call: Call, ask: Callable[..., Awaitable[Any]] = ask) -> Any:
        try:
            async with Deadline(self._timeout_seconds):
                client = self._client()
                try:
                    return await ask(client, call.keys[0], *command_of(call, by_sha=self._by_sha))
                except Exception as refusal:
                    if not (self._by_sha and wants_text(refusal)):
                        raise
                    answer = await ask(client, call.keys[0], *command_of(call, by_sha=False))
                    self._note(refusal)
                    return answer
        except Exception as exc:
            raise await self._fault(exc, call) from exc

    def _recorded(self) -> Command | None:
        """Return the command that writes this worker's record; on a cluster, let it find its own node."""
        if self._aside.record is None:
            return None
        try:
            record = self._aside.record()
        except Exception:
            log.exception("cancel_guard: this worker's record could not be made; its slots are renewed without")
            return None
        command = ("SET", self._layout.record_of(record.worker), record.text(), "PX", record.lives_for)
        try:
            client = self._client()
        except Exception:
            # The renewal that follows says so, as a gauge may.
            return None
        if not is_cluster(client):
            return command
        # A pipeline to several nodes fails as a whole with any of them, and this node may have none of our slots.
        if self._recording is None or self._recording.done():
            self._recording = asyncio.create_task(self._write(client, command))
        return None

    async def _write(self, client: Any, command: Command) -> None:
        with suppress(Exception):
            async with Deadline(self._timeout_seconds):
                await ask(client, str(command[1]), *command)

    async def _renew_all(self, batch: list[Share], beside: Command | None) -> dict[int, Any]:
        """Renew *batch* in one pipeline; return what there is to say of a share, by its place in the batch.

        None is said of one whose keys hold another type, and the log has it.
        """
        answers = await self._ask_all(batch, self._renewal, beside)
        for place, answer in answers.items():
            if isinstance(answer, Exception):
                fault = await self._fault(answer, self._renewal(batch[place]))
                if isinstance(fault, GaugeUnavailableError):
                    raise fault from answer
                log.error("cancel_guard: %s", without_key(fault, batch[place][0]))
                answers[place] = None
        return answers

    async def _ask_all(self, batch: list[T], call_of: Callable[[T], Call], beside: Command | None) -> dict[int, Any]:
        try:
            async with Deadline(self._timeout_seconds):
                return await self._answers(self._client(), batch, call_of, beside)
        except Exception as exc:
            raise GaugeUnavailableError(what_of(exc)) from exc

    async def _answers(
        self, client: Any, batch: list[T], call_of: Callable[[T], Call], beside: Command | None
    ) -> dict[int, Any]:
        if not (self._apart or is_cluster(client)):
            answers = await self._evaluate_all(client, together(batch, call_of), beside)
            if not any(map(crosses_hash_slots, answers)):
                return notable(answers, len(batch))
            # A plain client may speak to a cluster: of one shard, or behind a single address (Redis Enterprise, Azure,
            # ElastiCache Serverless). An acquire has one hash slot and works; no renewal would, and slots would lapse.
            self._apart, beside = True, None
            log.info(
                "cancel_guard: Redis takes no script with keys of several hash slots; each key is renewed by its own"
            )
        calls = [call_of(each) for each in batch]
        return dict(enumerate(await self._evaluate_all(client, calls, beside)))

    def _renewal(self, share: Share) -> Call:
        return self._layout.renew(*share, self._lease_seconds)

    def _holding(self, wanted: Wanted) -> Call:
        return self._layout.acquire(*wanted, self._lease_seconds)

    async def _evaluate_all(self, client: Any, calls: Sequence[Call], beside: Command | None) -> list[Any]:
        answers = await pipelined(client, calls, beside, by_sha=self._by_sha)
        again = [i for i, answer in enumerate(answers) if self._by_sha and wants_text(answer)]
        if again:
            texts = [calls[i] for i in again]
            for i, answer in zip(again, await pipelined(client, texts, None, by_sha=False), strict=True):
                if not isinstance(answer, Exception):
                    self._note(answers[i])
                answers[i] = answer
        return answers

    def _note(self, refusal: Exception | None) -> None:
        """Remember that the text was taken where the SHA was refused, unless the server only did not know it yet."""
        if refusal and self._by_sha and not is_unknown_script(refusal):
            self._by_sha = False
            log.warning(
                "cancel_guard: Redis refuses EVALSHA (%s); its scripts are sent whole from now on", what_of(refusal)
            )

    async def _fault(self, exc: Exception, call: Call) -> GaugeUnavailableError | GaugeCorruptError:
        """Return what to raise for *exc*, asking Redis which key is to blame for a wrong type."""
        if "WRONGTYPE" not in str(exc):
            return GaugeUnavailableError(what_of(exc))
        try:
            async with Deadline(self._timeout_seconds):
                return GaugeCorruptError(await self._diagnosis(exc, call))
        except Exception as asking:
            return GaugeUnavailableError(f"{what_of(exc)}, and then {what_of(asking)}")

    async def _diagnosis(self, exc: Exception, call: Call) -> str:
        client = self._client()
        for key, kind in zip(call.keys, self._layout.kinds, strict=False):
            if kind.content and f"{key} holds no {kind.content}" in str(exc):
                return f"Redis key {key} holds no {kind.content}. {NOT_OURS}"
            found = text_of(await client.type(key))
            if found not in {kind.expected, "none"}:
                return f"Redis key {key} is of type {found}, not {kind.expected}. {kind.remedy(found)}"
        return f"One of the Redis keys {', '.join(call.keys)} held another type a moment ago, and no longer does."
