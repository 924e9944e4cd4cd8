"""Prometheus collectors in the default registry, which LiteLLM's ``/metrics`` shows. The one door to prometheus_client.

Gauges are sums over the living workers where ``PROMETHEUS_MULTIPROC_DIR`` is set. Label sets are closed, unless
``metrics_per_key`` adds ``hashed_api_key``: then each key that was ever used is a series of its own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.lease.graft import State
from litellm_cancel_guard.lease.keyname import key_of
from litellm_cancel_guard.lease.lease import Ending, Parting
from litellm_cancel_guard.ledger.observer import Observer
from litellm_cancel_guard.operator.shut_out import ShutOut
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    from litellm_cancel_guard.lease.graft import Status
    from litellm_cancel_guard.ledger.observer import Observed


PREFIX = "litellm_cancel_guard_"
KEY_LABEL = "hashed_api_key"

_RELEASE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_LATENESS_BUCKETS = (0.005, 0.05, 0.25, 1, 2.5, 5, 10, 30, 60)
_WAIT_BUCKETS = (0.05, 0.25, 1, 2.5, 5, 10, 20, 30, 45, 60, 300)
_GIVEN_BACK = tuple(ending for ending in Ending if ending is not Ending.LAPSED)

# The protocols of terminal errors, and the statuses that they come with; of another one its class is shown.
ROUTES = ("chat", "messages", "responses", "genai", "a2a")
_STATUSES = (400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529)

# A registry takes each name once, and a second worker object in one process (LiteLLM reloading its config) asks again.
_made: dict[str, Any] = {}


def observer(*, per_key: bool) -> Observer | None:
    """Return what counts for Prometheus, or None where prometheus_client is not installed or can't be used."""
    try:
        import prometheus_client
    except ImportError:
        return None
    try:
        return Metrics(prometheus_client, per_key=per_key)
    except Exception:
        # PROMETHEUS_MULTIPROC_DIR may name a folder that isn't there: slots are given back all the same.
        log.exception("cancel_guard: nothing is counted for Prometheus")
        return None


