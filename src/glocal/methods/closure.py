"""The source files that a trial's numbers depend on, and a hash of them.

The files are found by reading import statements, without importing anything: the trial's module,
the module of its part, and whatever of glocal these import, wherever the statement stands. Left
out are the rows of the registry and the classes of errors, which hold no method: with them, every
new part would make every result stale. Imports for type checkers only are left out too, and
packages count only where they are imported themselves.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

_SOURCE = Path(__file__).parents[2]  # the folder that has the package
_WITHOUT = ("glocal.parts", "glocal.registry", "glocal.errors", "glocal.methods")


def closure(modules: Iterable[str]) -> tuple[Path, ...]:
    """The files of these modules and of all they import from glocal, sorted.

    Args:
        modules: Names of modules of glocal; those of other packages are left out.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in found or _is_left_out(module):
            continue
        path = _file_of(module)
        if path is None:
            continue
        found[module] = path
        waiting.extend(_imported(path))
    return tuple(sorted(found.values()))


def source_hash(modules: Iterable[str]) -> str:
    """SHA-256 over the names of `closure` and what their code means.

    Comments, docstrings and layout do not count: a better sentence makes no result stale.
    """
    digest = hashlib.sha256()
    for path in closure(modules):
        digest.update(f"{path.relative_to(_SOURCE).as_posix()}\n".encode())
        digest.update(_meaning_hash(path))
    return digest.hexdigest()


def _is_left_out(module: str) -> bool:
    return module in ("", "glocal") or any(
        module == name or module.startswith(f"{name}.") for name in _WITHOUT
    )


@cache
def _file_of(module: str) -> Path | None:
    base = _SOURCE.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if module.startswith("glocal.") and path.is_file():
            return path
    return None


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), str(path))


@cache
def _imported(path: Path) -> tuple[str, ...]:
    return tuple(_names(_tree(path)))


@cache
def _meaning_hash(path: Path) -> bytes:
    words: list[str] = []
    _spell(_tree(path), words)
    return hashlib.sha256("\n".join(words).encode()).digest()


def _spell(node: ast.AST, words: list[str]) -> None:
    """The syntax tree in words, the same in all versions of Python: empty fields are left out."""
    words.append(type(node).__name__)
    for name, value in ast.iter_fields(node):
        if name in ("type_comment", "kind") or value is None or value == []:
            continue
        words.append(name)
        for each in value if isinstance(value, list) else (value,):
            if not isinstance(each, ast.AST):
                words.append(repr(each))
            elif not (name == "body" and _is_text(each)):
                _spell(each, words)


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a docstring, or another text that does nothing."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _names(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (name.name for name in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module
            yield from (f"{child.module}.{name.name}" for name in child.names)
        else:
            yield from _names(child)
