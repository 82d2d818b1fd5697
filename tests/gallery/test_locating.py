"""What photos with positions say of one without; what they do not say is left unsaid."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from image_folders import image, pixels, scene
from PIL import Image

from glocal.gallery import Gallery, Hit, SearchResult
from glocal.gallery.locating import (
    Confidence,
    Silence,
    digits_of,
    probable_places,
    round_up,
)
from glocal.ranking.evidence import Evidence, Verdict

PARIS, LUND, ROME = (48.858, 2.294), (55.704, 13.191), (41.9, 12.5)
USUAL = np.full(200, 0.1) + np.random.default_rng(0).normal(0, 0.05, 200)


def hit(
    place: tuple[float, float], *, match: float | None = None, score: float = 0.9, minute: int = -1
) -> Hit:
    evidence = None if match is None else Evidence(Verdict.SAME_OBJECT, match, 0.0)
    taken = None if minute < 0 else datetime(2020, 1, 1) + timedelta(minutes=minute)
    path = Path(f"/{place}{minute}.jpg")
    return Hit(
        id="0" * 32, path=path, paths=(path,), width=1, height=1, bytes=1, taken=taken,
        position=place, rank=1, score=score, scores={}, evidence=evidence, space="s",
    )  # fmt: skip


def places(*hits: Hit, share: float = 0.1):  # type: ignore[no-untyped-def]
    result = SearchResult("q", None, hits, {})  # type: ignore[arg-type]
    return probable_places(result, USUAL, lambda *_: share)


def near(place: tuple[float, float], km: float) -> tuple[float, float]:
    return place[0] + km / 111.2, place[1]


def test_matches_at_one_place_make_it_likely_and_similar_photos_elsewhere_do_not_count() -> None:
    far = [hit(ROME, minute=60 * n) for n in range(5)]
    (first, *others), silence = places(hit(PARIS, match=0.97), hit(near(PARIS, 1), match=0.9), *far)
    assert (first.confidence, first.matches, silence) == (Confidence.LIKELY, 2, None)
    assert (first.latitude, first.longitude) == pytest.approx(PARIS, abs=0.01)
    assert first.radius_km in (0.5, 1)
    assert all(other.confidence is Confidence.WEAK for other in others)


def test_matches_at_several_places_make_each_of_them_possible() -> None:
    found, _ = places(hit(PARIS, match=0.9), hit(LUND, match=0.8))
    assert [place.confidence for place in found] == [Confidence.POSSIBLE] * 2
    assert found[0].latitude == pytest.approx(PARIS[0], abs=0.01)
    assert sum(place.weight for place in found) == pytest.approx(1, abs=2e-3)


def test_a_match_that_is_not_sure_is_possible() -> None:
    (place,), _ = places(hit(PARIS, match=0.6))
    assert place.confidence is Confidence.POSSIBLE


def test_many_similar_photos_at_a_place_of_few_photos_are_a_weak_guess() -> None:
    crowd = [hit(near(LUND, n / 2), minute=60 * n) for n in range(8)]
    (place,), _ = places(*crowd, hit(ROME), hit(PARIS), share=0.05)
    assert (place.confidence, place.matches, len(place.hits)) == (Confidence.WEAK, 0, 8)
    assert place.weight == pytest.approx(0.8)
    assert place.radius_km == 5  # similar photos tell an area, not a point
    assert place.latitude == round(LUND[0] + 3.5 / 2 / 111.2, 2)


@pytest.mark.parametrize(
    ("hits", "share", "why"),
    [
        ([], 0.1, Silence.NO_POSITIONS),
        ([hit(PARIS, score=0.12)], 0.1, Silence.NOTHING_SIMILAR),
        ([hit(PARIS), hit(ROME), hit(LUND)], 0.1, Silence.NO_AGREEMENT),
        # Half of the gallery was taken there:
        ([hit(LUND, minute=60 * n) for n in range(6)], 0.5, Silence.NO_AGREEMENT),
        ([hit(LUND, minute=60 * n) for n in range(6)], 1.0, Silence.NO_AGREEMENT),
        # One walk counts once:
        ([hit(LUND, minute=n) for n in range(20)], 0.05, Silence.NO_AGREEMENT),
    ],
)
def test_where_nothing_speaks_for_a_place_that_is_said(
    hits: list[Hit], share: float, why: Silence
) -> None:
    assert places(*hits, share=share) == ((), why)


def test_no_more_digits_are_written_than_the_radius_deserves() -> None:
    assert [round_up(km) for km in (0.2, 0.21, 3, 5, 5.1, 90)] == [0.2, 0.5, 5, 5, 10, 100]
    assert [digits_of(km) for km in (0.2, 5, 20, 200)] == [3, 2, 1, 0]


def photo_at(place: tuple[float, float] | None, picture: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0131] = "tests"
    if place is not None:
        latitude, longitude = place
        exif.get_ifd(0x8825).update(
            {1: "N", 2: (latitude, 0.0, 0.0), 3: "E", 4: (longitude, 0.0, 0.0)}
        )
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90, exif=exif)
    return file.getvalue()


@pytest.fixture
def gallery(open_gallery: Callable[..., Gallery], tmp_path: Path) -> Gallery:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, place in ((0, PARIS), (1, LUND), (2, ROME), (3, None)):
        (folder / f"{seed}.jpg").write_bytes(photo_at(place, Image.fromarray(pixels(seed))))
    opened = open_gallery()
    opened.add(folder)
    return opened


def test_the_same_photo_without_its_position_is_placed_by_it(gallery: Gallery) -> None:
    found = gallery.locate(photo_at(None, Image.fromarray(pixels(1))))
    assert found.position is None
    if found.places:  # whether the tiny model's features verify it is not what this is about
        assert found.places[0].latitude == pytest.approx(LUND[0], abs=0.1)
    own = gallery.locate(io.BytesIO(photo_at(LUND, scene(77, 64, 48))))
    assert own.position == pytest.approx(LUND, abs=1e-3)


def test_a_photo_is_no_evidence_of_itself(gallery: Gallery, tmp_path: Path) -> None:
    for photo in (
        tmp_path / "photos" / "1.jpg",
        gallery.search(tmp_path / "photos" / "1.jpg").hits[0],
    ):
        found = gallery.locate(photo)
        assert found.position == pytest.approx(LUND, abs=1e-3)
        assert all(hit.path.name != "1.jpg" for place in found.places for hit in place.hits)


def test_photos_without_positions_and_those_that_miss_a_condition_say_nothing(
    gallery: Gallery,
) -> None:
    query = image(1)
    for place in gallery.locate(query, where="not near 48.858,2.294 within 5 km").places:
        assert all(hit.position not in (PARIS, None) for hit in place.hits)
    assert gallery.locate(query, where="width > 5000").silence is Silence.NO_POSITIONS
