"""Which endings a route can have, as data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.exits.session_endings import SESSION_ENDINGS
from tests.harness.routes import ROUTES, SOCKETS
from tests.harness.versions import VERSIONS

if TYPE_CHECKING:
    from tests.harness.versions import Version

# What LiteLLM alone leaves behind, where it is not balanced; written by tests.matrix.table.
BARE = Path(__file__).with_name("bare.json")

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
# LiteLLM asks these only on the routes that it translates.
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


# Before, LiteLLM does not heed x-litellm-timeout on the route.
_SINCE = {Cell("chat_gem", "timeout"): (1, 104), Cell("messages_claude", "timeout"): (1, 94)}


def _all() -> list[Cell]:
    cells = [Cell(route, ending) for route in STREAMING for ending in (*STREAM_ENDINGS, *PLAIN_ENDINGS, *PROXY_ENDINGS)]
    cells += [Cell(route, ending) for route in (*CHAT, *AGENT) for ending in TRANSLATED_ENDINGS]
    cells += [Cell(route, "guardrail_stream") for route in (*CHAT, *AGENT)]
    cells += [Cell("embed", ending) for ending in (*PLAIN_ENDINGS, *PROXY_ENDINGS, *TRANSLATED_ENDINGS)]
    # Not embeddings: LiteLLM does not answer them from a cache that a request opts in to.
    cells += [Cell(route, "cached") for route in (*CHAT, "responses")]
    cells += [Cell("fallback", "fell_back")]
    tools = (*PLAIN_ENDINGS, "tool_error", "reset_plain", *PROXY_ENDINGS)
    cells += [Cell(route, ending) for route in TOOLS for ending in tools]
    cells += [Cell("responses_tools", ending) for ending in ("tool_called", "tool_failed")]
    cells += [Cell(route, ending) for route in SESSIONS for ending in SESSION_ENDINGS]
    gone = ("nonstream_cancel", "cancel_before_first", "cancel_mid")
    cells += [Cell(route, ending, cancelling=True) for route in STREAMING for ending in gone]
    return cells


def exists(cell: Cell, version: Version) -> bool:
    """Whether the version can end that request that way."""
    if cell.cancelling:
        return version.at_least(1, 90)
    # Up to 1.83 the native Gemini route goes straight to the router: no hook is called and nothing is counted.
    if cell.route == "genai" and cell.ending in (*PROXY_ENDINGS, *GUARDRAIL_ENDINGS):
        return version.at_least(1, 84)
    route = SOCKETS.get(cell.route) or ROUTES[cell.route]
    return version.at_least(*route.since) and version.at_least(*_SINCE.get(cell, (0,)))


ALL = _all()


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
