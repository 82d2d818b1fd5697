"""Searching by words: in names, folders and captions, beside changes of every kind."""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from image_folders import image, pixels, write_images
from PIL import Image

import forked
from glocal.errors import GalleryError, QueryError
from glocal.gallery import Gallery
from glocal.gallery import words as words_module
from glocal.gallery.private_folder import PrivateFolder
from glocal.gallery.word_forms import is_near, read_words, words_of
from glocal.gallery.words import Words


def captioned(seed: int, caption: str) -> bytes:
    """An image whose EXIF has a description, in UTF-8 as programs write it."""
    exif = Image.Exif()
    exif[0x010E] = caption.encode()
    file = io.BytesIO()
    Image.fromarray(pixels(seed)).save(file, "JPEG", exif=exif.tobytes())
    return file.getvalue()


def names(gallery: Gallery, text: str, **more: object) -> list[str]:
    return [hit.path.name for hit in gallery.search(text=text, **more)]


@pytest.fixture
def shop(open_gallery: Callable[..., Gallery], tmp_path: Path) -> Gallery:
    """Images with names, folders and captions."""
    photos = tmp_path / "photos"
    (photos / "Säfte").mkdir(parents=True)
    (photos / "Alpro-Mandel.jpg").write_bytes(image(1))
    (photos / "alpro hafer.jpg").write_bytes(image(2))
    (photos / "Biomandelmilch 1l.jpg").write_bytes(image(3))
    (photos / "Säfte" / "IMG_2019.jpg").write_bytes(image(4))
    (photos / "x1.jpg").write_bytes(captioned(5, "Mandel in der Schale, 豆乳ラテ"))
    gallery = open_gallery()
    gallery.add(photos)
    return gallery


def test_words_are_found_in_names_folders_and_captions(shop: Gallery) -> None:
    (best,) = shop.search(text="alpro MANDEL").hits
    assert best.path.name == "Alpro-Mandel.jpg"
    assert best.words == {"name": "Alpro-Mandel.jpg"}
    assert best.score == 1.0
    assert [hit.score for hit in shop.search(text="alpro nowhere")] == [0.5, 0.5]
    (hit,) = shop.search(text="safte")
    assert hit.words == {"folder": "Säfte"}
    (hit,) = shop.search(text="schale")
    assert hit.words == {"caption": "Mandel in der Schale, 豆乳ラテ"}
    assert names(shop, "乳ラ") == ["x1.jpg"]
    result = shop.search(text="alpro")
    assert (result.found, result.matches, result.text) == (None, 0, "alpro")


def test_a_whole_word_in_a_name_comes_before_a_caption_and_before_a_part(shop: Gallery) -> None:
    found = names(shop, "mandel")
    assert found == ["Alpro-Mandel.jpg", "x1.jpg", "Biomandelmilch 1l.jpg"]
    assert names(shop, "mandel", limit=2) == found[:2]


def test_words_are_found_while_they_are_typed_and_when_mistyped(shop: Gallery) -> None:
    assert set(names(shop, "alp")) == {"Alpro-Mandel.jpg", "alpro hafer.jpg"}
    assert set(names(shop, "alrpo")) == {"Alpro-Mandel.jpg", "alpro hafer.jpg"}
    assert names(shop, "2018") == []  # a number is not near to another
    assert names(shop, '"hafer alpro"') == []
    assert names(shop, '"alpro hafer"') == ["alpro hafer.jpg"]


def test_nothing_in_a_query_is_syntax(shop: Gallery) -> None:
    for text in (
        'name:alpro* OR "x',
        "a^2 NEAR(b, 3)",
        "alpro AND NOT",
        "x';--",
        "(((x",
        "ﷺ \ud800x",
    ):
        shop.search(text=text)
    for text in ("", " *** ", "x" * 201, " ".join(map(str, range(17)))):
        with pytest.raises(QueryError):
            shop.search(text=text)


