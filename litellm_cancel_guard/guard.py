"""The CustomLogger: every hook, a few lines each, delegating. A fault in here never breaks a request."""

from __future__ import annotations

import asyncio
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from litellm.integrations.custom_logger import CustomLogger

from litellm_cancel_guard.host.closing import leave_to_others
from litellm_cancel_guard.host.configured import Configured
from litellm_cancel_guard.host.lining import line_up
from litellm_cancel_guard.host.mounts import Mounts
from litellm_cancel_guard.host.terminals import Terminals
from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.lease.routes import LAST_FRAME, NESTED_ROUTE, ends
from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.stream import guarded
from litellm_cancel_guard.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litellm_cancel_guard.settings import Settings
    from litellm_cancel_guard.terminal.outcome import Outcome


async def _holds_nothing(ending: Ending) -> None:
    """End a request whose key has no cap."""


def _outcome(terminals: Terminals, user_api_key_dict: Any, request_data: Any) -> Outcome | None:
    try:
        return terminals.outcome(user_api_key_dict, request_data)
    except Exception:
        log.exception("cancel_guard: a stream goes on as LiteLLM serves it")
        return None


class _PROXY_CancelGuardsEnd(CustomLogger):  # noqa: N801
    """Ends failed streams outside of the guardrails that read them: of the error they make a 400, or an answer."""

    __name__ = "litellm_cancel_guard.end"
    cancel_guard_needs_no_layer = True

    def __repr__(self) -> str:
        return self.__name__

    def __init__(self, terminals: Terminals) -> None:
        super().__init__()
        self._terminals = terminals

    def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Any
    ) -> AsyncIterator[Any]:
        """End a failure as one."""
        outcome = _outcome(self._terminals, user_api_key_dict, request_data)
        if outcome is None:
            return response  # type: ignore[no-any-return]
        return guarded(response, _holds_nothing, None, outcome, leave_to_others)


# Without _PROXY_ in the name, a client's `no-log` switches its log events off (1.80 - 1.109, litellm_logging.py).
# The hooks are defined in this very class: LiteLLM looks for them in its __dict__ and passes inherited ones over.
class _PROXY_CancelGuard(CustomLogger):  # noqa: N801
    """Tracks every admitted request and gives its slot back exactly once, whichever way it ends."""

    # What LiteLLM calls it in its lists of callbacks: /health/readiness by the one, /active/callbacks by the other.
    __name__ = "litellm_cancel_guard"
    # See host.mends.layers.
    cancel_guard_needs_no_layer = True

    def __repr__(self) -> str:
        return self.__name__

    def __init__(self) -> None:
        super().__init__()
        configured = Configured()
        self._worker = Worker(configured)
        self._terminals = Terminals(configured, self._worker.board)
        self._terminals.observer = self._worker.registry.observer
        self._worker.outer = _PROXY_CancelGuardsEnd(self._terminals)
        self._mounts = Mounts(self._worker.board, self._worker.registry, self._mount_admin)
        self._worker.when_changed(self._adopt)
        self._worker.standing.when_out = self._mounts.take_out
        if configured.settings.enabled:
            self._mounts.put_in()
        self._prepare_soon()

    def _adopt(self, settings: Settings) -> None:
        self._terminals.adopt(settings)
        if settings.enabled:
            self._mounts.put_in()

    def _mount_admin(self, app: Any) -> None:
        from litellm_cancel_guard.operator.admin import mount

        mount(app, self._worker, self)

    def _prepare_soon(self) -> None:
        """Be attached and proven before the first request, where LiteLLM makes its callbacks on its event loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._preparing = Context().run(loop.create_task, self._worker.prepare_when_there(self))

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: str) -> None:
        """Open a request for a key with a cap; its slot is acquired where LiteLLM's limiter decides."""
        try:
            self._mounts.look()
            await self._worker.prepared(self)
            self._terminals.begin(str(call_type), getattr(user_api_key_dict, "request_route", None))
            if user_api_key_dict.max_parallel_requests is None:
                self._worker.stand_aside(self)
            else:
                self._worker.open(str(call_type), self, user_api_key_dict, data)
                line_up(self._worker.guarded_request(), self._worker.settings, user_api_key_dict, data)
        except Exception:
            log.exception("cancel_guard: a request could not be opened; LiteLLM counts it alone")
            self._worker.leave_to_litellm()

    async def async_post_call_success_hook(self, data: Any, user_api_key_dict: Any, response: Any) -> None:
        """Give the slot back before a plain answer goes out."""
        request = self._worker.guarded_request()
        if request is not None:
            await self._worker.end(request, Ending.COMPLETED)

    async def async_post_mcp_tool_call_hook(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Give the slot of a tool call back before its answer goes out; LiteLLM calls no success hook for it."""
        request = self._worker.guarded_request()
        if request is not None and request.route == NESTED_ROUTE:
            await self._worker.end(request, Ending.COMPLETED)

    async def async_post_call_failure_hook(
        self, request_data: Any, original_exception: Exception, user_api_key_dict: Any, traceback_str: str | None = None
    ) -> None:
        """Give the slot back before an error goes out."""
        self._terminals.note_answer(original_exception, request_data)
        request = self._worker.guarded_request()
        if request is not None and ends(request.route, request_data):
            await self._worker.end(request, Ending.PROVIDER_FAILED)

    def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Any
    ) -> AsyncIterator[Any]:
        """Give the slot back before the last chunk goes out, or when its client has left; end a failure as one."""
        outcome = None if self._worker.enclosed else _outcome(self._terminals, user_api_key_dict, request_data)
        request = self._worker.guarded_request()
        if request is not None and not request.streaming:
            request.streaming = True
            end, follow = partial(self._worker.end, request), partial(self._worker.follow, request)
            stream = guarded(response, end, LAST_FRAME.get(request.route), outcome, follow)
            request.stream = ref(stream)
            return stream
        if outcome is not None or (self._worker.enclosed and self._worker.settings.enabled):
            uncounted = self._worker.draining.follow()
            stream = guarded(response, _holds_nothing, None, outcome, uncounted)
            uncounted.stream = ref(stream)
            return stream
        return response  # type: ignore[no-any-return]
