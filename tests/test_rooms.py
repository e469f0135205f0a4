"""What import-linter cannot see: no room reaches into another's objects."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "seqloom"
ROOMS = sorted(path.name for path in SOURCES.iterdir() if (path / "__init__.py").is_file())

NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}
"""Public, whatever they look like."""
FOREIGN = {
    "_kernels": "the extension module, private to the engine's runtime",
    "_version": "torch has no other way to say that a tensor was changed in place",
    "_forward_pre_hooks": "torch has no other way to say that a module has hooks",
    "_modules": "slicing a torch ModuleList builds a module",
}
LIBRARIES = {"forward_ad", "os", "torch"}
"""Their own private names are another matter: they have no room here."""


def parsed(room: str) -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text())) for path in sorted((SOURCES / room).rglob("*.py"))]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def defined(module: ast.Module) -> Iterator[str]:
    """Private names that a module gives to functions, classes, variables, fields and attributes of ``self``."""
    for node in ast.walk(module):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store(), value=ast.Name(id="self" | "cls")):
                yield name


def root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def borrowed(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Private names that a module reads of something else than ``self``, and those that it imports."""
    for node in ast.walk(module):
        match node:
            case ast.Attribute(attr=name, value=value) if is_private(name) and root(value) not in LIBRARIES:
                if not (isinstance(value, ast.Name) and value.id in {"self", "cls"}):
                    yield node.lineno, name
            case ast.ImportFrom(module=str(source), names=names) if source.startswith("seqloom."):
                yield from ((node.lineno, alias.name) for alias in names if is_private(alias.name))


@pytest.mark.parametrize("room", ROOMS)
def test_no_private_name_is_read_across_rooms(room):
    modules = parsed(room)
    own = {name for _, module in modules for name in defined(module)} | NAMED_TUPLES | FOREIGN.keys()
    foreign = [
        f"{path.relative_to(SOURCES)}:{line}: {name}"
        for path, module in modules
        for line, name in borrowed(module)
        if name not in own
    ]
    assert not foreign


def test_the_search_would_find_one():
    module = ast.parse("class A:\n    def f(self, layer):\n        return self._own, layer._cells(0), torch._C")
    assert [name for _, name in borrowed(module)] == ["_cells"]
    assert "_own" in set(defined(ast.parse("self._own = 1")))
