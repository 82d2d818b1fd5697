"""Explanations of images of all kinds, by the bundled model."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import glocal.explain
from glocal.encoders import OnnxEncoder, load_encoder
from glocal.errors import ImageError, PartError, QueryError
from glocal.explain import Explanation, Matches, explain
from glocal.explain.figure import Photo, Ring, Stroke, Words
from glocal.images import load
from glocal.registry import names

SCENES = Path(__file__).parents[3] / "shared" / "data" / "scenes"


def smooth(seed: int, width: int = 160, height: int = 120) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height)))


IMAGES = {
    "colour": smooth(1),
    "grey": smooth(2)[..., 0],
    "one pixel": np.full((1, 1, 3), 77, np.uint8),
    "black": np.zeros((50, 70, 3), np.uint8),
    "white": np.full((50, 70, 3), 255, np.uint8),
    "wide": np.tile(smooth(3, 3000, 3), (1, 3, 1)),
    "high": smooth(4, 2, 4000),
    "mirrored": smooth(1)[:, ::-1],
}


@pytest.fixture(scope="module")
def encoder() -> OnnxEncoder:
    return load_encoder()


def words(explanation: Explanation) -> str:
    return " ".join(s.text for s in explanation.figure.shapes if isinstance(s, Words))


@pytest.mark.parametrize("name", IMAGES)
def test_the_regions_of_any_two_images_add_up_to_the_score(encoder: OnnxEncoder, name: str) -> None:
    query, hit = IMAGES["colour"], IMAGES[name]
    got = explain(query, hit, encoder=encoder)
    first, second = (f.vector for f in encoder.encode([query, load(hit).array]))
    assert got.scores == (pytest.approx(float(first @ second), abs=1e-4),)
    for grid in got.maps:
        assert float(grid.sum()) == pytest.approx(got.scores[0], abs=1e-4)
    assert f"Similarity {got.scores[0]:.3f}" in words(got)


@pytest.mark.parametrize("kind", names("explainer"))
@pytest.mark.parametrize("name", ["one pixel", "black", "wide", "high", "grey"])
def test_any_image_can_be_explained(encoder: OnnxEncoder, kind: str, name: str) -> None:
    matches = Matches(np.zeros((0, 2)), np.zeros((0, 2))) if kind == "matches" else None
    image = IMAGES[name]
    got = explain(image, image, kind=kind, encoder=encoder, matches=matches)
    assert got.scores == (pytest.approx(1, abs=1e-4),)
    assert all(np.isfinite(grid).all() for grid in got.maps)
    shapes = [photo.array.shape for photo in got.figure.shapes if isinstance(photo, Photo)]
    assert len(shapes) >= 2
    page = Image.open(io.BytesIO(got.figure.encoded("png")))
    assert page.size == (got.figure.width, got.figure.height)
    assert page.width == 1600
    assert page.height < 4000


def test_identical_images_have_identical_maps(encoder: OnnxEncoder) -> None:
    query_map, hit_map = explain(IMAGES["colour"], IMAGES["colour"], encoder=encoder).maps
    np.testing.assert_allclose(query_map, hit_map, atol=1e-5)


def pasted(places: list[tuple[int, int]]) -> np.ndarray:
    """Two objects on a grey background, at the given columns and rows of a 4x4 board."""
    board = np.full((384, 384, 3), 128, np.uint8)
    for seed, (column, row) in enumerate(places):
        noise = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        thing = np.asarray(Image.fromarray(noise).resize((96, 96), Image.Resampling.NEAREST))
        board[row * 96 : row * 96 + 96, column * 96 : column * 96 + 96] = thing // (seed + 1)
    return board


def test_a_point_highlights_what_matches_it(encoder: OnnxEncoder) -> None:
    query, hit = pasted([(0, 0), (3, 3)]), pasted([(3, 0), (0, 3)])
    for point, column, row in (((0.125, 0.125), 1, 0), ((336, 336), 0, 1)):
        got = explain(query, hit, encoder=encoder, point=point)
        (answer,) = got.maps
        half = answer.shape[0] // 2
        quarters = answer.reshape(2, half, 2, half).sum((1, 3))
        assert np.unravel_index(quarters.argmax(), (2, 2)) == (row, column)
        rings = [s for s in got.figure.shapes if isinstance(s, Ring)]
        photos = [s for s in got.figure.shapes if isinstance(s, Photo)]
        assert len(rings) == 2
        x = (rings[0].center[0] - photos[0].left) / photos[0].width
        assert x == pytest.approx(0.125 if point[0] < 1 else 0.875)


def test_the_fewest_regions_are_those_of_the_thing_that_both_show(encoder: OnnxEncoder) -> None:
    query, hit = pasted([(0, 0), (3, 3)]), pasted([(2, 1)])
    got = explain(query, hit, kind="fewest", encoder=encoder)
    (grid,) = got.maps
    assert grid.shape == (4, 4)
    assert np.unravel_index(grid.argmax(), grid.shape) == (0, 0)
    assert grid[3, 3] == 0
    assert got.data is not None
    (told,) = got.data["hits"]
    first, last = told["regions"][0], told["regions"][-1]
    assert first["box"] == [0, 0, 0.25, 0.25]
    assert len(told["regions"]) == np.count_nonzero(grid) <= 6
    assert last["kept"] >= 0.9 * told["score"] or len(told["regions"]) == 6
    assert first["kept"] > first["removed"]
    assert told["score"] == pytest.approx(got.scores[0], abs=1e-3)
    assert f"{last['kept']:.3f}" in words(got)


def test_a_region_is_named_in_pixels_or_fractions(encoder: OnnxEncoder) -> None:
    query, hit = IMAGES["colour"], IMAGES["grey"]
    pixels = explain(query, hit, encoder=encoder, region=(40, 30, 80, 60))
    fractions = explain(query, hit, encoder=encoder, region=(0.25, 0.25, 0.5, 0.5))
    assert np.array_equal(pixels.maps[0], fractions.maps[0])
    assert any(isinstance(s, Stroke) and s.closed for s in pixels.figure.shapes)
    whole = explain(query, hit, encoder=encoder, region=(0, 0, 1, 1))
    unchosen = explain(query, hit, encoder=encoder)
    np.testing.assert_allclose(whole.maps[0], unchosen.maps[1], atol=1e-6)


def test_several_hits_have_a_row_each(encoder: OnnxEncoder, tmp_path: Path) -> None:
    Image.fromarray(smooth(5)).save(tmp_path / "five.png")
    stream = io.BytesIO((tmp_path / "five.png").read_bytes())
    hits = [tmp_path / "five.png", stream, Image.fromarray(smooth(6))]
    got = explain(IMAGES["colour"], *hits, encoder=encoder, verdict="similar")
    assert len(got.scores) == 3
    assert len(got.maps) == 6
    assert got.scores[0] == got.scores[1] != got.scores[2]
    assert "five.png" in words(got)
    assert ": similar" in words(got)


def test_concepts_of_images_that_differ_in_shape(encoder: OnnxEncoder) -> None:
    got = explain(*IMAGES.values(), kind="concepts", concepts=3, encoder=encoder)
    assert len(got.maps) == len(IMAGES)
    assert all(grid.shape[2] == 3 for grid in got.maps)
    assert [f"Concept {k}" in words(got) for k in (1, 2, 3, 4)] == [True, True, True, False]


def test_matches_are_drawn_with_the_outline(encoder: OnnxEncoder) -> None:
    points = np.random.default_rng(0).uniform(size=(70, 2))
    half = np.diag([0.5, 0.5, 1])
    matches = Matches(points, points / 2, half)
    got = explain(
        IMAGES["colour"],
        IMAGES["grey"],
        kind="matches",
        encoder=encoder,
        matches=matches,
        verdict="same object",
    )
    said = words(got)
    assert "70 verified points: same object" in said
    assert "40 of 70 lines" in said
    lines = [s for s in got.figure.shapes if isinstance(s, Stroke)]
    assert [line.closed for line in lines] == [False] * 40 + [True]
    photos = [s for s in got.figure.shapes if isinstance(s, Photo)]
    right = max(x for x, _ in lines[-1].points)
    assert right == pytest.approx(photos[1].left + photos[1].width / 2)
    for number, line in zip(matches.shown(), lines, strict=False):
        (x, _), (_, y) = line.points
        assert x == pytest.approx(photos[0].left + points[number, 0] * photos[0].width)
        assert y == pytest.approx(photos[1].top + points[number, 1] / 2 * photos[1].height)


NO_MATCHES = Matches(np.zeros((0, 2)), np.zeros((0, 2)))


@pytest.mark.parametrize(
    ("hits", "options", "said"),
    [
        (0, {}, "name a hit"),
        (1, {"kind": "concepts", "point": (0.5, 0.5)}, "concepts takes no point or region"),
        (1, {"point": (0.5, 0.5), "region": (0, 0, 1, 1)}, "not both"),
        (1, {"point": (500, 5)}, "the point 500,5 is not in the query of 160 x 120"),
        (1, {"point": (-0.1, 0.5)}, r"the point -0\.1,0\.5 is not"),
        (1, {"region": (500, 5, 10, 10)}, "covers no pixel"),
        (1, {"kind": "concepts", "concepts": 8}, "8 concepts cannot be shown: give 1 to 7"),
        (1, {"matches": NO_MATCHES}, "similarity draws no matches"),
        (2, {"kind": "matches", "matches": NO_MATCHES}, "one hit, not 2"),
    ],
)
def test_what_does_not_go_together_is_refused(
    encoder: OnnxEncoder, hits: int, options: dict[str, object], said: str
) -> None:
    with pytest.raises(QueryError, match=said):
        explain(IMAGES["colour"], *[IMAGES["grey"]] * hits, encoder=encoder, **options)


def test_an_unknown_kind_is_answered_with_those_there_are(encoder: OnnxEncoder) -> None:
    with pytest.raises(PartError, match=r"no explainer named 'magic'; .*similarity"):
        explain(IMAGES["colour"], IMAGES["grey"], kind="magic", encoder=encoder)


def test_what_is_not_an_image_is_refused(encoder: OnnxEncoder, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        explain(IMAGES["colour"], tmp_path / "nothing.jpg", encoder=encoder)


def test_the_package_has_what_it_lists() -> None:
    for name in glocal.explain.__all__:
        assert hasattr(glocal.explain, name)


@pytest.mark.skipif(not SCENES.is_dir(), reason=f"no photos at {SCENES}")
def test_two_photos_of_a_church_match_in_the_church(encoder: OnnxEncoder) -> None:
    folder = SCENES / "hloc" / "sacre_coeur" / "mapping"
    query, hit = folder / "02928139_3448003521.jpg", folder / "17295357_9106075285.jpg"
    query_map, hit_map = explain(query, hit, encoder=encoder).maps
    rows, columns = query_map.shape
    middle = query_map[rows // 4 : 3 * rows // 4].sum()
    assert middle > 0.8 * query_map.sum()  # neither the sky nor the people on the stairs
    rows, columns = hit_map.shape
    assert hit_map[:, columns // 4 : 3 * columns // 4].sum() > 0.8 * hit_map.sum()  # nor trees


def test_matches_are_verified_when_they_are_not_given(encoder: OnnxEncoder) -> None:
    rng = np.random.default_rng(5)
    image = np.full((300, 400, 3), 90, np.uint8)
    for _ in range(150):
        x, y = rng.integers(0, 400), rng.integers(0, 300)
        image[y : y + rng.integers(4, 60), x : x + rng.integers(4, 60)] = rng.integers(0, 255, 3)
    why = explain(image, image[30:280, 40:380], kind="matches", encoder=encoder)
    words = " ".join(shape.text for shape in why.figure.shapes if isinstance(shape, Words))
    assert "copy" in words or "same object or place" in words
    assert sum(isinstance(shape, Stroke) for shape in why.figure.shapes) > 10
