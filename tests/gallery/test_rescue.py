"""Galleries whose files were damaged, and what can be saved of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from image_folders import image, write_images

import glocal
from glocal.errors import GalleryDamagedError, GalleryError
from glocal.gallery import Gallery
from glocal.gallery.rescue import set_aside_damaged

Opener = Callable[..., Gallery]
IMAGES = 30


@pytest.fixture
def broken(open_gallery: Opener, tmp_path: Path) -> Iterator[Path]:
    """A closed gallery of thirty images with files and one without."""
    write_images(tmp_path / "photos", IMAGES)
    with open_gallery() as gallery:
        gallery.add(tmp_path / "photos")
        gallery.add(image(500), name="kept")
        folder = gallery.folder
    yield folder
    with glocal.open(folder, create=False) as repaired:
        health = repaired.check(sample=None)
        assert health.faults() == []
        assert repaired.info().files == IMAGES + 1
        assert repaired.search(image(500)).hits[0].path.name == "kept.jpg"


def repair(folder: Path) -> tuple[list[str], int]:
    """What was set aside, and how many files were read again."""
    done = set_aside_damaged(folder, 5)
    with glocal.open(folder, create=False) as gallery:
        report = gallery.repair()
    return done, report.added


def garble(path: Path, start: int, count: int) -> None:
    data = bytearray(path.read_bytes())
    data[start : start + count] = b"\xa5" * len(data[start : start + count])
    path.write_bytes(data)


def test_a_sound_gallery_is_left_alone(broken: Path) -> None:
    assert repair(broken) == ([], 0)


def test_a_catalogue_with_a_broken_header(broken: Path) -> None:
    garble(broken / "catalog.sqlite", 0, 200)
    with pytest.raises(GalleryDamagedError, match="check --repair"):
        glocal.open(broken)
    done, added = repair(broken)
    assert len(done) == 1
    assert "catalog.sqlite.broken-1" in done[0]
    # Its roots are lost with it; images without files of their own are not.
    assert added == 1
    with glocal.open(broken) as gallery:
        assert gallery.add(broken.parent / "photos").added == IMAGES


def test_a_catalogue_with_broken_pages_keeps_its_roots(broken: Path) -> None:
    pages = (broken / "catalog.sqlite").stat().st_size // 4096
    for page in range(pages // 2, pages):
        garble(broken / "catalog.sqlite", page * 4096, 4096)
    done, added = repair(broken)
    assert "1 of its roots" in done[0]
    assert added == IMAGES + 1


def test_a_catalogue_that_is_gone(broken: Path) -> None:
    (broken / "catalog.sqlite").unlink()
    repair(broken)
    with glocal.open(broken) as gallery:
        gallery.add(broken.parent / "photos")


def test_vectors_that_are_gone(broken: Path) -> None:
    shutil.rmtree(broken / "vectors")
    assert repair(broken) == ([], IMAGES + 1)


def vector_file(gallery: Path) -> Path:
    """The file of whole vectors, beside which that of regions lies."""
    (found,) = (p for p in (gallery / "vectors").glob("*.i8") if "%2F" not in p.name)
    return found


def test_vectors_that_are_too_short(broken: Path) -> None:
    """What is left of them stays: only the images of the last block are read again."""
    vectors = vector_file(broken)
    os.truncate(vectors, vectors.stat().st_size // 2)
    with pytest.raises(GalleryDamagedError, match="check --repair"), glocal.open(broken) as gallery:
        gallery.search(image(500))
    with glocal.open(broken) as gallery:
        health = gallery.check()
        assert len(health.damaged) == IMAGES + 1
        assert not health.sound
    assert repair(broken) == ([], IMAGES + 1)


def test_vectors_of_another_gallery(broken: Path, open_gallery: Opener, tmp_path: Path) -> None:
    write_images(tmp_path / "others", IMAGES + 1, first=700)
    with open_gallery(tmp_path / "other") as other:
        other.add(tmp_path / "others")
    shutil.copy(vector_file(tmp_path / "other"), vector_file(broken))
    with glocal.open(broken) as gallery:
        assert len(gallery.check().damaged) == IMAGES + 1
    assert repair(broken) == ([], IMAGES + 1)


def test_a_sound_gallery_that_is_used_is_left_alone(broken: Path) -> None:
    with glocal.open(broken) as gallery:
        gallery.info()
        assert set_aside_damaged(broken, 0.2) == []


LOOK = """
import sys
import traceback
import glocal
for folder in sys.stdin.read().splitlines():
    print("looking at", folder, flush=True)
    try:
        with glocal.open(folder, create=False) as gallery:
            gallery.check(sample=None)
            gallery.search(sys.argv[1])
    except glocal.GlocalError:
        pass
    except BaseException as error:
        print(*traceback.format_exception_only(error), flush=True)
"""


def look(folders: list[Path], query: Path) -> list[str]:
    """Check and search galleries, each in a process that still lives: what went wrong."""
    faults: list[str] = []
    while folders:
        run = subprocess.run(
            [sys.executable, "-c", LOOK, str(query)],
            input="\n".join(map(str, folders)),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = run.stdout.splitlines()
        seen = [line for line in said if line.startswith("looking at ")]
        faults += [line for line in said if line not in seen]
        if run.returncode:
            faults.append(f"status {run.returncode} {seen[-1:]} {run.stderr[-300:]}")
        folders = folders[max(1, len(seen)) :]
    return faults


def test_damage_to_any_file_never_ends_the_process(broken: Path) -> None:
    """Each file is cut to half, then overwritten: an answer or an error, no crash."""
    # Copies without the zeros at their ends, of which nearly all of the bytes consist.
    sizes = {p.relative_to(broken): p.stat().st_size for p in broken.rglob("*") if p.is_file()}
    whole = {name: (broken / name).read_bytes().rstrip(b"\0") for name in sizes}
    files = [f for f, size in sizes.items() if size]
    assert len(files) > 3
    damaged = []
    for file in sorted(files):
        for damage in ("cut", "overwritten"):
            copy = broken.parent / "damaged" / f"{len(damaged)} {damage} {file.name}"
            for name, data in whole.items():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                with (copy / name).open("wb") as opened:
                    opened.write(data)
                    opened.truncate(sizes[name])
            with (copy / file).open("r+b") as opened:
                if damage == "cut":
                    opened.truncate(sizes[file] // 2)
                else:
                    opened.write(b"\xa5" * min(sizes[file], 4096))
            damaged.append(copy)
    faults = look(damaged, broken.parent / "photos" / "p0003.png")
    assert not faults, "\n".join(faults)


def test_a_gallery_of_nothing_is_no_gallery(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="no gallery"):
        set_aside_damaged(tmp_path, 0.1)
    assert list(tmp_path.iterdir()) == []
