"""Move files to the system's trash, noted so that it can be undone. Nothing is ever deleted.

On Linux and its kin this is freedesktop.org's trash (specification 1.0): the trash of the user's
home for files of the same file system, else the one at the top of the file's own. On macOS it is
``~/.Trash``. Windows keeps its bin's form to itself; there the package ``send2trash`` moves files,
and they are taken back by hand.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

from glocal.errors import GalleryError, GlocalError, MissingExtraError, install_command
from glocal.gallery.same_files import content_of
from glocal.gallery.stores.files import sync
from glocal.images.url_paths import UrlPath

_NOTE = ".trashinfo"
_LONGEST_NAME = 255  # bytes


@dataclass(frozen=True, slots=True)
class Moved:
    """A file that went to the trash.

    Attributes:
        run: names the run that moved it.
        path: where it was.
        trashed: where it is; `None` where the system does not say.
        note: the file by which the trash knows where it was, if there is one.
    """

    run: str
    path: Path
    trashed: Path | None
    note: Path | None = None


class Trash:
    """The trash as one gallery uses it.

    Args:
        journal: the file that notes every move before it is made.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal

    def move(
        self, files: Iterable[tuple[Path, UUID]]
    ) -> tuple[list[Moved], list[tuple[Path, str]]]:
        """Move files to the trash.

        Args:
            files: each with what its bytes must be.

        Returns:
            What was moved, and what was not, with the reason.
        """
        run = f"{time.strftime('%Y-%m-%dT%H:%M:%S')}-{secrets.token_hex(3)}"
        moved, left = list[Moved](), list[tuple[Path, str]]()
        for path, content in files:
            if isinstance(path, UrlPath):
                left.append((path, "it lies at a URL; remove it there"))
                continue
            try:
                if os.path.islink(path) or content_of(path) != content:
                    left.append((path, "it is no longer the file of the plan"))
                    continue
                moved.append(self._move(run, path))
            except MissingExtraError:
                raise
            except (OSError, GlocalError) as error:
                left.append((path, getattr(error, "strerror", None) or str(error)))
        return moved, left

    def undo(self) -> tuple[list[Moved], list[tuple[Path, str]]]:
        """Take back what the last run moved that was not taken back yet.

        Returns:
            What is where it was, and what is not, with the reason.
        """
        entries = self._entries()
        open_ = [entry for entry in entries if entry.path.name]
        if not open_:
            return [], []
        run = open_[-1].run
        back, left = [], []
        for entry in open_:
            if entry.run != run:
                continue
            try:
                self._restore(entry)
            except (OSError, GlocalError) as error:
                left.append((entry.path, getattr(error, "strerror", None) or str(error)))
            else:
                back.append(entry)
                self._write({"undone": run, "path": os.fsdecode(entry.path)})
        return back, left

    def _move(self, run: str, path: Path) -> Moved:
        if sys.platform == "win32":
            try:
                import send2trash
            except ImportError as error:
                raise MissingExtraError(
                    f"to move files to the trash: {install_command('send2trash')}"
                ) from error
            moved = Moved(run, path, None)
            self._note(moved)
            send2trash.send2trash(path)
            return moved
        folder = _mac_trash(path) if sys.platform == "darwin" else _trash_for(path)
        if sys.platform == "darwin":
            moved = Moved(run, path, _free(folder / path.name))
        else:
            (folder / "files").mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / "info").mkdir(mode=0o700, exist_ok=True)
            trashed, note = _reserved(folder, path)
            moved = Moved(run, path, trashed, note)
        self._note(moved)  # first: what was moved and not noted could not be found again
        try:
            os.rename(path, moved.trashed or path)
        except OSError:
            if moved.note is not None:
                moved.note.unlink(missing_ok=True)
            self._write({"undone": run, "path": os.fsdecode(path)})
            raise
        return moved

    def _restore(self, entry: Moved) -> None:
        if entry.trashed is None:
            raise GalleryError("take it back from the system's bin")
        if not os.path.lexists(entry.trashed):
            raise GalleryError("it is no longer in the trash")
        if os.path.lexists(entry.path):
            raise GalleryError("another file is there by now")
        entry.path.parent.mkdir(parents=True, exist_ok=True)
        os.rename(entry.trashed, entry.path)
        if entry.note is not None:
            entry.note.unlink(missing_ok=True)

    def _note(self, moved: Moved) -> None:
        self._write(
            {
                "run": moved.run,
                "path": os.fsdecode(moved.path),
                "trashed": None if moved.trashed is None else os.fsdecode(moved.trashed),
                "note": None if moved.note is None else os.fsdecode(moved.note),
            }
        )

    def _write(self, entry: dict[str, str | None]) -> None:
        with self._journal.open("a", encoding="ascii") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            sync(file.fileno())

    def _entries(self) -> list[Moved]:
        """What was moved and not taken back, oldest first."""
        entries: dict[tuple[str, str], Moved] = {}
        try:
            lines = self._journal.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return []
        for line in lines:
            try:
                entry = json.loads(line)
                if "undone" in entry:
                    entries.pop((entry["undone"], entry["path"]), None)
                    continue
                trashed, note = entry["trashed"], entry["note"]
                entries[entry["run"], entry["path"]] = Moved(
                    entry["run"],
                    Path(entry["path"]),
                    None if trashed is None else Path(trashed),
                    None if note is None else Path(note),
                )
            except (ValueError, KeyError, TypeError):  # a line that a crash cut short
                continue
        return list(entries.values())


