"""Texts that belong to images, and marks on the images whose words have changed.

A text is what an image's file says of it (its caption), or what stands written in the image. Both
are costly to read again, so they lie in the catalogue and change in its transactions. The index of
words is made of them and of the names of files and folders (see `glocal.gallery.words`). It follows
by the marks, which the catalogue's own triggers set: no writer can forget them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from uuid import UUID, uuid4

from glocal.gallery.database import Trigger, upsert

if TYPE_CHECKING:
    from glocal.gallery.catalog import Catalog

TextKind = Literal["caption", "image"]
"""``caption``: said by the file or a sidecar; ``image``: read in the pixels."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS texts (
    content BLOB NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (content, kind)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS word_marks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, content BLOB NOT NULL
);
"""

_MARK = "INSERT INTO word_marks (content)"
_NEW, _OLD = f"{_MARK} VALUES (NEW.content)", f"{_MARK} VALUES (OLD.content)"
_HAD, _HAS = "OLD.content IS NOT NULL", "NEW.content IS NOT NULL"
TRIGGERS = (
    Trigger(
        "mark_replaced_file",
        "BEFORE INSERT ON files",
        f"{_MARK} SELECT content FROM files WHERE folder = NEW.folder AND name = NEW.name "  # noqa: S608
        "AND (NEW.content IS NULL OR content <> NEW.content) AND content IS NOT NULL",
    ),
    Trigger("mark_file", "AFTER INSERT ON files", _NEW, _HAS),
    Trigger("mark_rewritten_file", "AFTER UPDATE OF content ON files", _NEW, _HAS),
    Trigger("mark_dropped_file", "AFTER DELETE ON files", _OLD, _HAD),
    Trigger("mark_text", "AFTER INSERT ON texts", _NEW),
    Trigger("mark_rewritten_text", "AFTER UPDATE ON texts", _NEW),
    Trigger("mark_dropped_text", "AFTER DELETE ON texts", _OLD),
)
"""No value in them comes from outside."""

_IDENTITY, _SETTLED = "words", "words_settled"


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a catalogue has come.

    Attributes:
        catalog: names the catalogue; another one in its place has another name.
        last: the number of the last mark.
        settled: up to which number marks were removed; an index that has not come so far cannot
            follow any more.
    """

    catalog: str
    last: int
    settled: int


class Texts:
    """The texts and marks of a catalogue.

    Args:
        catalog: the gallery's.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @property
    def there(self) -> bool:
        """Whether the catalogue can have texts; an archive of an older glocal cannot."""
        return self._catalog.has_table("texts")

    def put(self, kind: TextKind, texts: Iterable[tuple[UUID, str]]) -> None:
        """Write the texts of contents, empty where there is none; inside `Catalog.change`."""
        self._catalog.writer.executemany(
            upsert("texts", "content, kind", "text"),
            [(content.bytes, kind, text) for content, text in texts],
        )

    def drop(self, kind: TextKind) -> None:
        """Remove the texts of a kind; inside `Catalog.change`."""
        self._catalog.writer.execute("DELETE FROM texts WHERE kind = ?", (kind,))

    def of(self, contents: Iterable[UUID]) -> dict[UUID, dict[str, str]]:
        """The texts of contents, by kind; those that are empty are left out."""
        found: dict[UUID, dict[str, str]] = {}
        if not self.there:
            return found
        for content, kind, text in self._catalog.rows_for(
            "SELECT content, kind, text FROM texts WHERE content IN (?*) AND text != ''",
            (i.bytes for i in contents),
            tuple,
        ):
            found.setdefault(UUID(bytes=content), {})[kind] = text
        return found

    def missing(self, kind: TextKind) -> list[UUID]:
        """Contents of which no text of this kind was ever read."""
        if not self.there:
            return sorted(self._catalog.content_ids())
        rows = self._catalog.rows(
            "SELECT id FROM contents WHERE NOT EXISTS "
            "(SELECT 1 FROM texts WHERE texts.content = contents.id AND kind = ?)",
            (kind,),
        )
        return [UUID(bytes=i) for (i,) in rows]

    # Marks

    def moment(self) -> Moment:
        """How far the catalogue has come."""
        identity = self._catalog.get_state(_IDENTITY)
        if identity is None and not self._catalog.read_only:
            identity = self._catalog.set_state_once(_IDENTITY, uuid4().hex)
        last = settled = 0
        if self.there:
            # In one query, so that they are of one moment.
            ((said, last),) = self._catalog.rows(
                "SELECT (SELECT value FROM state WHERE key = ?), "
                "(SELECT MAX(number) FROM word_marks)",
                (_SETTLED,),
            )
            settled = int(said or 0)
        return Moment(identity or "", max(last or 0, settled), settled)

    def marked(self, after: int) -> list[UUID]:
        """The contents that were marked after a number, each once."""
        rows = self._catalog.rows(
            "SELECT DISTINCT content FROM word_marks WHERE number > ?", (after,)
        )
        return [UUID(bytes=i) for (i,) in rows]

    def settle(self, number: int) -> None:
        """Remove the marks up to a number: the index has them all."""
        with self._catalog.change() as db:
            if int(self._catalog.get_state(_SETTLED) or 0) < number:
                db.execute("DELETE FROM word_marks WHERE number <= ?", (number,))
                self._catalog.set_state(_SETTLED, str(number))
