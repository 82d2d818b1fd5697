"""What an index run has to do: the difference between the folders and the catalogue."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from glocal.errors import ImageError
from glocal.gallery.catalog import Catalog, FileState
from glocal.gallery.leaving_out import LeftOut
from glocal.gallery.results import Failure
from glocal.gallery.walk import (
    FoundFile,
    FoundFolder,
    is_same,
    kind_of,
    reaches,
    single_file,
    walk,
)
from glocal.images import has_image_suffix
from glocal.images.url_paths import UrlPath

_NOTHING = LeftOut()


@dataclass(slots=True)
class Plan:
    """Work for an index run.

    Attributes:
        todo: files to read, by folder; names only, so that a million of them fit in memory.
        gone: files to remove, by folder number.
        unchanged: how many files need nothing.
        failed: what cannot be used, known already now.
        unreachable: roots and folders that are not there but may come back.
        not_read: how many images of kinds that are not read were met, by kind.
        learned: files that need nothing, by folder number and name, and when they changed, which
            was not noted when they were read.
    """

    todo: list[tuple[Path, list[FoundFile]]] = field(default_factory=list)
    gone: list[tuple[int, bytes]] = field(default_factory=list)
    unchanged: int = 0
    failed: list[Failure] = field(default_factory=list)
    unreachable: list[Path] = field(default_factory=list)
    learned: list[tuple[int, bytes, int]] = field(default_factory=list)
    not_read: Counter[str] = field(default_factory=Counter)

    def count(self) -> int:
        """How many files are to be read."""
        return sum(len(files) for _, files in self.todo)

    def files(self) -> Iterator[tuple[Path, FoundFile]]:
        """The files to be read, each with its folder."""
        for folder, files in self.todo:
            for file in files:
                yield folder, file


def topmost(roots: Iterable[Path], left_out: LeftOut = _NOTHING) -> list[Path]:
    """Roots without those that the walk of another one reaches."""
    kept: dict[Path, None] = {}
    for root in sorted(set(roots)):
        if not any(above in kept and reaches(above, root, left_out) for above in root.parents):
            kept[root] = None
    return list(kept)


class Planner:
    """Compares folders with the catalogue.

    Args:
        catalog: what is known.
        gallery: the gallery's own folder, which is never looked into.
        roots: all that was ever asked to be indexed; what a root holds that the walk of another
            does not reach (behind a link, in a hidden folder) is not removed by that walk.
        reader: says what would read the files now; files that an equal reader could not read are
            not tried again until they change.
        on_found: told the number of files seen so far.
        left_out: what is passed over.
    """

    def __init__(
        self,
        catalog: Catalog,
        gallery: Path,
        roots: Iterable[Path],
        reader: str,
        on_found: Callable[[int], None],
        left_out: LeftOut = _NOTHING,
    ) -> None:
        self._catalog = catalog
        self._gallery = gallery
        self._roots = frozenset(roots)
        self._roots_below: dict[Path, list[Path]] = {}  # by each folder above them
        for root in self._roots:
            for above in root.parents:
                self._roots_below.setdefault(above, []).append(root)
        self._apart: frozenset[Path] = frozenset()  # roots below this one that it does not reach
        self._reader = reader
        self._on_found = on_found
        self._left_out = left_out
        self._found = 0

    def plan(self, roots: Iterable[Path]) -> Plan:
        """Look at each root (a folder or a file) and everything below it."""
        plan = Plan()
        files = _Files()
        for root in topmost(roots, self._left_out):
            try:
                kind = kind_of(root)
            except ImageError as error:
                self._away(root, plan, f"{error}; what the gallery knows of it is kept")
                continue
            if kind == "folder":
                self._folder_tree(root, plan)
            elif kind == "file":
                files.add(root)
            else:
                self._away(root, plan, _NOT_THERE)
        self._compare_files(files, plan)
        return plan

    def _away(self, path: Path, plan: Plan, why: str) -> None:
        plan.unreachable.append(path)
        plan.failed.append(Failure(path, why))

    def known_below(self, path: Path) -> Plan:
        """Remove a path: the file, or the folder with everything known below it."""
        plan = Plan()
        self._remove([path], plan)
        return plan

    def changes(self, paths: Iterable[Path]) -> Plan:
        """Look only at paths that are known to have changed, come or gone."""
        plan = Plan()
        away = {
            root
            for root in topmost(self._roots, self._left_out)
            if not isinstance(root, UrlPath) and kind_of(root) is None
        }
        files, gone = _Files(), []
        for path in topmost(paths, self._left_out):
            gone_with = away.intersection((path, *path.parents))
            if gone_with:
                for root in gone_with.difference(plan.unreachable):
                    self._away(root, plan, _NOT_THERE)
            elif (kind := kind_of(path)) is None:
                gone.append(path)
            elif not self.follows(path):
                continue
            elif kind == "folder":
                self._folder_tree(path, plan)
            elif has_image_suffix(path.name):
                files.add(path)
        self._compare_files(files, plan)
        self._remove(gone, plan)
        return plan

    def follows(self, path: Path) -> bool:
        """Whether the walk of a root comes to a path; not to those in the gallery's own folder."""
        above = (path, *path.parents)
        return not any(is_same(each, self._gallery) for each in above) and any(
            each in self._roots and (each == path or reaches(each, path, self._left_out))
            for each in above
        )

    def _compare_files(self, files: _Files, plan: Plan) -> None:
        for folder in files.folders.values():
            self._compare(folder, plan, whole=False)

    def _remove(self, paths: Iterable[Path], plan: Plan) -> None:
        names: dict[Path, list[bytes]] = {}
        for path in paths:
            names.setdefault(path.parent, []).append(os.fsencode(path.name))
            for number, _, _ in self._catalog.folders_below(path):
                plan.gone += [(number, name) for name in self._catalog.files_in(number)]
        for folder, inside in names.items():
            parent = self._catalog.find_folder(folder)
            if parent is not None:
                known = self._catalog.files_named(parent, inside)
                plan.gone += [(parent, name) for name in inside if name in known]

    def _folder_tree(self, root: Path, plan: Plan) -> None:
        seen: set[Path] = set()
        below = self._roots_below.get(root, ())
        self._apart = frozenset(
            other for other in below if not reaches(root, other, self._left_out)
        )
        for found in walk(root, self._gallery, self._left_out):
            self._found += len(found.files)
            self._on_found(self._found)
            plan.not_read += found.not_read
            images = bool(found.files)
            if found.unreadable is not None:
                self._away(found.path, plan, found.unreadable)
            elif images or found.refused or self._catalog.find_folder(found.path) is not None:
                if not self._looks_unmounted(found):
                    self._compare(found, plan, whole=True)
                else:
                    self._away(found.path, plan, _UNMOUNTED)
            seen.add(found.path)
        self._compare_vanished_folders(root, seen, plan)
        self._apart = frozenset()

    def _looks_unmounted(self, found: FoundFolder) -> bool:
        """An empty folder on another file system than when it held images: a mount point."""
        number = self._catalog.find_folder(found.path)
        if number is None or found.files:
            return False
        device = self._catalog.folder_device(number)
        return device is not None and device != found.device

    def _compare_vanished_folders(self, root: Path, seen: set[Path], plan: Plan) -> None:
        """Folders that are known but were not met: gone, or on a disk that is not there now."""
        devices: dict[Path, int | None] = {}
        kept = set(plan.unreachable)
        for number, path, device in self._catalog.folders_below(root):
            devices[path] = device
            if path in seen or self._gallery in path.parents:
                continue
            parent_device = devices.get(path.parent)
            if any(above in kept for above in (path, *path.parents)):
                continue
            if None not in (device, parent_device) and device != parent_device:
                kept.add(path)
                self._away(path, plan, _UNMOUNTED)
                continue
            self._gone(number, path, self._catalog.files_in(number), plan)

    def _gone(self, number: int, folder: Path, names: Iterable[bytes], plan: Plan) -> None:
        """Remove files of a folder that a walk did not find.

        Not those of roots that it does not reach, nor those that it passed over by their name: a
        RAW image is looked for only where the package that reads it is installed.
        """
        if self._apart and any(above in self._apart for above in (folder, *folder.parents)):
            return
        for name in names:
            path = folder / os.fsdecode(name)
            passed_over = not has_image_suffix(path.name) and (
                isinstance(path, UrlPath) or os.path.lexists(path)
            )
            if path not in self._apart and not passed_over:
                plan.gone.append((number, name))

    def _known(
        self, number: int | None, found: FoundFolder, *, whole: bool
    ) -> dict[bytes, FileState]:
        if number is None:
            return {}
        if whole:
            return self._catalog.files_in(number)
        names = [*(file.name for file in found.files), *(name for name, _ in found.refused)]
        return self._catalog.files_named(number, names)

    def _compare(self, found: FoundFolder, plan: Plan, *, whole: bool) -> None:
        number = self._catalog.find_folder(found.path)
        known = self._known(number, found, whole=whole)
        todo = []
        for file in found.files:
            state = known.pop(file.name, None)
            if state is None or not _same(state, file):
                todo.append(file)
                continue
            if state.changed is None and number is not None:
                plan.learned.append((number, file.name, file.changed))
            if state.content is not None:
                plan.unchanged += 1
            elif state.reader == self._reader:
                path = found.path / os.fsdecode(file.name)
                plan.failed.append(Failure(path, state.reason or "not an image"))
            else:
                todo.append(file)
        if todo:
            plan.todo.append((found.path, todo))
        for name, reason in found.refused:
            plan.failed.append(Failure(found.path / os.fsdecode(name), reason))
            known.pop(name, None)
        if whole and number is not None:
            self._gone(number, found.path, known, plan)


@dataclass(slots=True)
class _Files:
    """Single files, gathered by folder so that each folder is looked up once."""

    folders: dict[Path, FoundFolder] = field(default_factory=dict)

    def add(self, path: Path) -> None:
        """Add a file."""
        folder = self.folders.setdefault(path.parent, FoundFolder(path.parent))
        found = single_file(path)
        folder.files += found.files
        folder.refused += found.refused


def _same(state: FileState, file: FoundFile) -> bool:
    """Whether a file is as it was when it was read."""
    return (state.size, state.modified) == (file.size, file.modified) and (
        state.changed is None or state.changed == file.changed
    )


_NOT_THERE = "not there; what the gallery knows of it is kept"
_UNMOUNTED = (
    "its disk or share is not mounted now; what the gallery knows of it is kept "
    "(glocal remove takes it out)"
)
