"""A second run compares only what is new, and is never misled by what it remembers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from image_folders import scene
from PIL import Image

from glocal.gallery import Gallery, Progress, comparing, originals, pair_points
from glocal.gallery.database import Database
from glocal.gallery.outcomes import Outcome, Outcomes, rules
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.pixels import compare_pixels


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Says how many pairs were verified since it was last asked."""
    counted = [0]
    real = pair_points.verify

    def verify(*given: object) -> object:
        counted[0] += 1
        return real(*given)  # type: ignore[arg-type]

    def count() -> int:
        was, counted[0] = counted[0], 0
        return was

    monkeypatch.setattr(pair_points, "verify", verify)
    return count


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        scene(seed, 320, 240).save(folder / f"{seed}.png")
        scene(seed, 320, 240).save(folder / f"{seed}.jpg", quality=80)
    return folder


@pytest.fixture
def gallery(photos: Path) -> Iterator[Gallery]:
    with Gallery(photos.parent / "gallery") as opened:
        assert not opened.add(photos).failed
        yield opened


def remembered(gallery: Gallery) -> int:
    with closing(Database(gallery.folder / "compared.sqlite", "")) as database:
        return int(database.value("SELECT COUNT(*) FROM compared"))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Says how many files were decoded to compare or to judge them since it was last asked."""
    counted = [0]

    def count() -> int:
        was, counted[0] = counted[0], 0
        return was

    def counting(real: Callable[..., object]) -> Callable[..., object]:
        def counted_call(*given: object, **more: object) -> object:
            counted[0] += 1
            return real(*given, **more)

        return counted_call

    for name in ("load", "made_from"):
        monkeypatch.setattr(originals, name, counting(getattr(originals, name)))
    return count


def test_a_second_run_decodes_no_file(
    gallery: Gallery, photos: Path, decoded: Callable[[], int]
) -> None:
    scene(0, 320, 240).resize((480, 360)).save(photos / "enlarged.png")
    gallery.add(photos)
    first = gallery.duplicates()
    assert decoded() > 6
    assert gallery.duplicates() == first
    assert decoded() == 0
    # What is remembered holds for the bytes, wherever they lie, and for nothing else.
    (photos / "0.jpg").rename(photos / "renamed.jpg")
    (photos / "1.jpg").rename(photos / "1.tiff")  # raw data is known by its name: looked at again
    scene(2, 320, 240).save(photos / "2.jpg", quality=30)
    gallery.add(photos)
    again = gallery.duplicates()
    fresh = decoded()
    assert 0 < fresh < 12
    (gallery.folder / "compared.sqlite").unlink()
    assert gallery.duplicates() == again


def test_a_file_that_changed_behind_its_facts_is_not_judged_by_them(
    gallery: Gallery, photos: Path
) -> None:
    assert any(image.spare for group in gallery.duplicates() for image in group.images)
    for seed in range(3):
        kept = photos / f"{seed}.png"
        before = kept.stat()
        kept.write_bytes(os.urandom(before.st_size))
        os.utime(kept, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not any(image.spare for group in gallery.duplicates() for image in group.images)


def test_a_second_run_says_the_same_and_compares_only_new_pairs(
    gallery: Gallery, photos: Path, verified: Callable[[], int]
) -> None:
    first = gallery.duplicates()
    pairs = verified()
    assert len(first) == 3
    assert pairs == remembered(gallery) > 3
    assert gallery.duplicates() == first
    assert verified() == 0
    assert gallery.duplicates("object")  # the other level is remembered too
    assert verified() == 0
    scene(7, 320, 240).save(photos / "new.png")
    gallery.add(photos)
    assert gallery.duplicates() == first
    assert 0 < verified() <= 6
    gallery.remove(photos / "new.png")
    assert gallery.duplicates() == first
    assert remembered(gallery) == pairs
    (gallery.folder / "compared.sqlite").write_bytes(b"x" * 4096)  # damaged, and begun anew
    verified()
    assert gallery.duplicates() == first
    assert verified() == remembered(gallery) == pairs


def test_what_is_remembered_hides_no_change_on_disk(gallery: Gallery, photos: Path) -> None:
    assert len(gallery.duplicates()) == 3
    (photos / "0.png").unlink()
    changed = photos / "1.png"
    times = changed.stat()
    data = bytearray(changed.read_bytes())
    data[len(data) // 2] ^= 255  # of the same size, and with the same date
    changed.write_bytes(data)
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    groups = gallery.duplicates()
    assert [group.kept.name for group in groups] == ["2.png"]
    assert set(groups.changed) == {photos / "0.png", photos / "1.png"}


def test_a_killed_run_is_gone_on_with(
    gallery: Gallery, verified: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "_PAGE", 4)

    def interrupt(progress: Progress) -> None:
        if progress.stage == "verify" and progress.done > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gallery.duplicates(listen=interrupt)
    done = verified()
    assert 0 < done == remembered(gallery)
    assert len(gallery.duplicates()) == 3
    assert verified() == remembered(gallery) - done


def test_damage_anywhere_in_the_file_is_noticed_and_the_file_begun_anew(
    gallery: Gallery, verified: Callable[[], int]
) -> None:
    first = gallery.duplicates()
    pairs = verified()
    file = gallery.folder / "compared.sqlite"
    sound = file.read_bytes()
    copies = [at for at in range(len(sound)) if sound.startswith(b'"verdict": "copy"', at)]
    assert copies
    altered = bytearray(sound)
    for at in copies:
        altered[at : at + 17] = b'"verdict": "cogy"'
    garbled = sound[:4096] + bytes(255 - byte for byte in sound[4096:])
    for content in (bytes(altered), garbled, sound[: len(sound) // 2], b""):
        file.write_bytes(content)
        verified()
        assert gallery.duplicates() == first
        assert verified() == pairs == remembered(gallery)


def test_what_could_not_be_read_is_compared_again(gallery: Gallery, photos: Path) -> None:
    away = photos.parent / "away"
    photos.rename(away)
    assert not gallery.duplicates()
    away.rename(photos)
    assert len(gallery.duplicates()) == 3


def test_other_rules_make_all_pairs_new(
    gallery: Gallery, verified: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.duplicates()
    pairs = verified()
    monkeypatch.setattr("glocal.gallery.pairing.rules", lambda: "of tomorrow")
    gallery.duplicates()
    assert verified() == pairs == remembered(gallery)
    assert rules() == rules() != "of tomorrow"


def test_outcomes_come_back_as_they_were_and_of_present_images_only(tmp_path: Path) -> None:
    image = np.asarray(scene(3, 160, 120))
    grey = np.asarray(Image.fromarray(image).convert("L").convert("RGB"))
    comparison = compare_pixels(image, grey, np.eye(3))
    assert comparison is not None
    rows = ((1.0, 0.0, 0.5), (0.0, 1.0, 0.25), (0.0, 0.0, 1.0))
    evidence = Evidence(Verdict.COPY, 0.99, 0.98, 40, 30, 0.5, rows)
    made = Outcome(evidence, replace(comparison, drift=float("inf")))
    a, b, c = sorted(uuid4() for _ in range(3))
    outcomes = Outcomes(tmp_path / "compared.sqlite", "these")
    outcomes.replace({(a, b): made, (a, c): Outcome(), (b, c): Outcome()}, [])
    outcomes.replace({}, [(a, c)])
    outcomes.keep_only([a, c])
    ((pair, found),) = outcomes.of([a, b, c]).items()
    assert pair == (a, b)
    assert found.evidence == evidence
    assert found.comparison is not None
    assert made.comparison is not None
    assert np.array_equal(found.comparison.homography, comparison.homography)
    same = replace(found.comparison, homography=made.comparison.homography)
    assert repr(same) == repr(made.comparison)
    outcomes.close()
    with Outcomes(tmp_path / "compared.sqlite", "those") as others:
        assert not others.of([a, b])
