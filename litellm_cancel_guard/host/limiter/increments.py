"""What LiteLLM adds to its counters, in each shape that it has had (F15); another shape is passed on untouched."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, Protocol

from litellm_cancel_guard.host import facts

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

# What a cluster hashes of a key: what is in its first braces, unless that is nothing.
_HASH_TAG = re.compile(r"^[^{]*\{([^}]+)\}")


class _Shape(Protocol):
    def fits(self, operation: Any) -> bool:
        """Tell whether *operation* is of this shape; only then may the others be asked."""

    def counts_slots(self, operation: Any) -> bool: ...

    def ident(self, operation: Any) -> Hashable: ...

    def amount(self, operation: Any) -> Any: ...

    def with_amount(self, operation: Any, amount: float) -> Any: ...

    def hash_tag(self, operation: Any) -> str: ...


class _Dicts:
    """``{"key": str, "increment_value": number, "ttl": seconds}``, 1.80 - 1.109."""

    def fits(self, operation: Any) -> bool:
        return isinstance(operation, dict) and isinstance(operation.get("key"), str) and "increment_value" in operation

    def counts_slots(self, operation: Any) -> bool:
        return bool(operation["key"].endswith(f":{facts.CAP}"))

    def ident(self, operation: Any) -> Hashable:
        return operation["key"], operation.get("ttl")

    def amount(self, operation: Any) -> Any:
        return operation["increment_value"]

    def with_amount(self, operation: Any, amount: float) -> Any:
        return {**operation, "increment_value": amount}

    def hash_tag(self, operation: Any) -> str:
        tagged = _HASH_TAG.search(operation["key"])
        return tagged[1] if tagged else operation["key"]


class _Records:
    """``CounterIncrement(counter, amount, ttl)``, frozen, since 1.110 (redis/stores/rate_limits/types.py)."""

    def fits(self, operation: Any) -> bool:
        if isinstance(operation, type) or not dataclasses.is_dataclass(operation):
            return False
        names = {field.name for field in dataclasses.fields(operation)}
        counter = getattr(operation, "counter", None)
        return names == {"counter", "amount", "ttl"} and isinstance(getattr(counter, "suffix", None), str)

    def counts_slots(self, operation: Any) -> bool:
        return bool(operation.counter.suffix == facts.CAP)

    def ident(self, operation: Any) -> Hashable:
        return operation.counter, operation.ttl

    def amount(self, operation: Any) -> Any:
        return operation.amount

    def with_amount(self, operation: Any, amount: float) -> Any:
        return dataclasses.replace(operation, amount=amount)

    def hash_tag(self, operation: Any) -> str:
        return str(getattr(operation.counter, "scope", operation.counter))


_SHAPES: tuple[_Shape, ...] = (_Dicts(), _Records())


def _shape(operation: Any) -> _Shape | None:
    return next((shape for shape in _SHAPES if shape.fits(operation)), None)


def is_known(operation: Any) -> bool:
    """Tell whether *operation* is of a shape that LiteLLM has had."""
    return _shape(operation) is not None


def counts_slots(operation: Any) -> bool:
    """Tell whether *operation* is known to change the number of slots, and not that of tokens."""
    shape = _shape(operation)
    return shape is not None and shape.counts_slots(operation)


def can_be_summed(operation: Any) -> bool:
    """Tell whether *operation* adds a number: of a provider's ``"total_tokens": "12"`` LiteLLM makes none."""
    shape = _shape(operation)
    if shape is None:
        return False
    amount = shape.amount(operation)
    return isinstance(amount, int | float) and not isinstance(amount, bool)


class Sums:
    """Increments by the counter and its seconds to live, each the sum of what was added to it."""

    def __init__(self) -> None:
        self._sums: dict[Hashable, Any] = {}

    def add(self, operations: Iterable[Any]) -> None:
        """Add *operations*, all of which `can_be_summed`."""
        for operation in operations:
            shape: Any = _shape(operation)
            ident = shape.ident(operation)
            known = self._sums.get(ident)
            amount = shape.amount(operation) + (0 if known is None else shape.amount(known))
            self._sums[ident] = shape.with_amount(operation, amount)

    def take(self) -> list[Any]:
        """Return the sums, and begin anew."""
        taken, self._sums = list(self._sums.values()), {}
        return taken

    def __len__(self) -> int:
        return len(self._sums)


def by_hash_tag(operations: Iterable[Any]) -> list[list[Any]]:
    """Return *operations* in groups whose keys a cluster keeps together; those of an unknown shape each alone."""
    groups: dict[Hashable, list[Any]] = {}
    for number, operation in enumerate(operations):
        shape = _shape(operation)
        groups.setdefault(number if shape is None else shape.hash_tag(operation), []).append(operation)
    return list(groups.values())
