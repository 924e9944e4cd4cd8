"""Whatever of the host's lasts longer than a request is touched by a graft, which can take it out again."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import litellm_cancel_guard
from litellm_cancel_guard.host.grafts import GRAFTS

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = Path(litellm_cancel_guard.__file__).parent / "host"

# What a request has for itself, by the names that it has in host/: it ends with the request.
OF_A_REQUEST = {
    *("answer", "asked", "book", "bridge", "closer", "error", "found"),
    *("outcome", "seen", "served", "serving", "stream", "told"),
}
# The guard's own, and the marks on its own wrappers.
OUR_OWN = {
    *("self", "registry", "run", "touch", "turn", "wrapper"),
    *("chunk_processor", "_async_streaming", "shut_down"),
}
OTHERWISE = {
    ("grafting.py", "owner"): "the one place that does it",
    ("callbacks.py", "litellm"): "a list that others append to: put back by what it has then (Touch.when_out)",
    ("serving.py", "app"): "a chain that Starlette builds late: unwound by forget_tasks (Touch.when_out)",
    ("shutdown.py", "server"): "uvicorn's, which ends with its process",
}


def assigned() -> Iterator[tuple[str, str]]:
    """The file, and the name of the object whose attribute is set or deleted there."""
    for path in sorted(HOST.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
                yield path.name, _root(node.value)
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "delattr"):
                yield path.name, _root(node.args[0])


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Name) and node.value.id == "self" and node.attr == "owner":
            return "owner"
        node = node.value
    return ast.unparse(node)


def test_no_object_of_the_host_is_changed_but_by_a_graft() -> None:
    found = {(file, name) for file, name in assigned() if name not in OF_A_REQUEST | OUR_OWN}
    assert found == set(OTHERWISE), "put it in by Touch.put or Touch.replace (host/grafting.py)"


def test_every_graft_that_is_asked_for_is_declared_and_every_declared_one_is_asked_for() -> None:
    package = HOST.parent
    texts = "".join(path.read_text() for path in package.rglob("*.py") if path.name != "grafts.py")
    mends = {f"stream.{path.stem}" for path in (HOST / "mends").glob("*.py")} - {"stream.__init__", "stream.found"}
    declared = {graft.name for graft in GRAFTS}
    assert mends <= declared
    assert [name for name in declared - mends if f'"{name}"' not in texts] == []
