"""Routes x first failures x what takes over, as data: what a request asks, and the config in which it is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import yaml

from tests.harness.provider.script import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = dict[str, Any]

CHUNKS = 5
SLOW = 1.0


@dataclass(frozen=True)
class Upstream:
    """A kind of provider: the model that fails, and the one that takes over."""

    prefix: str
    first: str
    middle: str
    then: str
    under: str = ""

    def deployment(self, model: str, base: str, **more: Any) -> Json:
        return {"model": f"{self.prefix}/{model}", "api_base": f"{base}{self.under}", "api_key": "provider-key", **more}


UPSTREAMS = {
    "openai": Upstream("openai", "gpt-first", "gpt-middle", "gpt-then", "/v1"),
    "anthropic": Upstream(
        "anthropic", "claude-3-5-haiku-20241022", "claude-3-opus-20240229", "claude-3-haiku-20240307"
    ),
    "gemini": Upstream("gemini", "gemini-2.0-flash", "gemini-2.5-pro", "gemini-2.5-flash"),
    "text": Upstream("text-completion-openai", "instruct-first", "instruct-middle", "instruct-then", "/v1"),
}


@dataclass(frozen=True)
class Route:
    """How to ask on a route, for whom, who may take over, and what a whole answer of it holds."""

    path: Callable[[str, bool], str]
    body: Callable[[str], Json]
    firsts: tuple[str, ...]
    thens: tuple[str, ...]
    ends: tuple[str, str]
    """In a stream that is whole, and in a plain answer."""


def _messages(text: str) -> Json:
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 64}


def _contents(text: str) -> Json:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


def _generate(model: str, stream: bool) -> str:
    return f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")


_THREE = ("openai", "anthropic", "gemini")
ROUTES = {
    "chat": Route(lambda *_: "/v1/chat/completions", _messages, _THREE, _THREE, ("[DONE]", '"finish_reason":"stop"')),
    "text": Route(
        lambda *_: "/v1/completions",
        lambda text: {"prompt": text},
        ("text",),
        ("text", "openai"),
        ("[DONE]", '"finish_reason":"stop"'),
    ),
    "messages": Route(
        lambda *_: "/v1/messages", _messages, _THREE, _THREE, ("message_stop", '"stop_reason":"end_turn"')
    ),
    "responses": Route(
        lambda *_: "/v1/responses",
        lambda text: {"input": text},
        ("openai", "anthropic"),
        _THREE,
        ("response.completed", '"status":"completed"'),
    ),
    "genai": Route(_generate, _contents, ("gemini",), ("gemini", "openai"), ("STOP", "STOP")),
}
_MID = {"error_step": 2}
# What a stream does instead of answering, and what an answer that is no stream does.
STREAMED: dict[str, Json] = {
    "http429": {"status": 429},
    "http500": {"status": 500},
    "silent": {"delay": 4 * SLOW},
    "reset": {"break_step": 0},
    "empty": {"break_step": 0, "break_by": "end"},
    "first429": {"error_step": 0},
    "first500": {"error_step": 0, "error_status": 500},
    "first400": {"error_step": 0, "error_status": 400},
    "opened429": {"error_step": 0, "error_as": "opened"},
    "mid429": _MID,
    "close": {"break_step": 2, "break_by": "end"},
}
IN_STREAM = ("first429", "opened429")
AGAIN = ("http429", "first500", "opened429")
PLAIN = ("http429", "http500", "reset", "first429")


@dataclass(frozen=True)
class Way:
    """One request: `hops` are those that fail in turn, `then` answers; the first alone is asked again where they're
    the same."""

    route: str
    hops: tuple[str, ...]
    then: str
    failure: str
    stream: bool

    @property
    def model(self) -> str:
        slow = "-slow" if self.failure == "silent" else ""
        return "-".join((*self.hops, "then", self.then)) + slow

    @property
    def again(self) -> bool:
        return self.then == "again"

    def scripts(self, run: str) -> str:
        """What is asked: the failures first, then the answer."""
        act = Script(run, chunks=CHUNKS)
        if self.again:
            return str(replace(act, fail_first=1, **STREAMED[self.failure]))
        models = (getattr(UPSTREAMS[kind], name) for kind, name in zip(self.hops, ("first", "middle"), strict=False))
        failing = [str(replace(act, only=model, **STREAMED[self.failure])) for model in models]
        return " ".join((*failing, str(act)))

    def __str__(self) -> str:
        return f"{self.route} {'streamed' if self.stream else 'plain'} {self.model} {self.failure}"


def ways(route: str) -> Iterator[Way]:
    """All of one route: each first with each that takes over; a chain; the same again. Where a failure is known before
    there is a stream, one of each is enough; the slow one is asked once."""
    known = ROUTES[route]
    for failure in STREAMED:
        firsts = known.firsts[:1] if failure == "silent" else known.firsts
        for first in firsts:
            same, other = first, next(then for then in known.thens if then != first)
            thens = known.thens if failure in IN_STREAM else (other,)
            yield from (Way(route, (first,), then, failure, stream=True) for then in thens)
            yield Way(route, (first, other), same if same in known.thens else other, failure, stream=True)
            if failure in AGAIN:
                yield Way(route, (first,), "again", failure, stream=True)
    for failure in PLAIN:
        for first in known.firsts:
            yield Way(route, (first,), next(then for then in known.thens if then != first), failure, stream=False)


def settings(base: str) -> str:
    """The config: a group for each way that begins anew, and a fallback for each."""
    models: list[Json] = [_model("gpt", "openai", "then", base)]
    for kind in UPSTREAMS:
        models += [_model(f"middle-{kind}", kind, "middle", base), _model(f"then-{kind}", kind, "then", base)]
    fallbacks: list[Json] = []
    for way in {way.model: way for route in ROUTES for way in ways(route)}.values():
        more: Json = {"timeout": SLOW, "stream_timeout": SLOW} if way.failure == "silent" else {}
        models.append(
            _model(way.model, way.hops[0], "first", base, **more, **({"num_retries": 1} if way.again else {}))
        )
        if not way.again:
            fallbacks.append({way.model: [*(f"middle-{hop}" for hop in way.hops[1:]), f"then-{way.then}"]})
    return yaml.safe_dump({"model_list": models, "litellm_settings": {"fallbacks": fallbacks}})


def _model(name: str, kind: str, which: str, base: str, **more: Any) -> Json:
    upstream = UPSTREAMS[kind]
    return {"model_name": name, "litellm_params": upstream.deployment(getattr(upstream, which), base, **more)}
