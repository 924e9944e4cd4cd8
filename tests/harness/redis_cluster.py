"""Three masters of a Redis Cluster on loopback, and replicas where a test wants one to follow its master."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import redis

from tests.gauge.stores import free_port_with_bus
from tests.harness.process import LOOPBACK, Process
from tests.harness.redis_server import require_redis_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.keys import Key

_HASH_SLOTS = 16384


class RedisCluster:
    """Each master serves a third of the hash slots, also while another is away; at first there are no replicas."""

    def __init__(self, folder: Path, masters: int = 3) -> None:
        self.ports = [free_port_with_bus() for _ in range(masters)]
        self._folder = folder
        self._masters = {port: _start(port, folder) for port in self.ports}
        self._join()
        self.client: Any = redis.RedisCluster(host=LOOPBACK, port=self.ports[0], decode_responses=True)

    def close(self) -> None:
        self.client.close()
        for process in self._masters.values():
            process.signal(signal.SIGCONT)
            process.stop()

    @property
    def settings(self) -> str:
        """What has a proxy count in this cluster.

        LiteLLM's router reads its cooldowns there before each call, and waits `socket_timeout` seconds for each of
        redis-py's tries at a node that is frozen: with the defaults of both, more than half a minute (1.109.1).
        """
        nodes = ", ".join(f"{{host: {LOOPBACK}, port: {port}}}" for port in self.ports)
        tries = "socket_timeout: 0.5, cluster_error_retry_attempts: 0"
        params = f"{{type: redis, redis_startup_nodes: [{nodes}], supported_call_types: [], {tries}}}"
        return f"litellm_settings: {{cache: true, cache_params: {params}}}"

    def port_of(self, key: Key) -> int:
        """Of the master that counts this key's slots."""
        return int(self.client.get_node_from_key(f"{{api_key:{key.name}}}").port)

    def pause(self, port: int) -> None:
        self._masters[port].signal(signal.SIGSTOP)

    def resume(self, port: int) -> None:
        self._masters[port].signal(signal.SIGCONT)

    def stop(self, port: int) -> None:
        self._masters[port].stop()

    def start(self, port: int) -> None:
        """Empty, with the share that it had; it serves when the call returns, about 2 s after it has started."""
        self._masters[port] = _start(port, self._folder)
        with redis.Redis(port=port, decode_responses=True) as node:
            asking: Any = node
            serves = lambda: asking.execute_command("CLUSTER INFO")["cluster_state"] == "ok"  # noqa: E731
            self._masters[port].wait_ready(serves, within=30)

    def each_node(self, *command: str) -> None:
        """Have each node that there is carry out *command*."""
        for port in self._masters:
            with redis.Redis(port=port) as node:
                asking: Any = node
                asking.execute_command(*command)

    def add_replica(self, of: int) -> int:
        """Start a replica of the master at this port, and return its own; it is in step, and every node knows it."""
        port = free_port_with_bus()
        self._masters[port] = _start(port, self._folder)
        with (
            redis.Redis(port=port, decode_responses=True) as node,
            redis.Redis(port=of, decode_responses=True) as master,
        ):
            asking: Any = node
            its_id: Any = master.execute_command("CLUSTER MYID")
            asking.execute_command("CLUSTER MEET", LOOPBACK, of)
            known = lambda: any(each["node_id"] == its_id for each in _nodes(asking).values())  # noqa: E731
            self._masters[port].wait_ready(known, within=30)
            asking.execute_command("CLUSTER REPLICATE", its_id)
            linked = lambda: asking.info("replication").get("master_link_status") == "up"  # noqa: E731
            self._masters[port].wait_ready(linked, within=30)
        self._until_known_as("slave", port)
        return port

    def add_master(self) -> int:
        """Start a master that has no hash slot yet, and return its port; every node knows it, and no client."""
        port = free_port_with_bus()
        self._masters[port] = _start(port, self._folder)
        with redis.Redis(port=port, decode_responses=True) as node:
            asking: Any = node
            asking.execute_command("CLUSTER MEET", LOOPBACK, self.ports[0])
            # It takes nothing, an imported key neither, before it has seen that the cluster is up.
            serves = lambda: asking.execute_command("CLUSTER INFO")["cluster_state"] == "ok"  # noqa: E731
            self._masters[port].wait_ready(serves, within=30)
        self._until_known_as("master", port)
        return port

    def fail_over(self, port: int, replica: int) -> None:
        """The master at *port* dies; when the call returns its replica has become one, as every other node knows."""
        for other in self._masters:
            with redis.Redis(port=other) as node:
                node.config_set("cluster-node-timeout", 1000)
        self._masters.pop(port).kill()
        self._until_known_as("master", replica)

    def _until_known_as(self, role: str, port: int) -> None:
        nodes: list[Any] = [redis.Redis(port=other, decode_responses=True) for other in self._masters]
        told: Any = lambda node: _nodes(node).get(f"{LOOPBACK}:{port}", {"flags": ""})["flags"]  # noqa: E731
        self._masters[port].wait_ready(lambda: all(role in told(node) for node in nodes), within=30)
        for node in nodes:
            node.close()

    def _join(self) -> None:
        nodes: list[Any] = [redis.Redis(port=port, decode_responses=True) for port in self.ports]
        share = _HASH_SLOTS // len(nodes) + 1
        for number, node in enumerate(nodes):
            first = number * share
            node.execute_command("CLUSTER ADDSLOTSRANGE", first, min(first + share, _HASH_SLOTS) - 1)
            node.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            node.execute_command("CLUSTER MEET", LOOPBACK, self.ports[0])

        def serves() -> bool:
            infos = [node.execute_command("CLUSTER INFO") for node in nodes]
            wanted = ("ok", str(len(nodes)), str(_HASH_SLOTS))
            names = ("cluster_state", "cluster_known_nodes", "cluster_slots_assigned")
            return all(tuple(info[name] for name in names) == wanted for info in infos)

        self._masters[self.ports[0]].wait_ready(serves, within=30)
        for node in nodes:
            node.close()


