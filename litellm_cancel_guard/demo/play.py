"""The demo from start to end: what is played, in which order, and how it stops."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from litellm_cancel_guard.demo.children import DemoError
from litellm_cancel_guard.demo.options import NotStartedError, Options, without_password
from litellm_cancel_guard.demo.screen import Outcome, Screen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litellm_cancel_guard.demo.crowd import Crowd
    from litellm_cancel_guard.demo.patterns import Client, Cut, Turn
    from litellm_cancel_guard.demo.proxy import Proxy, Surroundings

_LEAVERS, _TELLING = 6, 2
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
            screen.say(f"max_parallel_requests: {proxy.CAP} on each key. Shown: slots during a turn -> after it.")
            patterns = _Patterns(bare, guarded, around, screen)
            rows = [("leavers refused", *await patterns.leavers())]
            cuts = await patterns.cuts()
            rows.append(("turns refused", *await patterns.turns(options.turns)))
            if rows[-1][1].balanced:
                screen.say(verdict.nothing_leaked(litellm))
        crowds = await _crowds(guarded, screen)
        screen.table(rows)
        telling = next((row for row in reversed(rows) if not row[1].balanced), rows[0])
        screen.say(verdict.summary(litellm, *telling[1:], cuts, crowds))
        if options.serve:
            await _serve(guarded, around, screen)
    return 0 if all(row[2].balanced for row in rows) and cuts[1].error and not crowds[1].refused else 1


async def _crowds(guarded: Proxy, screen: Screen) -> tuple[Crowd, Crowd]:
    from litellm_cancel_guard.demo import crowd

    screen.title(f"With the guard: {crowd.TITLE}")
    refused = await crowd.crowded(guarded, guarded.crowd_key)
    screen.say(f"  {'Refused when full:':<19} {refused.told()}")
    waiting = await crowd.crowded(guarded, guarded.line_key)
    screen.say(f"  {'Waiting in line:':<19} {waiting.told()}")
    return refused, waiting


@dataclass(frozen=True, slots=True)
class _Pattern:
    what: str
    key: Callable[[Proxy], str]
    play: Callable[[Client], Awaitable[Turn]]


class _Patterns:
    def __init__(self, bare: Proxy, guarded: Proxy, around: Surroundings, screen: Screen) -> None:
        self._proxies = [(bare, "Without the guard"), (guarded, "With the guard")]
        self._around = around
        self._screen = screen

    async def turns(self, number: int) -> tuple[Outcome, Outcome]:
        what = "Claude Code's pattern (A streams, B asks again, A is dropped)"
        pattern = _Pattern(what, lambda proxy: proxy.key, lambda client: client.ask_twice_and_drop_the_first())
        return await self._both(pattern, number, enough=_TELLING)

    async def leavers(self) -> tuple[Outcome, Outcome]:
        what = "pass-through, the client leaves before the first chunk"
        pattern = _Pattern(what, lambda proxy: proxy.leavers_key, lambda client: client.leave_before_the_first_chunk())
        return await self._both(pattern, _LEAVERS)

    async def cuts(self) -> tuple[Cut, Cut]:
        """Have each proxy's provider break off in the middle of a streamed answer."""
        self._screen.title("A stream whose provider breaks off after four words, on /v1/messages")
        bare, guarded = [await self._cut(proxy, which) for proxy, which in self._proxies]
        return bare, guarded

    async def _cut(self, proxy: Proxy, which: str) -> Cut:
        from litellm_cancel_guard.demo.patterns import client_of
        from litellm_cancel_guard.demo.verdict import told

        async with client_of(proxy, proxy.cut_key, self._around.redis_url) as client:
            cut = await client.read_what_is_cut()
        self._screen.say(f"  {which + ':':<19} {told(cut)}")
        return cut

    async def _both(self, pattern: _Pattern, number: int, enough: int | None = None) -> tuple[Outcome, Outcome]:
        # Without the guard it ends where so many turns have left nothing: more of them would show nothing either.
        outcomes: list[Outcome] = []
        for proxy, which in self._proxies:
            self._screen.title(f"{which}: {pattern.what}")
            outcomes.append(await self._one(proxy, number, pattern, enough))
            number, enough = outcomes[-1].turns, None
        return outcomes[0], outcomes[1]

    async def _one(self, proxy: Proxy, number: int, pattern: _Pattern, enough: int | None) -> Outcome:
        from litellm_cancel_guard.demo.patterns import client_of

        refused, told = 0, False
        async with client_of(proxy, pattern.key(proxy), self._around.redis_url) as client:
            for index in range(number):
                turn = await pattern.play(client)
                refused += turn.refused
                told = told or turn.refused or bool(turn.left)
                self._screen.turn(index + 1, number, turn)
                if index + 1 == enough and not told:
                    break
            await asyncio.sleep(_LATE_RELEASES_SECONDS)
            return Outcome(index + 1, refused, await client.slots())


async def _serve(guarded: Proxy, around: Surroundings, screen: Screen) -> None:
    from litellm_cancel_guard.demo import proxy

    screen.say(f"\nThe guarded proxy stays at {guarded.url}; try it, and hang up with Ctrl-C:\n\n  {guarded.curl()}\n")
    screen.say(f"Its slots: redis-cli -u {without_password(around.redis_url)}, key '{proxy.gauge_of(guarded.key)}'")
    screen.say("Ctrl-C here ends it.")
    while True:
        await asyncio.sleep(0.5)
        guarded.child.check()
