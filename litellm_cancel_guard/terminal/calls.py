"""What really failed where an agent was called (A2A): the a2a-sdk keeps status, words and code in different places."""

from __future__ import annotations

import re
from dataclasses import replace

from litellm_cancel_guard.terminal import wording
from litellm_cancel_guard.terminal.failure import Failure, chain_of, failure_in, failure_of
from litellm_cancel_guard.terminal.meanings import BROKEN_OFF

# a2a-sdk 1.3, utils/errors.py: its client makes a class of the agent's code, and LiteLLM answers -32603 to whatever was
# raised. The status is the one that the SDK's own server gives it over HTTP; an internal one has none of its own.
_CODES = {
    "TaskNotFoundError": (-32001, 404),
    "TaskNotCancelableError": (-32002, 400),
    "PushNotificationNotSupportedError": (-32003, 400),
    "UnsupportedOperationError": (-32004, 400),
    "ContentTypeNotSupportedError": (-32005, 400),
    "InvalidAgentResponseError": (-32006, None),
    "ExtendedAgentCardNotConfiguredError": (-32007, 400),
    "ExtensionSupportRequiredError": (-32008, 400),
    "VersionNotSupportedError": (-32009, 400),
    "InvalidRequestError": (-32600, 400),
    "MethodNotFoundError": (-32601, 404),
    "InvalidParamsError": (-32602, 400),
    "InternalError": (-32603, None),
    "JSONParseError": (-32700, 400),
}
_STATUSES = dict(_CODES.values())
# Of a code that it does not know, the client for 1.0 makes words alone, and that for 0.3 the agent's words.
_OTHER = "A2AClientError"
_NUMBERED = re.compile(r"^JSON-RPC Error (-?\d{1,9}): ")
# What LiteLLM says when its second attempt has failed as the first (1.109 - 1.110, a2a_protocol/main.py).
_UNANSWERED = re.compile(r"^A2A send_message\w* failed: no response received")
_HTTP = re.compile(r"^(?:litellm\.\w+: )?HTTP Error:? \d{3}\b")


def failure_of_call(error: BaseException) -> Failure:
    """Return what *error*, which has ended the stream of an agent, says about its failure."""
    chain = list(chain_of(error))
    if any(_UNANSWERED.match(wording.text_of(link)) for link in chain):
        return Failure(BROKEN_OFF, wording.UNANSWERED)
    over_http = any(_HTTP.match(wording.text_of(link)) for link in chain)
    answered = next((found for link in chain if (found := _answered(link)) is not None), None)
    if answered is not None and over_http:
        return replace(answered, status=failure_of(error).status)
    if answered is not None and answered.call_code is not None:
        return answered
    said = next((found for link in chain if (found := _said(link)) is not None), None)
    if said is not None:
        return said
    failure = failure_of(error)
    return replace(failure, message=wording.default_message(failure.status)) if over_http else failure


def _said(link: BaseException) -> Failure | None:
    """Return what an agent has answered by a JSON-RPC error, where *link* is what the SDK has made of that."""
    text, name = wording.text_of(link), type(link).__name__
    if name not in _CODES and not (name == _OTHER and link.__cause__ is None):
        return None
    code, status = _CODES.get(name, (None, None))
    numbered = _NUMBERED.match(text)
    if name == _OTHER and numbered is not None:
        code, text = int(numbered[1]), text[numbered.end() :]
    found = failure_in({"error": {"message": text}})
    # Of what an agent's words say no status is made: a sales quota is none of a provider's.
    return None if found is None else replace(found, call_code=code, status=status or BROKEN_OFF)


def _answered(link: BaseException) -> Failure | None:
    """Return the JSON-RPC error in an answer's body, or in what the SDK says of an event; it names neither itself."""
    for text in (_body(link), wording.text_of(link)):
        body = wording.embedded_json(text)
        found = failure_in(body)
        if found is not None:
            code = body["error"].get("code") if isinstance(body, dict) and isinstance(body.get("error"), dict) else None
            number = code if type(code) is int and code < 0 else None
            return replace(found, call_code=number, status=_STATUSES.get(number or 0) or BROKEN_OFF)
    return None


def _body(link: BaseException) -> str:
    try:
        text = getattr(link, "response").text  # noqa: B009 - it is a property, and raises where it was not read
    except Exception:
        return ""
    return text[: wording.MOST_READ] if isinstance(text, str) else ""
