"""What Prometheus is told: by the collectors alone, and by a real proxy's /metrics."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.lease.lease import Ending, Lease, Parting, Turn
from litellm_cancel_guard.ledger.observer import Observed, Observer, Observers
from litellm_cancel_guard.ledger.registry import Registry, Request
from litellm_cancel_guard.operator import metrics
from litellm_cancel_guard.operator.leaks import Leaks
from litellm_cancel_guard.operator.long_lines import LongLines
from litellm_cancel_guard.operator.shut_out import ShutOut
from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.terminal.events import Protocol
from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.proxy import Proxy

prometheus_client = pytest.importorskip("prometheus_client")

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
GAUGE = f"api_key:{'ab' * 32}"
SAMPLE = re.compile(r"^(litellm_cancel_guard_\w+)(\{[^}]*\})? ([\d.e+-]+)$", re.MULTILINE)


def value(name: str, **labels: str) -> float:
    return prometheus_client.REGISTRY.get_sample_value(f"litellm_cancel_guard_{name}", labels) or 0.0


def counting() -> Registry:
    registry = Registry()
    observer = metrics.observer(per_key=False)
    assert observer is not None
    registry.observer.add(observer)
    return registry


def admitted(registry: Registry, route: str = "acompletion") -> Request:
    request = Request(route)
    registry.hold(request, Lease(GAUGE), 4)
    registry.observer.acquired(request)
    return request


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


class TestShutOut:
    """Refusals of a key that gets no slot, without its name."""

    def refused(self, shut: ShutOut, now: list[float], gauge: str, seconds: float, every: float = 10.0) -> list[bool]:
        told = []
        for _ in range(int(seconds / every)):
            now[0] += every
            told.append(shut.refused(gauge))
        return told

    def test_one_key_of_a_hundred_shows_after_five_minutes_of_refusals_alone(self) -> None:
        now = [0.0]
        shut = ShutOut(lambda: now[0])
        told = []
        for _ in range(40):
            now[0] += 10.0
            told.append(shut.refused("stuck"))
            for number in range(100):
                assert not shut.refused(f"busy {number}")
                shut.admitted(f"busy {number}")
        assert told == [False] * 30 + [True] * 10

    def test_a_slot_between_two_refusals_ends_it(self) -> None:
        now = [0.0]
        shut = ShutOut(lambda: now[0])
        assert not any(self.refused(shut, now, "key", 290))
        shut.admitted("key")
        assert not any(self.refused(shut, now, "key", 290))

    def test_two_refusals_with_more_than_five_minutes_between_them_say_nothing(self) -> None:
        now = [0.0]
        shut = ShutOut(lambda: now[0])
        assert not any(self.refused(shut, now, "key", 3000, every=301.0))

    def test_it_keeps_no_more_keys_than_ten_thousand(self) -> None:
        now = [0.0]
        shut = ShutOut(lambda: now[0])
        for number in range(10_100):
            shut.refused(f"key {number}")
        assert len(shut._streaks) == 10_000
        now[0] = 300.0
        assert shut.refused("key 10099")
        assert not shut.refused("key 0")


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


class TestLeaks:
    """One line for each slot whose request neither finished nor failed."""

    def observed(self, now: list[float]) -> Registry:
        registry = Registry()
        registry.observer = Observers()
        registry.observer.add(Leaks(lambda: now[0]))
        return registry

    def test_it_names_the_key_as_its_hash_begins_the_route_the_ending_and_the_time(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        registry = self.observed([0.0])
        with caplog.at_level(logging.INFO, "LiteLLM Proxy"):
            registry.end(admitted(registry), Ending.CLIENT_LEFT)
        assert "key abababab, route acompletion, client_left after 0.0 s" in caplog.text
        assert "ab" * 5 not in caplog.text

    def test_a_key_that_is_no_hash_is_not_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        registry = self.observed([0.0])
        request = Request("acompletion")
        registry.hold(request, Lease("api_key:secret-of-a-custom-auth"), 4)
        registry.observer.acquired(request)
        with caplog.at_level(logging.INFO, "LiteLLM Proxy"):
            registry.end(request, Ending.TASK_ENDED)
        assert "task_ended" in caplog.text
        assert "secret" not in caplog.text

    @pytest.mark.parametrize(
        ("route", "ending"),
        [("acompletion", Ending.COMPLETED), ("acompletion", Ending.REFUSED), ("pass_through_endpoint", "task_ended")],
    )
    def test_a_finished_or_refused_request_is_not_logged_nor_one_that_can_not_be_told_from_it(
        self, caplog: pytest.LogCaptureFixture, route: str, ending: str
    ) -> None:
        registry = self.observed([0.0])
        with caplog.at_level(logging.INFO, "LiteLLM Proxy"):
            registry.end(admitted(registry, route), Ending(ending))
        assert caplog.text == ""

    def test_ten_a_minute_are_logged_and_the_others_counted(self, caplog: pytest.LogCaptureFixture) -> None:
        now = [0.0]
        registry = self.observed(now)
        with caplog.at_level(logging.INFO, "LiteLLM Proxy"):
            for _ in range(25):
                registry.end(admitted(registry), Ending.CLIENT_LEFT)
            lines = len(caplog.records)
            now[0] = 60.0
            registry.end(admitted(registry), Ending.CLIENT_LEFT)
        assert lines == 10
        assert "gave back 15 more such slots" in caplog.text


class TestLongLines:
    """One line for a key whose line is longer than half of what it may be."""

    def told(self, gauges: list[str], waiting: list[int], most: int = 8, every: float = 0.0) -> int:
        """How many lines there are when so many wait for each of *gauges*, one count after the other."""
        now = [0.0]
        lines = LongLines(lambda: now[0])
        for count in waiting:
            for gauge in gauges:
                request = Request("acompletion")
                request.gauge, request.limit, request.turn = gauge, 4, Turn(most)
                lines.waits(request, count)
            now[0] += every
        return len(lines._told)

    def test_it_names_the_key_as_its_hash_begins_how_many_wait_and_how_many_may(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.told([GAUGE], [5])
        assert "key abababab is long: 5 requests wait for its 4 slots; once 8 do (max_waiting)" in caplog.text
        assert (caplog.records[0].levelno, "ab" * 5 in caplog.text) == (logging.WARNING, False)

    def test_half_of_it_is_not_long(self, caplog: pytest.LogCaptureFixture) -> None:
        self.told([GAUGE], [1, 2, 3, 4])
        assert caplog.text == ""

    def test_each_key_has_one_in_ten_minutes(self, caplog: pytest.LogCaptureFixture) -> None:
        self.told([GAUGE, "api_key:other"], [5] * 11, every=60.0)
        assert len(caplog.records) == 4

    def test_it_remembers_no_more_keys_than_ten_thousand(self) -> None:
        assert self.told([f"api_key:{number}" for number in range(10_100)], [5]) == 10_000


async def scraped(http: httpx.AsyncClient, proxy: Proxy) -> dict[str, float]:
    answer = await http.get(f"{proxy.url}/metrics", follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return {f"{name}{labels}": float(number) for name, labels, number in SAMPLE.findall(answer.text)}


@pytest.mark.timeout(240)
async def test_a_proxys_metrics_tell_what_was_held_refused_and_given_back(
    metered: Callable[..., Proxy], call_on: Callable[[Proxy], Caller], key: Key, http: httpx.AsyncClient
) -> None:
    proxy = metered()
    caller = call_on(proxy)
    await caller.plain(ROUTES["chat"], key)
    await caller.hang_up_mid(ROUTES["chat"], key)
    await caller.streamed(ROUTES["chat"], key, replace(caller.script(), error_step=3, error_status=429))
    await caller.admitted_at_once(key, cap=4)
    lined = fresh_key(cap=1, wait=60)
    async with caller.holding(lined, 1):
        asking = asyncio.create_task(caller.plain(ROUTES["chat"], lined))

        async def waits() -> bool:
            return (await scraped(http, proxy)).get("litellm_cancel_guard_waiting") == 1

        await wait_until(waits, "one waits in line")
    assert (await asking).status == 200

    async def at_rest() -> bool:
        return (await scraped(http, proxy)).get("litellm_cancel_guard_slots_held") == 0

    await wait_until(at_rest, "no slot is held")
    seen = await scraped(http, proxy)
    prefix = "litellm_cancel_guard_"
    assert seen[f"{prefix}leases_acquired_total"] == 9
    assert seen[f"{prefix}requests_refused_total"] == 2
    assert seen[f'{prefix}leases_released_total{{ending="client_left"}}'] >= 1
    assert seen[f"{prefix}release_seconds_count"] == 9
    assert [seen[f"{prefix}{name}"] for name in ("waiting", "waited_seconds_count")] == [0, 1]
    assert seen[f'{prefix}line_total{{outcome="served"}}'] == 1
    assert seen[f'{prefix}terminal_errors_total{{route="chat",status="429"}}'] == 1
    assert [seen[prefix + name] for name in ("degraded", "faults_total", "leases_reclaimed_total")] == [0, 0, 0]
    lines = [line for line in proxy.text().splitlines() if "gave back the slot" in line]
    assert len(lines) >= 1
    assert f"key {key.name[:8]}, route acompletion" in lines[0]


@pytest.mark.timeout(240)
async def test_two_workers_are_summed_and_a_key_is_a_label_only_where_asked_for(
    metered: Callable[..., Proxy],
    call_on: Callable[[Proxy], Caller],
    key: Key,
    http: httpx.AsyncClient,
    tmp_path: Path,
) -> None:
    (tmp_path / "prometheus").mkdir()
    env = (("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "prometheus")), ("CANCEL_GUARD_METRICS_PER_KEY", "true"))
    proxy = metered(workers=2, arguments=("--run_gunicorn",), env=env)
    await call_on(proxy).admitted_at_once(key, cap=4)

    async def told() -> bool:
        seen = await scraped(http, proxy)
        labels = f'{{hashed_api_key="{key.name}"}}'
        names = ("slots_held", "slots_limit", "leases_acquired_total", "requests_refused_total")
        return [seen.get(f"litellm_cancel_guard_{name}{labels}") for name in names] == [0, 4, 4, 2]

    await wait_until(told, "both workers' numbers are shown")
