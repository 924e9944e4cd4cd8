"""The general guard at a chat stream's source: it can't spin, and a cut stream is not a finished one.

`CustomStreamWrapper.__anext__` pulls `async for chunk in self.completion_stream: if chunk is None: continue`. An
iterator that returns None for ever without suspending keeps the event loop there for good: no timeout, no
cancellation and no signal is served (#26015; 1.80 - 1.94, litellm_core_utils/streaming_handler.py).
And where the source ends without a finish_reason, LiteLLM invents `stop` (up to 1.109, `finish_reason_handler`).
"""

from __future__ import annotations

import asyncio
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host import deployments, reasons
from litellm_cancel_guard.host.endless import ENDLESS
from litellm_cancel_guard.host.mends import wires
from litellm_cancel_guard.host.mends.behind import Behind
from litellm_cancel_guard.host.steps import SAID_NOTHING, Steps, no_progress
from litellm_cancel_guard.terminal.failure import (
    Failure,
    ProviderStreamError,
    cut_off,
    failure_in_text,
    failure_of,
    note_on,
)
from litellm_cancel_guard.terminal.sighting import current
from litellm_cancel_guard.terminal.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings

# The loop gets its turn after so many pulls for one chunk. Real ones come in network reads, which suspend.
_PULLS_PER_TURN = 64
# Providers whose whole streams were seen to end with a finish_reason, or with [DONE] (tests/terminal), and where the
# classes are that read them. What LiteLLM makes up by itself bears the same names, and tells its end to nobody: a
# `mock_response` (utils.py), the words of a custom endpoint and of an agent (llms/vertex_ai; 1.80 - 1.109).
_TELL_THEIR_END = frozenset(
    {"openai", "azure", "anthropic", "gemini", "vertex_ai", "vertex_ai_beta", "text-completion-openai"}
)
# Chat bridged to the Responses API, whose events say how they end whoever answers. Of these, those of
# `/cursor/chat/completions` bear no provider's name at all (1.80 - 1.109, proxy/response_api_endpoints/endpoints.py).
_BRIDGE = frozenset({"litellm.completion_extras.litellm_responses_transformation.transformation"})
_READ_THE_END = frozenset(
    {
        *("openai", "openai._streaming"),
        "litellm.llms.anthropic.chat.handler",
        "litellm.llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini",
        "litellm.llms.openai.chat.gpt_transformation",
        *_BRIDGE,
    }
)


def mend(settings: Settings, touch: Touch) -> bool:
    """Wrap the source of every chat stream. A wrapper that a router puts around another is left alone."""
    from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper

    _watch_init(CustomStreamWrapper, touch, tell_truncation=settings.on_truncation == "error")
    _watch_fetch(CustomStreamWrapper, touch, tell_truncation=settings.on_truncation == "error")
    return True


