"""A whole answer whose connection stays open: its end is waited for a while, and then it is closed as if it had come.

Providers, and what stands before them, leave a connection open behind the answer (OmniRoute#11385): the
client waits, and its slot with it, for as long as nobody hangs up. LiteLLM reads to the end of the connection (1.80 -
1.110), and books an answer there. So the end is told where the bytes are read: of what LiteLLM asks for by its own
client here, of the rest by the chat stream's source.
"""

from __future__ import annotations

import asyncio
import functools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.aio.deadline import Deadline
from litellm_cancel_guard.host import deployments
from litellm_cancel_guard.host.closing import Closer
from litellm_cancel_guard.host.endless import ENDLESS
from litellm_cancel_guard.host.mends.found import class_with
from litellm_cancel_guard.host.taken_over import as_taken_over
from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.terminal.amazon import Messages
from litellm_cancel_guard.terminal.failure import ProviderStreamError
from litellm_cancel_guard.terminal.over import is_of_bedrock, over_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings
    from litellm_cancel_guard.terminal.failure import Failure
    from litellm_cancel_guard.terminal.over import Over

# Behind the last reason usage may come, and `[DONE]`; neither has to be made first.
WAIT_SECONDS = 2.0
# Of a read that was cut within a line so much is looked at again: longer than what tells an end.
_KEPT = 128


def mend(settings: Settings, touch: Touch) -> bool:
    """Have the streams that LiteLLM asks for by its own client end behind their answers, and Bedrock's be judged."""
    client = class_with("llms.custom_httpx.http_handler", "AsyncHTTPHandler", "post")
    if client is None:
        return False

    async def post(original: Any, *args: Any, **kwargs: Any) -> Any:
        response = await original(*args, **kwargs)
        asks = SimpleNamespace(logging_obj=kwargs.get("logging_obj"))
        tells = settings.on_truncation == "error" and not deployments.passes_truncation(asks)
        _have_it_end(response, deployments.params_of(asks), tell_truncation=tells)
        return response

    touch.replace(client, "post", post, _streams)
    return True


def _streams(*_: Any, **kwargs: Any) -> bool:
    return bool(kwargs.get("stream"))


def _have_it_end(answer: Any, asked: Any = None, *, tell_truncation: bool = True) -> None:
    import httpx

    if not isinstance(answer, httpx.Response) or answer.is_stream_consumed or answer.is_closed:
        return
    if not isinstance(answer.stream, httpx.AsyncByteStream):
        return
    path = answer.request.url.path
    over = over_at(path)
    if over is not None and not _asks_for_several(answer):
        answer.stream = _of_httpx(_Reads)(answer.stream, over)
    elif is_of_bedrock(path):
        answer.stream = _of_httpx(_Judged)(answer.stream, asked, tell_truncation=tell_truncation)


def _asks_for_several(answer: Any) -> bool:
    """Tell whether Google is asked for more than one answer: each has an end of its own."""
    return b'"candidateCount"' in getattr(answer.request, "_content", b'"candidateCount"')


class _Patience:
    """How long is still waited for what may come behind an end: that long in all, whatever pings come meanwhile."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = WAIT_SECONDS

    async def wait_for(self, pull: Callable[[], Awaitable[Any]], before: Callable[[], None] | None = None) -> Any:
        """Return what *pull* brings; *before* is called if it brings nothing in time, when it still waits.

        Raises:
            StopAsyncIteration: it has ended, nothing has come in time, or the connection is broken: all was said.
        """
        if self._left <= 0:
            raise StopAsyncIteration
        # Of a client that reads slowly the time is not taken.
        began = asyncio.get_running_loop().time()
        try:
            async with Deadline(self._left, before=before):
                return await pull()
        except StopAsyncIteration:
            raise
        except Exception as error:
            log.debug("cancel_guard: behind a whole answer nothing more has come: %s", type(error).__name__)
        finally:
            self._left -= asyncio.get_running_loop().time() - began
        raise StopAsyncIteration


class Behind:
    """What pulls a source behind the end of its answer.

    Args:
        pull: asks for its next chunk.
        stream: what the connection lies under, which is closed when the time is up.
    """

    __slots__ = ("_closer", "_patience", "_pull", "_stream")

    def __init__(self, pull: Callable[[], Awaitable[Any]], stream: Any) -> None:
        self._pull = pull
        self._stream = stream
        self._patience: _Patience | None = _Patience()
        self._closer: Closer | None = None

    async def next(self) -> Any:
        """Return the next chunk.

        Raises:
            StopAsyncIteration: there is none, or none has come in time, or the connection is broken.
        """
        if self._patience is None:
            return await self._pull()
        try:
            return await self._patience.wait_for(self._pull, self._look)
        except StopAsyncIteration:
            await (self._closer or Closer(self._stream)).close()
            raise

    def goes_on(self) -> None:
        """Wait for what comes for as long as it takes: who says an end with each chunk has none that could be told."""
        self._patience = None

    def _look(self) -> None:
        # Behind a generator that was cancelled there is nothing to be seen any more.
        self._closer = Closer(self._stream)


@functools.cache
def _of_httpx(reads: type[_Connection]) -> Any:
    """Return *reads* as what a response is read from; httpx takes no other than its own kind (`aiter_raw`)."""
    import httpx

    return type(reads.__name__.lstrip("_"), (reads, httpx.AsyncByteStream), {})


def _only_hands_on(kind: Any) -> bool:
    """Tell whether *kind* is httpx' `BoundAsyncStream`, which hands on and does no more (0.23 - 0.28, _client.py)."""
    code = getattr(getattr(kind, "__aiter__", None), "__code__", None)
    return kind.__name__ == "BoundAsyncStream" and getattr(code, "co_names", ()) == ("_stream",)


