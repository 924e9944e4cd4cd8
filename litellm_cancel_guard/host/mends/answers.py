"""The provider's own status, words and Retry-After in an answer that is an error before any stream exists; no secrets.

Every route makes its answer of a `ProxyException`, after the failure hook (1.80 - 1.109, proxy/_types.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.mends.found import class_with
from litellm_cancel_guard.host.mends.headers import name_delay
from litellm_cancel_guard.redaction import for_client
from litellm_cancel_guard.terminal import sighting
from litellm_cancel_guard.terminal.events import openai_type
from litellm_cancel_guard.terminal.failure import FIRST_SERVER_ERROR, RATE_LIMITED, Failure
from litellm_cancel_guard.terminal.meanings import BROKEN_OFF
from litellm_cancel_guard.terminal.wording import UNREADABLE

if TYPE_CHECKING:
    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings
    from litellm_cancel_guard.terminal.sighting import Sighting


_SUCCESS = range(200, 300)
# A body that is nested deeper says nothing to anybody.
_DEEPEST = 16


def mend(_settings: Settings, touch: Touch) -> bool:
    """Mend the exception of which LiteLLM makes its answers."""
    answer = class_with("proxy._types", "ProxyException", "to_dict")
    if answer is None:
        return False

    def init(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        seen = sighting.current()
        if seen is not None:
            _redact(self)
            _say(self, seen)
            _tell_no_success(self)

    touch.replace(answer, "__init__", init)
    return True


def _redact(answer: Any) -> None:
    """Redact all that goes out of an answer, whoever's words they are: a plain request's error is LiteLLM's."""
    answer.message = for_client(answer.message)
    answer.param = _redacted(answer.param)
    answer.provider_specific_fields = _redacted(getattr(answer, "provider_specific_fields", None))


def _redacted(said: Any, depth: int = 0) -> Any:
    if isinstance(said, str):
        return for_client(said)
    if isinstance(said, dict):
        return {name: _redacted(value, depth + 1) for name, value in said.items()} if depth < _DEEPEST else {}
    if isinstance(said, list | tuple):
        return [_redacted(value, depth + 1) for value in said] if depth < _DEEPEST else []
    return said


def _say(answer: Any, seen: Sighting) -> None:
    failure = seen.answer
    if failure is None and str(answer.code) == str(RATE_LIMITED):
        name_delay(answer.headers, seen.retry_after)
    if failure is None or not _is_about(str(answer.code), failure, seen.told_as):
        return
    answer.message = failure.message
    if str(answer.code) != str(failure.status):
        answer.code, answer.type = str(failure.status), openai_type(failure)
    name_delay(answer.headers, seen.retry_after)


def _tell_no_success(answer: Any) -> None:
    """Have an error no status of a success: LiteLLM 1.83 has it where it could not read the body that came with one.

    Its words are LiteLLM's about its parser, with half of the answer in them.
    """
    if str(answer.code).isdigit() and int(answer.code) in _SUCCESS:
        failure = Failure(BROKEN_OFF, UNREADABLE)
        answer.code, answer.type, answer.message = str(failure.status), openai_type(failure), failure.message


def _is_about(code: str, failure: Failure, told_as: int) -> bool:
    """Tell whether an answer of that status is the one to the noted failure; LiteLLM has a 500 for many others."""
    if not code.isdigit():
        return False
    return int(code) in (failure.status, told_as) or min(int(code), failure.status) >= FIRST_SERVER_ERROR
