"""Starlettes of other makes: applications that build their middleware in another way than today's."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette


class _Renamed(Starlette):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.middleware_stack
        self.stack_v4 = self.build_middleware_stack()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.stack_v4(scope, receive, send)


class _Builds(Starlette):
    """Builds at its first request, as Starlette's own."""

    async def built(self) -> Any:
        return self.build_middleware_stack()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.middleware_stack is None:
            self.middleware_stack = await self.built()
        await self.middleware_stack(scope, receive, send)


class _BuildsLater(_Builds):
    async def build_middleware_stack(self) -> Any:  # type: ignore[override]
        return super().build_middleware_stack()

    async def built(self) -> Any:
        return await self.build_middleware_stack()


class _BuildsWithMore(_Builds):
    def build_middleware_stack(self, tenant: str) -> Any:  # type: ignore[override]
        return super().build_middleware_stack()

    async def built(self) -> Any:
        return self.build_middleware_stack("a tenant")


class _BuildsByProperty(_Builds):
    @property
    def build_middleware_stack(self) -> Any:
        return super().build_middleware_stack


class _BuildsByAnother(_Builds):
    async def built(self) -> Any:
        return super().build_middleware_stack()


class _Kept(_Builds):
    """Has built it before anybody comes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.middleware_stack = self.build_middleware_stack()


class _KeptAsAList(_Kept):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.middleware_stack: Any = [self.middleware_stack]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.middleware_stack[0](scope, receive, send)


class _Frozen(_Kept):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.frozen = True

    def __setattr__(self, name: str, value: Any) -> None:
        if vars(self).get("frozen"):
            raise AttributeError(f"can't set {name}")
        super().__setattr__(name, value)


class _Forgets(_Frozen):
    def __setattr__(self, name: str, value: Any) -> None:
        if not vars(self).get("frozen"):
            vars(self)[name] = value


_STACK, _BUILD = "middleware_stack", "build_middleware_stack"
APPS: dict[tuple[str, str], type[Starlette]] = {
    (_STACK, "any order"): _Kept,
    (_STACK, "renamed"): _Renamed,
    (_STACK, "a list"): _KeptAsAList,
    (_STACK, "takes no attributes"): _Frozen,
    (_STACK, "forgets attributes"): _Forgets,
    (_BUILD, "any order"): _Builds,
    (_BUILD, "async for sync"): _BuildsLater,
    (_BUILD, "an argument more"): _BuildsWithMore,
    (_BUILD, "a property"): _BuildsByProperty,
    (_BUILD, "renamed"): _BuildsByAnother,
}
