"""The demo from start to end: what is played, in which order, and how it stops."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from litellm_cancel_guard.demo.children import DemoError
from litellm_cancel_guard.demo.options import NotStartedError, Options, without_password
from litellm_cancel_guard.demo.screen import Outcome, Screen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litellm_cancel_guard.demo.patterns import Client, Cut, Turn
    from litellm_cancel_guard.demo.proxy import Proxy, Surroundings

    Pattern = Callable[[Client], Awaitable[Turn]]

_LEAVERS = 6
_LATE_RELEASES_SECONDS = 1.0


def run(options: Options) -> int:
    """Play the demo and return the exit code."""
    try:
        options.check()
        return asyncio.run(_until_signal(options, Screen()))
    except DemoError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2 if isinstance(error, NotStartedError) else 1


async def _until_signal(options: Options, screen: Screen) -> int:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: list[int] = []

    def end(number: int) -> None:
        received.append(number)
        if task:
            task.cancel()

    # Under nohup SIGHUP comes ignored, and `nohup ... demo --serve` is to outlive its terminal.
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    for number in (signal.SIGINT, signal.SIGTERM, *hangup):
        loop.add_signal_handler(number, end, number)
    try:
        return await _play(options, screen)
    except asyncio.CancelledError:
        if not received:
            raise
        screen.say("\nStopped; every process of the demo has ended.")
        return 128 + received[0]


async def _play(options: Options, screen: Screen) -> int:
    from litellm_cancel_guard.demo import proxy, stage, verdict

    with ExitStack() as stack:
        around = await stage.built(options, stack, screen)
        litellm = around.litellm
        proxies: list[Proxy] = []
        if options.redis:
            stack.callback(stage.forget, options.redis, proxies)
        guarded = stack.enter_context(proxy.started(around, guarded=True))
        with proxy.started(around, guarded=False) as bare:
            proxies += [bare, guarded]
            with screen.waiting(f"Starting LiteLLM {litellm.version} twice, without and with the guard"):
                await bare.ready()
                await guarded.ready()
            screen.say(
                f"Each has one key with max_parallel_requests: {proxy.CAP}. Shown: slots during a turn -> after it."
            )
            patterns = _Patterns(bare, guarded, around, screen)
            rows = [("turns refused", *await patterns.turns(options.turns))]
            if rows[0][1].balanced:
                screen.say(verdict.nothing_leaked(litellm))
                rows.append(("leavers refused", *await patterns.leavers()))
            cuts = await patterns.cuts()
        screen.table(rows)
        screen.say(verdict.summary(litellm, *rows[-1][1:], *cuts))
        if options.serve:
            await _serve(guarded, around, screen)
    return 0 if all(row[2].balanced for row in rows) and cuts[1].error else 1


class _Patterns:
    def __init__(self, bare: Proxy, guarded: Proxy, around: Surroundings, screen: Screen) -> None:
        self._proxies = [(bare, "Without the guard"), (guarded, "With the guard")]
        self._around = around
        self._screen = screen

    async def turns(self, number: int) -> tuple[Outcome, Outcome]:
        what = "Claude Code's pattern on /v1/messages: A streams, B asks the same without streaming, A is dropped"
        return await self._both(what, number, lambda client: client.ask_twice_and_drop_the_first())

    async def leavers(self) -> tuple[Outcome, Outcome]:
        what = "pass-through route /anthropic/v1/messages, the client leaves before the first chunk"
        return await self._both(what, _LEAVERS, lambda client: client.leave_before_the_first_chunk())

    async def cuts(self) -> tuple[Cut, Cut]:
        """Have each proxy's provider break off in the middle of a streamed answer."""
        self._screen.title("A stream whose provider breaks off after four words, on /v1/messages")
        bare, guarded = [await self._cut(proxy, which) for proxy, which in self._proxies]
        return bare, guarded

    async def _cut(self, proxy: Proxy, which: str) -> Cut:
        from litellm_cancel_guard.demo.patterns import client_of
        from litellm_cancel_guard.demo.verdict import told

        async with client_of(proxy, self._around.redis_url) as client:
            cut = await client.read_what_is_cut()
        self._screen.say(f"  {which + ':':<19} {told(cut)}")
        return cut

    async def _both(self, what: str, number: int, pattern: Pattern) -> tuple[Outcome, Outcome]:
        bare, guarded = [await self._one(f"{which}: {what}", proxy, number, pattern) for proxy, which in self._proxies]
        return bare, guarded

    async def _one(self, title: str, proxy: Proxy, number: int, pattern: Pattern) -> Outcome:
        from litellm_cancel_guard.demo.patterns import client_of

        self._screen.title(title)
        refused = 0
        async with client_of(proxy, self._around.redis_url) as client:
            for index in range(number):
                turn = await pattern(client)
                refused += turn.refused
                self._screen.turn(index + 1, number, turn)
            await asyncio.sleep(_LATE_RELEASES_SECONDS)
            return Outcome(number, refused, await client.slots())


async def _serve(guarded: Proxy, around: Surroundings, screen: Screen) -> None:
    screen.say(f"\nThe guarded proxy stays at {guarded.url}; try it, and hang up with Ctrl-C:\n\n  {guarded.curl()}\n")
    screen.say(f"Its slots: redis-cli -u {without_password(around.redis_url)}, key '{guarded.gauge}'")
    screen.say("Ctrl-C here ends it.")
    while True:
        await asyncio.sleep(0.5)
        guarded.child.check()