class Move:
    """A hash slot on its way from one master to another, a step at a time, as `redis-cli --cluster reshard` has it."""

    def __init__(self, slot: int, source: int, target: int) -> None:
        self._slot, self._target = slot, target
        self._nodes: list[Any] = [redis.Redis(port=port, decode_responses=True) for port in (source, target)]
        self._ids = [node.execute_command("CLUSTER MYID") for node in self._nodes]

    def begin(self) -> None:
        (source, target), (its_id, target_id) = self._nodes, self._ids
        target.execute_command("CLUSTER SETSLOT", self._slot, "IMPORTING", its_id)
        source.execute_command("CLUSTER SETSLOT", self._slot, "MIGRATING", target_id)

    def carry_keys(self) -> None:
        source = self._nodes[0]
        while keys := source.execute_command("CLUSTER GETKEYSINSLOT", self._slot, 100):
            source.execute_command("MIGRATE", LOOPBACK, self._target, "", 0, 5000, "KEYS", *keys)

    def end(self) -> None:
        """Once, and once more."""
        for node in reversed(self._nodes):
            node.execute_command("CLUSTER SETSLOT", self._slot, "NODE", self._ids[1])
            node.close()


def _nodes(node: Any) -> Any:
    return node.execute_command("CLUSTER NODES")


def _start(port: int, folder: Path) -> Process:
    (folder / str(port)).mkdir(exist_ok=True)
    argv = [require_redis_server(), "--port", str(port), "--bind", LOOPBACK, "--save", "", "--cluster-enabled", "yes"]
    argv += ["--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"]
    argv += ["--cluster-announce-ip", LOOPBACK, "--dir", str(folder / str(port))]
    process = Process(f"redis-cluster-{port}", argv, env=os.environ, folder=folder)

    def answers() -> bool:
        with redis.Redis(port=port, socket_timeout=5) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    process.wait_ready(answers, within=10)
    return process
