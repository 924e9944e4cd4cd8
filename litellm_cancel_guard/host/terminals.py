"""Per worker: the streams that end in an error, the mends that let failures be seen, and the watch over the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.aio import watchdog
from litellm_cancel_guard.host import deployments, failure_hook, mends
from litellm_cancel_guard.host.endless import ENDLESS
from litellm_cancel_guard.host.serving import is_polled
from litellm_cancel_guard.lease.agents import goes_on_behind
from litellm_cancel_guard.lease.routes import NESTED_ROUTE
from litellm_cancel_guard.ledger.observer import Observer
from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.terminal import answers, sighting
from litellm_cancel_guard.terminal.events import Protocol
from litellm_cancel_guard.terminal.outcome import Outcome
from litellm_cancel_guard.terminal.routes import protocol_of

if TYPE_CHECKING:
    from litellm_cancel_guard.host.configured import Configured
    from litellm_cancel_guard.host.grafting import Board
    from litellm_cancel_guard.settings import Settings
    from litellm_cancel_guard.terminal.sighting import Sighting


class Terminals:
    """Built with the callback; asks for its settings and mends LiteLLM when the first request comes."""

    def __init__(self, configured: Configured, board: Board) -> None:
        self._configured = configured
        self._board = board
        self._settings: Settings | None = None
        self.observer = Observer()

    def begin(self, call_type: str, path: str | None) -> None:
        """Begin the sighting of a request, for a key with a cap or without; a nested tool call has none of its own."""
        settings = self._settings or self._start()
        if settings.enabled and not (call_type == NESTED_ROUTE and sighting.current() is not None):
            sighting.begin(sighting.route_read(call_type, path))

    def outcome(self, user_api_key_dict: Any, request_data: Any) -> Outcome | None:
        """Return how the stream of this request may end; None where the guard does not speak its protocol."""
        settings = self._settings or self._start()
        seen = sighting.current()
        if not settings.enabled or (seen is not None and seen.guarded):
            return None
        protocol = protocol_of(seen.route if seen else None, getattr(user_api_key_dict, "request_route", None))
        if protocol is None:
            return None
        # The context of the pre-call hook is lost where a caller runs the stream elsewhere: the path is still known.
        seen = seen or sighting.begin(protocol.value)
        seen.guarded = True
        if protocol is Protocol.A2A:
            mends.mend_agents(self._board)
        outcome = _outcome(protocol, settings, seen, user_api_key_dict, request_data)
        outcome.observer = self.observer
        return outcome

    def note_answer(self, error: Exception, request_data: Any) -> None:
        """Note what LiteLLM should answer to a request that has failed before there was a stream."""
        try:
            answers.note(error, request_data)
        except Exception:
            log.exception("cancel_guard: an answer stays in LiteLLM's words")

    def adopt(self, settings: Settings) -> None:
        """Go by *settings* from the next request on."""
        self._settings = settings
        if settings.enabled:
            mends.mend(settings, self._board)
            watchdog.watch(settings.loop_stall_seconds, settings.on_loop_stall)

    def _start(self) -> Settings:
        self.adopt(self._configured.settings)
        return self._configured.settings


def _outcome(
    protocol: Protocol, settings: Settings, seen: Sighting, user_api_key_dict: Any, request_data: Any
) -> Outcome:
    async def report(error: Exception) -> Exception | None:
        claimed = protocol is Protocol.MESSAGES
        return await failure_hook.report(error, user_api_key_dict, request_data, claimed=claimed)

    looks_later = protocol is Protocol.A2A and goes_on_behind(request_data.get("params"))
    if looks_later or deployments.request_passes_truncation(request_data):
        settings = settings.model_copy(update={"on_truncation": "pass"})
    outcome = Outcome(protocol, settings, seen, report)
    outcome.polled = protocol is Protocol.RESPONSES and is_polled()
    if protocol is Protocol.A2A:
        outcome.answers(request_data.get("id"))
    outcome.ended = lambda cut: ENDLESS.ended(request_data, cut=cut)
    outcome.answered_in_anthropics_protocol = failure_hook.answers_in_anthropics_protocol
    return outcome
