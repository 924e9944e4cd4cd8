"""What an agent's client (a2a-sdk) raises, and the failure that it means."""

from __future__ import annotations

import json

import httpx
import pytest

from litellm_cancel_guard.terminal.calls import failure_of_call

NOT_FOUND = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": "no such task"}}


class InternalError(Exception):
    """As the SDK names it: what is -32603 to the agent."""


class TaskNotFoundError(Exception):
    """As the SDK names it: what is -32001 to the agent."""


class A2AClientError(Exception):
    """As the SDK names what it has no class for."""


class RateLimitError(Exception):
    """As LiteLLM names a provider's."""

    status_code = 429


def refused(status: int, body: object) -> Exception:
    request = httpx.Request("POST", "http://agent")
    response = httpx.Response(status, text=json.dumps(body), request=request)
    error = A2AClientError(f"HTTP Error {status}: refused")
    error.__cause__ = httpx.HTTPStatusError("refused", request=request, response=response)
    return error


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (TaskNotFoundError("no such task"), 404, -32001, "no such task"),
        (A2AClientError("JSON-RPC Error -32050: no seat"), 503, -32050, "no seat"),
        (InternalError("No sales quota for region EMEA"), 503, -32603, "No sales quota for region EMEA"),
        (InternalError("Warehouse capacity exceeded"), 503, -32603, "Warehouse capacity exceeded"),
        # Of a model behind LiteLLM's own bridge.
        (
            RateLimitError('OpenAIException - {"error": {"message": "slow down", "code": "busy"}}'),
            429,
            None,
            "slow down",
        ),
        (refused(404, NOT_FOUND), 404, -32001, "no such task"),
        (refused(429, {"error": {"message": "slow down", "code": "busy"}}), 429, None, "slow down"),
        (
            A2AClientError(f"SSE stream error event received: {json.dumps(NOT_FOUND)}"),
            404,
            -32001,
            "no such task",
        ),
    ],
)
def test_its_code_and_its_words_are_the_agents_and_of_its_subject_no_status_is_made(
    error: Exception, status: int, code: int | None, message: str
) -> None:
    found = failure_of_call(error)

    assert (found.status, found.call_code, found.message) == (status, code, message)
