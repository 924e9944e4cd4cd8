"""Which releases of LiteLLM the guard was played on, and what it says of the others."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.host.proven import Standing, UnprovenError, known, look_up
from tests.harness.versions import VERSIONS

if TYPE_CHECKING:
    from pathlib import Path


def test_every_version_of_the_tests_is_in_the_book_and_nothing_is_wrong_with_it() -> None:
    book = known()
    assert (book.fault, {str(version): book.of(str(version)) for version in VERSIONS}) == (
        "",
        {str(version): Standing.PROVEN for version in VERSIONS},
    )


@pytest.mark.parametrize(
    ("version", "stands"),
    [
        ("1.83.0", Standing.COVERED),
        ("1.100.5", Standing.COVERED),
        ("1.110.1", Standing.COVERED),
        ("1.93.9", Standing.UNPROVEN),
        ("1.79.0", Standing.UNPROVEN),
        ("999.0.0", Standing.UNPROVEN),
        ("1.110.2.dev1", Standing.UNPROVEN),
        ("unknown", Standing.UNPROVEN),
        ("1.82.7", Standing.WITHDRAWN),
    ],
)
def test_between_two_of_the_same_limiter_it_is_covered_and_else_it_is_not(version: str, stands: Standing) -> None:
    assert known().of(version) is stands


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"played": {"1.80.17": {}}, "withdrawn": {}}'])
def test_a_book_that_is_missing_or_broken_is_said_and_nothing_is_known(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "proven.json"
    if content is not None:
        file.write_text(content)
    book = known(file)
    assert book.fault.startswith("proven.json can't be read")
    assert book.of("1.83.14") is Standing.UNPROVEN


def test_what_was_played_and_found_wrong_is_not_proven(tmp_path: Path) -> None:
    file = tmp_path / "proven.json"
    wrong = {"limiter": "slots", "date": "2026-11-29", "played": "short", "right": False}
    file.write_text(json.dumps({"played": {"1.109.1": wrong}, "withdrawn": {}}))
    assert known(file).of("1.109.1") is Standing.UNPROVEN


def test_an_unknown_litellm_is_tried_and_said_once_or_left_alone_where_the_operator_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[bool] = []
    with caplog.at_level(logging.WARNING):
        look_up("999.0.0", "try", lambda *, proven: told.append(proven))
    assert [record.message.partition("(")[0] for record in caplog.records] == [
        "cancel_guard: LiteLLM 999.0.0 is none that this version of the guard was proven on "
    ]
    with pytest.raises(UnprovenError, match="stand_aside"):
        look_up("999.0.0", "stand_aside", lambda *, proven: told.append(proven))
    look_up("1.83.14", "stand_aside", lambda *, proven: told.append(proven))
    assert told == [False, False, True]
