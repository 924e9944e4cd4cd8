"""What pyperf runs: a stream of chunks read to its end, without the guard's own layer and with it.

    python -m benchmarks.chunk_streams -o FILE      one benchmark for each kind of chunk, alone and guarded

No network, no LiteLLM around it: what is left between the two is the layer that the guard puts around a stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.lease.routes import LAST_FRAME
from litellm_cancel_guard.settings import Settings
from litellm_cancel_guard.stream import guarded as put_around
from litellm_cancel_guard.terminal import sighting
from litellm_cancel_guard.terminal.outcome import Outcome
from litellm_cancel_guard.terminal.routes import protocol_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from litellm_cancel_guard.lease.lease import Ending

CHUNKS = 1000


@dataclass(frozen=True)
class Kind:
    """A route, and what LiteLLM hands to the stream hook there (1.80 - 1.109).

    Attributes:
        call_type: LiteLLM's name of the route.
        make: returns the first chunk, one of those between, and the last.
    """

    name: str
    call_type: str
    make: Callable[[], tuple[Any, Any, Any]]


def _chat() -> tuple[Any, Any, Any]:
    # Not LiteLLM's own: the layer looks at the first with content only, and LiteLLM takes seconds to import.
    def chunk(content: str, finish: str | None = None) -> Any:
        return SimpleNamespace(choices=[SimpleNamespace(delta=_Delta(content), finish_reason=finish)])

    return chunk("word0 "), chunk("word1 "), chunk("", "stop")


@dataclass
class _Delta:
    content: str

    def model_dump(self, mode: str) -> dict[str, str]:
        assert mode == "json"
        return {"content": self.content}


def _responses() -> tuple[Any, Any, Any]:
    from litellm.types.llms.openai import OutputTextDeltaEvent, ResponsesAPIStreamEvents

    def event(number: int) -> Any:
        kind: Any = ResponsesAPIStreamEvents.OUTPUT_TEXT_DELTA
        return OutputTextDeltaEvent(
            type=kind, item_id="msg_1", output_index=0, content_index=0, delta="word ", sequence_number=number
        )

    return event(1), event(2), {"type": "response.completed"}


def _messages() -> tuple[Any, Any, Any]:
    def frame(event: str, data: str) -> bytes:
        return f'event: {event}\ndata: {{"type": "{event}"{data}}}\n\n'.encode()

    delta = frame("content_block_delta", ', "index": 0, "delta": {"type": "text_delta", "text": "word1 "}')
    return delta, delta, frame("message_stop", "")


def _messages_text() -> tuple[Any, Any, Any]:
    first, middle, last = _messages()
    return first.decode(), middle.decode(), last.decode()


def _genai() -> tuple[Any, Any, Any]:
    def frame(finish: str) -> bytes:
        return b'data: {"candidates": [{"content": {"parts": [{"text": "word1 "}]}%s}]}\n\n' % finish.encode()

    return frame(""), frame(""), frame(', "finishReason": "STOP"')


KINDS = (
    Kind("objects, chat", "acompletion", _chat),
    Kind("objects, responses", "aresponses", _responses),
    Kind("bytes, messages", "anthropic_messages", _messages),
    Kind("str, messages", "anthropic_messages", _messages_text),
    Kind("bytes, genai", "agenerate_content_stream", _genai),
)


async def source(kind: Kind, chunks: int) -> AsyncIterator[Any]:
    """Yield a whole stream without ever waiting."""
    first, middle, last = kind.make()
    yield first
    for _ in range(chunks - 2):
        yield middle
    yield last


def guarded(kind: Kind, stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Put the guard's layer around it, as its stream hook does for a request that holds a slot."""
    protocol = protocol_of(kind.call_type, None)
    assert protocol is not None
    outcome = Outcome(protocol, Settings(), sighting.begin(kind.call_type), _report)
    return put_around(stream, _end, LAST_FRAME.get(kind.call_type), outcome)


async def _end(ending: Ending) -> None:
    """End a request that holds nothing."""


async def _report(error: Exception) -> Exception | None:
    return error


async def read(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass


async def _alone(kind: Kind) -> None:
    await read(source(kind, CHUNKS))


async def _with_the_guard(kind: Kind) -> None:
    await read(guarded(kind, source(kind, CHUNKS)))


def main() -> None:
    import pyperf

    runner = pyperf.Runner(add_cmdline_args=lambda command, args: command.extend(("--without", args.without)))
    runner.argparser.add_argument("--without", default="", help="the name of a kind")
    without = runner.parse_args().without
    for kind in (kind for kind in KINDS if kind.name != without):
        runner.bench_async_func(f"{kind.name}|alone", _alone, kind, inner_loops=CHUNKS)
        runner.bench_async_func(f"{kind.name}|guarded", _with_the_guard, kind, inner_loops=CHUNKS)


if __name__ == "__main__":
    main()
