"""What an event of an agent's stream (A2A 0.3 and 1.0) says of the call's end: data, whoever has parsed it.

LiteLLM hands on objects of the a2a-sdk, whose `root` has the result, or dicts (1.109 - 1.110, a2a_protocol/main.py,
proxy/agent_endpoints/a2a_endpoints.py).
"""

from __future__ import annotations

from typing import Any

# The states in which a task stays (a2a-protocol.org, "Task Lifecycle"), and what ends a stream without a task.
_OVER = frozenset({"completed", "canceled", "cancelled", "failed", "rejected", "final", "message", "error"})
# Those in which it waits for its client, who asks anew.
_WAITS = frozenset({"input-required", "auth-required"})
_PREFIX = "TASK_STATE_"


def state_of(event: Any) -> str | None:
    """Return the state that *event* leaves its call in, in the words of 0.3; None where it says nothing of that.

    A `message` is a whole answer, an `error` ends a call, and `final` is said of a status whatever its state (0.3).
    """
    holder = getattr(event, "root", event)
    if _field(holder, "error") is not None:
        return "error"
    result = _field(holder, "result")
    kind = _field(result, "kind")
    if kind == "message" or (kind is None and _field(result, "message") is not None):
        return "message"
    update = result if kind in ("task", "status-update") else _field(result, "statusUpdate") or _field(result, "task")
    if _field(update, "final") is True:
        return "final"
    state = _field(_field(update, "status"), "state")
    state = getattr(state, "value", state)
    return state.removeprefix(_PREFIX).lower().replace("_", "-") if isinstance(state, str) else None


def is_understood(event: Any) -> bool:
    """Tell whether *event* is one of a JSON-RPC call."""
    holder = getattr(event, "root", event)
    return _field(holder, "error") is not None or _field(holder, "result") is not None


def call_of(event: Any) -> Any:
    """Return the id of the call that *event* belongs to."""
    return _field(getattr(event, "root", event), "id")


def may_end(state: str) -> bool:
    """Tell whether a stream may end when its call is in *state*."""
    return state in _OVER or state in _WAITS


def last_agent_event(event: Any) -> bool:
    """Tell whether *event* ends its stream."""
    return state_of(event) in _OVER


def _field(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
