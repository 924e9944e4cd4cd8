"""A bare and a guarded proxy, compared: what tests, and whoever tries a new LiteLLM, ask for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.difference.allowed import judged
from tests.difference.cases import CASES
from tests.difference.play import Side, play, setup_of
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.difference.cases import Case
    from tests.difference.compare import Difference
    from tests.harness.config import Setup
    from tests.harness.provider.handle import Provider
    from tests.harness.proxy import Proxies

_SHOWN_CASES = 12


@contextmanager
def sides(usual: Setup, proxies: Proxies, folder_of: Callable[[str], Path]) -> Iterator[tuple[Side, Side]]:
    """A bare and a guarded proxy of the usual setup, each with a Redis of its own."""
    stores = [RedisServer(folder_of("difference-redis")) for _ in range(2)]
    setups = [setup_of(usual, guarded=bool(n), redis_port=store.port) for n, store in enumerate(stores)]
    with ThreadPoolExecutor() as starting:
        started = list(starting.map(proxies.start, setups))
    bare, guarded = (Side(proxy, store.client, n) for n, (proxy, store) in enumerate(zip(started, stores, strict=True)))
    yield bare, guarded
    for proxy in started:
        proxy.stop()
    for store in stores:
        store.close()


async def compared(
    bare: Side, guarded: Side, provider: Provider, cases: Iterable[Case] = CASES, *, again: bool = False
) -> list[Difference]:
    """Every difference between the two, with the name of what allows it, or None.

    *again*: what nothing allows is asked once more, and what does not come again is not told: on a busy machine a
    client's patience ends now and then. So is what belongs to no request, a sum of several of them, say.
    """
    version = bare.proxy.setup.version
    await play((bare, guarded), provider, [case for case in cases if case.exists(version)])
    found = judged(bare, guarded)
    doubtful = list(dict.fromkeys(same.case for same in found if same.case and same.allowed is None))
    if not (again and doubtful):
        return found
    for side in (bare, guarded):
        side.store.flushall()
    one, other = (Side(side.proxy, side.store, side.number) for side in (bare, guarded))
    came_again = {_whose(same) for same in await compared(one, other, provider, doubtful) if same.allowed is None}
    return [same for same in found if same.allowed or _whose(same) in came_again]


def _whose(difference: Difference) -> object:
    return difference.case or (difference.channel, difference.where)


def report(found: Iterable[Difference]) -> str:
    """Those differences, one of each row as an example."""
    rows: dict[tuple[str, str], list[Difference]] = {}
    for difference in found:
        rows.setdefault((difference.channel, difference.where), []).append(difference)
    return "\n".join(_row(*row, alike) for row, alike in sorted(rows.items(), key=lambda row: -len(row[1])))


def _row(channel: str, where: str, alike: list[Difference]) -> str:
    names = list(dict.fromkeys(str(difference.case) for difference in alike))
    more = f" and {len(names) - _SHOWN_CASES} more" if len(names) > _SHOWN_CASES else ""
    return f"{channel} {where}: {len(alike)} in {', '.join(names[:_SHOWN_CASES])}{more}\n  {alike[0]}"
