"""What a walk passes over: what is no photo of anybody's, what was excluded, what was removed."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from glocal.errors import QueryError

USUALLY = (
    "hidden files and folders, recycle bins and snapshots of systems and network drives "
    "(#recycle, @Recycle, @Recently-Snapshot, @eaDir, #snapshot, $RECYCLE.BIN, lost+found), "
    "folders with a file .nomedia, *.lrdata, and all of a *.photoslibrary but its originals"
)
"""What is passed over everywhere, in words."""

_NAMES = frozenset(
    (
        "$RECYCLE.BIN",
        "System Volume Information",
        "lost+found",
        "#recycle",  # Synology
        "#snapshot",
        "@eaDir",
        "@Recycle",  # QNAP
        "@Recently-Snapshot",
        "@tmp",
    )
)
NO_MEDIA = ".nomedia"
"""A file by which Android marks a folder whose images are no photos."""

_PREVIEWS = ".lrdata"  # Lightroom's, beside its catalogue
_LIBRARIES = (".photoslibrary", ".photolibrary", ".migratedphotolibrary", ".aplibrary")
_ORIGINALS = frozenset(("originals", "masters"))  # of Apple's libraries; all else is derived


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the walk of a root passes over below it.

    Attributes:
        globs: by root, patterns: one without a slash is compared with the names of files and
            folders, one with a slash with their paths below the root; a folder that matches is
            passed over with all below it.
        removed: paths that were removed from the gallery by hand.
    """

    globs: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)
    removed: frozenset[Path] = frozenset()

    def skips(self, root: Path, folder: Path, name: str) -> bool:
        """Whether the walk of `root` passes over what has this name in a folder."""
        if name.startswith(".") or name in _NAMES or name[-7:].lower() == _PREVIEWS:
            return True
        if folder.suffix.lower() in _LIBRARIES and name.lower() not in _ORIGINALS:
            return True
        if self.removed and folder / name in self.removed:
            return True
        globs = self.globs.get(root)
        return bool(globs) and _matches(globs or (), root, folder / name)


def check_globs(globs: Iterable[str]) -> tuple[str, ...]:
    """Patterns as they are kept with a root; an empty one is none.

    Raises:
        QueryError: one is absolute, or leads out of the root.
    """
    kept = []
    for glob in globs:
        if os.path.isabs(glob) or ".." in glob.replace(os.sep, "/").split("/"):
            raise QueryError(
                f"{glob!r} cannot be excluded: name it as it lies below the indexed folder, "
                "such as raw/* or *.bak.jpg"
            )
        if glob:
            kept.append(glob.removeprefix("./").rstrip("/"))
    return tuple(dict.fromkeys(kept))


def to_text(globs: Iterable[str]) -> str:
    """Patterns as the catalogue keeps them."""
    return json.dumps(list(globs))


def from_text(text: str | None) -> tuple[str, ...]:
    """The patterns that `to_text` has written; none of `None`."""
    return tuple(map(str, json.loads(text))) if text else ()


def _matches(globs: Iterable[str], root: Path, path: Path) -> bool:
    below, name = _composed(path.relative_to(root).as_posix()), _composed(path.name)
    return any(fnmatch(below if "/" in g else name, _composed(g)) for g in globs)


def _composed(text: str) -> str:
    """A name in one spelling: macOS keeps accents apart from their letters, keyboards do not."""
    return unicodedata.normalize("NFC", text)
