"""A worker's record in Redis, written and read apart from any slot; see `lease.records`."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.aio.deadline import Deadline
from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.gauge.keys import Keys
from litellm_cancel_guard.gauge.layout import Call
from litellm_cancel_guard.gauge.nodes import ask, ask_all, is_cluster
from litellm_cancel_guard.gauge.scripts import load
from litellm_cancel_guard.gauge.sending import text_of, what_of, whole
from litellm_cancel_guard.lease import holders, records
from litellm_cancel_guard.lease.counters import HOUR_SECONDS, KEPT_HOURS, Hour
from litellm_cancel_guard.lease.holders import Holding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from litellm_cancel_guard.gauge.sending import Command
    from litellm_cancel_guard.lease.records import Record, Seen

_NAME, _COUNTED = Keys().worker(""), Keys().counted("")
# What else a worker has beside its record has the record's key in its own. A namespace may have braces, too.
_BESIDE = (Keys().holding("").partition("{")[0], Keys().orders("").partition("{")[0])
_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Read:
    """What came of a `Notice.write`.

    Attributes:
        ordered: the slots whose requests operators want ended, each with who asks.
        counted: whether what was counted has been added.
    """

    ordered: Mapping[str, str]
    counted: bool


class Notice:
    """This worker's record; whether any of it works changes nothing for anybody, and nothing is raised.

    Args:
        client_factory: as a gauge's.
        namespaced: is given each whole key and returns it as LiteLLM would write it.
        timeout: returns the seconds that one call may take.
    """

    def __init__(
        self, client_factory: Callable[[], Any], namespaced: Callable[[str], str], timeout: Callable[[], float]
    ) -> None:
        self._client = client_factory
        self._keys = Keys(namespaced)
        self._timeout = timeout

    async def write(
        self, record: Record, holding: Holding | None = None, counted: Mapping[str, int] = _NOTHING
    ) -> Read:
        """Say that the worker is there, who holds its slots and what it counted; in one round trip to each node."""
        key, orders = self._keys.worker(record.worker), self._keys.orders(record.worker)
        commands: list[Command] = [("HGETALL", orders), ("SET", key, record.text(), "PX", record.lives_for)]
        if holding is not None:
            beside = self._keys.holding(record.worker)
            commands.append(("SET", beside, holding.text(), "PX", record.lives_for))
        with suppress(Exception):
            async with Deadline(self._timeout()):
                client = self._client()
                # They may lie on another node, whose absence is none of this one's.
                apart = is_cluster(client)
                counting = self._counting(counted)
                ordered, *answers = await ask_all(client, [key, orders], [*commands, *([] if apart else counting)])
                if apart:
                    return Read(_texts(ordered), await self._counted(client, counting))
                return Read(_texts(ordered), _done(answers[len(commands) - 1 :]))
        return Read({}, counted=False)

    async def count(self, counted: Mapping[str, int]) -> None:
        """Add what was *counted*, once more before the worker ends."""
        with suppress(Exception):
            async with Deadline(self._timeout()):
                await self._counted(self._client(), self._counting(counted))

    async def _counted(self, client: Any, commands: list[Command]) -> bool:
        return not commands or _done(await ask_all(client, [str(commands[0][1])], commands))

    def _counting(self, counted: Mapping[str, int]) -> list[Command]:
        if not counted:
            return []
        key = self._keys.counted(str(int(time.time()) // HOUR_SECONDS))
        adding: list[Command] = [("HINCRBY", key, name, number) for name, number in counted.items()]
        return [*adding, ("EXPIRE", key, KEPT_HOURS * HOUR_SECONDS)]

    async def remove(self, worker: str) -> None:
        """Say that it has ended: it would be taken for one that was killed."""
        with suppress(Exception):
            async with Deadline(self._timeout()):
                key = self._keys.worker(worker)
                await ask(self._client(), key, "DEL", key)

    async def all(self) -> list[Seen]:
        """Return what the workers in this Redis say.

        Raises:
            GaugeUnavailableError: it could not be asked.
        """
        prefix = self._keys.worker("").removesuffix(_NAME)
        return await all_records(self._client(), lambda found: found in ("", prefix))


async def order(client: Any, key: str, slot: str, by: str, *, stands: float) -> None:
    """Order the worker of the orders at *key* to end the request of *slot*; *by* says who asks.

    The order stands for so many seconds.

    Raises:
        GaugeUnavailableError: Redis could not be asked.
    """
    try:
        await whole(client, ordering(key, slot, by, stands))
    except Exception as exc:
        raise GaugeUnavailableError(what_of(exc)) from exc


def ordering(key: str, slot: str, by: str, stands: float) -> Call:
    """Return the call that orders it."""
    return Call(load("order"), (key,), (stands, slot, by))


def _done(answers: list[Any]) -> bool:
    return not any(isinstance(answer, Exception) for answer in answers)


async def hours(client: Any, wanted: Callable[[str], bool], since: int) -> list[Hour]:
    """Return what was counted in each hour from that of *since* (seconds since 1970) on, the first first.

    Raises:
        GaugeUnavailableError: Redis could not be asked.
    """
    found: dict[int, Counter[str]] = {}
    try:
        async for raw in client.scan_iter(match=f"*{_COUNTED}*", count=1000):
            prefix, _, hour = (key := text_of(raw)).partition(_COUNTED)
            if wanted(prefix) and hour.isdecimal() and int(hour) >= since // HOUR_SECONDS:
                said = _texts(await ask(client, key, "HGETALL", key))
                numbers = {name: int(number) for name, number in said.items() if number.isdecimal()}
                found.setdefault(int(hour), Counter()).update(numbers)
    except Exception as exc:
        raise GaugeUnavailableError(what_of(exc)) from exc
    return [Hour(hour * HOUR_SECONDS, dict(found[hour])) for hour in sorted(found)]


def _texts(answer: Any) -> dict[str, str]:
    """Return a hash as text; nothing of an error, or of what is none."""
    if isinstance(answer, list):
        answer = dict(zip(answer[::2], answer[1::2], strict=True))
    return {text_of(name): text_of(value) for name, value in answer.items()} if isinstance(answer, dict) else {}


async def all_records(client: Any, wanted: Callable[[str], bool]) -> list[Seen]:
    """Return what each worker says whose key has a prefix that is *wanted*, in the order of their hosts.

    Raises:
        GaugeUnavailableError: Redis could not be asked.
    """
    seen = [one for _, one in await records_by_prefix(client, wanted)]
    return sorted(seen, key=lambda one: (str(one.record.host), str(one.record.pid)))


async def records_by_prefix(client: Any, wanted: Callable[[str], bool]) -> list[tuple[str, Seen]]:
    """Return the same, in no order, each behind the prefix of its key; raise the same."""
    found = []
    try:
        async for raw in client.scan_iter(match=f"*{_NAME}*", count=1000):
            key = text_of(raw)
            prefix = key.partition(_NAME)[0]
            beside = any(name in prefix for name in _BESIDE)
            if not beside and wanted(prefix) and (seen := await record_at(client, key)) is not None:
                found.append((prefix, seen))
    except Exception as exc:
        raise GaugeUnavailableError(what_of(exc)) from exc
    return found


async def holding_at(client: Any, key: str) -> Holding:
    """Return what a worker says at *key* of who holds its slots: nothing where it can't be read, either."""
    try:
        return holders.read(await ask(client, key, "GET", key))
    except Exception:
        return Holding()


async def record_at(client: Any, key: str) -> Seen | None:
    """Return what lies at *key*: None without the right to read it, with another type or another content there."""
    try:
        return records.read(await ask(client, key, "GET", key), await ask(client, key, "PTTL", key))
    except Exception:
        return None
