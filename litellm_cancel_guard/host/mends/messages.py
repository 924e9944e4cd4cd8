"""`/v1/messages` bridged to the Responses API: a failed stream ends in its error, with the number that it had.

The bridge makes `stop_reason: end_turn` of a `response.failed`, nothing of an `error`, and silence of what its stream
raises (1.83 - 1.96, #39703); from 1.103 on an `api_error`, and from 1.108 on the right one
(llms/anthropic/.../responses_adapters/streaming_iterator.py). What it says instead is said by the bridge itself, of the
stream that it reads: a router that puts a fallback in its place takes the error away with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.called import Meant
from litellm_cancel_guard.host.mends.found import class_with
from litellm_cancel_guard.terminal.events import anthropic_body
from litellm_cancel_guard.terminal.failure import Failure, failure_in

if TYPE_CHECKING:
    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings

# Where the bridge is: 1.83 - 1.103, 1.108, and 1.109 on.
_PLACES = ("experimental_pass_through", "pass_through", "messages")
_ENDS = ("message_delta", "message_stop")


def mend(_settings: Settings, touch: Touch) -> bool:
    """Mend the bridge wherever it is; 1.80 has none."""
    modules = (f"llms.anthropic.{place}.responses_adapters.streaming_iterator" for place in _PLACES)
    found = {class_with(module, "AnthropicResponsesStreamWrapper", "__anext__") for module in modules} - {None}
    for bridge in found:
        _tell_failures(bridge, touch)
    return bool(found)


def _tell_failures(bridge: Any, touch: Touch) -> None:
    async def __anext__(original: Any, self: Any) -> Any:  # noqa: N807 - LiteLLM's method
        told = getattr(self, "guard_told", False)
        # Asked once more, 1.110 tells its failure hook; the older ones may say that they end well.
        if told and not getattr(self, "_stream_failed", False):
            raise Meant(StopAsyncIteration())
        try:
            chunk = await original(self)
        except StopAsyncIteration:
            failure = _noted(self)
            if told or failure is None:
                raise
            return _tell(self, failure)
        failure = _noted(self)
        return chunk if failure is None or _may_pass(self, chunk, failure) else _tell(self, failure)

    touch.replace(bridge, "__anext__", __anext__)


def _noted(bridge: Any) -> Failure | None:
    noted = getattr(getattr(bridge, "responses_stream", None), "guard_failure", None)
    return noted if isinstance(noted, Failure) else None


def _may_pass(bridge: Any, chunk: Any, failure: Failure) -> bool:
    """Tell whether *chunk* says nothing of how a stream ends that has reported *failure*, or says it rightly."""
    kind = chunk.get("type") if isinstance(chunk, dict) else None
    if kind != "error":
        return kind not in _ENDS
    said = failure_in(chunk)
    bridge.guard_told = said is not None and said.status == failure.status
    return bool(bridge.guard_told)


def _tell(bridge: Any, failure: Failure) -> dict[str, Any]:
    """Return the bridge's last chunk; with the number, since Anthropic has one name for many."""
    bridge.guard_told = True
    body = anthropic_body(failure)
    body["error"]["code"] = str(failure.status)
    return body
