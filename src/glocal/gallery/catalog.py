"""The catalogue: which file has which content, and what is known of each content.

An SQLite file in the gallery's folder, or tables of a server (`glocal.gallery.database`), and the
truth about *what is in the gallery*; the store holds the vectors of it.
What belongs together (the images of a batch, the files that hold them, the store's own rows) is
written in one `change`, so that a crash at any moment leaves all of it or nothing.

File names are bytes, as the file system has them, so that no name is impossible.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from glocal.gallery.catalog_state import CatalogState, below
from glocal.gallery.database import upsert
from glocal.gallery.records import SEVERAL, Attributes
from glocal.images.url_paths import as_path

_LOSE = (
    "INSERT INTO lost SELECT content FROM files "
    "WHERE folder = ? AND name = ? AND content IS NOT NULL"
)
_PUT_FILE = upsert("files", "folder, name", "size, modified, content, reason, reader, changed")
_PUT_CONTENT = upsert("contents", "id", "width, height, bytes, taken, camera, latitude, longitude")


@dataclass(frozen=True, slots=True)
class Content:
    """An image's content, whatever files hold it; see `Attributes` for the fields."""

    id: UUID
    width: int
    height: int
    bytes: int
    taken: int | None
    camera: str | None
    latitude: float | None
    longitude: float | None

    def attributes(self, folders: tuple[int, ...]) -> Attributes:
        """What it can be filtered by, lying in these folders."""
        known = self.latitude is not None and self.longitude is not None
        place = (self.latitude or 0.0, self.longitude or 0.0) if known else None
        return Attributes(
            folders, self.width, self.height, self.bytes, self.taken, self.camera, place
        )


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was when it was last read.

    Attributes:
        name: within its folder.
        size: in bytes.
        modified: nanoseconds since 1970.
        content: what it held, or `None` when it could not be read as an image.
        reason: why it could not.
        reader: what could not read it (version and limits), to try again when that changes.
        changed: when anything about it last changed, in nanoseconds since 1970, which no program
            sets back as it may set `modified`; `None` where that was not noted yet.
    """

    name: bytes
    size: int
    modified: int
    content: UUID | None
    reason: str | None = None
    reader: str | None = None
    changed: int | None = None


class Catalog(CatalogState):
    """The catalogue of a gallery; see `Database` for threads, processes and errors."""

    # Folders

    def folder(self, path: Path, device: Callable[[Path], int | None] = lambda _: None) -> int:
        """The number of a folder, given to it and to those above when they are new.

        `device` tells the file system a folder lies on, remembered for it and those above, to
        tell an unmounted disk from an emptied folder.
        """
        number = None
        devices = {above: _signed(device(above)) for above in (*reversed(path.parents), path)}
        with self.change():
            for above, on in devices.items():
                parent, number = number, self.find_folder(above)
                if number is None:
                    self.writer.execute(
                        "INSERT INTO folders (path, parent, device) VALUES (?, ?, ?)",
                        (os.fsencode(above), parent, on),
                    )
                    number = self.find_folder(above)
                elif on is not None:
                    self.writer.execute(
                        "UPDATE folders SET device = ?1 WHERE id = ?2 "
                        "AND (device IS NULL OR device <> ?1)",
                        (on, number),
                    )
        return number or 0

    def find_folder(self, path: Path) -> int | None:
        """The number of a folder, or `None` when it never held an image."""
        found = self.value("SELECT id FROM folders WHERE path = ?", (os.fsencode(path),))
        return None if found is None else int(found)

    def all_folders(self) -> dict[Path, int]:
        """Every folder that ever held an image, and those above, with their numbers."""
        rows = self.rows("SELECT path, id FROM folders")
        return {as_path(os.fsdecode(path)): int(number) for path, number in rows}

    def folder_device(self, folder: int) -> int | None:
        """The file system a folder was last seen on."""
        device = self.value("SELECT device FROM folders WHERE id = ?", (folder,))
        return None if device is None else int(device) % 2**64

    def folders_below(self, path: Path) -> list[tuple[int, Path, int | None]]:
        """Number, path and device of a folder and of all below it, parents before children."""
        low, high = below(path)
        rows = self.rows(
            "SELECT id, path, device FROM folders "
            "WHERE path = ? OR (path >= ? AND path < ?) ORDER BY path",
            (os.fsencode(path), low, high),
        )
        return [(i, as_path(os.fsdecode(p)), None if d is None else d % 2**64) for i, p, d in rows]

    def lineage(self, folder: int) -> tuple[int, ...]:
        """A folder and all above it."""
        rows = self.rows(
            "WITH RECURSIVE up(id) AS (SELECT CAST(? AS BIGINT) UNION ALL SELECT parent "
            "FROM folders JOIN up USING (id) WHERE parent IS NOT NULL) SELECT id FROM up",
            (folder,),
        )
        return tuple(i for (i,) in rows)

    # Files

    def files_in(self, folder: int) -> dict[bytes, FileState]:
        """The files known in a folder, by name."""
        return dict(map(_state, self.rows(f"{self._states} WHERE folder = ?", (folder,))))

    def files_named(self, folder: int, names: Iterable[bytes]) -> dict[bytes, FileState]:
        """Those of the files of a folder that have these names."""
        sql = f"{self._states} WHERE folder = {folder:d} AND name IN (?*)"
        return dict(self.rows_for(sql, names, _state))

    def content_of(self, path: Path) -> UUID | None:
        """The content of a file, or `None` when it has none or is not known."""
        folder = self.find_folder(path.parent)
        name = os.fsencode(path.name)
        state = None if folder is None else self.files_named(folder, [name]).get(name)
        return None if state is None else state.content

    def put_files(self, files: Iterable[tuple[int, FileState]]) -> None:
        """Write files by folder, and note contents that they cease to hold; inside `change`."""
        states = [
            (
                folder,
                f.name,
                f.size,
                f.modified,
                f.content.bytes if f.content else None,
                f.reason,
                f.reader,
                f.changed,
            )
            for folder, f in files
        ]
        self.writer.executemany(
            f"{_LOSE} AND content <> ? ON CONFLICT DO NOTHING",
            [(folder, name, content or b"") for folder, name, _, _, content, *_ in states],
        )
        self.writer.executemany(_PUT_FILE, states)

    def note_changed(self, files: Iterable[tuple[int, bytes, int]]) -> None:
        """Note when files last changed, by folder and name, where it was not known yet."""
        self.writer.executemany(
            "UPDATE files SET changed = ?3 WHERE folder = ?1 AND name = ?2 AND changed IS NULL",
            files,
        )

    def drop_files(self, files: Sequence[tuple[int, bytes]]) -> None:
        """Remove files by folder and name, and note what they held; inside `change`."""
        self.writer.executemany(f"{_LOSE} ON CONFLICT DO NOTHING", files)
        self.writer.executemany("DELETE FROM files WHERE folder = ? AND name = ?", files)

    def lost(self, limit: int) -> list[UUID]:
        """Some of the contents that a file has ceased to hold, and that were not settled since."""
        rows = self.rows("SELECT content FROM lost LIMIT ?", (limit,))
        return [UUID(bytes=i) for (i,) in rows]

    def settle(self, ids: Iterable[UUID]) -> None:
        """Note that lost contents were looked after; inside `change`."""
        self.writer.executemany("DELETE FROM lost WHERE content = ?", [(i.bytes,) for i in ids])

    def files_of(self, contents: Iterable[UUID]) -> dict[UUID, list[tuple[int, Path]]]:
        """Folder number and path of every file that holds these contents, sorted by path."""
        return {
            content: [(folder, as_path(os.fsdecode(path))) for folder, path in files]
            for content, files in self.file_names_of(contents).items()
        }

    def file_names_of(self, contents: Iterable[UUID]) -> dict[UUID, list[tuple[int, bytes]]]:
        """As `files_of`, with paths as the system has them, of which many take far less time."""
        found: dict[UUID, list[tuple[int, bytes]]] = {}
        rows = self.rows_for(
            "SELECT content, folder, path, name FROM files JOIN folders ON folders.id = folder "
            "WHERE content IN (?*)",
            (i.bytes for i in contents),
            lambda row: (os.path.join(row[2], row[3]), row[1], row[0]),
        )
        for path, folder, content in sorted(rows):
            found.setdefault(UUID(bytes=content), []).append((folder, path))
        return found

    def homes_of(self, contents: Iterable[UUID]) -> dict[UUID, set[int]]:
        """The folders right in which these contents have a file."""
        homes: dict[UUID, set[int]] = {}
        pairs = self.rows_for(
            "SELECT DISTINCT content, folder FROM files WHERE content IN (?*)",
            (i.bytes for i in contents),
            lambda row: (UUID(bytes=row[0]), int(row[1])),
        )
        for content, folder in pairs:
            homes.setdefault(content, set()).add(folder)
        return homes

    def folders_above(self, homes: dict[UUID, set[int]]) -> dict[UUID, tuple[int, ...]]:
        """For contents that lie in these folders: the folders and all above, sorted.

        Led by `SEVERAL` when a content lies in more than one folder.
        """
        lineages = {folder: self.lineage(folder) for folder in set().union(*homes.values())}
        found = {}
        for content, folders in homes.items():
            several = {SEVERAL} if len(folders) > 1 else set()
            found[content] = tuple(sorted(several.union(*(lineages[f] for f in folders))))
        return found

    def folders_of(self, contents: Iterable[UUID]) -> dict[UUID, tuple[int, ...]]:
        """The folders in which these contents have a file, as `folders_above` gives them."""
        return self.folders_above(self.homes_of(contents))

    def failures(self) -> list[tuple[Path, str]]:
        """Path and reason of every file that could not be read as an image."""
        rows = self.rows(
            "SELECT path, name, reason FROM files JOIN folders ON folders.id = folder "
            "WHERE content IS NULL ORDER BY path, name"
        )
        return [(as_path(os.fsdecode(os.path.join(p, n))), reason) for p, n, reason in rows]

    def all_files(self) -> Iterator[tuple[Path, FileState]]:
        """Every readable file, folder by folder."""
        for folder, path in self.rows("SELECT id, path FROM folders ORDER BY path"):
            for name, state in self.files_in(folder).items():
                if state.content is not None:
                    yield as_path(os.fsdecode(os.path.join(path, name))), state

    # Contents

    def known(self, content: UUID) -> bool:
        """Whether the gallery has this content."""
        return bool(self.rows("SELECT 1 FROM contents WHERE id = ?", (content.bytes,)))

    def put_contents(
        self, contents: Collection[Content], features: Iterable[tuple[UUID, bytes]]
    ) -> None:
        """Write contents and their packed local features; inside `change`."""
        cameras = {c.camera for c in contents if c.camera is not None}
        self.writer.executemany(
            "INSERT INTO cameras VALUES (?) ON CONFLICT DO NOTHING", [(c,) for c in cameras]
        )
        self.writer.executemany(
            _PUT_CONTENT,
            [
                (c.id.bytes, c.width, c.height, c.bytes, c.taken, c.camera, c.latitude, c.longitude)
                for c in contents
            ],
        )
        self.writer.executemany(
            upsert("local_features", "content", "data"),
            [(i.bytes, data) for i, data in features],
        )

    def put_truncated(self, shares: Iterable[tuple[UUID, float]]) -> None:
        """Note contents that were cut off, with the share of their rows that is there."""
        self.writer.executemany(
            upsert("truncated", "content", "share"), [(i.bytes, s) for i, s in shares]
        )

    def truncated(self) -> dict[UUID, float]:
        """Every content that was cut off, with the share of its rows that is there."""
        if not self.has_table("truncated"):
            return {}
        return {UUID(bytes=i): s for i, s in self.rows("SELECT content, share FROM truncated")}

    def contents(self, ids: Iterable[UUID]) -> dict[UUID, Content]:
        """What is known of these contents."""
        rows = self.rows_for(
            "SELECT * FROM contents WHERE id IN (?*)",
            (i.bytes for i in ids),
            lambda row: Content(UUID(bytes=row[0]), *row[1:]),
        )
        return {content.id: content for content in rows}

    def local_features(self, ids: Iterable[UUID]) -> dict[UUID, bytes]:
        """The packed local features of these contents."""
        rows = self.rows_for(
            "SELECT content, data FROM local_features WHERE content IN (?*)",
            (i.bytes for i in ids),
            lambda row: (UUID(bytes=row[0]), row[1]),
        )
        return dict(rows)

    def all_local_features(self, page: int = 500) -> Iterator[dict[UUID, bytes]]:
        """The packed local features of every content, so many at a time."""
        after = b""
        while rows := self.rows(
            "SELECT content, data FROM local_features WHERE content > ? ORDER BY content LIMIT ?",
            (after, page),
        ):
            after = rows[-1][0]
            yield {UUID(bytes=content): data for content, data in rows}

    def without_local_features(self) -> list[UUID]:
        """Contents that have no local features kept."""
        rows = self.rows(
            "SELECT id FROM contents WHERE NOT EXISTS "
            "(SELECT 1 FROM local_features WHERE local_features.content = contents.id)"
        )
        return [UUID(bytes=i) for (i,) in rows]

    def drop_local_features(self) -> None:
        """Remove the local features of every content, and what came of them; inside `change`."""
        self.writer.execute("DELETE FROM local_features")

    def content_ids(self) -> set[UUID]:
        """Every content of the gallery."""
        return {UUID(bytes=i) for (i,) in self.rows("SELECT id FROM contents")}

    def long_ids(self, ratio: float) -> list[UUID]:
        """Contents whose longer side has at least so many times the length of the shorter one."""
        rows = self.rows(
            "SELECT id FROM contents WHERE width >= ?1 * height OR height >= ?1 * width", (ratio,)
        )
        return [UUID(bytes=i) for (i,) in rows]

    def copied_ids(self) -> list[UUID]:
        """Contents that several files hold."""
        rows = self.rows(
            "SELECT content FROM files WHERE content IS NOT NULL "
            "GROUP BY content HAVING COUNT(*) > 1"
        )
        return [UUID(bytes=i) for (i,) in rows]

    def unreferenced(self) -> list[UUID]:
        """Contents that no file holds any more."""
        rows = self.rows(
            "SELECT id FROM contents WHERE NOT EXISTS "
            "(SELECT 1 FROM files WHERE files.content = contents.id)"
        )
        return [UUID(bytes=i) for (i,) in rows]

    def drop_contents(self, ids: Iterable[UUID]) -> None:
        """Remove contents, and the files that hold them; inside `change`."""
        keys = [(i.bytes,) for i in ids]
        for table, column in (
            ("files", "content"),
            ("local_features", "content"),
            ("truncated", "content"),
            ("texts", "content"),
            ("contents", "id"),
        ):
            self.writer.executemany(f"DELETE FROM {table} WHERE {column} = ?", keys)  # noqa: S608

    def cameras_like(self, text: str) -> tuple[str, ...]:
        """Every camera that ever took an image here and whose name contains the text."""
        rows = self.rows("SELECT name FROM cameras")
        return tuple(sorted(name for (name,) in rows if text.casefold() in name.casefold()))

    # Numbers

    def image_count(self) -> int:
        """How many images (contents) there are; `counts` also adds up what each of them takes."""
        return int(self.rows("SELECT COUNT(*) FROM contents")[0][0])

    def counts(self) -> dict[str, int]:
        """How many `images` (contents), `files` that hold them, `failed` files, images
        `with_local_features`, and `local_feature_bytes`.
        """
        names = ("images", "files", "failed", "with_local_features", "local_feature_bytes")
        # One statement, so that they are of one moment.
        (row,) = self.rows(
            "SELECT (SELECT COUNT(*) FROM contents), "
            "(SELECT COUNT(*) FROM files WHERE content IS NOT NULL), "
            "(SELECT COUNT(*) FROM files WHERE content IS NULL), "
            "(SELECT COUNT(*) FROM local_features), "
            "(SELECT COALESCE(SUM(LENGTH(data)), 0) FROM local_features)"
        )
        return dict(zip(names, row, strict=True))


def _state(row: tuple[Any, ...]) -> tuple[bytes, FileState]:
    name, size, modified, content, reason, reader, changed = row
    held = None if content is None else UUID(bytes=content)
    return name, FileState(name, size, modified, held, reason, reader, changed)


def _signed(device: int | None) -> int | None:
    """A device number as SQLite's signed 64 bits hold it."""
    return None if device is None else (device + 2**63) % 2**64 - 2**63  # from 0 .. 2**64