def test_words_and_an_image_are_fused(shop: Gallery) -> None:
    result = shop.search(image(2), text="mandel")
    best, second, *_ = result.hits
    assert result.found
    assert best.path.name == "alpro hafer.jpg"  # the identical file stays first
    assert second.path.name == "Alpro-Mandel.jpg"
    by_image = [hit.id for hit in shop.search(image(2), limit=200)]
    rank_by_words = names(shop, "mandel").index("Alpro-Mandel.jpg") + 1
    rank_by_image = by_image.index(second.id) + 1
    assert second.scores["fused"] == pytest.approx(
        1 / (60 + rank_by_image) + 1 / (60 + rank_by_words)
    )
    assert second.score == second.scores["vector"]


def test_conditions_hold_for_words_too(shop: Gallery, tmp_path: Path) -> None:
    copy = tmp_path / "photos" / "Säfte" / "nothing.jpg"
    shutil.copy(tmp_path / "photos" / "Alpro-Mandel.jpg", copy)
    shop.refresh()
    inside = f'folder = "{copy.parent}"'
    assert names(shop, "alpro", where=inside) == []  # that name is of a copy elsewhere
    assert names(shop, "nothing", where=inside) == ["nothing.jpg"]
    assert names(shop, "alpro", where="width > 9999") == []


def test_what_needs_an_image_is_refused_without_one(shop: Gallery) -> None:
    with pytest.raises(QueryError, match="query image, a text, or both"):
        shop.search()
    with pytest.raises(QueryError, match="takes no like and no small_objects"):
        shop.search(text="a", like=[image(1)], small_objects=True)


def test_the_index_follows_whatever_happens(
    open_gallery: Callable[..., Gallery], tmp_path: Path
) -> None:
    rng, photos = random.Random(0), tmp_path / "photos"
    paths = write_images(photos, 12)
    gallery, other = open_gallery(), open_gallery()
    gallery.add(photos)
    for step in range(8):
        path = rng.choice(paths)
        paths.remove(path)
        match rng.randrange(3):
            case 0:
                path.unlink()
            case 1:
                paths.append(path.rename(photos / f"renamed{step}.jpg"))
            case _:
                shutil.copy(path, photos / f"copy{step}.jpg")
                paths += [path, photos / f"copy{step}.jpg"]
        rng.choice((gallery, other)).refresh()
        searched = rng.choice((gallery, other))
        for each in paths:
            assert each in {p for hit in searched.search(text=each.stem) for p in hit.paths}
        assert not [n for n in names(searched, "p") if not (photos / n).exists()]
    assert gallery.check().sound
    with closing(sqlite3.connect(gallery.folder / "catalog.sqlite")) as db:
        assert db.execute("SELECT COUNT(*) FROM word_marks").fetchone()[0] < 40


def test_a_damaged_or_foreign_index_is_made_anew(shop: Gallery, tmp_path: Path) -> None:
    assert names(shop, "schale")
    index = shop.folder / "words.sqlite"
    shop.close()
    index.write_bytes(b"no database at all" * 100)
    with Gallery(shop.folder, create=False) as again:
        assert names(again, "schale") == ["x1.jpg"]
    with closing(sqlite3.connect(index)) as db, db:
        db.execute("UPDATE follows SET value = 'another catalogue' WHERE key = 'catalog'")
        db.execute("DELETE FROM words")
    with Gallery(shop.folder, create=False) as again:
        assert names(again, "schale") == ["x1.jpg"]


def test_check_notices_an_index_that_lies_and_repair_mends_it(shop: Gallery) -> None:
    assert names(shop, "schale")
    with closing(sqlite3.connect(shop.folder / "words.sqlite")) as db, db:
        db.execute("DELETE FROM words WHERE rowid = (SELECT MIN(rowid) FROM words)")
    health = shop.check()
    assert len(health.wrong_words) == 1
    assert "1 images are not found by their words" in health.faults()
    shop.repair()
    assert shop.check().sound