def _trash_for(path: Path) -> Path:
    """The trash folder for a file, by freedesktop.org's rules."""
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "Trash"
    device = os.stat(path.parent).st_dev
    above = next(folder for folder in (home, *home.parents) if folder.exists())
    if os.stat(above).st_dev == device:
        return home
    top = path.parent.resolve()
    while top.parent != top and os.stat(top.parent).st_dev == device:
        top = top.parent
    shared = top / ".Trash"
    user = os.getuid()
    if shared.is_dir() and not shared.is_symlink() and shared.stat().st_mode & 0o1000:
        return shared / str(user)
    return top / f".Trash-{user}"


def _mac_trash(path: Path) -> Path:
    home = Path.home() / ".Trash"
    if os.stat(home).st_dev != os.stat(path.parent).st_dev:
        raise GalleryError("it lies on another disk; move it to the trash yourself")
    return home


def _free(wanted: Path) -> Path:
    number, free = 1, wanted
    while os.path.lexists(free):
        number += 1
        free = wanted.with_name(f"{wanted.stem} {number}{wanted.suffix}")
    return free


def _reserved(folder: Path, path: Path) -> tuple[Path, Path]:
    """A name in the trash that nobody has, reserved by writing its note."""
    number, name = 1, _shortened(path.stem, path.suffix)
    absolute = quote(os.fsencode(path.absolute()))
    said = f"[Trash Info]\nPath={absolute}\nDeletionDate={time.strftime('%Y-%m-%dT%H:%M:%S')}\n"
    while True:
        trashed, note = folder / "files" / name, folder / "info" / f"{name}{_NOTE}"
        if not os.path.lexists(trashed):
            try:
                with note.open("x", encoding="utf-8") as file:
                    file.write(said)
                return trashed, note
            except FileExistsError:
                pass
        number += 1
        name = _shortened(path.stem, f" {number}{path.suffix}")


def _shortened(stem: str, ending: str) -> str:
    """A name in the trash, cut so that its note's name is no longer than file systems allow."""
    while len(os.fsencode(f"{stem}{ending}{_NOTE}")) > _LONGEST_NAME:
        stem, ending = (stem[:-1], ending) if stem else ("", ending[:-1])
    return f"{stem}{ending}"
