"""How a script is sent: by its SHA, or as a text where the server will have it so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.gauge.nodes import ask, ask_all, node_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from litellm_cancel_guard.gauge.layout import Call

    Command = tuple[str | int | float, ...]


async def pipelined(client: Any, calls: Sequence[Call], beside: Command | None, *, by_sha: bool) -> list[Any]:
    """Return the answers of *calls*, errors among them; that of *beside* is nobody's concern."""
    commands = [command_of(call, by_sha=by_sha) for call in calls]
    keys = [call.keys[0] for call in calls]
    answers = await ask_all(client, keys, [*commands, *([] if beside is None else [beside])])
    return answers[: len(calls)]


async def whole(client: Any, call: Call, ask: Callable[..., Awaitable[Any]] = ask) -> Any:
    """Return the answer to *call*, sent as its text; loaded first where a user may run scripts by their SHA alone."""
    try:
        return await ask(client, call.keys[0], *command_of(call, by_sha=False))
    except Exception as refusal:
        if not _is_forbidden(refusal):
            raise
    await ask(client, call.keys[0], *_loading(call))
    return await ask(client, call.keys[0], *command_of(call, by_sha=True))


async def whole_pipelined(client: Any, calls: Sequence[Call]) -> list[Any]:
    """Return the answers of *calls*, errors among them, each sent as `whole` does."""
    answers = await pipelined(client, calls, None, by_sha=False)
    forbidden = [place for place, answer in enumerate(answers) if _is_forbidden(answer)]
    if not forbidden:
        return answers
    again = [calls[place] for place in forbidden]
    # By its name: of a node itself redis 5 and 6 make no key of a dict, and no renewal would ever come through.
    loaded = {(call.script.sha, getattr(node_of(client, call.keys[0]), "name", None)): call for call in again}
    for call in loaded.values():
        await ask(client, call.keys[0], *_loading(call))
    for place, answer in zip(forbidden, await pipelined(client, again, None, by_sha=True), strict=True):
        answers[place] = answer
    return answers


def _loading(call: Call) -> Command:
    return ("SCRIPT LOAD", call.script.text)


def _is_forbidden(answer: object) -> bool:
    from redis.exceptions import NoPermissionError

    return isinstance(answer, NoPermissionError)


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