def test_captions_of_an_older_gallery_are_read_later(shop: Gallery) -> None:
    with closing(sqlite3.connect(shop.folder / "catalog.sqlite")) as db, db:
        for (trigger,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute("DROP TABLE texts")
        db.execute("DROP TABLE word_marks")
    shop.close()
    with Gallery(shop.folder, create=False) as again:
        assert names(again, "alpro mandel")[0] == "Alpro-Mandel.jpg"  # names at once
        assert names(again, "schale") == []
        assert again.without_captions() == 5
        assert again.read_texts() == 5
        assert names(again, "schale") == ["x1.jpg"]
        assert again.read_texts() == 0


def test_a_process_killed_in_the_middle_leaves_an_index_that_catches_up(shop: Gallery) -> None:
    folder = shop.folder
    shop.close()
    program = (
        "import os, signal, sys\n"
        "from glocal.gallery import words\n"
        "from glocal.gallery.catalog import Catalog\n"
        "from pathlib import Path\n"
        "put = words.Words._put\n"
        "def die(*a):\n    put(*a)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "words.Words._put = staticmethod(die)\n"
        "words.Words(Catalog(Path(sys.argv[1]))).catch_up()\n"
    )
    done = forked.run([folder / "catalog.sqlite"], code=program)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Gallery(folder, create=False) as again:
        assert names(again, "schale") == ["x1.jpg"]
        assert again.check().sound


def test_an_index_that_cannot_be_written_is_made_privately(
    shop: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = words_module.Database

    def refused(path: Path, schema: str) -> object:
        if path.parent == shop.folder:
            raise GalleryError("the folder can only be read")
        return opened(path, schema)

    monkeypatch.setattr(words_module, "Database", refused)
    with Words(shop._catalog) as words:
        assert len(words.find(read_words("alpro"), 10)) == 2
        private = words._private
        assert private is not None
        assert private.path.exists()
    assert not private.path.exists()
    assert not (shop.folder / "words.sqlite").exists()


def test_what_a_killed_process_left_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "mine-left").mkdir()
    (tmp_path / "mine-left" / "words.sqlite").touch()
    (tmp_path / "mine-link").symlink_to(tmp_path)
    (tmp_path / "other").mkdir()
    used, fresh = PrivateFolder("mine-"), tmp_path / "mine-fresh"
    for path in tmp_path.iterdir():  # all of them are old, but for one
        os.utime(path, (0, 0), follow_symlinks=False)
    fresh.mkdir()
    another = PrivateFolder("mine-")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"mine-link", "other", "mine-fresh", used.path.name, another.path.name}
    used.close()
    another.close()
    assert {path.name for path in tmp_path.iterdir()} == {"mine-link", "other", "mine-fresh"}


def test_a_python_without_fts5_is_told_so(shop: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    words_module.require_fts5.cache_clear()
    monkeypatch.setattr(words_module.sqlite3, "connect", lambda *_: _NoFts5(), raising=True)
    with pytest.raises(GalleryError, match="built with FTS5"):
        words_module.require_fts5()


class _NoFts5:
    def execute(self, _: str) -> None:
        raise sqlite3.OperationalError("no such module: fts5")

    def close(self) -> None:
        pass


def test_words_are_compared_without_case_accents_and_signs() -> None:
    assert words_of("Crème-brûlée_2.JPG") == ["creme", "brulee", "2", "jpg"]
    assert words_of("Straße ÅSE Łódź") == ["strasse", "ase", "lodz"]
    assert words_of("がく 한국어") == ["が", "く", "한국어"]
    assert words_of(os.fsdecode(b"a\xffb")) == ["a", "b"]


def test_near_words_are_those_of_a_slow_reference() -> None:
    def slow(a: str, b: str) -> int:
        if not a or not b:
            return len(a) + len(b)
        best = min(slow(a[1:], b) + 1, slow(a, b[1:]) + 1, slow(a[1:], b[1:]) + (a[0] != b[0]))
        if len(a) > 1 and len(b) > 1 and a[0] == b[1] and a[1] == b[0]:
            best = min(best, slow(a[2:], b[2:]) + 1)
        return best

    rng = random.Random(0)
    for _ in range(200):
        a, b = ("".join(rng.choices("abc", k=rng.randrange(6))) for _ in range(2))
        for most in (1, 2):
            assert is_near(a, b, most) == (slow(a, b) <= most), (a, b, most)
