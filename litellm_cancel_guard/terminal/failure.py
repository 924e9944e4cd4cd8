"""What really failed: status, message and retry delay of a provider's failure, found behind LiteLLM's own wrapping.

LiteLLM hands a failure on wrapped, mapped and renamed: a 429 may arrive as a `MidStreamFallbackError` of 500 or 503
(#22218), as an `AttributeError` raised while it was handled (1.90), or as text only (OpenAI's in-band errors, 1.109).
The real one is somewhere along `original_exception`, `__cause__` and `__context__`, or said by a word in its body.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.terminal import meanings, transport, wording
from litellm_cancel_guard.terminal.meanings import BROKEN_OFF

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RATE_LIMITED = 429
OVERLOADED = 529
GATEWAY_TIMEOUT = 504

# Longer than any chain seen (4 exceptions, 1.83 - 1.106); a cyclic one ends by itself.
_CHAIN_LIMIT = 64
FIRST_SERVER_ERROR = 500
# A LiteLLM behind this one hands its own provider's header on under another name (1.80 - 1.110, litellm/utils.py
# `get_response_headers`).
_DELAYS = ("retry-after", "llm_provider-retry-after")


@dataclass(frozen=True)
class Failure:
    """A failure as a client may see it.

    Attributes:
        status: the HTTP status it has, or would have had before the stream began.
        message: the provider's words, without LiteLLM's internal names, tracebacks and server paths.
        retry_after: seconds after which the provider wants to be asked again; None where it did not say.
        code: the provider's own word for it, if clients of the Responses API decide by that whether to try again.
        final: whether the client is asked not to try again.
        call_code: the number of a JSON-RPC error, where an agent has given one.
    """

    status: int
    message: str
    retry_after: float | None = None
    code: str | None = None
    final: bool = False
    call_code: int | None = None


class ProviderStreamError(Exception):
    """A failure that LiteLLM did not raise: it was swallowed, or came as an event of its own. Carries the failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.status_code = failure.status
        self.message = failure.message


def note_on(error: Exception, failure: Failure) -> None:
    """Note on *error*, which ends a stream, what that stream had reported: LiteLLM may have made a 500 of it."""
    with suppress(Exception):
        error.guard_failure = failure  # type: ignore[attr-defined]


def failure_of(error: BaseException) -> Failure:
    """Return what *error* says about the provider's failure. Never raises, whatever the exception is like.

    LiteLLM 1.83 - 1.109: litellm_core_utils/streaming_handler.py `_handle_stream_fallback_error`, router.py.
    """
    chain = list(chain_of(error))
    noted = _first_noted(chain)
    if isinstance(noted, ProviderStreamError):
        return noted.failure
    told = _told(chain)
    if noted is not None and told.status not in (RATE_LIMITED, OVERLOADED):
        return noted
    if noted is not None and noted.status == told.status:
        return replace(told, code=told.code or noted.code)
    return told


def is_of_a_connection(error: BaseException) -> bool:
    """Tell whether a connection's own end, or its failure to begin, is all that *error* tells of."""
    return any(map(transport.is_of_a_client, chain_of(error))) and failure_of(error).message in wording.CONNECTIONS


def _first_noted(chain: list[BaseException]) -> ProviderStreamError | Failure | None:
    return next((found for link in chain if (found := _noted(link)) is not None), None)


def _noted(link: BaseException) -> ProviderStreamError | Failure | None:
    if isinstance(link, ProviderStreamError):
        return link
    noted = _attribute(link, "guard_failure")
    return noted if isinstance(noted, Failure) else None


