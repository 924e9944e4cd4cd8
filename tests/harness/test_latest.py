"""The verdict on a LiteLLM that nobody has tried: harm is what LiteLLM alone does better."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.host import proven
from tests import latest
from tests.harness import versions
from tests.latest import Failure, Verdict
from tests.matrix.play import CAP, Result

if TYPE_CHECKING:
    from pathlib import Path

RIGHT = Result(admitted=CAP, in_redis=1)
REPORT = """<testsuites><testsuite>
<testcase classname="tests.limiter.test_facts" name="test_f3_slots_are_members"><failure message="gone"/></testcase>
<testcase classname="tests.matrix.test_matrix" name="test_slots_come_back[1.110.2-chat-complete]"/>
</testsuite></testsuites>"""


@pytest.mark.parametrize(
    "guarded",
    [
        Result(admitted=CAP, in_redis=0),
        Result(admitted=CAP + 1, in_redis=1),
        Result(admitted=CAP, in_redis=1, left=1),
        Result(admitted=CAP, in_redis=1, held=1),
        Result(admitted=CAP, in_redis=1, lasting=["key"]),
        Result(admitted=CAP, in_redis=1, fault="no answer"),
    ],
    ids=["counted elsewhere", "cap", "left", "held", "lasting", "no answer"],
)
def test_what_litellm_alone_does_right_and_the_guard_does_not_is_harm(guarded: Result) -> None:
    [said] = latest.harm({"chat-complete": guarded}, {"chat-complete": RIGHT})
    assert said.startswith("chat-complete: ")


def test_what_litellm_alone_does_as_badly_is_no_harm() -> None:
    lost = Result(admitted=1, left=3, in_redis=0)
    assert latest.harm({"chat-cancel_mid": lost}, {"chat-cancel_mid": lost}) == []


def test_a_cell_that_litellm_alone_was_not_played_in_is_judged_by_itself() -> None:
    assert latest.harm({"chat-complete": Result(left=1)}, {}) != []
    assert latest.harm({"chat-complete": RIGHT}, {}) == []


def test_an_expired_fact_is_told_by_its_suite_and_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    ran, failed = latest.failures(tmp_path / "report.xml")
    assert (ran, [(f.suite, f.why) for f in failed]) == ({"facts": 1, "matrix": 1}, [("facts", "gone")])
    said = latest.told(Verdict("1.111.0", ran, failed))
    assert "1 of 2 hold; in part." in said
    assert f"expired F3: {latest.fact('F3')}" in said


def test_a_verdict_is_noted_among_those_that_are_known(tmp_path: Path) -> None:
    path = tmp_path / "proven.json"
    latest.write_proven(path, Verdict("1.110.2", {"facts": 1}), "slots in a store", full=True)
    harmful = Verdict("1.80.17", {"facts": 1}, [Failure("facts", "test_f1", "")], harm=["chat-complete: +1 left"])
    latest.write_proven(path, harmful, "counting", full=False)
    said = json.loads(path.read_text())["played"]
    assert [(number, one["right"], one["played"]) for number, one in said.items()] == [
        ("1.80.17", False, "short"),
        ("1.110.2", True, "full"),
    ]
    assert proven.known(path).shapes == {(1, 110, 2): "slots in a store"}


def test_what_the_package_says_is_proven_takes_one_more(tmp_path: Path) -> None:
    path = tmp_path / "proven.json"
    path.write_text(proven.FILE.read_text())
    latest.write_proven(path, Verdict("1.98.1", {"facts": 1}), "slots", full=False)
    assert proven.known(path).shapes == {**proven.known().shapes, (1, 98, 1): "slots"}
    assert proven.known(path).withdrawn == proven.known().withdrawn


def test_the_shape_in_the_package_is_the_one_of_the_limiter_that_is_installed() -> None:
    number = str(versions.installed())
    shape = latest.shape_of(latest._limiter_of(number))
    release = proven.release_of(number)
    assert release is not None
    assert shape == proven.known().shapes.get(release, shape), "or it is newer than any played"


def test_a_cell_is_judged_by_what_it_does_twice_and_beside_litellm_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Result(admitted=CAP, in_redis=1, left=1)
    second = {(): {"chance": RIGHT, "worse": lost, "as bad": lost}, ("--bare",): {"worse": RIGHT, "as bad": lost}}
    monkeypatch.setattr(latest, "_again", lambda number, cells, path, *flags: {c: second[flags][c] for c in cells})
    played = {"right": RIGHT, **second[()], "chance": lost}
    failed = [Failure("matrix", f"test_slots_come_back[{cell}-1.99.0]", "") for cell in ("chance", "worse", "as bad")]
    verdict = Verdict("1.99.0", {"matrix": 4}, failed)

    latest._judge_cells(verdict, played, tmp_path)
    assert verdict.harm == ["worse: +1 left, alone +0"]
    assert [failure.name for failure in verdict.failed if failure.name not in verdict.alone] == [failed[1].name]
    assert verdict.held == {"matrix": "2/4"}
    assert Verdict("1.99.0", {"matrix": 4}, failed[2:], alone=verdict.alone).result == "whole"
