"""The index of words: which images have a word in a name, a folder, a caption or the image itself.

A file of SQLite's FTS5 beside the catalogue, and a cache: it is made of what the catalogue says,
follows it by marks (see `Texts`), and is begun anew where it is damaged or of another catalogue.
Where it cannot be written, in an archive, a private one is made in a temporary folder.

Every word of a query is looked for as it is, as the beginning of a word and, from three letters on,
inside of words (`mandel` in `biomandelmilch`). Images that have all words come first, then those
with a word inside of another. Where no image has all words, typing errors are allowed; where there
is none even so, images that have some of the words are found. Within each step the order is that of
BM25 (Robertson and Zaragoza, 2009) with `WEIGHTS`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import TypeVar
from uuid import UUID
from zlib import crc32

from glocal.errors import DiskFullError, GalleryDamagedError, GalleryError, GalleryLockedError
from glocal.gallery.catalog import Catalog
from glocal.gallery.database import Connection, Database
from glocal.gallery.private_folder import PrivateFolder
from glocal.gallery.texts import Moment, Texts
from glocal.gallery.word_forms import Word, is_near, near_distance, words_of
from glocal.images.url_paths import as_path

WEIGHTS = {"name": 8.0, "folder": 2.0, "caption": 4.0, "image": 1.0}
"""How much a word counts by where it stands: names were given by people, to this image alone;
folders hold many images; what is read in an image is long and full of errors."""

_RULES = "1"  # counts up when `words_of` or the tables change
_PAGE = 500
_MANY = 1_000  # files, of which the words take half a second or more
_INSIDE = 64  # words that contain a word of the query: those nearest to it in length
_NEAR_TRIED, _NEAR = 500, 20
_LEAST_INSIDE = 3  # letters: trigrams
_SCHEMA = """
CREATE TABLE IF NOT EXISTS follows (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (
    id INTEGER PRIMARY KEY, content BLOB NOT NULL UNIQUE, checksum INTEGER NOT NULL
);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(
    name, folder, caption, image,
    tokenize = "unicode61 remove_diacritics 0 categories 'L* N* M* Co'", prefix = '2 3'
);
CREATE TABLE IF NOT EXISTS vocabulary (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
CREATE VIRTUAL TABLE IF NOT EXISTS grams USING fts5(padded, tokenize = 'trigram case_sensitive 1');
"""
_RANK = f"bm25(words, {', '.join(map(str, WEIGHTS.values()))})"
T = TypeVar("T")
Document = tuple[str, str, str, str]
"""The words of an image's names, folders, caption and pixels, each joined by spaces."""


@cache
def require_fts5() -> None:
    """Make sure that this Python's SQLite has what the index needs.

    Raises:
        GalleryError: it has not.
    """
    db = sqlite3.connect(":memory:")
    try:
        db.execute("CREATE VIRTUAL TABLE tried USING fts5(word, tokenize = 'trigram')")
    except sqlite3.OperationalError as error:
        raise GalleryError(
            f"this Python's SQLite {sqlite3.sqlite_version} cannot search words ({error}); use a "
            "Python whose SQLite is 3.34 or newer and built with FTS5, such as that of python.org"
        ) from error
    finally:
        db.close()


def follow_words(catalog: Catalog, changed: int) -> None:
    """Bring the index up to date after a run, so that the next search need not.

    Where nobody has searched words yet, and few files have changed, the first search makes it.
    """
    with Words(catalog) as words, suppress(GalleryError):
        if changed >= _MANY or (changed and words.there):
            words.catch_up()


class Words:
    """The index of words of a gallery; any thread may call. Close it when it is not needed.

    Args:
        catalog: the gallery's; the index lies beside it.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._texts = Texts(catalog)
        self._path = catalog.path.with_name("words.sqlite")
        self._lock = threading.RLock()
        self._database: Database | None = None
        self._private: PrivateFolder | None = None

    def __enter__(self) -> Words:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None
            if self._private is not None:
                self._private.close()
                self._private = None

    @property
    def there(self) -> bool:
        """Whether the gallery has an index of words by now."""
        return self._path.exists()

    # Following the catalogue

    def catch_up(self) -> None:
        """Bring the index up to what the catalogue says now.

        Raises:
            GalleryError: this Python's SQLite has no FTS5.
            GalleryLockedError: another process kept the index locked for too long.
            DiskFullError: no space; the index is as it was.
        """
        self._current()

    def _current(self) -> Database:
        """The index with all that the catalogue has; begun anew where it is damaged."""
        require_fts5()
        with self._lock:
            try:
                return self._followed()
            except GalleryDamagedError:
                self._begin_anew()
                return self._followed()

    def _begin_anew(self) -> None:
        private = self._private is not None
        self.close()
        if not private:
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _followed(self) -> Database:
        database = self._database = self._database or self._opened()
        if self._reached(database) == self._wanted():
            return database
        if database.read_only:  # behind, and for another to mend: a private one is made
            database.close()
            database = self._database = self._made_privately()
        try:
            with database.change():
                now = self._texts.moment()
                self._follow(database, now)
        except (GalleryLockedError, DiskFullError):
            if self._reached(database)[0] != self._wanted()[0]:
                raise
            return database  # a little behind is better than no answer
        if self._private is None and not self._catalog.read_only:
            with suppress(GalleryLockedError, DiskFullError):
                self._texts.settle(now.last)
        return database

    def _wanted(self) -> tuple[str, int]:
        now = self._texts.moment()
        return now.catalog, now.last

    def _opened(self) -> Database:
        try:
            return Database(self._path, _SCHEMA)
        except (GalleryDamagedError, GalleryLockedError, DiskFullError):
            raise
        except GalleryError:  # the folder cannot be written, and has none yet
            return self._made_privately()

    def _made_privately(self) -> Database:
        self._private = PrivateFolder("glocal-words-")
        return Database(self._private.path / "words.sqlite", _SCHEMA)

    @staticmethod
    def _reached(database: Database) -> tuple[str | None, int]:
        said = dict(database.rows("SELECT key, value FROM follows"))
        if said.get("rules") != _RULES:
            return None, 0
        return said.get("catalog"), int(said.get("mark", 0))

    def _follow(self, database: Database, now: Moment) -> None:
        """Put into the index what it lacks; inside its change, where nobody else does the same."""
        catalog, mark = self._reached(database)
        if (catalog, mark) == (now.catalog, now.last):
            return
        if catalog != now.catalog or not now.settled <= mark <= now.last:
            for table in ("words", "documents", "vocabulary", "grams"):
                database.writer.execute(f"DELETE FROM {table}")  # noqa: S608
            contents = sorted(self._catalog.content_ids())
        else:
            contents = self._texts.marked(mark)
        for page in _pages(contents):
            self._put(database, page, self.documents(page))
        rows = [("catalog", now.catalog), ("mark", str(now.last)), ("rules", _RULES)]
        database.writer.executemany("INSERT OR REPLACE INTO follows VALUES (?, ?)", rows)

    def documents(self, contents: Sequence[UUID]) -> dict[UUID, Document]:
        """What the catalogue says of these contents; those without a file are left out."""
        texts = self._texts.of(contents)
        found: dict[UUID, Document] = {}
        for content, files in self._catalog.file_names_of(contents).items():
            paths = [as_path(os.fsdecode(path)) for _, path in files]
            said = texts.get(content, {})
            found[content] = (
                _joined(path.name for path in paths),
                _joined(part for path in paths for part in path.parent.parts),
                _joined([said.get("caption", "")]),
                _joined([said.get("image", "")]),
            )
        return found

    @staticmethod
    def _put(database: Database, contents: Sequence[UUID], documents: dict[UUID, Document]) -> None:
        db = database.writer
        old = database.rows_for(
            "SELECT id, content FROM documents WHERE content IN (?*)",
            (i.bytes for i in contents),
            tuple,
        )
        db.executemany("DELETE FROM words WHERE rowid = ?", [(number,) for number, _ in old])
        db.executemany("DELETE FROM documents WHERE id = ?", [(number,) for number, _ in old])
        vocabulary = set[str]()
        for content, document in documents.items():
            cursor = db.execute(
                "INSERT INTO documents (content, checksum) VALUES (?, ?)",
                (content.bytes, _checksum(document)),
            )
            row = (cursor.lastrowid, *document)
            db.execute(
                "INSERT INTO words (rowid, name, folder, caption, image) VALUES (?, ?, ?, ?, ?)",
                row,
            )
            vocabulary.update(word for text in document for word in text.split())
        for word in sorted(word for word in vocabulary if len(word) >= _LEAST_INSIDE):
            cursor = db.execute("INSERT OR IGNORE INTO vocabulary (word) VALUES (?)", (word,))
            if cursor.rowcount > 0:
                gram = (cursor.lastrowid, f"^{word}$")
                db.execute("INSERT INTO grams (rowid, padded) VALUES (?, ?)", gram)

    def differences(self) -> list[UUID]:
        """Contents whose words in the index are not what the catalogue says, after catching up."""
        database = self._current()
        kept = dict(
            database.rows(
                "SELECT content, checksum FROM documents WHERE id IN (SELECT rowid FROM words)"
            )
        )
        wrong: list[UUID] = []
        for page in _pages(sorted(self._catalog.content_ids())):
            documents = self.documents(page)
            wrong += [i for i, d in documents.items() if kept.pop(i.bytes, None) != _checksum(d)]
        return wrong + [UUID(bytes=i) for i in kept]

    def rebuild(self) -> None:
        """Make the index anew."""
        with self._lock:
            self._begin_anew()
        self.catch_up()

    # Searching

    def find(self, query: Sequence[Word], limit: int) -> list[tuple[UUID, float]]:
        """The images that have the words, best first, at most `limit`, each with its BM25 score.

        Args:
            query: see `read_words`.
            limit: how many at most.
        """
        found: dict[int, float] = {}
        with self._current().snapshot() as db:
            groups: list[list[str]] = [[] for _ in query]
            for widen, join in _STEPS:
                if len(found) >= limit or (found and widen is not _inside):
                    break
                groups = [[*g, *widen(db, word)] for g, word in zip(groups, query, strict=True)]
                expression = join.join(f"({' OR '.join(group)})" for group in groups)
                rows = db.execute(
                    f"SELECT rowid, {_RANK} AS score FROM words "  # noqa: S608 - numbers alone
                    "WHERE words MATCH ? ORDER BY score LIMIT ?",
                    (expression, limit),
                )
                for number, score in rows:
                    found.setdefault(number, -score)
            contents = _contents(db, list(found)[:limit])
        return [(contents[number], found[number]) for number in contents]

    def near(self, query: Sequence[Word]) -> dict[Word, frozenset[str]]:
        """For each word of a query the words of the gallery that may be meant by it."""
        with self._current().snapshot() as db:
            return {word: frozenset(_near_words(db, word)) for word in query}


# What FTS5 is to look for where a word of a query is meant; it has letters and digits alone.


def _whole(_: Connection, word: Word) -> list[str]:
    """The word itself, and as a beginning: a whole word counts twice."""
    phrase = _quote(" ".join(word.parts))
    return [phrase] if _is_fixed(word) else [phrase, f"{phrase}*"]


def _inside(db: Connection, word: Word) -> list[str]:
    """Words of the gallery inside of which it stands."""
    (text, *_) = word.parts
    if _is_fixed(word) or len(text) < _LEAST_INSIDE:
        return []
    rows = db.execute(
        "SELECT word FROM grams JOIN vocabulary ON id = grams.rowid "
        "WHERE grams MATCH ? AND word NOT GLOB ? ORDER BY length(word) LIMIT ?",
        (_quote(text), f"{text}*", _INSIDE),
    )
    return [_quote(other) for (other,) in rows]


def _near(db: Connection, word: Word) -> list[str]:
    """Words of the gallery that it may mean."""
    return list(map(_quote, _near_words(db, word)))


def _nothing_more(_: Connection, __: Word) -> list[str]:
    return []


_STEPS = (
    (_whole, " AND "),
    (_inside, " AND "),
    (_near, " AND "),
    (_nothing_more, " OR "),
)
"""How a query is widened: the first two always, each of the others only while nothing is found."""


def _is_fixed(word: Word) -> bool:
    return word.exact or len(word.parts) > 1 or len(word.parts[0]) < 2


def _near_words(db: Connection, word: Word) -> list[str]:
    """Words of the gallery that a word of a query becomes by few errors in typing."""
    (text, *_) = word.parts
    most = 0 if _is_fixed(word) else near_distance(text)
    if not most:
        return []
    padded = f"^{text}$"
    grams = {padded[at : at + 3] for at in range(len(text))}
    rows = db.execute(
        "SELECT word FROM grams JOIN vocabulary ON id = grams.rowid WHERE grams MATCH ? "
        "AND length(word) BETWEEN ? AND ? ORDER BY rank LIMIT ?",
        (
            " OR ".join(map(_quote, sorted(grams))),
            len(text) - most,
            len(text) + most,
            _NEAR_TRIED,
        ),
    )
    found = [other for (other,) in rows if other != text and is_near(text, other, most)]
    return found[:_NEAR]


def _contents(db: Connection, numbers: Sequence[int]) -> dict[int, UUID]:
    """The contents of documents, in the order of the numbers given."""
    found: dict[int, bytes] = {}
    for page in _pages(numbers):
        marks = ",".join("?" * len(page))
        found.update(
            db.execute(f"SELECT id, content FROM documents WHERE id IN ({marks})", page)  # noqa: S608
        )
    return {number: UUID(bytes=found[number]) for number in numbers if number in found}


def _quote(text: str) -> str:
    return f'"{text}"'


def _joined(texts: Iterable[str]) -> str:
    """The words of texts, each text once."""
    return " ".join(word for text in dict.fromkeys(texts) for word in words_of(text))


def _checksum(document: Document) -> int:
    return crc32("\0".join(document).encode())


def _pages(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _PAGE] for start in range(0, len(items), _PAGE))
