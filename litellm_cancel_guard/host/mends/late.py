"""A request that fails after keep-alives have opened its answer ends in the last event of its protocol.

With ``sse_keepalive_ping_interval_seconds`` (1.103 - 1.109, proxy/common_request_processing.py
`open_sse_before_first_byte`) the answer to a slow request is opened with a 200 and `: ping` comments, while a task of
its own still makes the real one. What fails there has no status any more: LiteLLM writes OpenAI's error and `[DONE]` on
every route, or the body of an answer that is an error as a nameless event. Anthropic's SDK ends in silence on both.

Here that task itself makes a stream of its failure. It is the one that knows the request's sighting; the generator that
writes the pings runs in the context from before the hooks.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.grafting import has_methods
from litellm_cancel_guard.redaction import for_client
from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.terminal import sighting, wording
from litellm_cancel_guard.terminal.events import whole_error
from litellm_cancel_guard.terminal.failure import Failure, before_anything, failure_in, failure_of, is_a_providers
from litellm_cancel_guard.terminal.routes import protocol_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.terminal.events import Protocol


_MODULE = "litellm.proxy.common_request_processing"
_NEEDED = ("open_sse_before_first_byte", "_sanitized_late_failure", "sse_error_payload")
_FIRST_ERROR = 400


def mend(touch: Touch) -> bool:
    """Wrap what opens the answers of LiteLLM's own routes; those that pass through import it by its name."""
    module: Any = sys.modules.get(_MODULE)
    if not has_methods(module, *_NEEDED):
        return False

    async def open_sse_before_first_byte(
        original: Any, produce_response: Any, ping_interval_seconds: Any, *args: Any, **kwargs: Any
    ) -> Any:
        if ping_interval_seconds is None or args:
            return await original(produce_response, ping_interval_seconds, *args, **kwargs)
        serving = _Serving(module, produce_response, kwargs.pop("on_late_failure", None))
        answer = await original(serving.answer(), ping_interval_seconds, **kwargs, on_late_failure=serving.report_once)
        # Nothing runs in between: a task that was not done when the answer was opened finds it so.
        serving.opened = True
        return answer

    touch.replace(module, "open_sse_before_first_byte", open_sse_before_first_byte)
    return True


class _Serving:
    """One request, in the task that makes its answer.

    Attributes:
        opened: a status has been sent for it already.
    """

    def __init__(
        self, module: Any, produce: Awaitable[Any], report: Callable[[Exception], Awaitable[Any]] | None
    ) -> None:
        self._module = module
        self._produce = produce
        self._report = report
        self.opened = False

    async def answer(self) -> Any:
        """Return the answer; a failure of an opened one as the stream that ends it."""
        try:
            answer = await self._produce
        except Exception as error:
            protocol = _protocol() if self.opened else None
            if protocol is None:
                raise
            return await self._ended_by(error, protocol)
        protocol = _protocol() if self.opened and getattr(answer, "status_code", 0) >= _FIRST_ERROR else None
        return answer if protocol is None else await _ended_with(answer, protocol)

    async def report_once(self, error: Exception) -> Any:
        """Tell LiteLLM's failure hook, which may put another error in the place of this one."""
        report, self._report = self._report, None
        return None if report is None else await report(error)

    async def _ended_by(self, error: Exception, protocol: Protocol) -> Any:
        log.error("cancel_guard: a request failed after keep-alives had opened its answer", exc_info=error)
        told = await self._module._sanitized_late_failure(error, self.report_once)
        try:
            return _stream(protocol, self._failure(told))
        except Exception:
            log.exception("cancel_guard: a late failure ends as LiteLLM ends it")
        raise told

    def _failure(self, error: Exception) -> Failure:
        if is_a_providers(error):
            return before_anything(failure_of(error))
        status, said = self._module.sse_error_payload(error)
        return Failure(status, for_client(str(said["message"])))


def _protocol() -> Protocol | None:
    seen = sighting.current()
    return None if seen is None else protocol_of(seen.route, None)


async def _ended_with(answer: Any, protocol: Protocol) -> Any:
    """Return *answer*, an error with a status that can't be sent any more, as a stream that ends in it."""
    # A provider's stream, whatever its status: LiteLLM closes it behind the last chunk.
    if hasattr(answer, "upstream_generator"):
        return answer
    try:
        body = wording.embedded_json(await _text(answer))
        said = failure_in(body) or Failure(answer.status_code, wording.default_message(answer.status_code))
        return _stream(protocol, replace(said, status=answer.status_code))
    except Exception:
        log.exception("cancel_guard: a late failure ends as LiteLLM ends it")
        return answer


async def _text(answer: Any) -> str:
    """Return the body, of a stream its first event: LiteLLM's own errors are streams where a generator raised."""
    if hasattr(answer, "body"):
        return bytes(answer.body).decode(errors="replace")
    pieces = [piece if isinstance(piece, str) else bytes(piece).decode() async for piece in answer.body_iterator]
    return "".join(pieces).partition("\n\n")[0]


def _stream(protocol: Protocol, failure: Failure) -> Any:
    from starlette.responses import StreamingResponse

    last = whole_error(protocol, failure)

    async def body() -> AsyncIterator[str]:
        yield last

    return StreamingResponse(body(), media_type="text/event-stream")
