"""Chat bridged to the Responses API: an answer that stops short is whole, if the provider says that it does.

`response.incomplete` (the limit of tokens is reached, a filter has acted) becomes no finish_reason (1.80 - 1.96,
completion_extras/litellm_responses_transformation/transformation.py): such an answer looks cut. And of an event that
reports a failure it becomes nothing, or a bare end: what it said is noted on its stream, which then ends in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.mends.found import class_with
from litellm_cancel_guard.terminal.failure import failure_in
from litellm_cancel_guard.terminal.reading import FAILURES, event_type, plain

if TYPE_CHECKING:
    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings

_MODULE = "completion_extras.litellm_responses_transformation.transformation"
_ENDS = ("response.completed", "response.incomplete")


def mend(_settings: Settings, touch: Touch) -> bool:
    """Note how every bridged stream ends."""
    iterator = class_with(_MODULE, "OpenAiResponsesToChatCompletionStreamIterator", "chunk_parser")
    if iterator is None:
        return False
    _note_the_end(iterator, touch)
    return True


def _note_the_end(iterator: Any, touch: Touch) -> None:
    def chunk_parser(original: Any, self: Any, chunk: Any, *args: Any, **kwargs: Any) -> Any:
        kind = event_type(chunk)
        if kind in _ENDS:
            self.guard_finished = True
        elif kind in FAILURES:
            self.guard_failure = failure_in(plain(chunk))
        return original(self, chunk, *args, **kwargs)

    touch.replace(iterator, "chunk_parser", chunk_parser)
