"""The one registry of parts: what can be chosen by name, where it was published, what builds it.

A part is a backbone, a re-ranking, an explainer or another exchangeable piece of glocal. Its row
is data, so that a command line can list the choices without importing torch or even NumPy; `load`
imports one part. glocal's own rows are in `glocal.parts`. Other packages add rows by an entry
point of the group ``glocal.parts``, which names an iterable of `Part` or a module that has one
under the name ``ROWS``; ``docs/adding_a_part.md`` has an example.

A name that glocal itself has is answered without looking for other packages: reading the metadata
of everything that is installed takes 0.06 s, which a search should not pay.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Literal, get_args

from glocal.errors import MissingExtraError, PartError
from glocal.errors import install_command as install_command  # noqa: PLC0414 - trials import it here

Kind = Literal[
    "backbone",
    "block",
    "neck",
    "head",
    "objective",
    "recipe",
    "adapter",
    "merger",
    "compressor",
    "bridge",
    "query",
    "reranker",
    "transform",
    "detector",
    "explainer",
    "analysis",
    "store",
    "catalogue",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

GROUP = "glocal.parts"
"""The group of entry points by which packages add rows, glocal's own included."""

_OWN = "glocal.parts:ROWS"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_TARGET = re.compile(r"[\w.]+:[\w.]+")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """One row: a part that can be chosen by name.

    Attributes:
        kind: One of `KINDS`; it decides what the part has to be able to do.
        name: Lower-case name by which it is chosen, unique within its kind.
        source: Where it was published: authors, title, year.
        target: ``module:attribute`` of the class or function.
        requires: What pip has to install for it, such as ``glocal[learn]``; empty where the
            package that has the part brings all it needs.
        summary: One line for people.
        traits: What users of the kind have to know before it is loaded; see each kind's contract.
    """

    kind: Kind
    name: str
    source: str
    target: str
    requires: str = ""
    summary: str = ""
    traits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise PartError(
                f"part {self.name!r} has the kind {self.kind!r}; use one of {', '.join(KINDS)}"
            )
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise PartError(
                f"{self.name!r} cannot name a {self.kind}: use lower-case letters, digits and "
                "the signs . _ -, beginning with a letter or a digit"
            )
        if not isinstance(self.target, str) or not _TARGET.fullmatch(self.target):
            raise PartError(
                f"the {self.kind} {self.name!r} has the target {self.target!r}; "
                "write it as module:attribute"
            )

    def load(self) -> Any:
        """Import the class or function.

        Raises:
            MissingExtraError: A package it needs is not installed; the text has the command.
            PartError: The target does not exist.
        """
        try:
            return _resolve(self.target)
        except ModuleNotFoundError as error:
            how = install_command(self.requires) if self.requires else f"install {error.name}"
            raise MissingExtraError(
                f"the {self.kind} {self.name!r} needs {error.name}, which is not installed: {how}"
            ) from error
        except (ImportError, AttributeError) as error:
            raise PartError(
                f"the {self.kind} {self.name!r} cannot be loaded from {self.target}: {error}; "
                "update or remove the package that has it"
            ) from error


class Registry:
    """Rows by kind and name; safe to use from many threads.

    The order of rows is glocal's own, then other packages' by the names of their entry points,
    then what `register` added.
    """

    def __init__(self) -> None:
        self._own: dict[tuple[str, str], Part] = {}
        self._others: dict[tuple[str, str], Part] = {}
        self._registered: dict[tuple[str, str], Part] = {}
        self._complete = False
        self._lock = threading.RLock()

    def register(self, part: Part) -> None:
        """Add a part for as long as this process runs.

        Raises:
            PartError: The name is taken.
        """
        with self._lock:
            self._read_all()
            self._add(part, self._registered)

    def parts(self, kind: Kind) -> tuple[Part, ...]:
        """All rows of a kind."""
        with self._lock:
            self._read_all()
            return tuple(part for part in self._rows() if part.kind == kind)

    def names(
        self, kind: Kind, *, trait: str | None = None, without: str | None = None
    ) -> tuple[str, ...]:
        """The names of the parts of a kind.

        Args:
            kind: One of `KINDS`.
            trait: Only parts that have this trait.
            without: Only parts that do not have this trait.
        """
        return tuple(
            part.name
            for part in self.parts(kind)
            if (trait is None or trait in part.traits) and without not in part.traits
        )

    def part(self, kind: Kind, name: str) -> Part:
        """The row of this kind and name.

        Raises:
            PartError: There is none; the text has the nearest name and all there are.
        """
        with self._lock:
            self._read_own()
            if (kind, name) in self._own:
                return self._own[kind, name]
            self._read_all()
            for rows in (self._others, self._registered):
                if (kind, name) in rows:
                    return rows[kind, name]
        from difflib import get_close_matches  # only where something is wrong

        known = self.names(kind)
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise PartError(
            f"there is no {kind} named {name!r}; {hint}choose from: {', '.join(known) or 'none'}"
        )

    def load(self, kind: Kind, name: str) -> Any:
        """Import the class or function of this kind and name; see `part` and `Part.load`."""
        return self.part(kind, name).load()

    def _rows(self) -> Iterator[Part]:
        for rows in (self._own, self._others, self._registered):
            yield from rows.values()

    def _add(self, part: Part, to: dict[tuple[str, str], Part]) -> None:
        key = part.kind, part.name
        for rows in (self._own, self._others, self._registered):
            if key in rows and rows[key] != part:
                raise PartError(
                    f"there is already a {part.kind} named {part.name!r}, {rows[key].target}; "
                    f"give {part.target} another name"
                )
            if key in rows:
                return
        to[key] = part

    def _read_own(self) -> None:
        if not self._own:
            for row in _rows_in(_resolve(_OWN)):
                self._add(row, self._own)

    def _read_all(self) -> None:
        self._read_own()
        if self._complete:
            return
        self._complete = True
        from importlib.metadata import entry_points  # 0.05 s that only listings and errors need

        try:
            found = list(entry_points(group=GROUP))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with installed metadata
            _log.warning("parts of other packages are left out: %s", error)
            return
        # The rows of glocal itself are here already: those of this source tree, of which the
        # installed metadata may be older.
        found = [point for point in found if point.value != _OWN]
        for point in sorted(found, key=lambda point: (point.name, point.value)):
            named = f"entry point {point.name!r} of {GROUP} ({point.value})"
            try:
                rows = list(_rows_in(point.load()))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever others' code raises
                _log.warning("%s is left out: %s: %s", named, type(error).__name__, error)
                continue
            for row in rows:
                try:
                    self._add(row, self._others)
                except PartError as error:
                    _log.warning("%s: a row is left out: %s", named, error)


def _resolve(target: str) -> Any:
    module, _, attribute = target.partition(":")
    found: Any = import_module(module)
    for name in attribute.split("."):
        found = getattr(found, name)
    return found


def _rows_in(found: Any) -> Iterator[Part]:
    """The rows that an entry point names."""
    rows: Iterable[Any] = found.ROWS if isinstance(found, ModuleType) else found
    for row in rows:
        if not isinstance(row, Part):
            raise PartError(f"it has to list glocal.registry.Part, not {row!r:.100}")
        yield row


_REGISTRY = Registry()
register = _REGISTRY.register
parts = _REGISTRY.parts
names = _REGISTRY.names
part = _REGISTRY.part
load = _REGISTRY.load
