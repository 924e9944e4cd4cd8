"""A sweep takes an hour or two: what it has found is kept, and it goes on where it stood."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests import sweep
from tests.latest import Failure, Verdict

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = {"facts": 2, "matrix": 3}


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sweep, "last_patches", lambda: ["1.80.17", "1.100.2"])
    return tmp_path / "versions.md"


def test_a_sweep_that_was_broken_off_plays_what_it_has_not_played(table: Path) -> None:
    asked: list[str] = []

    def dies_at_the_second(number: str) -> Verdict:
        asked.append(number)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return Verdict(number, WHOLE)

    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(table, [], dies_at_the_second)
    assert "| 1.80.17 | 2/2 | 3/3 | whole |" in table.read_text()
    assert sweep.sweep(table, [], dies_at_the_second) == 0
    assert asked == ["1.80.17", "1.100.2", "1.100.2"]


def test_the_table_is_in_order_and_says_of_each_version_what_does_not_hold(table: Path) -> None:
    found = {
        "1.100.2": Verdict("1.100.2", WHOLE, [Failure("facts", "test_f3_slots", "gone")], harm=["chat: +1 left"]),
        "1.80.17": Verdict("1.80.17", uninstallable="no\nwheel"),
    }
    assert sweep.sweep(table, [], found.__getitem__) == 1
    said = table.read_text()
    assert said.index("| 1.80.17 |  |  | not played |") < said.index("| 1.100.2 | 1/2 | 3/3 | harmful |")
    for note in ("- 1.80.17: no wheel", "- 1.100.2: chat: +1 left", "- 1.100.2: test_f3_slots: gone"):
        assert note in said


def test_what_stands_around_the_table_stays(table: Path) -> None:
    table.write_text(f"before\n{sweep.BEGIN}\nold\n{sweep.END}\nbehind\n")
    sweep.sweep(table, ["1.90.7"], lambda number: Verdict(number, WHOLE))
    said = table.read_text()
    assert said.startswith("before\n")
    assert said.endswith("\nbehind\n")
    assert "old" not in said
    assert list(json.loads(table.with_suffix(".json").read_text())) == ["1.90.7"]
