"""What an event of an agent's stream (A2A 0.3 and 1.0) says of the call's end: data, whoever has parsed it.

LiteLLM hands on objects of the a2a-sdk, whose `root` has the result, or dicts (1.109 - 1.110, a2a_protocol/main.py,
proxy/agent_endpoints/a2a_endpoints.py).
"""

from __future__ import annotations

from typing import Any

# The states in which a task stays (a2a-protocol.org, "Task Lifecycle"), and what ends a stream without a task.
_OVER = frozenset({"completed", "canceled", "cancelled", "failed", "rejected", "final", "message", "error"})
# Those in which it waits for its client, who asks anew; and that of which an agent says itself that it knows none:
# the SDK's own server ends its stream there (a2a-sdk 1.3, server/events/event_consumer.py).
_WAITS = frozenset({"input-required", "auth-required", "unknown", "unspecified"})
_PREFIX = "TASK_STATE_"
# The envelopes of 1.0, by the kinds of 0.3.
_ENVELOPES = {
    "task": "task",
    "message": "message",
    "statusUpdate": "status-update",
    "artifactUpdate": "artifact-update",
}
_KINDS = frozenset(_ENVELOPES.values())
# How a client asks for an answer that does not wait for the task's end (0.3, 1.0); it asks for that, or is told, later.
_LATER = ("pushNotificationConfig", "taskPushNotificationConfig")


def state_of(event: Any) -> str | None:
    """Return the state that *event* leaves its call in, in the words of 0.3; None where it says nothing of that.

    A `message` is a whole answer, an `error` ends a call, and `final` is said of a status whatever its state (0.3).
    """
    if _said(event, "error") is not None:
        return "error"
    result = _said(event, "result")
    if _kind_of(result) == "message":
        return "message"
    is_bare = _field(result, "status") is not None
    update = result if is_bare else _field(result, "statusUpdate") or _field(result, "task")
    if _field(update, "final") is True:
        return "final"
    state = _field(_field(update, "status"), "state")
    state = getattr(state, "value", state)
    return state.removeprefix(_PREFIX).lower().replace("_", "-") if isinstance(state, str) else None


def is_understood(event: Any) -> bool:
    """Tell whether *event* is one of a JSON-RPC call, of a kind that is known."""
    return _said(event, "error") is not None or _kind_of(_said(event, "result")) is not None


def is_task(event: Any) -> bool:
    """Tell whether *event* is a task itself, and no news of one."""
    return _kind_of(_said(event, "result")) == "task"


def goes_on_behind(params: Any) -> bool:
    """Tell whether a call of these *params* is answered while its task still works, because its client asked for that.

    `configuration` has `blocking: false` (0.3), `returnImmediately` (1.0) or says where to send the news.
    """
    asked = _field(params, "configuration")
    if _field(asked, "blocking") is False or _field(asked, "returnImmediately") is True:
        return True
    return any(_field(asked, name) is not None for name in _LATER)


def _kind_of(result: Any) -> str | None:
    """Return the kind of a call's *result*; servers of 0.2 and before leave the word out (a2a-sdk 1.3, the same)."""
    kind = _field(result, "kind")
    if kind is not None:
        return kind if isinstance(kind, str) and kind in _KINDS else None
    for envelope, inside in _ENVELOPES.items():
        if _field(result, envelope) is not None:
            return inside
    if _field(result, "messageId") is not None:
        return "message"
    if _field(result, "artifact") is not None:
        return "artifact-update"
    if _field(result, "status") is not None:
        return "task" if _field(result, "id") is not None else "status-update"
    return None


def call_of(event: Any) -> Any:
    """Return the id of the call that *event* belongs to."""
    return _said(event, "id")


def may_end(state: str) -> bool:
    """Tell whether a stream may end when its call is in *state*."""
    return state in _OVER or state in _WAITS


def last_agent_event(event: Any) -> bool:
    """Tell whether *event* ends its stream."""
    return state_of(event) in _OVER


def _said(event: Any, name: str) -> Any:
    return _field(getattr(event, "root", event), name)


def _field(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
