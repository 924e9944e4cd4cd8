"""The verdict on a LiteLLM that nobody has tried: harm is what LiteLLM alone does better."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests import latest
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
    latest.write_proven(path, Verdict("1.110.2", {"facts": 1}), full=True)
    harmful = Verdict("1.80.17", {"facts": 1}, [Failure("facts", "test_f1", "")], harm=["chat-complete: +1 left"])
    latest.write_proven(path, harmful, full=False)
    noted = [(number, said["result"], said["played"]) for number, said in json.loads(path.read_text()).items()]
    assert noted == [("1.80.17", "harmful", "short"), ("1.110.2", "whole", "full")]


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