def _told(chain: list[BaseException]) -> Failure:
    said = [_attribute(link, "body") for link in chain]
    texts = [wording.text_of(link) for link in chain]
    unread = next((found for text in texts if (found := failure_in(wording.unread_event(text)))), None)
    if unread is not None:
        return unread
    status = _status(chain, said, texts)
    bodies = [_inner(body) for body in said if isinstance(body, dict)]
    # LiteLLM keeps no body of what it asks by itself, on /v1/responses (1.83 - 1.110): it stands in the words alone.
    bodies += [_inner(body) for text in texts for body in _dicts(wording.embedded_json(text))]
    code = next((code for body in bodies if (code := _code(body))), None)
    return Failure(status, _message(chain, said, texts, status), _retry_after(chain, texts), code)


def _dicts(body: Any) -> list[dict[str, Any]]:
    return [one for one in (body if isinstance(body, list) else [body]) if isinstance(one, dict)]


def failure_in(event: Any) -> Failure | None:
    """Return the failure that a parsed event or body of a provider reports, in any of the protocols; else None."""
    if isinstance(event, list):
        return next((found for item in event if (found := failure_in(item)) is not None), None)
    error = _error_object(event) if isinstance(event, dict) else None
    if error is None:
        return None
    text = json.dumps(error, default=str)
    said = error.get("message")
    message = said if isinstance(said, str) else ""
    status = _status_of_body(error) or wording.status_in(text) or meanings.status_said(message) or BROKEN_OFF
    return Failure(status, wording.cleaned(message, status), wording.delay_in(text), _code(error))


def failure_in_text(text: str) -> Failure:
    """Return the failure of a stream that ended in *text* no parser understood: 429 where it says so."""
    found = failure_in(wording.embedded_json(text))
    if found is not None:
        return found
    status = wording.status_in(text) or (RATE_LIMITED if wording.is_rate_limit_page(text) else None)
    if status is None:
        return cut_off()
    return Failure(status, wording.default_message(status), wording.delay_in(text))


def cut_off() -> Failure:
    """Return the failure of a stream that ended without its end."""
    return Failure(BROKEN_OFF, wording.CUT_OFF)


def before_anything(failure: Failure) -> Failure:
    """Return *failure* as it is told where nothing had begun that could have ended."""
    return replace(failure, message=wording.UNANSWERED) if failure.message == wording.CUT_OFF else failure


def is_a_providers(error: Exception) -> bool:
    """Tell whether a provider has failed: as LiteLLM maps it, or as its client raised it (`/v1/messages`, 1.80)."""
    raised = any(kind.__name__ == "BaseLLMException" for kind in type(error).__mro__)
    return raised or bool(getattr(error, "llm_provider", None))


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and all behind it, the outermost first, each once: causes may be cyclic."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting and len(seen) < _CHAIN_LIMIT:
        link = waiting.pop(0)
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [_attribute(link, "original_exception"), link.__cause__, link.__context__]


def _attribute(holder: Any, name: str) -> Any:
    """Return an attribute whose property may itself raise (httpx: `response` of an error without one)."""
    try:
        return getattr(holder, name, None)
    except Exception:
        return None


def _code(error: Mapping[str, Any]) -> str | None:
    return wording.responses_code(error.get("code"), error.get("type"))


def _status(chain: list[BaseException], said: list[Any], texts: list[str]) -> int:
    """Decide between what the links of a chain say: the provider's own word, then the most precise number."""
    bodies = [status for body in said if isinstance(body, dict) and (status := _status_of_body(_inner(body)))]
    words = [status for link in chain for name in ("code", "type") if (status := _word(link, name))]
    numbers = [number for link in chain if (number := _numeric(link)) is not None]
    pressing = [status for status in (*bodies, *words, *numbers) if status in (RATE_LIMITED, OVERLOADED)]
    if pressing:
        return pressing[-1]
    if any("Timeout" in name for link in chain for name in transport.class_names(link)):
        return GATEWAY_TIMEOUT
    refused = [status for status in (*bodies, *words, *numbers) if status < FIRST_SERVER_ERROR]
    in_text = [status for text in texts if (status := wording.status_in(text)) is not None]
    cut = [BROKEN_OFF] if any(map(transport.is_of_a_connection, chain)) else []
    found = next(iter((*refused[-1:], *in_text, *bodies, *cut, *words, *numbers[-1:], FIRST_SERVER_ERROR)))
    return BROKEN_OFF if found == FIRST_SERVER_ERROR and any(map(transport.says, texts)) else found


