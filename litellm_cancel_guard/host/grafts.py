"""Every touch of the host, declared: what it is called, what stands or falls with it, what is lost without it."""

from __future__ import annotations

from litellm_cancel_guard.lease.graft import Graft

_SLOTS = "LiteLLM counts requests in flight alone: slots leak as without the guard"
_STREAMS = "a stream that fails there ends as LiteLLM ends it"

GRAFTS = (
    Graft("slots.seam", "slots", _SLOTS, ("F1", "F2", "F3", "F4", "F5", "F7", "F16")),
    Graft("slots.order", "slots", _SLOTS, ("F9",)),
    Graft("slots.releases", "slots", _SLOTS, ("F10",)),
    Graft("slots.decrements", "slots", _SLOTS, ("F6", "F15")),
    Graft(
        "slots.early_look",
        "early look",
        "LiteLLM refuses keys in its cache in its own words, retry-after: 60",
        ("F17",),
    ),
    Graft("slots.refusal", "refusal", "a refusal says retry-after: 60, as LiteLLM does", ("F8",)),
    Graft("slots.together", "together", "one round trip more for a key that has an rpm_limit, too", ("F13",)),
    Graft("tokens.gather", "tokens", "one round trip more for each request that ends", ("F6", "F15")),
    Graft(
        "tokens.reservations",
        "reservations",
        "tokens that a failed stream had reserved may come back twice",
    ),
    Graft("tokens.apart", "apart", "on a cluster behind one address LiteLLM renews the minute of each token it counts"),
    Graft("stream.enclosing", "enclosing", "guardrails read the error in which a failed stream ends", ("F14",)),
    Graft("stream.source", "stream.source", f"{_STREAMS}: one that says nothing may spin, a cut one looks whole"),
    Graft("stream.layers", "stream.layers", "each chunk of a stream passes a layer of LiteLLM's more, or two"),
    Graft("stream.wires", "stream.wires", f"{_STREAMS}: what only the provider's own words tell is not seen"),
    Graft("stream.behind", "stream.behind", "a whole answer whose provider keeps its connection open keeps its client"),
    Graft("stream.gemini", "stream.gemini", f"{_STREAMS}: Gemini's"),
    Graft("stream.bridge", "stream.bridge", f"{_STREAMS}: /v1/responses by chat"),
    Graft("stream.anthropic", "stream.anthropic", f"{_STREAMS}: Anthropic's"),
    Graft("stream.responses", "stream.responses", f"{_STREAMS}: /v1/responses"),
    Graft("stream.messages", "stream.messages", f"{_STREAMS}: /v1/messages by /v1/responses"),
    Graft("stream.redaction", "stream.redaction", "the guard's words pass its own redaction, but not LiteLLM's, too"),
    Graft("stream.headers", "stream.headers", "an error before the first content has no retry-after"),
    Graft("stream.answers", "stream.answers", "an error before the first content is in LiteLLM's words"),
    Graft("stream.destructor", "stream.destructor", "python/cpython#148891 can crash the worker, as without the guard"),
    Graft("stream.agents", "stream.agents", "an agent's stream that ends in a `final` of 0.3 alone is called cut"),
    Graft("stream.late", "stream.late", f"{_STREAMS}, where keep-alives had opened its answer"),
    Graft(
        "tasks.noting", "tasks.noting", "a request that LiteLLM serves in several tasks may give its slot back early"
    ),
    Graft("tasks.polled", "tasks.polled", "a polled answer holds its slot only until the client has its id"),
    Graft("tasks.pass_through", "tasks.pass_through", "the provider of an abandoned pass-through stream goes on"),
    Graft("server.last", "server.last", "slots held when the server ends lapse, up to a lease later"),
    Graft(
        "admin.routes",
        "admin.routes",
        "/cancel_guard/slots, /health, /release and /kill are not there",
    ),
)
