"""However a request ends, on whatever route and version: its slot comes back, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.matrix.cells import streamed
from tests.matrix.play import CAP, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.versions import Version
    from tests.matrix.cells import Cell
    from tests.matrix.conftest import Played

# The first cell that is looked at waits for all of its version.
pytestmark = [pytest.mark.matrix, pytest.mark.timeout(900)]


def test_slots_come_back(
    litellm_version: Version, cell: Cell, played: Callable[[Version], Played], pytestconfig: pytest.Config
) -> None:
    result = played(litellm_version).results[cell]
    if not pytestconfig.getoption("bare"):
        assert result == Result(admitted=CAP, in_redis=1 if streamed(cell, litellm_version) else None)


def test_nothing_is_left_and_all_is_in_force(litellm_version: Version, played: Callable[[Version], Played]) -> None:
    """Not a request, not a release under way, after all cells of the version; and nothing of the guard stands aside."""
    assert played(litellm_version).remains == {}
