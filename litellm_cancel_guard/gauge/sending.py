"""How a script is sent: by its SHA, or as a text where the server will have it so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.gauge.nodes import ask_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litellm_cancel_guard.gauge.layout import Call

    Command = tuple[str | int | float, ...]


async def pipelined(client: Any, calls: Sequence[Call], beside: Command | None, *, by_sha: bool) -> list[Any]:
    """Return the answers of *calls*, errors among them; that of *beside* is nobody's concern."""
    commands = [command_of(call, by_sha=by_sha) for call in calls]
    keys = [call.keys[0] for call in calls]
    answers = await ask_all(client, keys, [*commands, *([] if beside is None else [beside])])
    return answers[: len(calls)]


def command_of(call: Call, *, by_sha: bool) -> Command:
    """Return the command that runs *call*, by the SHA of its script or by its text."""
    name, script = ("EVALSHA", call.script.sha) if by_sha else ("EVAL", call.script.text)
    return (name, script, len(call.keys), *call.keys, *call.args)


def is_unknown_script(answer: object) -> bool:
    """Tell whether the server only does not know the script yet."""
    from redis.exceptions import NoScriptError

    return isinstance(answer, NoScriptError)


def is_refusal(answer: object) -> bool:
    """Tell whether the server has answered, with an error."""
    from redis.exceptions import ResponseError

    return isinstance(answer, ResponseError)


def wants_text(answer: object) -> bool:
    """Tell whether the server would rather have the text of a script than its SHA."""
    if not isinstance(answer, Exception):
        return False
    from redis.exceptions import NoPermissionError, NoScriptError

    return isinstance(answer, (NoScriptError, NoPermissionError)) or "unknown command" in str(answer).lower()


def what_of(exc: BaseException) -> str:
    """Return what *exc* is and says, at the end: a pipeline's error begins with the command, perhaps a whole script."""
    return f"{type(exc).__name__}: {str(exc)[-200:]}"


def text_of(value: bytes | str) -> str:
    """Return what Redis answered, whichever way its client decodes."""
    return value.decode() if isinstance(value, bytes) else value
