"""What the guard puts into the proxy's application and its routes, each a graft of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host import mends
from litellm_cancel_guard.host.background import follow
from litellm_cancel_guard.host.grafting import SWITCHED_OFF, NotFoundError
from litellm_cancel_guard.host.passthrough import close_abandoned_streams
from litellm_cancel_guard.host.serving import forget_tasks, is_noted, note_tasks
from litellm_cancel_guard.lease.graft import State
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.host.grafting import Board, Touch
    from litellm_cancel_guard.ledger.registry import Registry

_NOTING = "tasks.noting"


class Mounts:
    """Put in with the callback where the settings say so, and taken out when they have changed and nothing is held.

    Args:
        board: is told how each stands.
        registry: where the requests are.
        mount_admin: adds the admin routes to the application that it is given; they stay, and answer 404.
    """

    def __init__(self, board: Board, registry: Registry, mount_admin: Callable[[Any], None]) -> None:
        self._board = board
        self._registry = registry
        self._mount_admin = mount_admin
        self._touches: list[Touch] = []
        self._administered = False
        self._unbuilt: Any = None

    def put_in(self) -> None:
        """Be told of tasks, and add the admin routes, where this is a proxy; once."""
        app = getattr(sys.modules.get("litellm.proxy.proxy_server"), "app", None)
        if app is None or self._touches:
            return
        self._step(_NOTING, lambda touch: self._note(app, touch))
        self._step("tasks.polled", self._follow)
        self._step("tasks.pass_through", close_abandoned_streams)
        self._step("admin.routes", lambda _: self._administer(app))
        mends.mend_entrance(self._board)

    def look(self) -> None:
        """See, at the first request of an application that was not built yet, whether it notes its requests."""
        if self._unbuilt is None:
            return
        app, self._unbuilt = self._unbuilt, None
        if is_noted(app):
            self._board.note(_NOTING, State.IN_FORCE)
        else:
            self._board.note(_NOTING, State.STANDS_ASIDE, "the application was built in another way")

    def take_out(self) -> None:
        """Have LiteLLM's objects be what they were."""
        for touch in reversed(self._touches):
            touch.take_out()
            self._board.note(touch.graft.name, State.STANDS_ASIDE, SWITCHED_OFF)
        self._touches, self._unbuilt = [], None
        mends.take_out(self._board)

    def _step(self, name: str, put_in: Callable[[Touch], None]) -> None:
        touch = self._board.touch(name)
        try:
            put_in(touch)
        except NotFoundError as reason:
            touch.take_out()
            self._board.note(name, State.STANDS_ASIDE, str(reason))
        except Exception as fault:
            touch.take_out()
            log.exception("cancel_guard: %s could not be put in; everything else works without", name)
            self._board.note(name, State.STANDS_ASIDE, type(fault).__name__)
        else:
            self._touches.append(touch)
            if self._unbuilt is None or name != _NOTING:
                self._board.note(name, State.IN_FORCE)

    def _follow(self, touch: Touch) -> None:
        try:
            from litellm.proxy.response_polling import background_streaming
        except ModuleNotFoundError as missing:
            raise NotFoundError(f"LiteLLM has no answers that are polled: {missing}") from None
        follow(background_streaming, self._registry, touch)

    def _administer(self, app: Any) -> None:
        if not self._administered:
            self._administered = True
            self._mount_admin(app)

    def _note(self, app: Any, touch: Touch) -> None:
        self._unbuilt = None if note_tasks(app) else app
        touch.when_out(lambda: forget_tasks(app))
