"""What `pytest` alone leaves out is asked for by a name that CONTRIBUTING says, and a part of each table stays."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness.tables import every, part

ROOT = Path(__file__).parents[2]


def left_out(text: str) -> set[str]:
    """The markers that a line of options leaves out."""
    return set(re.findall(r"\bnot (\w+)", text))


def option(name: str, file: str) -> str:
    found = re.search(rf"^{name} ?= ?(.*)$", (ROOT / file).read_text(), re.MULTILINE)
    assert found, f"{file} has no {name}"
    return found[1]


def test_what_is_left_out_is_named_with_its_command() -> None:
    named = set(re.findall(r"^\| `pytest -m (\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    assert left_out(option("addopts", "pyproject.toml")) == named


@pytest.mark.skipif(not (ROOT / ".ci").is_dir(), reason="the source archive has no CI")
def test_ci_plays_the_tables_and_more_wherever_it_plays_the_usual_tests() -> None:
    assert left_out(option("usual", ".ci/run")) == left_out(option("addopts", "pyproject.toml")) - {"tables", "more"}


def test_a_table_keeps_its_part_and_its_whole() -> None:
    kept, left = part(["a", "b"], "a")
    assert (kept.values, list(kept.marks)) == (("a",), [])
    assert (left.values, [mark.name for mark in left.marks]) == (("b",), ["tables"])
    [draw, whole] = every(5).args[1]
    assert (draw.values, whole.values, [mark.name for mark in whole.marks]) == ((5,), (1,), ["tables"])
