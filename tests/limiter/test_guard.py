"""The callback as LiteLLM finds it: which hooks, which place in the list, and harmless whatever happens inside."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.integrations.custom_logger import CustomLogger

from litellm_cancel_guard.entry import handler
from litellm_cancel_guard.guard import _PROXY_CancelGuard
from litellm_cancel_guard.host import limiter as host
from litellm_cancel_guard.host.configured import Configured
from litellm_cancel_guard.host.limiter import enclose, precede
from litellm_cancel_guard.host.setup_files import LiteLLM
from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.settings import load_settings
from litellm_cancel_guard.worker import Worker
from tests.limiter.conftest import Client, new_limiter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

HOOKS = (
    "async_pre_call_hook",
    "async_post_call_success_hook",
    "async_post_call_failure_hook",
    "async_post_call_streaming_iterator_hook",
)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_defined_in_the_registered_class_itself(hook: str) -> None:
    """LiteLLM looks into the leaf class's __dict__ and passes inherited hooks over (1.86 on, proxy/utils.py)."""
    assert hook in type(handler).__dict__
    assert isinstance(handler, CustomLogger)
    assert "_PROXY_" in type(handler).__name__


def test_it_goes_before_the_limiter_also_when_it_was_added_at_run_time() -> None:
    first, limiter, last = object(), object(), object()
    callbacks = [first, limiter, "prometheus", last, handler]

    moved = precede(callbacks, handler, limiter)
    assert moved == [first, handler, limiter, "prometheus", last]
    assert moved is not callbacks, "a request may be in the middle of it"
    assert precede(moved, handler, limiter) is None


class Reads(CustomGuardrail):  # type: ignore[misc]
    """A guardrail that LiteLLM has look at answers."""

    async def apply_guardrail(self, inputs: Any, **_: Any) -> Any:
        return inputs


def test_its_end_goes_around_the_guardrails_that_would_read_what_it_makes_of_a_failed_stream() -> None:
    reads, logs, limiter, outer = Reads(), CustomGuardrail(), object(), object()

    assert enclose([handler, reads, logs, limiter], handler, outer, limiter) == [handler, reads, logs, outer, limiter]
    assert enclose([handler, reads, logs, outer, limiter], handler, outer, limiter) is None
    assert enclose([reads, handler, logs, limiter], handler, outer, limiter) is None
    assert enclose([reads, limiter], handler, outer, limiter) is None


def test_a_list_without_it_or_without_the_limiter_is_left_as_it_is() -> None:
    assert precede([object()], handler, object()) is None
    assert precede([handler], handler, object()) is None


class Legacy:
    """The limiter of LEGACY_MULTI_INSTANCE_RATE_LIMITING, which has no seam."""

    async def async_pre_call_hook(self) -> None: ...


@pytest.mark.parametrize(
    ("limiter", "version", "why"),
    [
        (Legacy(), "1.83.14", "shape that this version of the guard does not know"),
        (None, "1.79.3", "older than 1.80"),
    ],
)
def test_a_limiter_that_no_adapter_fits_is_refused_by_name(
    limiter: Any, version: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LiteLLM, "installed", lambda: LiteLLM(version))

    with pytest.raises(host.UnknownLimiterError, match=why) as refused:
        host.recognise(limiter or new_limiter())
    assert version in str(refused.value)


async def test_it_warns_once_and_holds_back_from_an_unknown_limiter(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    legacy = Legacy()
    monkeypatch.setattr("litellm_cancel_guard.worker.host.find_limiter", lambda: legacy)
    worker = Worker(Configured())
    with caplog.at_level(logging.WARNING):
        worker.open("acompletion", handler)
        worker.open("acompletion", handler)

    assert worker.guarded_request() is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_a_fault_inside_it_never_reaches_the_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    guard = _PROXY_CancelGuard()

    def fault(*_: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(guard._worker, "open", fault)
    with caplog.at_level(logging.ERROR):
        await guard.async_pre_call_hook(SimpleNamespace(max_parallel_requests=1), None, {}, "acompletion")
    assert "a fault of ours" in caplog.text


@pytest.mark.parametrize("call", ["admit", "end"])
async def test_a_fault_in_the_ledger_leaves_the_request_to_litellm_alone(
    attached: Callable[[Any], Worker], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, call: str
) -> None:
    limiter = new_limiter()
    worker = attached(limiter)
    client = Client(worker, limiter, max_parallel_requests=1)

    async def fault(*_: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(worker.ledger, call, fault)
    with caplog.at_level(logging.ERROR):
        await asyncio.create_task(client.pre_call())
        request = worker.guarded_request()
        assert request is not None
        await worker.end(request, Ending.COMPLETED)
    assert "a fault of ours" in caplog.text


async def test_a_stream_of_a_key_without_a_cap_holds_nothing_and_passes_as_it_is() -> None:
    guard, chunks = _PROXY_CancelGuard(), [object(), object()]

    async def response() -> AsyncIterator[object]:
        for chunk in chunks:
            yield chunk

    await guard.async_pre_call_hook(SimpleNamespace(max_parallel_requests=None), None, {}, "acompletion")
    passed = [chunk async for chunk in guard.async_post_call_streaming_iterator_hook(None, response(), {})]
    assert all(one is other for one, other in zip(passed, chunks, strict=True))
    assert len(guard._worker.registry) == 0


async def test_a_stream_of_a_route_that_is_not_known_is_not_touched() -> None:
    guard, response = _PROXY_CancelGuard(), object()

    await guard.async_pre_call_hook(SimpleNamespace(max_parallel_requests=None), None, {}, "arealtime")
    assert guard.async_post_call_streaming_iterator_hook(None, response, {}) is response


async def test_attaching_twice_puts_one_seam_into_the_limiter(attached: Callable[[Any], Worker]) -> None:
    limiter = new_limiter()
    attached(limiter)
    seam = limiter.should_rate_limit
    attached(limiter)

    assert limiter.should_rate_limit is seam


async def test_a_proxy_without_a_cap_keeps_no_request_of_it(attached: Callable[[Any], Worker]) -> None:
    limiter = new_limiter()
    worker = attached(limiter)
    client = Client(worker, limiter, max_parallel_requests=1)
    await asyncio.create_task(client.pre_call())
    await client.until_held(0)

    assert len(worker.registry) == 1, "the test's own task, which attached it"


@pytest.mark.parametrize(
    ("told", "block", "in_force"),
    [(True, {}, "closed"), (True, {"on_redis_error": "local"}, "local"), (False, {}, "local")],
)
async def test_litellms_choice_for_an_outage_stays_in_force_when_the_config_changes(
    attached: Callable[[Any], Worker], told: bool, block: dict[str, Any], in_force: str
) -> None:
    limiter = new_limiter()
    limiter._fail_closed_resolver = lambda: told
    worker = attached(limiter)
    assert worker.settings.on_redis_error == ("closed" if told else "local")
    worker._adopt(load_settings({"lease_seconds": 60, **block}, {}), guard=None)

    assert (worker.settings.lease_seconds, worker.settings.on_redis_error) == (60, in_force)
