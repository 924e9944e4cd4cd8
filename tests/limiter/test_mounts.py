"""What is put into the proxy's application is said to be in force where it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from litellm.proxy import proxy_server
from starlette.applications import Starlette
from starlette.responses import Response

from litellm_cancel_guard.host.grafting import Board
from litellm_cancel_guard.host.grafts import GRAFTS
from litellm_cancel_guard.host.mounts import Mounts
from litellm_cancel_guard.ledger.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

NOTING = "tasks.noting"


class BuiltInAnotherWay(Starlette):
    """As one may be that looks at its middlewares at each start."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.middleware_stack is None:
            self.middleware_stack = super().build_middleware_stack()
        await self.middleware_stack(scope, receive, send)


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Starlette], tuple[Board, Mounts]]]:
    made: list[Mounts] = []

    def mount(app: Starlette) -> tuple[Board, Mounts]:
        monkeypatch.setattr(proxy_server, "app", app)
        board = Board(GRAFTS)
        made.append(Mounts(board, Registry(), lambda _: None))
        made[-1].put_in()
        return board, made[-1]

    yield mount
    for mounts in made:
        mounts.take_out()


async def ask(app: Starlette, mounts: Mounts) -> None:
    """One request, which comes to the guard's hook."""

    async def endpoint(_: Request) -> Response:
        mounts.look()
        return Response()

    app.add_route("/", endpoint)

    async def nothing(*_: Any) -> None:
        """Receive and send."""

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "root_path": "", "query_string": b""}
    await asyncio.gather(app(scope, nothing, nothing), return_exceptions=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "state"),
    [(Starlette, "in force"), (BuiltInAnotherWay, "stands aside: the application was built in another way")],
)
async def test_an_application_that_is_built_at_its_first_request_says_then_whether_it_is_noted(
    mounted: Callable[[Starlette], tuple[Board, Mounts]], made: type[Starlette], state: str
) -> None:
    app = made()
    board, mounts = mounted(app)
    assert not board.of(NOTING).missing
    assert str(board.of(NOTING)) == "stands aside: not attached yet: no request has come"
    await ask(app, mounts)
    assert str(board.of(NOTING)) == state


async def test_an_application_that_is_built_is_noted_at_once(
    mounted: Callable[[Starlette], tuple[Board, Mounts]],
) -> None:
    app = Starlette()
    app.middleware_stack = app.build_middleware_stack()
    board, _ = mounted(app)
    assert str(board.of(NOTING)) == "in force"
