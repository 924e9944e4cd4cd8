from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.difference.allowed import never_used

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.difference.compare import Difference
    from tests.harness.versions import Version

Found = dict["Version", list["Difference"]]
FOUND: pytest.StashKey[Found] = pytest.StashKey()


@pytest.fixture(scope="session")
def found(pytestconfig: pytest.Config) -> Iterator[Found]:
    """The differences of each version that was compared."""
    found = pytestconfig.stash[FOUND] = Found()
    yield found
    path = pytestconfig.getoption("difference_json")
    if path:
        whole = {
            str(version): [difference.as_json() for difference in all_of_it] for version, all_of_it in found.items()
        }
        Path(path).write_text(json.dumps(whole, indent=1, default=str))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """An allowance that no version needs any more is no failure of one version."""
    found = config.stash.get(FOUND, None)
    if found:
        unused = never_used(difference for all_of_it in found.values() for difference in all_of_it)
        terminalreporter.write_line(
            f"Allowed, and never seen on {', '.join(map(str, found))}: {', '.join(unused) or '-'}"
        )
