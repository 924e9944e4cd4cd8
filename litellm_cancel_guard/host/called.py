"""One call of the host's that a replacement answers: the original, and what its caller is to see of what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Meant(Exception):  # noqa: N818 - it carries an answer
    """Carries what a replacement means its caller to see; any other exception of its own is a fault.

    A cause that it is raised from becomes that of what it carries.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class Call:
    """The original, and what became of its call; a replacement runs inside of it.

    Left by what the original raised, it lets that pass. Left by a fault of the replacement's own, it tells of it, and
    raises what the original had raised; where that had raised nothing, the block behind it goes on.

    Args:
        original: what is called, awaited by `AwaitedCall`.
        fault: is told of a fault of the replacement.
    """

    __slots__ = ("fault", "gave", "original", "raised", "ran")

    def __init__(self, original: Callable[..., Any], fault: Callable[[BaseException], None]) -> None:
        self.original = original
        self.fault = fault
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

    def __enter__(self) -> None:
        """Nothing to be prepared."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        raised, self.raised = self.raised, None
        if not isinstance(error, Exception) or error is raised:
            return False
        told = raised
        if isinstance(error, Meant):
            told = error.error
            told.__cause__ = error.__cause__ or told.__cause__
        else:
            self.fault(error)
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
