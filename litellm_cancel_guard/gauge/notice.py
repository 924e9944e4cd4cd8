"""A worker's record in Redis, written and read apart from any slot; see `lease.records`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.aio.deadline import Deadline
from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.gauge.keys import Keys
from litellm_cancel_guard.gauge.nodes import ask
from litellm_cancel_guard.lease import records

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.lease.records import Record, Seen

_NAME = Keys().worker("")


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

    async def write(self, record: Record) -> None:
        """Say that the worker is there."""
        await self._ask("SET", record.worker, record.text(), "PX", record.lives_for)

    async def remove(self, worker: str) -> None:
        """Say that it has ended: it would be taken for one that was killed."""
        await self._ask("DEL", worker)

    async def all(self) -> list[Seen]:
        """Return what the workers in this Redis say.

        Raises:
            GaugeUnavailableError: it could not be asked.
        """
        prefix = self._keys.worker("").removesuffix(_NAME)
        return await all_records(self._client(), lambda found: found in ("", prefix))

    async def _ask(self, command: str, worker: str, *how: Any) -> None:
        with suppress(Exception):
            async with Deadline(self._timeout()):
                key = self._keys.worker(worker)
                await ask(self._client(), key, command, key, *how)


async def all_records(client: Any, wanted: Callable[[str], bool]) -> list[Seen]:
    """Return what each worker says whose key has a prefix that is *wanted*, in the order of their hosts.

    Raises:
        GaugeUnavailableError: Redis could not be asked.
    """
    found = []
    try:
        async for raw in client.scan_iter(match=f"*{_NAME}*", count=1000):
            key = raw.decode() if isinstance(raw, bytes) else raw
            if wanted(key.partition(_NAME)[0]):
                found.append(await record_at(client, key))
    except Exception as exc:
        raise GaugeUnavailableError(f"{type(exc).__name__}: {str(exc)[-200:]}") from exc
    seen = [one for one in found if one is not None]
    return sorted(seen, key=lambda one: (str(one.record.host), str(one.record.pid)))


async def record_at(client: Any, key: str) -> Seen | None:
    """Return what lies at *key*: None without the right to read it, with another type or another content there."""
    try:
        return records.read(await ask(client, key, "GET", key), await ask(client, key, "PTTL", key))
    except Exception:
        return None
