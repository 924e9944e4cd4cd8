"""The gauge in Redis, and the one door to Redis: its exceptions do not pass."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.aio.deadline import Deadline
from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError, line
from litellm_cancel_guard.gauge.batches import batches, chunks, pipelines
from litellm_cancel_guard.gauge.connect import opened
from litellm_cancel_guard.gauge.hearing import Hearing
from litellm_cancel_guard.gauge.layout import Layout, followed
from litellm_cancel_guard.gauge.nodes import ask, ask_anew, is_cluster, node_of
from litellm_cancel_guard.gauge.running import Runner
from litellm_cancel_guard.gauge.sending import text_of, what_of
from litellm_cancel_guard.gauge.unlined import Unlined, is_refused
from litellm_cancel_guard.lease.keyname import without_key
from litellm_cancel_guard.lease.lease import Admission, Lease
from litellm_cancel_guard.lease.records import Aside
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractAsyncContextManager

    from litellm_cancel_guard.gauge.batches import Share, Wanted
    from litellm_cancel_guard.gauge.layout import Call
    from litellm_cancel_guard.gauge.running import Known
    from litellm_cancel_guard.gauge.sending import Command
    from litellm_cancel_guard.lease.lease import FollowUp, Turn

# What an acquire answers first where it waits in line; see `line_acquire.lua`.
_WAITS = 2


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
        another: returns a client of the same settings, for another event loop; None where there is none.
        known: what is known of this Redis already.

    Attributes:
        unlined: where nobody can wait in line.
    """

    def __init__(  # noqa: PLR0913 - all but two by name
        self,
        client_factory: Callable[[], Any],
        layout: Layout,
        *,
        lease_seconds: float,
        timeout_seconds: float,
        aside: Aside = Aside(),  # noqa: B008 - it can't be changed
        another: Callable[[], Any] | None = None,
        known: Known | None = None,
    ) -> None:
        self._client = client_factory
        self._aside = aside
        self._recording: asyncio.Task[None] | None = None
        self._layout = layout
        self._lease_seconds = lease_seconds
        self._another = another
        self._runner = Runner(client_factory, layout, timeout_seconds, known)
        self.unlined = Unlined(self._runner)
        self._hearing = Hearing(client_factory, layout.channel_of)

    def retime(self, *, lease_seconds: float, timeout_seconds: float) -> None:
        """Go by other times from the next call on; both in seconds."""
        self._lease_seconds, self._runner.timeout_seconds = lease_seconds, timeout_seconds

    def apart(self) -> AbstractAsyncContextManager[RedisGauge]:
        """Give the same gauge by a client of its own, which the running event loop has for itself; closed in the end.

        Raises:
            GaugeUnavailableError: no such client can be made.
        """
        return opened(self._another, self._by, self._runner.timeout_seconds)

    def _by(self, client: Callable[[], Any]) -> RedisGauge:
        times: Any = {"lease_seconds": self._lease_seconds, "timeout_seconds": self._runner.timeout_seconds}
        return RedisGauge(client, self._layout, **times, known=self._runner.known)

    async def acquire(self, lease: Lease, limit: int, follow_up: FollowUp | None = None) -> Admission:
        """Hold a slot for *lease* if fewer than *limit* are held, and run *follow_up* in the same call then."""

        def call_of(layout: Layout, turn: Turn | None = None) -> Call:
            if turn is None:
                call = layout.acquire(lease, limit, self._lease_seconds)
            else:
                call = line.acquire(layout, lease, turn, limit, self._lease_seconds)
            return call if follow_up is None else followed(call, follow_up)

        if lease.turn is None:
            answer = await self._runner.run(call_of)
        else:
            answer = await self.unlined.run(lease.gauge, partial(call_of, turn=lease.turn), call_of)
        admitted, in_flight, lapsed, *more = answer
        self._tell(lapsed)
        if admitted == _WAITS:
            place, waiting = more
            return Admission(admitted=False, in_flight=in_flight, place=text_of(place), waiting=waiting)
        if admitted != 1:
            return Admission(admitted=False, in_flight=in_flight, holders=tuple(map(text_of, *more)))
        return Admission(True, in_flight, *more)

    async def release(self, lease: Lease) -> int:
        """Give the slot of *lease* back, if it is held; return the slots still held."""
        plain = partial(Layout.release, lease=lease)
        if lease.turn is None:
            in_flight, lapsed = await self._runner.run(plain)
        else:
            in_flight, lapsed = await self.unlined.run(lease.gauge, partial(line.release, lease=lease), plain)
        self._tell(lapsed)
        return int(in_flight)

    def hear(self, told: Callable[[str], object]) -> None:
        """Tell *told* the id of each waiter of this worker that is handed a slot, on the running loop."""
        self._hearing.start(told)

    async def look(self, gauge: str, ids: Sequence[str]) -> set[str]:
        """Keep the places of *ids* in line, and hand over what is free; return those of them that are not in line."""
        gone: set[str] = set()
        for some in chunks(list(ids), line.MOST_IDS):
            try:
                lapsed, *positions = await self._runner.run(partial(line.look, gauge=gauge, ids=some))
            except (GaugeUnavailableError, GaugeCorruptError) as error:
                if not is_refused(error):
                    raise
                # Each asks anew, and is told whether it is the line alone that Redis refuses.
                return set(ids)
            self._tell(lapsed)
            gone.update(some[position - 1] for position in positions)
        return gone

    async def renew(self, leases: Collection[Lease]) -> set[Lease]:
        """Hold each of *leases* for another lease time; return those that were no longer held.

        One round trip for each Redis node and 200 gauges, and a turn of the event
        loop with it. A lease whose gauge's keys hold another type is among those no
        longer held, and the log says why: one such key must not keep the other
        leases from being renewed.

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

        One round trip for each Redis node and 200 leases. None is said of a lease
        whose gauge's keys hold another type; it is a renewal that names them.

        Raises:
            GaugeUnavailableError: Redis could not be asked about one of them;
                the others may be held.
        """
        held: list[bool | None] = []
        for some in pipelines(wanted):
            answers = await self._runner.run_all(some, self._holding, None)
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
        in_flight: int = await self._runner.run(lambda layout: layout.count(gauge), ask_anew)
        return in_flight

    def node(self, gauge: str) -> str:
        """Return the node of a cluster that has *gauge*, and "" where there is no cluster, or no knowing."""
        try:
            client = self._client()
            found = node_of(client, self._layout.keys_of(gauge)[0]) if is_cluster(client) else None
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
        return _slots_in(await self._runner.run(lambda layout: layout.listing(gauge)))

    async def listed(self, gauge: str, *, lined: bool) -> tuple[list[tuple[str, float]], line.Waits]:
        """Return the same, and who waits for one, all of one moment; nobody where it is not *lined*.

        Raises:
            GaugeUnavailableError: Redis could not be asked.
            GaugeCorruptError: a key of them holds another type.
        """
        if not lined:
            return await self.slots(gauge), line.NOBODY
        found, waiting, classes, *first = await self._runner.run(partial(line.listing, gauge=gauge))
        return _slots_in(found), line.Waits(waiting, classes, *map(text_of, first))

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
            async with Deadline(self._runner.timeout_seconds):
                await ask(client, str(command[1]), *command)

    async def _renew_all(self, batch: list[Share], beside: Command | None) -> dict[int, Any]:
        """Renew *batch* in one pipeline; return what there is to say of a share, by its place in the batch.

        None is said of one whose keys hold another type, and the log has it.
        """
        answers = await self._runner.run_all(batch, self._renewal, beside)
        for place, answer in answers.items():
            if isinstance(answer, Exception):
                fault = await self._runner.fault(answer, self._renewal(self._layout, batch[place]))
                if isinstance(fault, GaugeUnavailableError):
                    raise fault from answer
                log.error("cancel_guard: %s", without_key(fault, batch[place][0]))
                answers[place] = None
        return answers

    def _renewal(self, layout: Layout, share: Share) -> Call:
        return layout.renew(*share, self._lease_seconds)

    def _holding(self, layout: Layout, wanted: Wanted) -> Call:
        return layout.acquire(*wanted, self._lease_seconds)


def _slots_in(found: Any) -> list[tuple[str, float]]:
    pairs = zip(found[::2], found[1::2], strict=True)
    return [(text_of(name), milliseconds / 1000) for name, milliseconds in pairs]
