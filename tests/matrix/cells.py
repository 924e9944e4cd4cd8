"""Which endings a route can have, as data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.exits.session_endings import SESSION_ENDINGS
from tests.harness.routes import SOCKETS
from tests.harness.versions import VERSIONS

if TYPE_CHECKING:
    from tests.harness.versions import Version

# What LiteLLM alone leaves behind, where it is not balanced; written by tests.matrix.table.
BARE = Path(__file__).with_name("bare.json")
# What is not balanced with the guard, of the versions of which each cell has been played with it; written there, too.
GUARDED = Path(__file__).with_name("guarded.json")

CHAT = ("chat", "chat_claude", "chat_gem", "text")
AGENT = ("messages", "messages_claude", "responses", "genai")
PASS = ("pass_anthropic", "pass_gemini", "pass_custom")
STREAMING = (*CHAT, *AGENT, *PASS)
TOOLS = ("mcp", "mcp_rest")
SESSIONS = tuple(SOCKETS)

STREAM_ENDINGS = (
    "complete",
    "cancel_mid",
    "cancel_before_first",
    "mid429",
    "midreset",
    "reset_before_first",
    "http429",
    "http500",
)
PLAIN_ENDINGS = ("plain", "nonstream_cancel", "http429_plain", "http500_plain")
PROXY_ENDINGS = ("refused", "guardrail_before", "guardrail_after", "guardrail_fault", "cancelled_in_redis")
GUARDRAIL_ENDINGS = ("guardrail_during", "guardrail_answer", "guardrail_stream")
TRANSLATED_ENDINGS = ("timeout", "guardrail_during", "guardrail_answer")


@dataclass(frozen=True, order=True)
class Cell:
    """One route with one ending, on the usual proxy or on one that cancels the provider's call for a client."""

    route: str
    ending: str
    cancelling: bool = False

    @classmethod
    def named(cls, name: str) -> Cell:
        """The cell whose name that is."""
        route, ending, *cancelling = name.split("-")
        return cls(route, ending, bool(cancelling))

    def __str__(self) -> str:
        return f"{self.route}-{self.ending}{'-cancelling' if self.cancelling else ''}"


@dataclass(frozen=True)
class Gap:
    """Cells that some versions do not have, and why; without routes or endings it is about all of them."""

    why: str
    routes: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    before: tuple[int, ...] = ()
    since: tuple[int, ...] = ()
    cancelling: bool = False

    def holds(self, cell: Cell, version: Version) -> bool:
        """Whether that version does not have that cell for this reason."""
        concerned = (
            (cell.cancelling or not self.cancelling)
            and (not self.routes or cell.route in self.routes)
            and (not self.endings or cell.ending in self.endings)
        )
        return concerned and (not version.at_least(*self.before) if self.before else version.at_least(*self.since))


GAPS = (
    Gap("`cancel_on_disconnect` came with 1.90.", before=(1, 90), cancelling=True),
    Gap(
        "Up to 1.83 LiteLLM calls no hook on `genai`: it limits nothing there, asks no guardrail, and gives back slots "
        "that it never took. The guard holds none for it either, and keeps others' from being given back.",
        ("genai",),
        (*PROXY_ENDINGS, *GUARDRAIL_ENDINGS),
        before=(1, 84),
    ),
    Gap("`chat_gem` heeds `x-litellm-timeout` from 1.104 on.", ("chat_gem",), ("timeout",), before=(1, 104)),
    Gap("`messages_claude` heeds it from 1.94 on.", ("messages_claude",), ("timeout",), before=(1, 94)),
    Gap(
        "`/mcp` of 1.80 answers only the first call of a proxy, guarded or not; its tools were called by `mcp_rest`.",
        ("mcp",),
        before=(1, 83),
    ),
    Gap("1.80 has no WebSocket at `/v1/responses`.", ("responses_ws",), before=(1, 83)),
    Gap(
        "1.109 asks guardrails about the messages of a session at `/v1/responses`, no longer about its opening.",
        ("responses_ws",),
        ("guardrail_before",),
        since=(1, 109),
    ),
)

# What no version can do, so that there is no cell for it.
NEVER = (
    "guardrails during and after the answer, and `x-litellm-timeout`, on pass-through routes, tool calls and sessions.",
    "a client that leaves a session at `/v1/responses` before it has asked for anything.",
    "a cached answer to `messages`, `genai`, `embed`, tool calls or sessions.",
)


def _all() -> list[Cell]:
    cells = [Cell(route, ending) for route in STREAMING for ending in (*STREAM_ENDINGS, *PLAIN_ENDINGS, *PROXY_ENDINGS)]
    cells += [Cell(route, ending) for route in (*CHAT, *AGENT) for ending in TRANSLATED_ENDINGS]
    cells += [Cell(route, "guardrail_stream") for route in (*CHAT, *AGENT)]
    cells += [Cell("embed", ending) for ending in (*PLAIN_ENDINGS, *PROXY_ENDINGS, *TRANSLATED_ENDINGS)]
    cells += [Cell(route, "cached") for route in (*CHAT, "responses")]
    cells += [Cell("fallback", "fell_back")]
    tools = (*PLAIN_ENDINGS, "tool_error", "reset_plain", *PROXY_ENDINGS)
    cells += [Cell(route, ending) for route in TOOLS for ending in tools]
    cells += [Cell("responses_tools", ending) for ending in ("tool_called", "tool_failed")]
    sessions = [Cell(route, ending) for route in SESSIONS for ending in SESSION_ENDINGS]
    # Nothing tells its client that such a session has begun: it may begin after the client has left.
    cells += [cell for cell in sessions if cell != Cell("responses_ws", "goodbye_idle")]
    gone = ("nonstream_cancel", "cancel_before_first", "cancel_mid")
    cells += [Cell(route, ending, cancelling=True) for route in STREAMING for ending in gone]
    return cells


def exists(cell: Cell, version: Version) -> bool:
    """Whether the version can end that request that way."""
    return not any(gap.holds(cell, version) for gap in GAPS)


ALL = _all()

_SHORT = (*((route, ending) for route in STREAMING for ending in ("complete", "cancel_mid", "mid429", "http429")),)
_SHORT += tuple((route, "refused") for route in (*CHAT, *AGENT, "embed"))
_SHORT += tuple((route, "plain") for route in (*AGENT, "pass_custom", "embed", *TOOLS))
_SHORT += tuple((route, ending) for route in SESSIONS for ending in ("complete", "cancel_mid"))
_SHORT += (("responses_tools", "tool_called"), ("fallback", "fell_back"), ("chat", "cancelled_in_redis"))
SHORT = frozenset(Cell(route, ending) for route, ending in _SHORT)
"""A few minutes of it: each route, and each way that a slot comes back by."""
assert set(ALL) >= SHORT


def streamed(cell: Cell, version: Version) -> bool:
    """Whether it is about a stream for which a slot is held."""
    return cell.route in STREAMING and cell.ending in STREAM_ENDINGS and (cell.route != "genai" or version.hooks_genai)


def differing(cell: Cell, version: Version) -> bool:
    """Whether LiteLLM alone leaves something else there than it does in the next older or newer version.

    How much is left of what leaks depends on timing; whether anything is does not.
    """
    at = VERSIONS.index(version)
    neighbours = VERSIONS[max(0, at - 1) : at + 2]
    return len({_kind(cell, one) for one in neighbours if exists(cell, one)}) > 1


def _kind(cell: Cell, version: Version) -> str:
    return _bare().get(version.number, {}).get(str(cell), ".")[:1]


@cache
def _bare() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(BARE.read_text())
    return found