def _watch_init(wrapper_class: Any, touch: Touch, *, tell_truncation: bool) -> None:
    def init(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if type(self) is wrapper_class:
            _watch(self, tell_truncation=tell_truncation)

    touch.replace(wrapper_class, "__init__", init)


def _watch_fetch(wrapper_class: Any, touch: Touch, *, tell_truncation: bool) -> None:
    """Watch a source that is only made when the first chunk is asked for (Gemini, Vertex, Bedrock)."""

    async def fetch_stream(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            fetched = await original(self, *args, **kwargs)
        except Exception as error:
            # 1.103 makes an event of it on `/v1/messages`, which has no place for a header.
            seen = current()
            if seen is not None:
                seen.delay = failure_of(error).retry_after
            raise
        _watch(self, tell_truncation=tell_truncation)
        return fetched

    touch.replace(wrapper_class, "fetch_stream", fetch_stream)


def _watch(wrapper: Any, *, tell_truncation: bool) -> None:
    """Watch the source of *wrapper*; kept under another name, it is left alone: every chat stream would fail of it."""
    if hasattr(wrapper, "completion_stream"):
        tells = tell_truncation and not deployments.passes_truncation(wrapper)
        wrapper.completion_stream = watched(wrapper.completion_stream, wrapper, tell_truncation=tells)


def watched(stream: Any, wrapper: Any, *, tell_truncation: bool) -> Any:
    """Return *stream* as a source that can't spin, or as it is where it is pulled in another way."""
    # LiteLLM asks for the type of an answer that it replays as a stream, which can neither spin nor be cut.
    if type(stream) in (Source, Steps) or type(stream).__name__ == "MockResponseIterator":
        return stream
    if not hasattr(stream, "__aiter__"):
        return Steps(stream) if hasattr(stream, "__next__") else stream
    provider = getattr(wrapper, "custom_llm_provider", None)
    readers = _BRIDGE if provider is None else _READ_THE_END if provider in _TELL_THEIR_END else frozenset()
    tells = tell_truncation and any(kind.__module__ in readers for kind in type(stream).__mro__)
    wire = wires.tapped(stream, wrapper)
    done = None if not tells else wires.note_done(stream) if wire is None else lambda: wire.done
    return Source(stream, wrapper, done, wire=wire, tell_truncation=tell_truncation)


_CUT = cut_off()
# What nobody reads says nothing.
_UNREAD = Wire()


class Source:
    """A stream's source; whatever else is asked of it, its type too, is answered by the stream itself.

    LiteLLM begins a new `async for` for each chunk that goes out and leaves it there. Of the openai SDK's stream that
    makes a new generator each time, and a task to close the one before: here they share one iterator.
    """

    def __init__(
        self,
        stream: Any,
        wrapper: Any,
        done: Callable[[], bool] | None,
        *,
        wire: Wire | None = None,
        tell_truncation: bool = False,
    ) -> None:
        self._stream = stream
        self._wire = wire
        self._told = wire or _UNREAD
        self._tell_truncation = tell_truncation
        # A cycle would keep the provider's connection until it is collected.
        self._wrapper = weakref.ref(wrapper)
        self._done = done
        self._iterator: AsyncIterator[Any] | None = None
        self._next: Callable[[], Awaitable[Any]] | None = None
        self._pulls = 0
        self._said_nothing = 0
        self._suspended = True
        self._handed_on = False
        self._ending: Behind | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._stream)

    def __aiter__(self) -> Source:
        self._pulls = self._said_nothing = 0
        self._suspended = True
        return self

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> Any:
        """Return the next chunk to `litellm.completion(stream=True)`; LiteLLM's iterators are read both ways."""
        return next(self._stream)

    async def __anext__(self) -> Any:
        self._pulls += 1
        if self._pulls % _PULLS_PER_TURN == 0:
            await self._let_others_on()
        pull = self._next or self._begin()
        try:
            chunk = await pull()
        except StopAsyncIteration:
            failure = self._cut()
            self._count(failure)
            if failure is None:
                raise
            raise ProviderStreamError(failure) from None
        except Exception as error:
            if self._wire is not None and self._wire.failure is not None:
                note_on(error, self._wire.failure)
            raise
        if chunk is None:
            self._said_nothing += 1
        elif self._said_nothing:
            self._said_nothing = 0
        if self._told.news:
            self._heed(self._told, chunk)
        return chunk

    def _heed(self, wire: Wire, chunk: Any) -> None:
        """Make of *chunk* what the wire has told: it has come up to the end of an answer, or beyond what is usual."""
        if wire.by_line and wire.failure is not None and self._ending is None:
            # Of such a line LiteLLM makes a chunk without choices, at which its own `/v1/messages` raises (1.83).
            raise ProviderStreamError(wire.failure)
        if self._ending is not None and reasons.says_more(chunk):
            self._ending.goes_on()
        if not (reasons.ends(chunk) or (wire.in_step and self._ending is None)):
            return
        if wire.told:
            self._end_as_told(wire)
        elif wire.over:
            self._count(None)
        if self._ending is None and self._next is not None and wire.over:
            self._ending = Behind(self._next, self._stream)
            self._next = self._ending.next

    def _end_as_told(self, wire: Wire) -> None:
        """Raise what the wire has told, in the place of an end: half a tool call is run where LiteLLM says `stop`."""
        failure = wire.found(tell_truncation=self._tell_truncation)
        self._count(failure)
        if failure is not None:
            raise ProviderStreamError(failure)
        reasons.say(self._wrapper(), wire)

    def _begin(self) -> Callable[[], Awaitable[Any]]:
        self._iterator = _iterator_of(self._stream)
        self._next = self._iterator.__anext__
        return partial(self._first, self._next)

    async def _first(self, pull: Callable[[], Awaitable[Any]]) -> Any:
        chunk = await pull()
        self._handed_on = True
        return chunk

    async def _let_others_on(self) -> None:
        """Let the loop serve others; and end a source which never let it do so by itself."""
        if self._suspended:
            self._said_nothing = 0
        if self._said_nothing > SAID_NOTHING:
            raise no_progress()
        await asyncio.sleep(0)
        self._suspended = False
        asyncio.get_running_loop().call_soon(self._mark_suspended)

    def _mark_suspended(self) -> None:
        self._suspended = True

    def _count(self, failure: Failure | None) -> None:
        """Note that the stream has ended whole, failed of nothing but that it had no end, or may end in any way."""
        wire, wrapper = self._wire, self._wrapper()
        told = self._done is not None if wire is None else wire.speaks and (wire.whole or failure is not None)
        if wrapper is None or failure not in (None, _CUT) or (self._tell_truncation and not told):
            return
        ENDLESS.read_to_its_end(deployments.params_of(wrapper), cut=failure is not None)

    def _cut(self) -> Failure | None:
        """Return the failure of a source that ends now, if it had not said that it would."""
        wrapper = self._wrapper()
        if self._wire is not None and wrapper is not None:
            if self._handed_on and not self._wire.heard:
                # A later LiteLLM may read by another door than the one that is tapped: each whole answer was cut then.
                self._wire.give_up()
            failure = self._wire.verdict(tell_truncation=self._tell_truncation)
            if failure is not None or self._wire.speaks:
                return failure
        if self._done is None or wrapper is None or self._done():
            return None
        if getattr(self._stream, "guard_finished", _has_finished(wrapper)):
            return None
        noted = getattr(self._stream, "guard_failure", None)
        if isinstance(noted, Failure):
            return noted
        last = getattr(self._stream, "guard_last_text", "")
        return failure_in_text(last) if last else cut_off()


def _iterator_of(stream: Any) -> Any:
    """Return what *stream* is read by; of the openai SDK's, what its own `__anext__` reads, without a layer more."""
    inner = getattr(stream, "_iterator", None)
    return inner if wires.is_of_the_sdk(stream) and hasattr(inner, "__anext__") else stream.__aiter__()


def _has_finished(wrapper: Any) -> bool:
    names = ("received_finish_reason", "intermittent_finish_reason", "sent_last_chunk", "received_any_finish_reason")
    return any(getattr(wrapper, name, None) for name in names)
