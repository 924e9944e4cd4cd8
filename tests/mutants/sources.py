"""Copies of one of LiteLLM's own modules with one thing changed in its text; its own callers are changed with it."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_numbers = itertools.count()
MORE = "tenant"


def copied(module: Any, *, text: Callable[[str], str] = str, tree: ast.NodeTransformer | None = None) -> Any:
    """Return *module* as it is when its text, or its tree, is another."""
    parsed = ast.parse(text(inspect.getsource(module)))
    if tree is not None:
        parsed = ast.fix_missing_locations(tree.visit(parsed))
    copy: Any = ModuleType(f"{module.__name__}_mutant_{next(_numbers)}")
    copy.__package__, copy.__file__ = module.__package__, module.__file__
    # Dataclasses look up their module, and the guard that of the limiter's class.
    sys.modules[copy.__name__] = copy
    exec(compile(parsed, str(module.__file__), "exec"), vars(copy))
    return copy


def renamed(name: str, to: str) -> Callable[[str], str]:
    return lambda text: re.sub(rf"\b{re.escape(name)}\b", to, text)


class _Of(ast.NodeTransformer):
    """Changes what concerns the method *name*."""

    def __init__(self, name: str) -> None:
        self.name = name

    def is_call(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == self.name


class KeywordMore(_Of):
    """It wants one keyword more, which its callers give."""

    def visit_FunctionDef(self, node: Any) -> Any:
        self.generic_visit(node)
        if node.name == self.name:
            node.args.kwonlyargs.append(ast.arg(MORE))
            node.args.kw_defaults.append(None)
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast's name

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if self.is_call(node):
            node.keywords.append(ast.keyword(MORE, ast.Constant("a tenant")))
        return node


class PositionMore(_Of):
    """It wants one argument more, before all others."""

    def visit_FunctionDef(self, node: Any) -> Any:
        self.generic_visit(node)
        if node.name == self.name:
            node.args.args.insert(1, ast.arg(MORE))
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast's name

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if self.is_call(node):
            node.args.insert(0, ast.Constant("a tenant"))
        return node


class Awaited(_Of):
    """What was called is awaited now."""

    def visit_FunctionDef(self, node: Any) -> Any:
        self.generic_visit(node)
        if node.name != self.name:
            return node
        fields: dict[str, Any] = {name: getattr(node, name, None) for name in node._fields}
        return ast.AsyncFunctionDef(**fields)

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        return ast.Await(node) if self.is_call(node) else node


class Answered(_Of):
    """What it gives is of another type, *written* at its end and *read* by its callers: names of the module's."""

    def __init__(self, name: str, read: str) -> None:
        super().__init__(name)
        self.read = read

    def visit_Await(self, node: ast.Await) -> Any:
        if not self.is_call(node.value):
            return self.generic_visit(node)
        super().generic_visit(node.value)
        return ast.Call(ast.Name(self.read, ast.Load()), [node], [])

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        return ast.Call(ast.Name(self.read, ast.Load()), [node], []) if self.is_call(node) else node


class Given(_Of):
    """One of its arguments is made into another type by its callers, by the module's function *make*."""

    def __init__(self, name: str, parameter: str, make: str) -> None:
        super().__init__(name)
        self.parameter = parameter
        self.make = make

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if not self.is_call(node):
            return node
        for keyword in node.keywords:
            if keyword.arg == self.parameter:
                keyword.value = ast.Call(ast.Name(self.make, ast.Load()), [keyword.value], [])
                return node
        if node.args:
            node.args[0] = ast.Call(ast.Name(self.make, ast.Load()), [node.args[0]], [])
        return node
