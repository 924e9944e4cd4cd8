"""What Prometheus is told by the collectors alone; a real proxy's is in test_scraped.py."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.lease.lease import Ending, Lease, Parting
from litellm_cancel_guard.ledger.observer import Observed, Observer
from litellm_cancel_guard.ledger.registry import Registry, Request
from litellm_cancel_guard.operator import metrics
from litellm_cancel_guard.operator.long_lines import LongLines
from litellm_cancel_guard.operator.shut_out import ShutOut
from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.terminal.events import Protocol
from tests.operator.counted import GAUGE, admitted

if TYPE_CHECKING:
    from collections.abc import Callable


prometheus_client = pytest.importorskip("prometheus_client")

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def value(name: str, **labels: str) -> float:
    return prometheus_client.REGISTRY.get_sample_value(f"litellm_cancel_guard_{name}", labels) or 0.0


def counting() -> Registry:
    registry = Registry()
    observer = metrics.observer(per_key=False)
    assert observer is not None
    registry.observer.add(observer)
    return registry


@pytest.mark.parametrize("ending", [ending for ending in Ending if ending is not Ending.LAPSED])
def test_a_slot_is_counted_once_when_taken_and_once_by_its_ending(ending: Ending) -> None:
    registry = counting()
    before = value("leases_acquired_total"), value("slots_held"), value("leases_released_total", ending=ending.value)
    request = admitted(registry)
    registry.observer.acquired(request)
    assert (value("leases_acquired_total"), value("slots_held")) == (before[0] + 1, before[1] + 1)
    registry.end(request, ending)
    registry.end(request, Ending.TASK_ENDED)

    after = value("leases_acquired_total"), value("slots_held"), value("leases_released_total", ending=ending.value)
    assert after == (before[0] + 1, before[1], before[2] + 1)


def test_a_worker_is_counted_by_what_it_runs_and_once() -> None:
    registry = counting()
    about = {"version": "0.2.0", "litellm": "1.110.2", "redis": "yes"}
    registry.observer.introduced({**about, "limiter": "none that the guard knows"})
    registry.observer.introduced({**about, "limiter": "slots, in Redis"})
    assert value("info", **about, limiter="slots, in Redis") == 1
    assert value("info", **about, limiter="none that the guard knows") == 0


def test_a_slot_that_lapsed_is_no_release() -> None:
    registry = counting()
    before = value("leases_lapsed_total"), value("slots_held")
    registry.end(admitted(registry), Ending.LAPSED)

    assert (value("leases_lapsed_total"), value("slots_held")) == (before[0] + 1, before[1])


def test_a_refusal_is_one_and_holds_nothing() -> None:
    registry = counting()
    before = value("requests_refused_total"), value("slots_held"), value("leases_released_total", ending="refused")
    request = Request("acompletion")
    registry.hold(request, Lease(GAUGE), 4)
    registry.drop(request)
    registry.end(request, Ending.REFUSED)

    after = value("requests_refused_total"), value("slots_held"), value("leases_released_total", ending="refused")
    assert after == (before[0] + 1, *before[1:])


def test_a_request_that_ended_while_it_was_admitted_holds_nothing() -> None:
    registry = counting()
    before = value("leases_acquired_total"), value("slots_held")
    request = Request("acompletion")
    registry.hold(request, Lease(GAUGE), 4)
    registry.end(request, Ending.TASK_ENDED)
    registry.observer.acquired(request)

    assert (value("leases_acquired_total"), value("slots_held")) == before


def test_slots_of_a_dead_worker_are_counted_apart_from_what_is_given_back() -> None:
    registry = counting()
    before = value("leases_reclaimed_total"), value("slots_held")
    registry.observer.reclaimed(3)
    assert (value("leases_reclaimed_total"), value("slots_held")) == (before[0] + 3, before[1])


@pytest.mark.parametrize("parting", Parting)
def test_a_wait_is_counted_by_its_outcome_and_one_that_found_the_line_full_was_none(parting: Parting) -> None:
    registry = counting()
    names = ("waiting", "waited_seconds_count", "waited_seconds_sum")
    before = [value(name) for name in names]
    outcomes = {one: value("line_total", outcome=one.value) for one in Parting}
    request, waited = Request("acompletion"), parting is not Parting.FULL
    if waited:
        registry.observer.waits(request, 3)
        assert value("waiting") == before[0] + 1
    registry.observer.waits_no_more(request, parting, 1.5)

    assert [value(name) for name in names] == [before[0], before[1] + waited, before[2] + 1.5 * waited]
    after = {one: value("line_total", outcome=one.value) for one in Parting}
    assert after == {**outcomes, parting: outcomes[parting] + 1}


def test_the_page_on_metrics_has_a_line_for_each_and_for_nothing_else() -> None:
    counting()
    rows = re.findall(r"^\| `(\w+)[`{]", PAGE.read_text(), re.MULTILINE)
    made = {name for name in metrics._made if hasattr(metrics._made[name], "collect")}
    assert {row for row in rows if not row.startswith("CancelGuard")} == made | {"slots_limit"}
    said = next(line for line in PAGE.read_text().splitlines() if line.startswith("| `line_total`"))
    assert all(f"`{parting.value}`" in said for parting in Parting)


@pytest.mark.parametrize(
    ("route", "status", "labels"),
    [
        ("chat", 429, {"route": "chat", "status": "429"}),
        ("messages", 529, {"route": "messages", "status": "529"}),
        ("genai", 418, {"route": "genai", "status": "4xx"}),
        ("responses", 599, {"route": "responses", "status": "5xx"}),
        ("whatever", 0, {"route": "other", "status": "other"}),
    ],
)
def test_terminal_errors_are_counted_in_closed_sets_of_labels(route: str, status: int, labels: dict[str, str]) -> None:
    registry = counting()
    before = value("terminal_errors_total", **labels)
    registry.observer.stream_failed(route, status)
    assert value("terminal_errors_total", **labels) == before + 1


def test_every_protocol_of_a_terminal_error_is_a_label() -> None:
    assert set(metrics.ROUTES) == {protocol.value for protocol in Protocol}


def test_the_seconds_of_an_outage_are_counted_by_each_beat_and_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is killed stays in the gauge's sum; an alert on these ends."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    registry = counting()
    seconds = [value("degraded_seconds_total")]

    def after(passed: float, told: Callable[[], None]) -> None:
        now[0] += passed
        told()
        seconds.append(value("degraded_seconds_total"))

    after(10, lambda: registry.observer.beat(0.0))
    after(1, lambda: registry.observer.degraded(on=True))
    after(4, lambda: registry.observer.beat(0.0))
    after(2, lambda: registry.observer.degraded(on=True))
    after(3, lambda: registry.observer.degraded(on=False))
    after(50, lambda: registry.observer.beat(0.0))
    assert [round(second - seconds[0], 6) for second in seconds] == [0, 0, 0, 4, 6, 9, 9]


def test_a_refusal_of_a_key_that_gets_no_slot_is_counted_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ShutOut, "refused", lambda _, gauge: gauge == GAUGE)
    registry = counting()
    before = value("requests_refused_total"), value("requests_refused_shut_out_total")
    for gauge in (GAUGE, "api_key:other"):
        request = Request("acompletion")
        registry.hold(request, Lease(gauge), 4)
        registry.drop(request)
        registry.end(request, Ending.REFUSED)
    assert (value("requests_refused_total"), value("requests_refused_shut_out_total")) == (before[0] + 2, before[1] + 1)


def test_every_fault_that_the_guard_logs_is_counted_once_for_all_instances() -> None:
    counting(), counting()
    before = value("faults_total")
    fault = RuntimeError("a fault")
    log.error("cancel_guard: something of ours failed", exc_info=fault)
    logging.getLogger("LiteLLM Proxy").error("something of LiteLLM's failed", exc_info=fault)
    log.warning("cancel_guard: a remark")
    assert value("faults_total") == before + 1


def test_without_prometheus_client_nothing_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    assert metrics.observer(per_key=False) is None


def test_a_registry_that_cannot_be_used_is_told_and_breaks_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """PROMETHEUS_MULTIPROC_DIR names a folder that is not there."""

    def gone(*_: object, **__: object) -> None:
        raise FileNotFoundError("no such folder")

    monkeypatch.setattr(metrics, "_made", {})
    monkeypatch.setattr(prometheus_client, "Gauge", gone)
    assert metrics.observer(per_key=False) is None
    assert "nothing is counted for Prometheus" in caplog.text


def test_an_observer_that_raises_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Observer):
        def gave_back(self, request: Observed, held_for: float) -> None:
            raise RuntimeError("broken")

    registry = Registry()
    registry.observer.add(Broken())
    request = admitted(registry)

    assert registry.end(request, Ending.COMPLETED) == request.lease
    assert "a metric or a log line was lost" in caplog.text


def test_an_observer_is_told_of_nothing_that_it_makes_nothing_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each that is added for the line costs every request something where nobody waits."""
    asked: list[str] = []
    monkeypatch.setattr(Observer, "acquired", lambda *_: asked.append("acquired"))
    monkeypatch.setattr(Observer, "gave_back", lambda *_: asked.append("gave_back"))
    registry = Registry()
    registry.observer.add(LongLines())
    registry.end(admitted(registry), Ending.COMPLETED)
    assert (asked, registry.observer.empty) == ([], False)
