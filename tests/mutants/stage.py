"""Where one mutant is played: what has been changed of LiteLLM for it, and is put back afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MISSING: Any = object()


@dataclass
class Stage:
    """One play of one mutant.

    Attributes:
        port: of Redis.
        module: the limiter's, or a copy of it that is another.
        base: what the limiter's class is made of.
        limiter: once it is built.
        calls: how LiteLLM calls what has another name or other arguments now.
        seen: what its use has shown.
    """

    port: int
    module: Any
    base: Any = None
    limiter: Any = None
    calls: dict[str, Callable[..., Any]] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    _undo: list[Callable[[], None]] = field(default_factory=list)

    def put(self, owner: Any, name: str, value: Any) -> None:
        before = vars(owner).get(name, _MISSING)
        setattr(owner, name, value)
        if before is _MISSING:
            self._undo.append(lambda: delattr(owner, name) if name in vars(owner) else None)
        else:
            self._undo.append(lambda: setattr(owner, name, before))

    def remove(self, owner: Any, name: str) -> None:
        before = vars(owner)[name]
        delattr(owner, name)
        self._undo.append(lambda: setattr(owner, name, before))

    def when_cleared(self, undo: Callable[[], None]) -> None:
        self._undo.append(undo)

    def override(self, **attributes: Any) -> None:
        """Have the limiter's class have other *attributes*."""
        base = self.base or self.module._PROXY_MaxParallelRequestsHandler_v3
        self.base = type(base.__name__, (base,), {"__module__": self.module.__name__, **attributes})

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call the limiter's method as the rest of LiteLLM does."""
        adapted = self.calls.get(name)
        if adapted is not None:
            return adapted(self.limiter, *args, **kwargs)
        return getattr(self.limiter, name)(*args, **kwargs)

    def build(self, db: int = 0) -> None:
        from litellm.caching.caching import DualCache, RedisCache
        from litellm.proxy.utils import InternalUsageCache

        made = self.base or self.module._PROXY_MaxParallelRequestsHandler_v3
        cache = RedisCache(host="127.0.0.1", port=self.port, db=db)
        self.limiter = made(InternalUsageCache(DualCache(redis_cache=cache)))

    def clear(self) -> None:
        while self._undo:
            self._undo.pop()()


@dataclass(frozen=True)
class Mutant:
    """One thing of LiteLLM changed in one way.

    Attributes:
        target: what.
        operator: how.
        before: changes LiteLLM before its limiter is built.
        after: changes the limiter.
        graft: whose ground it is.
        kind: limiter, stream or app.
    """

    target: str
    operator: str
    before: Callable[[Any], None] = lambda _: None
    after: Callable[[Any], None] = lambda _: None
    graft: str = ""
    kind: str = "limiter"

    @property
    def name(self) -> str:
        return f"{self.target} by {self.operator}"


class Around:
    """Answers as what it is around, but for what is said of it."""

    def __init__(self, inner: Any, **said: Any) -> None:
        self.__dict__.update(said, _inner=inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
