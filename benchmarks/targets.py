"""What every figure should be: the targets of the project's issues, in one place, and nothing else.

A figure finds its target by its measure, its name and its LiteLLM; the first line that fits counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

_SLOTS = (1, 94)  # LiteLLM keeps slots of its own from here on; below, a number


@dataclass(frozen=True)
class Target:
    """What a figure should be: `<=` or `>=` a bound."""

    sign: str
    bound: float

    def reached(self, value: float) -> bool:
        return value <= self.bound if self.sign == "<=" else value >= self.bound

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:g}"


@dataclass(frozen=True)
class _Line:
    """One target.

    Attributes:
        name: of the figure, `*` for whatever stands there.
        bound: None for what has no target, though a line below fits it.
        issue: of this project, that asks for it; 0: what the issues before asked of every measure.
        since: the first LiteLLM that it is for.
        before: the first that it is no longer for.
    """

    measure: str
    name: str
    sign: str
    bound: float | None
    issue: int = 0
    since: tuple[int, ...] = ()
    before: tuple[int, ...] = (999,)

    def fits(self, measure: str, name: str, version: str) -> bool:
        release = tuple(int(part) for part in version.split(".")[:2]) if version else self.since
        return measure == self.measure and fnmatchcase(name, self.name) and self.since <= release < self.before


_LINES = (
    _Line("throughput", "CPU ms of the proxy per request, one client alone", "<=", 1.02),
    _Line("throughput", "CPU ms of the proxy per request, *", "<=", 0.90, 15, since=_SLOTS),
    _Line("throughput", "CPU ms of the proxy per request, plain", "<=", 0.97, 19, before=_SLOTS),
    _Line("throughput", "CPU ms of the proxy per request, *", "<=", 1.02),
    _Line("throughput", "requests/s, *", ">=", 1.10, 15, since=_SLOTS),
    _Line("throughput", "requests/s, plain", ">=", 1.02, 19, before=_SLOTS),
    _Line("throughput", "requests/s, *", ">=", 0.98),
    _Line("throughput", "time to first token, *", "<=", 1.02),
    _Line("throughput", "times the guard took Redis for away", "<=", 0),
    # No worse than LiteLLM alone, by as much as two runs of the same program differ.
    _Line("arrivals", "* (ms), *", "<=", 1.02, 15),
    _Line("arrivals", "memory *", "<=", 1.02, 15),
    _Line("storm", "slots that never come back, *", "<=", 0, 19),
    _Line("storm", "others' first token *", "<=", 1.02, 15),
    _Line("traffic", "Redis commands run, *, key with a cap", "<=", 12 - 11, 19, before=_SLOTS),
    _Line("traffic", "Redis commands run, *, key with a cap", "<=", 8 - 15, 19, since=_SLOTS),
    _Line("traffic", "Redis *per request, *", "<=", 0, 15),
    _Line("hang_up", "slot free after the hang-up, median, *", "<=", 10, 15),
    _Line("hang_up", "slot free after the hang-up, p99, *", "<=", 50),
    _Line("hang_up", "provider sees the hang-up, p99, *", "<=", 1000),
    _Line("killed", "*, lease 10 s", "<=", 11, 15),
    _Line("killed", "*, lease 2 s", "<=", 3, 15),
    _Line("attach", "attach and prove, at a worker's start", "<=", 150, 15),
    _Line("line", "slots held in Redis over the cap", ">=", 0.97, 17),
    _Line("line", "refusals seen by a client", "<=", 0, 17),
    _Line("line", "answers per second over clients that come back after a second", ">=", 2, 17),
    _Line("line", "answers per second over clients that poll", ">=", 1.1, 17),
    _Line("line", "answers per second over four clients without a cap", ">=", 0.95, 17),
    _Line("line", "Redis commands per answer over clients that poll", "<=", 0.5, 17),
    _Line("line", "from a release to the next admission, p50", "<=", 5, 17),
    _Line("line", "from a release to the next admission, p99, over clients that poll", "<=", 0.1, 17),
    # Half of 0.83 and 0.85 µs, on the machine that docs/performance.md names.
    _Line("chunks", "guard's layer per chunk: bytes, messages", "<=", 0.41, 16),
    _Line("chunks", "guard's layer per chunk: bytes, genai", "<=", 0.42, 16),
    _Line("chunks", "guard's layer per chunk: *", "<=", 1),
    _Line("chunks", "bytes kept per chunk of a stream: *", "<=", 0, 16),
    _Line("pair", "acquire + release per second over redis-py's, *", ">=", 0.8),
    # Half of 0.77 and 1.83 % of a core, on that machine.
    _Line("leases", "heartbeat, 10000 leases, 1 per key, slots", "<=", 0.38, 19),
    _Line("leases", "heartbeat, 10000 leases, 1 per key, counted", "<=", 0.91, 19),
    _Line("leases", "heartbeat, 10000 leases, *", "<=", 2),
    _Line("leases", "longest turn of the event loop in a beat, 10000 leases, *", "<=", 10, 19),
    _Line("leases", "heartbeat from * grows with the power of, *", "<=", 1.1),
    _Line("leases", "memory per lease, *", "<=", 1024),
    # What is flat may differ by so much from one measurement to the next; among slots of one key it grows by log n.
    _Line("growth", "acquire, *: at * keys over at 10", "<=", 1.25),
    _Line("growth", "acquire, *: at 100000 slots of one key over at 10", "<=", 5),
    _Line("growth", "acquire, *: at 1000 slots of one key over at 10", "<=", 3),
    _Line("builds", "Redis' core, *: scripts that do nothing", "<=", None),
    _Line("builds", "Redis' core, acquire + release, *", "<=", 0.6, 19),
    _Line("builds", "Redis' core, renewal of a slot, *", "<=", 0.5, 19),
    _Line("builds", "commands run, acquire + release, slots, *", "<=", 8, 19),
    _Line("builds", "commands run, acquire + release, counted, *", "<=", 12, 19),
)


def target_of(measure: str, name: str, version: str = "") -> Target | None:
    """Return the target of a figure; one that only shows what is possible has none."""
    fitting = (line for line in _LINES if line.fits(measure, name, version))
    line = next(fitting, None)
    return None if line is None or line.bound is None else Target(line.sign, line.bound)