class Metrics(Observer):
    """Counts in collectors of its own.

    A label set once chosen stays for the life of the process: *per_key* of the first instance holds.
    """

    def __init__(self, client: Any, *, per_key: bool) -> None:
        self._client = client
        self._per_key = bool(_made.setdefault("per key", per_key))
        key = (KEY_LABEL,) if self._per_key else ()
        self._held = self._gauge("slots_held", "Slots of max_parallel_requests held by this proxy's requests.", key)
        self._limit = self._gauge("slots_limit", "max_parallel_requests as last enforced.", key) if key else None
        self._acquired = self._counter("leases_acquired", "Requests that were given a slot.", key)
        self._refused = self._counter("requests_refused", "Requests of keys with a cap that were given no slot.", key)
        self._shut_out = self._counter(
            "requests_refused_shut_out", "Of the refused, those of keys that nothing was admitted of for five minutes."
        )
        self._given_back = self._counter("leases_released", "Slots given back, by how the request ended.", ("ending",))
        self._lapsed = self._counter(
            "leases_lapsed",
            "Slots that lapsed while their request ran: its loop stood still, or its web server never ended it.",
        )
        self._reclaimed = self._counter(
            "leases_reclaimed",
            "Slots of other workers that had lapsed: they were killed, or cut off from Redis.",
        )
        self._failed = self._counter("terminal_errors", "Streams that were ended in an error.", ("route", "status"))
        self._release = self._histogram(
            "release_seconds", "How long Redis took to confirm a release.", _RELEASE_BUCKETS
        )
        self._waiting = self._gauge("waiting", "Requests of this proxy that wait in line for a slot.")
        self._waited = self._histogram(
            "waited_seconds", "How long a request was in line, whatever came of it.", _WAIT_BUCKETS
        )
        self._line = self._counter("line", "Requests that wait no more, or found the line full.", ("outcome",))
        self._lateness = self._histogram(
            "heartbeat_lateness_seconds", "How late the heartbeat beat: the event loop was blocked.", _LATENESS_BUCKETS
        )
        self._degraded = self._gauge("degraded", "Workers that count alone now, because Redis does not answer.")
        # A worker killed in an outage stays in the gauge's sum (under uvicorn; LiteLLM clears it away from 1.103.11 on,
        # proxy/prometheus_cleanup.py mark_dead_workers, not in 1.96.2): an alert on it never ends. It counts no second.
        self._alone = self._counter("degraded_seconds", "Seconds that workers have counted alone.")
        self._alone_since: float | None = None
        self._shut = ShutOut()
        self._in_force = self._gauge(
            "in_force", "1 for the state of each touch of LiteLLM; added up over the workers.", ("graft", "state")
        )
        self._info = self._gauge(
            "info", "Workers, from their start on, by what they run.", ("version", "litellm", "limiter", "redis")
        )
        self._proven = self._gauge("proven", "Workers on a LiteLLM that this version of the guard was proven on.")
        self._faults = self._counter("faults", "Faults inside the guard; the request went on as LiteLLM serves it.")
        for ending in _GIVEN_BACK:
            self._given_back.labels(ending.value)
        for parting in Parting:
            self._line.labels(parting.value)
        for route in ROUTES:
            self._failed.labels(route, "429")
        if "fault filter" not in _made:
            _made["fault filter"] = self._count_faults
            log.addFilter(self._count_faults)

    def acquired(self, request: Observed) -> None:  # noqa: D102 - as in Observer
        self._of(self._acquired, request).inc()
        self._of(self._held, request).inc()
        self._shut.admitted(request.gauge)
        if self._limit is not None:
            self._of(self._limit, request).set(request.limit)

    def refused(self, request: Observed) -> None:  # noqa: D102 - as in Observer
        self._of(self._refused, request).inc()
        if self._shut.refused(request.gauge):
            self._shut_out.inc()

    def waits(self, request: Observed, waiting: int) -> None:  # noqa: ARG002, D102 - as in Observer
        self._waiting.inc()

    def waits_no_more(self, request: Observed, parting: Parting, waited: float) -> None:  # noqa: ARG002, D102 - as in Observer
        self._line.labels(parting.value).inc()
        if parting is not Parting.FULL:
            self._waiting.dec()
            self._waited.observe(waited)

    def gave_back(self, request: Observed, held_for: float) -> None:  # noqa: ARG002, D102 - as in Observer
        self._of(self._held, request).dec()
        if request.ending is Ending.LAPSED:
            self._lapsed.inc()
        elif request.ending is not None:
            self._given_back.labels(request.ending.value).inc()

    def reclaimed(self, slots: int) -> None:  # noqa: D102 - as in Observer
        self._reclaimed.inc(slots)

    def stream_failed(self, route: str, status: int) -> None:  # noqa: D102 - as in Observer
        said = str(status) if status in _STATUSES else f"{status // 100}xx" if status // 100 in (4, 5) else "other"
        self._failed.labels(route if route in ROUTES else "other", said).inc()

    def released(self, seconds: float) -> None:  # noqa: D102 - as in Observer
        self._release.observe(seconds)

    def beat(self, late: float) -> None:  # noqa: D102 - as in Observer
        self._lateness.observe(late)
        self._count_alone(on=self._alone_since is not None)

    def degraded(self, on: bool) -> None:  # noqa: D102 - as in Observer
        self._degraded.set(int(on))
        self._count_alone(on=on)

    def _count_alone(self, *, on: bool) -> None:
        """Count the seconds since it was last asked; *on* is whether Redis is away from now on."""
        now = time.monotonic()
        if self._alone_since is not None:
            self._alone.inc(now - self._alone_since)
        self._alone_since = now if on else None

    def stands(self, status: Status) -> None:  # noqa: D102 - as in Observer
        for state in State:
            self._in_force.labels(status.graft.name, state.value).set(int(state is status.state))

    def introduced(self, about: Mapping[str, str]) -> None:  # noqa: D102 - as in Observer
        self._info.clear()
        self._info.labels(**about).set(1)

    def known(self, *, proven: bool) -> None:  # noqa: D102 - as in Observer
        self._proven.set(int(proven))

    def _count_faults(self, record: logging.LogRecord) -> bool:
        """Count what the guard logs with a traceback: no place that catches a fault can forget to."""
        if record.exc_info and str(record.msg).startswith("cancel_guard"):
            self._faults.inc()
        return True

    def _of(self, collector: Any, request: Observed) -> Any:
        return collector.labels(key_of(request.gauge)) if self._per_key else collector

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Any:
        mode = "livemax" if name == "slots_limit" else "livesum"
        return self._collector(name, lambda name: self._client.Gauge(name, text, labels, multiprocess_mode=mode))

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Any:
        return self._collector(f"{name}_total", lambda name: self._client.Counter(name, text, labels))

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Any:
        return self._collector(name, lambda name: self._client.Histogram(name, text, buckets=buckets))

    def _collector(self, name: str, make: Any) -> Any:
        if name not in _made:
            _made[name] = make(PREFIX + name)
        return _made[name]