def _numeric(link: BaseException) -> int | None:
    # aiohttp gives a body that was cut off the code of a bad request: its own, not the provider's.
    if transport.is_of_a_connection(link):
        return None
    response = _attribute(link, "response")
    said = (_attribute(link, "status_code"), _attribute(response, "status_code"), _attribute(link, "code"))
    return next((number for value in said if (number := meanings.number_of(value)) is not None), None)


def _word(link: BaseException, name: str) -> int | None:
    value = _attribute(link, name)
    return meanings.WORDS.get(value.lower()) if isinstance(value, str) else None


def _inner(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return _error_object(body) or body


def _status_of_body(error: Mapping[str, Any]) -> int | None:
    values = [error.get(name) for name in ("code", "status", "type", "status_code")]
    numbers = [number for value in values if (number := meanings.number_of(value)) is not None]
    words = [status for value in values if (status := meanings.meant_by(value)) is not None]
    pressing = [status for status in (*numbers, *words) if status in (RATE_LIMITED, OVERLOADED)]
    return next(iter((*pressing, *numbers, *words)), None)


def _error_object(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the error of an event: OpenAI's, Google's and Anthropic's `error`, Responses' own two shapes, or itself."""
    response = event.get("response")
    if event.get("type") == "response.failed" and isinstance(response, dict):
        inner = response.get("error")
        return inner if isinstance(inner, dict) else {"code": "server_error"}
    error = event.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str) and error:
        return {**event, "message": error}
    return dict(event) if event.get("type") == "error" or _is_flat(event) else None


def _is_flat(event: Mapping[str, Any]) -> bool:
    """Tell whether *event* is an error without an envelope: llama.cpp on `/v1/messages`, older vLLM and SGLang."""
    return isinstance(event.get("message"), str) and meanings.number_of(event.get("code")) is not None


def _message(chain: list[BaseException], said: list[Any], texts: list[str], status: int) -> str:
    """Choose the provider's own words: from a body first, then from the innermost exception that has a status."""
    for body in reversed(said):
        if isinstance(body, dict) and isinstance(message := _inner(body).get("message"), str) and message:
            return wording.cleaned(message, status)
    for text in reversed(texts):
        error = wording.embedded_json(text)
        found = failure_in(error)
        if found is not None and found.message != wording.default_message(found.status):
            return found.message
    # An IndexError of LiteLLM's says nothing to a client, and its text is about LiteLLM's insides.
    told = [text for link, text in zip(chain, texts, strict=True) if _numeric(link) is not None]
    told_by_text = {transport.says(text) for text in texts}
    if status in (BROKEN_OFF, GATEWAY_TIMEOUT) and (transport.was_never_made(chain) or "never made" in told_by_text):
        return wording.UNREACHABLE
    if status == BROKEN_OFF and (any(map(transport.is_of_a_connection, chain)) or "broken" in told_by_text):
        return wording.CUT_OFF
    return wording.cleaned(told[-1] if told else "", status)


def _retry_after(chain: list[BaseException], texts: list[str]) -> float | None:
    for link in chain:
        response = _attribute(link, "response")
        for headers in (_attribute(link, "litellm_response_headers"), _attribute(response, "headers")):
            for name in _DELAYS:
                if (delay := wording.seconds(_header(headers, name))) is not None:
                    return delay
        delay = wording.seconds(_attribute(link, "retry_after"))
        if delay is not None:
            return delay
    return next((delay for text in texts if (delay := wording.delay_in(text)) is not None), None)


def _header(headers: Any, name: str) -> Any:
    try:
        return headers.get(name) if headers is not None else None
    except Exception:
        return None
