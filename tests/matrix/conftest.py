from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.config import Setup
from tests.matrix.cells import ALL, SHORT, Cell, differing, exists
from tests.matrix.play import Result, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.provider.handle import Provider
    from tests.harness.proxy import Proxies
    from tests.harness.redis_server import RedisServer
    from tests.harness.versions import Version


@dataclass
class Played:
    """What one version left behind, cell by cell, and what its workers still held at the end."""

    results: dict[Cell, Result]
    remains: dict[str, Any] = field(default_factory=dict)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cell" in metafunc.fixturenames:
        metafunc.parametrize("cell", ALL, ids=str)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a version can't do, and, with --matrix-differing, what it does as its neighbours do."""
    unwanted = [item for item in items if not _wanted(item, config)]
    if unwanted:
        config.hook.pytest_deselected(items=unwanted)
        items[:] = [item for item in items if item not in unwanted]


def _wanted(item: pytest.Item, config: pytest.Config) -> bool:
    params = getattr(getattr(item, "callspec", None), "params", {})
    if "cell" not in params:
        return True
    cell, version = params["cell"], params["litellm_version"]
    if config.getoption("matrix_short") and cell not in SHORT:
        return False
    return exists(cell, version) and (not config.getoption("matrix_differing") or differing(cell, version))


@pytest.fixture(scope="session")
def played(
    request: pytest.FixtureRequest,
    pytestconfig: pytest.Config,
    proxies: Proxies,
    provider: Provider,
    redis_server: RedisServer,
) -> Iterator[Callable[[Version], Played]]:
    """Play all cells that were asked for of a version, once, when the first of them is looked at."""
    done: dict[Version, Played] = {}
    broken: dict[Version, Exception] = {}
    bare = pytestconfig.getoption("bare")

    def of(version: Version) -> Played:
        if version in broken:
            raise broken[version]
        if version not in done:
            usual = Setup(
                version, guarded=not bare, provider=provider.url, redis_port=redis_server.port, secure=provider.secure
            )
            specs = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
            asked = [params["cell"] for params in specs if "cell" in params and params["litellm_version"] == version]
            workers = pytestconfig.getoption("matrix_workers")
            table = Table(usual, proxies, provider, redis_server, workers=workers)
            try:
                done[version] = Played(*asyncio.run(table.play(asked)))
            except Exception as fault:
                broken[version] = fault
                raise
        return done[version]

    yield of
    path = pytestconfig.getoption("matrix_json")
    if path:
        whole = {str(v): {str(c): r.as_json() for c, r in p.results.items()} for v, p in done.items()}
        Path(path).write_text(json.dumps({"guarded": not bare, "versions": whole}, indent=1))
