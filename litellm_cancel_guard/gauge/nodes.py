"""Asks the node of a cluster itself, so that one node's absence is no other's.

The cluster's client (redis 5 - 8.1, asyncio/cluster.py) lets every caller wait while it looks for the nodes anew, which
it does after each failure, and a pipeline that fails closes its connections to all of them. LiteLLM asks on, and so
the slots on the nodes that are there could not be counted for seconds at a time.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.gauge.moving import answers_of, follow, is_moving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

# What a node answers that is not the right one: the client then looks for it.
_ELSEWHERE = ("MovedError", "ClusterDownError", "SlotNotCoveredError", "MasterDownError")


def is_cluster(client: Any) -> bool:
    """Tell whether *client* is that of a cluster."""
    return hasattr(client, "nodes_manager")


def crosses_hash_slots(answer: object) -> bool:
    """Tell whether *answer* is a cluster's refusal of one command about keys of several hash slots.

    redis-py 8 takes Redis' word for it out of the text and puts it into the type, for a plain client too; the Rust
    client of LiteLLM 1.110 writes it ``CrossSlot`` into the text of its one type.
    """
    return isinstance(answer, Exception) and (
        type(answer).__name__ == "ClusterCrossSlotError" or "CROSSSLOT" in str(answer).upper()
    )


def node_of(client: Any, key: str) -> Any:
    """Return the node that has *key* as far as *client* knows, or None where it is no cluster's or does not know."""
    if not is_cluster(client):
        return None
    try:
        return client.get_node_from_key(key)
    except Exception:
        return None


def ask(client: Any, key: str, *command: Any) -> Awaitable[Any]:
    """Return what awaits the answer to *command*, which is about *key*."""
    node = node_of(client, key)
    answer: Awaitable[Any] = client.execute_command(*command) if node is None else _first(node, client, command)
    return answer


async def _first(node: Any, client: Any, command: tuple[Any, ...]) -> Any:
    try:
        return await node.execute_command(*command)
    except Exception as error:
        said: Any = error
    if is_moving(said):
        said = await follow(client, node, said, command)
    if not isinstance(said, Exception):
        return said
    if type(said).__name__ not in _ELSEWHERE:
        raise said
    return await client.execute_command(*command)


async def ask_anew(client: Any, key: str, *command: Any) -> Any:
    """Return what `ask` does, where the node of *key* may be gone: another is asked first whether it still has it.

    After a failover nothing else here would find the new master: the client looks only after a failed call of its own.
    To fail one on purpose is no way: to look, it may wait for the node that is gone, and interrupted it closes its
    connections to all (redis 8.1, asyncio/cluster.py `initialize`).
    """
    node = node_of(client, key)
    others = [] if node is None else [each for each in client.get_primaries() if each.name != node.name]
    # By chance: the next may be away itself, and the beat after this one asks again.
    if others and await _moved(other := random.choice(others), node, command):  # noqa: S311 - no secret
        # It is told so once more, and this time the client hears it, goes there, and remembers.
        return await client.execute_command(*command, target_nodes=other)
    return await ask(client, key, *command)


async def _moved(other: Any, node: Any, command: tuple[Any, ...]) -> bool:
    try:
        await other.execute_command(*command)
    except Exception as error:
        said: Any = error
        return type(error).__name__ == "MovedError" and (said.host, int(said.port)) != (node.host, int(node.port))
    return False


async def ask_all(client: Any, keys: Sequence[str], commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return the answers to *commands*, errors among them, in one round trip to each node.

    Of a command for which there is no key, the answer is what it was at first.
    """
    answers = await _ask_nodes(client, [node_of(client, key) for key in keys], commands)
    for place, key in enumerate(keys):
        if is_moving(answers[place]) or type(answers[place]).__name__ in _ELSEWHERE:
            answers[place] = await _answer(client, key, commands[place])
    return answers


async def _ask_nodes(client: Any, nodes: Sequence[Any], commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    if nodes[0] is not None and all(node is nodes[0] for node in nodes):
        return await answers_of(nodes[0], commands)
    # Not pipe.evalsha: the cluster's pipeline blocks that name, but not the command.
    async with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        alone = {"allow_redirections": False} if is_cluster(client) else {}
        found: list[Any] = await pipe.execute(raise_on_error=False, **alone)
    return found


async def _answer(client: Any, key: str, command: tuple[Any, ...]) -> Any:
    try:
        return await ask(client, key, *command)
    except Exception as error:
        return error
