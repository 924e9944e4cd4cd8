"""Finish what was begun although we are being cancelled; the cancellation is raised afterwards."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio

from litellm_cancel_guard.aio.deadline import Timer
from litellm_cancel_guard.aio.eager import start

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from typing_extensions import TypeVarTuple, Unpack

    Given = TypeVarTuple("Given")

T = TypeVar("T")

# asyncio keeps only weak references to tasks: without this a release that outlives its request may be collected.
_stragglers: set[Work[Any]] = set()


class Mark:
    """Set once; who waits for it goes on in the next turn of the event loop, or when the time is up.

    On a busy worker each turn is long, and a stream's first content is late by every one that is waited for:
    asyncio.wait takes one more, and a timeout around asyncio.Event takes longer.
    """

    __slots__ = ("_set", "_waiting")

    def __init__(self) -> None:
        self._set = False
        self._waiting: set[asyncio.Future[None]] | None = None

    def is_set(self) -> bool:
        """Tell whether it was set."""
        return self._set

    def set(self) -> None:
        """Let everyone go on who waits, and nobody wait again."""
        self._set = True
        for waiter in self._waiting or ():
            _let_go(waiter)

    async def wait(self, seconds: float | None) -> bool:
        """Wait *seconds*, and a timer's turns, at most, or for as long as it takes; return whether it is set."""
        if self._set or (seconds is not None and seconds <= 0):
            return self._set
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting = self._waiting or set()
        waiting.add(waiter)
        timer = None if seconds is None else Timer(seconds, lambda: _let_go(waiter))
        try:
            await waiter
        finally:
            waiting.discard(waiter)
            if timer is not None:
                timer.cancel()
        return self._set


def _let_go(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Work(Mark, Generic[T]):
    """Work in a task of its own that no caller's cancellation reaches; `begin` makes it. Set when it is over.

    Attributes:
        task: what runs it.
        failure: what it raised; nobody's concern if nobody asks.
        cancelled: whether it ended with a CancelledError; known before its task is done.
    """

    __slots__ = ("_value", "cancelled", "failure", "task")

    task: asyncio.Task[None]
    _value: T

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.cancelled = False

    async def run(self, work: Callable[[Unpack[Given]], Awaitable[T]], *given: Unpack[Given]) -> None:
        """Do *work* with what is *given*, and keep what comes of it."""
        _stragglers.add(self)
        try:
            self._value = await work(*given)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        except Exception as error:
            self.failure = error
        finally:
            _stragglers.discard(self)
            self.set()
            # The failure's traceback holds this frame, and must not hold the failure: see `raise_failure`.
            del self

    def result(self) -> T:
        """Return what it returned, or raise, once, what it raised; only when it is over."""
        self.raise_failure()
        if self.cancelled:
            raise asyncio.CancelledError
        return self._value

    def raise_failure(self) -> None:
        """Raise, once, what it raised, if it did.

        Kept here, it would be in a cycle with the frames it is raised through, and only the garbage collector would
        find the stream that failed. LiteLLM's destructor of that sets context variables (1.109,
        ``CustomStreamWrapper.__del__``), which in a collection can crash the interpreter (python/cpython#148891).
        """
        if self.failure is not None:
            try:
                raise self.failure
            finally:
                self.failure = None

    def cancel(self) -> None:
        """Have it end with a CancelledError where it stands."""
        self.task.cancel()


def begin(work: Callable[[Unpack[Given]], Awaitable[T]], *given: Unpack[Given]) -> Work[T]:
    """Run *work* with what is *given* as a task of its own that no caller's cancellation reaches; keep it alive."""
    loop = asyncio.get_running_loop()
    begun: Work[T] = Work()
    begun.task = loop.create_task(begun.run(work, *given))
    return begun


def begin_now(work: Callable[[Unpack[Given]], Awaitable[T]], *given: Unpack[Given]) -> Work[T]:
    """Run *work* as `begin` does, and from Python 3.11 on up to where it first waits before this returns."""
    begun: Work[T] = Work()
    begun.task = start(begun.run(work, *given))
    return begun


async def finish(work: Work[Any], *, within: float) -> bool:
    """Wait for *work* although the caller is being cancelled.

    Args:
        work: goes on in the background if it is late.
        within: seconds to wait at most, cancelled or not.

    Returns:
        Whether the work is done.

    Raises:
        asyncio.CancelledError: the cancellation that arrived meanwhile, raised afterwards and never lost.
        Exception: what the work raised, if it is done and no cancellation arrived.
    """
    try:
        await reached(work, within=within)
    except asyncio.CancelledError as cancellation:
        raise cancellation from work.failure
    work.raise_failure()
    return work.is_set()


async def reached(mark: Mark, *, within: float) -> bool:
    """Wait for *mark*, *within* seconds, although the caller is being cancelled; return whether it is set.

    Raises:
        asyncio.CancelledError: the cancellation that arrived meanwhile, raised afterwards and never lost.
    """
    until = asyncio.get_running_loop().time() + within
    try:
        return await mark.wait(within)
    except asyncio.CancelledError as cancellation:
        raise await _sit_out(mark, until, cancellation) from None


async def _sit_out(mark: Mark, until: float, cancellation: asyncio.CancelledError) -> asyncio.CancelledError:
    """Wait for *mark* until that time of the monotonic clock, and return the cancellation to raise then."""
    # A cancelled anyio scope cancels again at every turn of the loop, so waiting alone would spin; the shield stops
    # that. It does not stop a native Task.cancel(), of which there may be several: the loop outlives those.
    with anyio.CancelScope(shield=True):
        while not mark.is_set() and (left := until - asyncio.get_running_loop().time()) > 0:
            try:
                await mark.wait(left)
            except asyncio.CancelledError as error:
                cancellation = error
    return cancellation
