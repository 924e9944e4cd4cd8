"""The script of requests, as data: who asks where, and how it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tests.difference.limits import KINDS, Kind
from tests.harness.routes import ROUTES, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.versions import Version


@dataclass(frozen=True)
class Act:
    """One way in which a request may go."""

    name: str
    script: dict[str, Any] = field(default_factory=dict, repr=False, hash=False)
    """What the provider does: fields of `Script`."""
    stream: bool = True
    leaves: Literal["", "first", "mid"] = ""
    """Whether the client hangs up: before the first chunk, or in mid-stream."""
    waits: bool = False
    """Whether the provider breaks off only when the client has what came before it."""
    headers: tuple[tuple[str, str], ...] = ()
    fails: int = 0
    """The status that a failure of the provider's has; a connection that breaks is a 503."""
    begun: bool = False
    """Whether content has come before the failure."""
    routes: tuple[str, ...] = ()
    """The only routes that have it."""
    since: tuple[int, ...] = (0,)
    """The first LiteLLM that has it."""

    @property
    def provider_fails(self) -> int:
        """The status with which the provider fails, were it only once; 0: it does not."""
        return self.fails or int(self.script.get("status", 0))

    def __str__(self) -> str:
        return self.name


_RETRIES = (("x-litellm-num-retries", "1"),)
_RETRIED = {"status": 500, "fail_first": 1}
_FELL_BACK = {"only": "first-choice", "status": 500}
_CHAT = ("chat", "chat_claude", "chat_gem", "text")
_TIMED = ("chat", "messages", "messages_claude", "responses")
_TOTAL = (("x-litellm-total-timeout", "2"),)

STREAMED = (
    Act("whole"),
    Act("http429", {"status": 429, "retry_after": 7}, fails=429),
    Act("http500", {"status": 500}, fails=500),
    Act("first429", {"error_step": 0}, fails=429),
    Act("mid429", {"error_step": 2}, fails=429, begun=True),
    Act("mid500", {"error_step": 2, "error_status": 500}, fails=500, begun=True),
    Act("reset_first", {"break_step": 0}, fails=503),
    Act("reset_mid", {"break_step": 2, "stall": "2"}, waits=True, fails=503, begun=True),
    Act("closed_mid", {"break_step": 2, "break_by": "end"}, fails=503, begun=True),
    Act("left_first", {"stall": "0", "gap": 0.1}, leaves="first"),
    Act("left_mid", {"stall": "2", "gap": 0.1}, leaves="mid"),
    Act("retried", _RETRIED, headers=_RETRIES, routes=_CHAT),
    Act("fell_back", _FELL_BACK, routes=("fallback",)),
)
PLAIN = (
    Act("plain", stream=False),
    Act("plain_http429", {"status": 429, "retry_after": 7}, stream=False, fails=429),
    Act("plain_http500", {"status": 500}, stream=False, fails=500),
    Act("plain_error", {"error_step": 0}, stream=False, fails=429),
    Act("plain_reset", {"break_step": 0}, stream=False, fails=503),
    Act("plain_left", {"stall": "0"}, stream=False, leaves="first"),
    Act("plain_timed_out", {"delay": 8.0}, stream=False, headers=_TOTAL, routes=_TIMED, since=(1, 110)),
    Act("plain_retried", _RETRIED, stream=False, headers=_RETRIES, routes=_CHAT),
    Act("plain_fell_back", _FELL_BACK, stream=False, routes=("fallback",)),
)
# What is played for every kind of key.
_TELLING = ("whole", "plain", "mid429", "plain_http429", "left_mid")
_TELLING_ROUTES = ("chat", "messages_claude", "responses", "pass_anthropic", "embed")
# What is played on every route.
_WIDE = ("free", "everything")


@dataclass(frozen=True)
class Case:
    """One request: of a key of that kind, on that route."""

    route: Route
    act: Act
    kind: Kind

    @property
    def name(self) -> str:
        return f"{self.route}-{self.act}-{self.kind}"

    def exists(self, version: Version) -> bool:
        return version.at_least(*self.route.since) and version.at_least(*self.act.since)

    def __str__(self) -> str:
        return self.name


def _acts(route: Route) -> Iterator[Act]:
    for act in (*(STREAMED if route.streams else ()), *PLAIN):
        if not act.routes or route.name in act.routes:
            yield act


def _all() -> Iterator[Case]:
    for route in ROUTES.values():
        for act in _acts(route):
            for kind in KINDS.values():
                telling = route.name in _TELLING_ROUTES and act.name in _TELLING
                if kind.name in _WIDE or telling:
                    yield Case(route, act, kind)


CASES = tuple(_all())
