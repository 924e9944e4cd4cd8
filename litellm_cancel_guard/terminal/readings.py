"""Which reading a stream has, by its protocol; and that of an agent's calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.lease import agents
from litellm_cancel_guard.terminal.events import Protocol
from litellm_cancel_guard.terminal.reading import (
    ChatReading,
    GenaiReading,
    MessagesReading,
    Reading,
    ResponsesReading,
)

if TYPE_CHECKING:
    from litellm_cancel_guard.terminal.failure import Failure


class CallReading(Reading):
    """An agent's events (A2A). The first is content: LiteLLM has sent the status before it asks for one."""

    tells_truncation = True
    _is_a_task_alone = False

    @property
    def cut(self) -> bool | None:  # noqa: D102 - as in Reading
        # An agent without streams answers with a task, which may work on (a2a-sdk 1.3, client/base_client.py). Called
        # cut, it would be asked again, and do the work twice.
        return None if self._is_a_task_alone else super().cut

    def read(self, chunk: Any) -> Failure | None:  # noqa: D102 - as in Reading
        self._is_a_task_alone = not self.content and agents.is_task(chunk)
        self.content = True
        self.understood = self.understood and agents.is_understood(chunk)
        if (call := agents.call_of(chunk)) is not None:
            self.begun.call = call
        state = agents.state_of(chunk)
        self.whole = self.whole if state is None else agents.may_end(state)
        return None


_READINGS: dict[Protocol, type[Reading]] = {
    Protocol.CHAT: ChatReading,
    Protocol.MESSAGES: MessagesReading,
    Protocol.RESPONSES: ResponsesReading,
    Protocol.GENAI: GenaiReading,
    Protocol.A2A: CallReading,
}


def reading_of(protocol: Protocol) -> Reading:
    """Return a fresh reading for one stream of that protocol."""
    return _READINGS[protocol]()
