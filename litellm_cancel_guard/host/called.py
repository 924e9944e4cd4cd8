"""One call of the host's that a replacement answers: the original, and what its caller is to see of what went wrong."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Replacing(Protocol):
    """Whose replacements they are: whether those do anything, and who is told of a fault of theirs."""

    in_force: bool

    def met(self, error: BaseException) -> None: ...  # noqa: D102


class Meant(Exception):  # noqa: N818 - it carries an answer
    """Carries what a replacement means its caller to see; any other exception of its own is a fault.

    A cause that it is raised from becomes that of what it carries.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class Call:
    """The original, and what became of its call; a replacement is given it.

    Args:
        original: what is called, awaited by `AwaitedCall`.
    """

    __slots__ = ("gave", "original", "raised", "ran")

    def __init__(self, original: Callable[..., Any]) -> None:
        self.original = original
        self.ran = False
        self.gave: Any = None
        self.raised: BaseException | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102 - as the original
        try:
            self.gave = self.original(*args, **kwargs)
        except BaseException as error:
            self.raised = error
            raise
        self.ran, self.raised = True, None
        return self.gave

    def survives(self, error: BaseException, fault: Callable[[BaseException], None]) -> bool:
        """Tell whether the caller gets what the original gives although the replacement has raised *error*.

        It does not where that is what the original raised, or a cancellation. A fault of the replacement's own is told
        to *fault*; where the original had raised, its error is raised in the place of that.
        """
        raised, self.raised = self.raised, None
        if not isinstance(error, Exception) or error is raised:
            return False
        told = raised
        if isinstance(error, Meant):
            told = error.error
            told.__cause__ = error.__cause__ or told.__cause__
        else:
            fault(error)
        if told is None:
            return True
        context = told.__context__
        try:
            raise told
        finally:
            # The host's own goes out as it was raised, not as one that came of a fault of the guard's.
            told.__context__ = context
            # Its traceback keeps this frame, with the stream that the call is about and the provider's connection.
            del told, raised, error


class AwaitedCall(Call):
    """The same of a coroutine function."""

    __slots__ = ()

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102 - as the original
        try:
            self.gave = await self.original(*args, **kwargs)
        except BaseException as error:
            self.raised = error
            raise
        self.ran, self.raised = True, None
        return self.gave


def awaited(by: Replacing, original: Callable[..., Any], replacement: Callable[..., Any]) -> Callable[..., Any]:
    """Return what calls *replacement* in the place of *original*, a coroutine function."""

    @functools.wraps(original)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not by.in_force:
            return await original(*args, **kwargs)
        call = AwaitedCall(original)
        try:
            return await replacement(call, *args, **kwargs)
        except BaseException as error:
            if not call.survives(error, by.met):
                raise
        return call.gave if call.ran else await original(*args, **kwargs)

    return wrapper


def called(by: Replacing, original: Callable[..., Any], replacement: Callable[..., Any]) -> Callable[..., Any]:
    """Return what calls *replacement* in the place of *original*."""

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not by.in_force:
            return original(*args, **kwargs)
        call = Call(original)
        try:
            return replacement(call, *args, **kwargs)
        except BaseException as error:
            if not call.survives(error, by.met):
                raise
        return call.gave if call.ran else original(*args, **kwargs)

    return wrapper


def asking(
    by: Replacing, original: Callable[..., Any], replaced: Callable[..., Any], when: Callable[..., bool]
) -> Callable[..., Any]:
    """Return what calls *replaced* where *when* says so of the arguments, and else *original*."""

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            concerned = when(*args, **kwargs)
        except Exception as fault:
            concerned = False
            if by.in_force:
                by.met(fault)
        return replaced(*args, **kwargs) if concerned else original(*args, **kwargs)

    return wrapper
