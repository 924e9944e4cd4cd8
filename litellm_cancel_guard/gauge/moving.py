"""A hash slot on its way to another node of a cluster.

The node that it goes to has none before its first, so no client has heard of it: redis-py (5 - 8.1, asyncio/cluster.py
`_execute_command`) looks it up for the ASK, finds None, and raises an AttributeError. And of keys that are asked for
together, some of which are there already or don't exist, both nodes say TRYAGAIN until the slot has arrived.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.gauge.scripts import text_by_sha

if TYPE_CHECKING:
    from collections.abc import Sequence

# A slot takes milliseconds, one with many keys a second; the call's own limit may end this sooner.
_TRIES = 50
_PAUSE_SECONDS = 0.02


def is_moving(answer: object) -> bool:
    """Tell whether *answer* says that the hash slot is on its way."""
    return type(answer).__name__ in ("AskError", "TryAgainError")


async def follow(client: Any, node: Any, moving: Exception, command: tuple[Any, ...]) -> Any:
    """Return the last answer to *command*, of whose hash slot *node* has said *moving*; perhaps an error."""
    answer: Any = moving
    for _ in range(_TRIES):
        if type(answer).__name__ == "AskError":
            answer = await _asking(client, answer, command)
        if not is_moving(answer):
            break
        await asyncio.sleep(_PAUSE_SECONDS)
        [answer] = await answers_of(node, [command])
    return answer


async def answers_of(node: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return the answers of *node*, errors among them; one after the other, on one connection."""
    from redis.asyncio.cluster import PipelineCommand

    asked, lent = [PipelineCommand(number, *command) for number, command in enumerate(commands)], _Lent(node)
    try:
        await type(node).execute_pipeline(lent, asked)
    except BaseException:
        await lent.give_back()
        raise
    return [one.result for one in asked]


class _Lent:
    """A node as its own pipeline sees it, and the connection that this was lent.

    Interrupted, redis 5 - 8.0 keeps that for good: a node that was frozen for a while has none left of its
    `max_connections`, and LiteLLM, whose client this is, can't ask it for as long as the worker lives.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._connection: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    def acquire_connection(self) -> Any:
        """Lend a connection, as the node does, and know which."""
        self._connection = self._node.acquire_connection()
        return self._connection

    def release(self, connection: Any) -> None:
        """Take it back, as the node does from redis 8.0 on."""
        self._connection = None
        self._node.release(connection)

    async def give_back(self) -> None:
        """Have the node lend the connection again, to be opened anew; what it is still told is nobody's answer."""
        connection, free = self._connection, self._node._free  # noqa: SLF001 - up to 7 there is no other way
        if connection is None or connection in free:
            return
        try:
            await connection.disconnect(nowait=True)
        finally:
            free.append(connection)


async def _asking(client: Any, moving: Any, command: tuple[Any, ...]) -> Any:
    if (known := client.get_node(moving.host, int(moving.port))) is not None:
        return await _answer_ahead(known, command)
    from redis.asyncio.cluster import ClusterNode

    node = ClusterNode(moving.host, int(moving.port), **client.nodes_manager.connection_kwargs)
    try:
        return await _answer_ahead(node, command)
    finally:
        await node.disconnect()


async def _answer_ahead(node: Any, command: tuple[Any, ...]) -> Any:
    """Return the answer of *node*, to which the hash slot is on its way; it has run no script before its first slot.

    A user who may not send a text is told so by the node that the client knows, and can load it nowhere else.
    """
    asking = [("ASKING",), command]
    answer = (await answers_of(node, asking))[-1]
    if type(answer).__name__ == "NoScriptError" and (text := text_by_sha(command[1])) is not None:
        answer = (await answers_of(node, [("SCRIPT LOAD", text), *asking]))[-1]
    return answer
