"""How a request waits is said by the settings, and by the metadata of its key as far as they are sound."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from litellm_cancel_guard.host import lining
from litellm_cancel_guard.lease.lease import Turn
from litellm_cancel_guard.ledger.registry import Request
from litellm_cancel_guard.redaction.quoted import quoted
from litellm_cancel_guard.settings import Settings

ON = Settings(max_wait_seconds=5, max_waiting=7)
# Deeper than Python's stack, as `repr` goes.
DEEP: Any = 1
for _ in range(5000):
    DEEP = {"a": [DEEP]}


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lining, "_said", set())


def lined(block: Any, settings: Settings = ON) -> tuple[int, float]:
    """How many may wait and for how long, of a request of a key with that *block*; nobody: 0."""
    one = Request("acompletion")
    lining.line_up(one, settings, SimpleNamespace(metadata={} if block is None else {"cancel_guard": block}))
    return (0 if one.turn is None else one.turn.most), one.patience


def test_it_does_not_wait_unless_it_is_told_to() -> None:
    assert lined(None, Settings()) == (0, 0)
    assert lined({"max_wait_seconds": 3}, Settings()) == (100, 3)


@pytest.mark.parametrize(
    ("block", "waits"),
    [
        (None, (7, 5)),
        ({}, (7, 5)),
        ({"max_wait_seconds": 3}, (7, 3)),
        ({"max_waiting": 2}, (2, 5)),
        ({"max_wait_seconds": 0}, (0, 0)),
        ({"max_waiting": 0}, (0, 5)),
    ],
)
def test_what_a_key_says_of_itself_goes_before_the_settings(block: Any, waits: tuple[int, float]) -> None:
    assert lined(block) == waits


@pytest.mark.parametrize(
    "block",
    [
        *([], "30", 30, {1: 2}, {"enabled": False}, {"max_wait_seconds": -1}, {"max_wait_seconds": 86401}),
        *({"max_wait_seconds": float("nan")}, {"max_wait_seconds": None}, {"max_waiting": 1.5}, {"max_waiting": {}}),
        *({"fair_by": 5}, {"fair_by": None}, {"fair_by": ["end_usr"]}, {"fair_by": ["x" * 1_000_000]}),
        {"max_wait_seconds": "x" * 1_000_000},
        *(DEEP, [DEEP], {"fair_by": DEEP}, {"fair_by": [DEEP]}, {"max_waiting": DEEP}, {"no such": DEEP}),
        *({"max_waiting": 10**5000}, {"fair_by": 10**5000}, 10**5000, {"fair_by": ["X-Team=17"]}),
    ],
    ids=lambda block: quoted(block)[:40],
)
def test_where_a_key_says_what_is_wrong_the_settings_hold_and_one_short_line_says_so(
    block: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert [lined(block), lined(block)] == [(7, 5)] * 2
    [line] = caplog.messages
    assert line.startswith("cancel_guard: metadata of a key: cancel_guard")
    assert max(map(len, [line, *lining._said])) < 400


def test_what_is_wide_is_quoted_in_five_hundred_letters_at_most() -> None:
    assert len(quoted([[["x" * 300] * 9] * 9] * 9)) == 500


@pytest.mark.parametrize("metadata", [None, [], "x", 3])
def test_metadata_of_another_type_say_nothing(metadata: Any) -> None:
    one = Request("acompletion")
    lining.line_up(one, ON, SimpleNamespace(metadata=metadata))

    assert one.turn == Turn(7)