class _Connection:
    """A response's bytes. It stands in for httpx' own layer of the kind."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def _begin(self) -> Any:
        kind: Any = type(self._stream)
        inner = self._stream._stream if _only_hands_on(kind) else self._stream
        return inner.__aiter__()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()


class _Judged(_Connection):
    """Bedrock's messages, which end behind the answer, or in its failure."""

    def __init__(self, stream: Any, asked: Any, *, tell_truncation: bool) -> None:
        super().__init__(stream)
        self._asked = asked
        self._tell_truncation = tell_truncation

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pull, messages = self._begin().__anext__, Messages()
        patience: _Patience | None = None
        try:
            while messages.failure is None:
                patience = (patience or _Patience()) if messages.over else None
                try:
                    data = await (pull() if patience is None else patience.wait_for(pull))
                except StopAsyncIteration:
                    break
                if whole := _read(messages, data):
                    yield whole
            self._raise_what_it_ended_in(messages)
            if left := messages.rest():
                yield left
        finally:
            # Who knows the end when he sees it leaves there, before the connection has ended.
            if messages.over or not self._tell_truncation:
                ENDLESS.read_to_its_end(self._asked, cut=False)

    def _raise_what_it_ended_in(self, messages: Messages) -> None:
        if messages.failure is not None:
            raise _told(messages.failure)
        cut = messages.verdict() if self._tell_truncation else None
        if cut is not None:
            if messages.known:
                ENDLESS.read_to_its_end(self._asked, cut=True)
            raise _told(cut)


def _read(messages: Messages, data: bytes) -> bytes:
    try:
        return messages.read(data)
    except Exception:
        log.exception("cancel_guard: Bedrock's stream is read as LiteLLM reads it")
        return messages.give_up() or data


def _told(failure: Failure) -> Exception:
    """Return Bedrock's failure as LiteLLM's own: mapped, logged and given to its fallbacks as any other."""
    from litellm.llms.bedrock.common_utils import BedrockError

    error: Exception = BedrockError(status_code=as_taken_over(failure.status), message=failure.message)
    error.__cause__ = ProviderStreamError(failure)
    return error


class _Reads(_Connection):
    """A response's bytes, which end behind the answer."""

    def __init__(self, stream: Any, over: Over) -> None:
        super().__init__(stream)
        self._over = over
        self._open = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reads = self._begin()
        mark = self._over.mark
        async for data in reads:
            if data.find(mark) < 0 and data.endswith(b"\n") and not self._open:
                yield data
                continue
            ended = self._looks_over(data)
            yield data
            if ended:
                break
        else:
            return
        patience, goes_on = _Patience(), self._over.comes_again(data)
        while not goes_on:
            begun = self._open
            behind = await self._behind(reads, patience)
            if behind is None:
                return
            # The rest of a line that was read in part is no news.
            goes_on = self._over.goes_on(behind.partition(b"\n")[2] if begun else behind)
            yield behind
        # Who says an end with each chunk has none that could be waited for: half an answer would look whole.
        async for data in reads:
            yield data

    def _looks_over(self, data: bytes) -> bool:
        seen = self._open + data
        self._open = b"" if data.endswith(b"\n") else seen[-_KEPT:]
        return self._over.is_in(seen)

    async def _behind(self, reads: Any, patience: _Patience) -> bytes | None:
        try:
            pull = reads.__anext__
            data: bytes = await (pull() if self._open else patience.wait_for(pull))
        except StopAsyncIteration:
            return None
        self._open = b"" if data.endswith(b"\n") else data[-_KEPT:]
        return data
