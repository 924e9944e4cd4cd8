"""What one worker of the proxy keeps: its registry, and, once the limiter is found, the ledger and the heartbeat."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host import limiter as host
from litellm_cancel_guard.host.about import about
from litellm_cancel_guard.host.configured import config_path
from litellm_cancel_guard.host.draining import Draining
from litellm_cancel_guard.host.grafting import Board, NotFoundError
from litellm_cancel_guard.host.grafts import GRAFTS
from litellm_cancel_guard.host.killing import Killing
from litellm_cancel_guard.host.proven import UnprovenError, look_up
from litellm_cancel_guard.host.serving import asgi_task, asks_for_the_model, outer_task, seen_now
from litellm_cancel_guard.host.shutdown import act_last
from litellm_cancel_guard.host.standing import SLOTS, Standing
from litellm_cancel_guard.lease.graft import State
from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.lease.records import Aside
from litellm_cancel_guard.lease.routes import NESTED_ROUTE
from litellm_cancel_guard.ledger.heartbeat import Heartbeat
from litellm_cancel_guard.ledger.identity import guard_version
from litellm_cancel_guard.ledger.ledger import Ledger
from litellm_cancel_guard.ledger.registry import Registry
from litellm_cancel_guard.operator.observing import observe
from litellm_cancel_guard.operator.presence import Presence
from litellm_cancel_guard.operator.reload import ConfigWatch, InForce
from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.settings import Settings, closed_unless_set
from litellm_cancel_guard.terminal import sighting

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from litellm_cancel_guard.host.closing import Closer
    from litellm_cancel_guard.host.configured import Configured
    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.lease.graft import Status
    from litellm_cancel_guard.lease.lease import Admission, FollowUp
    from litellm_cancel_guard.ledger.registry import Request
    from litellm_cancel_guard.operator.overview import Surveyed

# LiteLLM makes its limiter in its start-up, behind its callbacks: half a minute is looked for it.
_LOOKS_FOR_A_LIMITER, _BETWEEN_LOOKS_SECONDS = 600, 0.05


class Worker:
    """Built with the callback, attached to LiteLLM's limiter when the first request comes.

    Until then, and where the limiter is of an unknown shape, it opens no requests and the limiter is left alone.

    Attributes:
        outer: the callback that ends failed streams where others read what the guard hands on.
        enclosed: whether it is in LiteLLM's list.
    """

    def __init__(self, configured: Configured) -> None:
        self._configured = configured
        self.registry = Registry(self._task_ended)
        self.board = Board(GRAFTS, told=self._stands, takes_out=self._take_out, who=self._who)
        killing = Killing(self.registry, lambda *ended: self.ledger and self.ledger.end_soon(*ended))
        self.draining = Draining(killing.drain, lambda: self.settings.drain_seconds)
        self.kill = killing.kill
        self.presence = Presence(self.registry, self.board, lambda: self.settings, self.kill)
        self.standing = Standing(self.board, self.registry)
        self.decides = self.standing.order.decides
        self.settings: Any = InForce(Settings())
        self.ledger: Ledger | None = None
        self.survey: Callable[[], Surveyed] | None = None
        self._heartbeat: Heartbeat | None = None
        self._limiter: Any = None
        self._watch: ConfigWatch | None = None
        self._when_changed: Callable[[Settings], None] = lambda _: None
        self.outer: Any = None
        self.enclosed = False

    def open(self, route: str, guard: Any, key: Any = None, data: Any = None) -> None:
        """Open a request for the running task, unless it already serves one or the guard holds back."""
        request = self.guarded_request()
        if request is not None and (route == NESTED_ROUTE or asks_for_the_model(request)):
            if route == NESTED_ROUTE:
                request.calls_tools_in = asgi_task()
            return
        # A pipelined request inherits the context of the one before it, which LiteLLM may have counted.
        host.counted_by_litellm(counted=False)
        self.attach_once(guard)
        if self.ledger is None or (task := asyncio.current_task()) is None:
            return
        if not self.counts() or self.standing.order.late():
            self.registry.leave_context()
            # It may end after the guard is back, which must not take LiteLLM's uncounting of it for a superfluous one.
            host.counted_by_litellm()
            return
        opened = self.registry.open(task, route, outer_task())
        served, opened.asked = seen_now()
        opened.served = opened.served or served
        opened.about = about(data, key, self.settings.holders_detail)
        if route == NESTED_ROUTE:
            opened.calls_tools_in = asgi_task()

    def when_changed(self, act: Callable[[Settings], None]) -> None:
        """Have *act* called with the settings whenever they have changed in the config."""
        self._when_changed = act

    def stand_aside(self, guard: Any) -> None:
        """Have nothing to do with the request that is served now: its key has no cap."""
        self.attach_once(guard)
        self.registry.leave_context()

    def leave_to_litellm(self) -> None:
        """Have LiteLLM uncount the request that is served now, which it counts alone; not one that holds a slot here.

        Else the guard would keep that from it as superfluous, and the request be counted until its window ends.
        """
        if self.guarded_request() is None:
            host.counted_by_litellm()

    def guarded_request(self) -> Request | None:
        """Return the request in flight that this code runs for."""
        request = self.registry.current()
        return request if request is not None and request.ending is None else None

    def counts(self) -> bool:
        """Tell whether requests that begin now are counted by the guard."""
        return bool(self.settings.enabled) and self.standing.counts

    def admit(
        self, request: Request, gauge: str, limit: int, follow_up: FollowUp | None = None
    ) -> Coroutine[Any, Any, Admission]:
        """Return what acquires a slot for *request*, or refuses; *follow_up* as in the ledger."""
        ledger, heartbeat = self._attached()
        if heartbeat.start():
            ledger.stand_in.watch()
            self._act_last()
        return ledger.admit(request, gauge, limit, follow_up)

    async def end(self, request: Request, ending: Ending) -> None:
        """End *request* and give its slot back before the caller goes on. Only a cancellation is raised."""
        try:
            if self.ledger is not None:
                await self.ledger.end(request, ending)
        except Exception:
            log.exception("cancel_guard: a slot could not be given back; the end of its lease will")

    def follow(self, request: Request, closer: Closer | None) -> None:
        """Have *request* last as long as the task that reads its stream, which *closer* closes; None: it has ended.

        A callback may read the stream in a task of its own, which goes on when the ASGI task is done.
        """
        request.closer = closer
        if closer is not None:
            self.registry.last(request, asyncio.current_task())

    def _attached(self) -> tuple[Ledger, Heartbeat]:
        if self.ledger is None or self._heartbeat is None:
            raise RuntimeError("the guard is not attached to a limiter")
        return self.ledger, self._heartbeat

    def _act_last(self) -> None:
        act_last(self._give_back, self.board, self.draining.before_the_cut)

    async def _give_back(self) -> None:
        if self.ledger is not None:
            await self.ledger.give_back()
        await self.presence.leave()

    def _task_ended(self, request: Request) -> None:
        """Give back what still holds when its tasks are done: what no hook has seen."""
        closer, request.closer = request.closer, None
        if closer is not None:
            # A callback behind the guard has raised, and nobody closes what it read: the provider would go on, and have
            # more requests at once than the cap.
            closer.close_soon()
        if self.ledger is not None:
            self.ledger.end_soon(request, Ending.TASK_ENDED)

    async def prepared(self, guard: Any) -> None:
        """Attach, unless that was done, and wait until it is known whether the guard and LiteLLM count the same."""
        self.attach_once(guard)
        await self.standing.decided()

    async def prepare_when_there(self, guard: Any) -> None:
        """Do so as soon as LiteLLM has its limiter: the first request finds it done, and doctor and metrics know."""
        for _ in range(_LOOKS_FOR_A_LIMITER):
            if self._find() is not None:
                await self.prepared(guard)
                return
            await asyncio.sleep(_BETWEEN_LOOKS_SECONDS)

    def attach_once(self, guard: Any) -> None:
        """Find LiteLLM's limiter and read the settings, unless that was done."""
        limiter = self._find()
        if limiter is None or limiter is self._limiter:
            return
        self._limiter, ledger = limiter, self.ledger
        self.settings = InForce(self._with_litellms(self._configured.settings))
        if self._watch is None and (path := config_path()) is not None:
            self._watch = ConfigWatch(path, self._configured.block, lambda settings: self._adopt(settings, guard))
            self._watch.look()
            self._watch.start()
        observe(self.registry.observer, self.board, per_key=self.settings.metrics_per_key)
        if not self.settings.enabled:
            log.info("cancel_guard: switched off by its settings; LiteLLM counts alone")
            self.standing.switch_off()
        elif self.ledger is ledger:
            self._attach(limiter, guard)
        self.presence.begin(limiter, self.registry.observer)

    def _find(self) -> Any:
        try:
            return host.find_limiter()
        except host.UnknownLimiterError as error:
            return self._hold_back(error)

    def _adopt(self, settings: Settings, guard: Any) -> None:
        """Go by *settings* from now on; requests in flight keep their slots and give them back in any case."""
        settings = self.settings.adopt(self._with_litellms(settings))
        log.warning(
            "cancel_guard: the config has changed; %s",
            f"in force now: {settings!r}" if settings.enabled else "the guard stands aside, LiteLLM counts alone",
        )
        self._when_changed(settings)
        if self.ledger is None or self._heartbeat is None:
            if settings.enabled:
                self._attach(self._limiter, guard)
            return
        try:
            (self.standing.switch_on if settings.enabled else self.standing.switch_off)()
        except NotFoundError as reason:
            self._hold_back(reason)
        if (retime := getattr(self.ledger.gauge, "retime", None)) is not None:
            retime(lease_seconds=settings.lease_seconds, timeout_seconds=settings.redis_timeout)
        self.ledger.outage.choose(settings.on_redis_error)
        self._heartbeat.hurry()

    def _with_litellms(self, settings: Settings) -> Settings:
        if not host.fails_closed(self._limiter):
            return settings
        chosen = closed_unless_set(settings)
        if chosen is not settings:
            log.info("cancel_guard: on_redis_error is closed, by general_settings: %s", host.FAILS_CLOSED)
        return chosen

    def _covers(self) -> bool:
        """Tell whether LiteLLM's own count of the request that is served now is the guard's to keep."""
        return bool(self.settings.enabled) or self.registry.current() is not None

    def _attach(self, limiter: Any, guard: Any) -> None:
        # Also where nothing comes to be counted: the worker's record would outlive its server's end.
        self._act_last()
        try:
            look_up(host.litellm_version(), self.settings.on_unproven_litellm, self.registry.observer.known)
            recognised = host.recognise(limiter)
        except (host.UnknownLimiterError, UnprovenError) as error:
            self._hold_back(error)
            return
        aside = Aside(self.presence.record, self.registry.observer.reclaimed)
        gauge = host.gauge_for(recognised, self.settings, aside)
        self.survey = lambda: host.survey_of(recognised, gauge, self.presence.record, self.presence.holding)
        before = self.ledger, self._heartbeat
        self.ledger = Ledger(self.registry, gauge, self.settings, getattr(gauge, "apart", None))
        self._heartbeat = Heartbeat(self.ledger.renew, self.ledger.give_back, self.ledger.pace)
        self.ledger.outage.observer = self._heartbeat.observer = self.registry.observer
        self.ledger.outage.when_begun(self._heartbeat.hurry)
        try:
            self.standing.attach(
                lambda touches: self._put_in(recognised, guard, touches),
                lambda: host.prove(recognised, gauge, within=2 * self.settings.redis_timeout),
            )
        except NotFoundError as reason:
            self.ledger, self._heartbeat = before
            self._hold_back(reason)
            return
        log.info("cancel_guard %s: %s", guard_version(), host.describe(recognised, self.settings))

    def _put_in(self, recognised: Any, guard: Any, touches: list[Touch]) -> None:
        ordering = self.board.touch("stream.enclosing")
        touches += [*host.attach(recognised, self, self._covers, self.board), ordering]
        ordering.when_out(lambda: setattr(self, "enclosed", False))
        self.enclosed = host.put_in_order(guard, self.outer, recognised.limiter, self.board, ordering)

    def _hold_back(self, reason: Exception) -> None:
        self.standing.stand_aside(State.STANDS_ASIDE, str(reason))

    def _stands(self, status: Status) -> None:
        self.registry.observer.stands(status)
        self.presence.hurry()

    def _take_out(self, group: str, reason: str) -> None:
        if group == SLOTS:
            self.standing.stand_aside(State.TAKEN_OUT, reason)
        else:
            self.board.pass_on(group, reason)

    def _who(self) -> Any:
        request = self.registry.current()
        return id(sighting.current()) if request is None else (request.gauge, id(request))
