"""Geometric verification as the user of a search meets it: the bundled model, images made here."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from glocal.cli.demo_photos import gather
from glocal.encoders import load_encoder
from glocal.errors import ModelMismatchError, PartError, QueryError
from glocal.gallery import Gallery, describing
from glocal.gallery.packed_features import pack
from glocal.ranking.evidence import IDENTICAL_FILE, Verdict
from glocal.ranking.reranking import LOCAL
from glocal.registry import names


def busy(seed: int, height: int = 300, width: int = 400) -> np.ndarray:
    """Blocks of many sizes, none like another."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), rng.integers(60, 190, 3), np.uint8)
    for _ in range(150):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(4, 60, 2)
        image[y : y + h, x : x + w] = rng.integers(0, 255, 3)
    return image


def save(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=92)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(12):
        save(folder / f"{seed:02}.jpg", busy(seed))
    return folder


@pytest.fixture(scope="module")
def indexed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("indexed") / "gallery"
    with Gallery(folder) as opened:
        opened.add(photos)
    return folder


@pytest.fixture
def gallery(indexed: Path, tmp_path: Path) -> Iterator[Gallery]:
    """A gallery of the photos for each test; encoded once."""
    shutil.copytree(indexed, tmp_path / "gallery")
    with Gallery(tmp_path / "gallery") as opened:
        yield opened


def cropped(seed: int) -> np.ndarray:
    """The middle of an image, darker."""
    return (busy(seed)[40:260, 60:350] * 0.8).astype(np.uint8)


def test_a_copy_is_proved(gallery: Gallery, photos: Path) -> None:
    result = gallery.search(cropped(3), limit=12)
    best, *others = result.hits
    assert best.path == photos / "03.jpg"
    assert best.evidence.verdict is Verdict.COPY
    assert best.evidence.inliers > 15
    assert best.evidence.inliers <= best.evidence.matches
    assert best.evidence.same_probability > 0.9
    top_left = np.array(best.evidence.homography) @ [0, 0, 1]
    assert top_left[:2] / top_left[2] == pytest.approx([60 / 400, 40 / 300], abs=0.03)
    assert set(result.timings_ms) == {
        *("decode", "encode", "search"),
        *("rerank", "regions", "verify", "verify_regions"),
    }
    for other in others:
        assert other.evidence.verdict == Verdict.SIMILAR
        assert other.evidence.same_probability < best.evidence.same_probability


def test_a_piece_of_a_long_image_finds_it_and_where(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as old:
        old.setattr(describing, "part_boxes", lambda *_: np.zeros((0, 4), np.float32))
        gallery.add(np.concatenate([busy(n) for n in range(20, 28)]), name="page")
    assert gallery.add_regions() == 1  # as it was indexed before there were parts
    assert gallery.add_regions() == 0
    best = gallery.search(busy(25)[10:290], limit=1).hits[0]
    assert best.path.stem == "page"
    assert best.scores["region"] > best.score + 0.3
    assert best.evidence.verdict.is_match
    assert best.box == pytest.approx((0, 1510 / 2400, 1, 280 / 2400), abs=0.03)


def test_what_is_too_small_in_an_image_is_verified_in_its_file(
    gallery: Gallery, tmp_path: Path
) -> None:
    paths = {each.stem: each for each in gather(tmp_path / "demo")}
    cat, pagoda = (Image.open(paths[name]).convert("RGB") for name in ("cat", "pagoda"))
    thing = np.asarray(ImageOps.fit(cat, (400, 300), Image.Resampling.LANCZOS))
    photo = np.array(ImageOps.fit(pagoda, (1600, 1200), Image.Resampling.BICUBIC))
    photo[700:1000, 900:1300] = thing
    path = save(tmp_path / "large.jpg", photo)
    gallery.add(path)
    best = gallery.search(thing, limit=1).hits[0]
    assert best.path == path
    assert best.evidence.verdict.is_match
    assert best.box == pytest.approx((900 / 1600, 700 / 1200, 0.25, 0.25), abs=0.03)
    path.unlink()
    assert gallery.search(thing, limit=1).hits[0].evidence.verdict.is_match  # read before
    with Gallery(gallery.folder) as again:
        assert not again.search(thing, limit=1).hits[0].evidence.verdict.is_match


def test_without_verification_only_the_own_file_is_told(gallery: Gallery, photos: Path) -> None:
    result = gallery.search(photos / "03.jpg", verify=False)
    assert result.hits[0].evidence == IDENTICAL_FILE
    assert all(hit.evidence is None for hit in result.hits[1:])
    assert "verify" not in result.timings_ms


def test_the_file_itself_comes_first_and_says_so(gallery: Gallery, photos: Path) -> None:
    save(photos.parent / "more" / "brighter.png", np.minimum(busy(3) * 1.1, 255).astype(np.uint8))
    gallery.add(photos.parent / "more")
    best, second, *_ = gallery.search(photos / "03.jpg").hits
    assert (best.path, best.evidence.verdict) == (photos / "03.jpg", Verdict.IDENTICAL_FILE)
    assert (second.path.name, second.evidence.verdict) == ("brighter.png", Verdict.COPY)


def test_a_region_is_what_is_verified(gallery: Gallery) -> None:
    both = np.concatenate([busy(5), busy(7)], axis=1)
    best = gallery.search(both, region=(0.5, 0, 0.5, 1)).hits[0]
    assert best.path.name == "07.jpg"
    mapped = np.array(best.evidence.homography)
    assert mapped / mapped[2, 2] == pytest.approx(np.eye(3), abs=0.03)


@pytest.mark.parametrize("grey", [0, 255])
def test_a_blank_query_is_a_query(gallery: Gallery, grey: int) -> None:
    result = gallery.search(np.full((50, 70, 3), grey, np.uint8))
    assert len(result) == 10
    assert all(hit.evidence.verdict == Verdict.SIMILAR for hit in result)
    assert all(hit.evidence.homography is None for hit in result)


def test_images_without_local_features_are_found_and_can_be_given_some(
    gallery: Gallery, photos: Path
) -> None:
    before = gallery.search(cropped(3))
    with sqlite3.connect(gallery.folder / "catalog.sqlite") as catalog:
        catalog.execute("DELETE FROM local_features")
    catalog.close()
    assert gallery.info().without_local_features == 12
    assert {hit.path for hit in gallery.search(cropped(3), limit=12)} == set(photos.iterdir())
    assert all(hit.evidence is None for hit in gallery.search(cropped(3)))
    assert gallery.add_local_features() == 12
    assert gallery.info().without_local_features == 0
    assert gallery.search(cropped(3)).hits == before.hits
    assert gallery.add_local_features() == 0


def test_a_file_that_changed_meanwhile_is_left_without(gallery: Gallery, photos: Path) -> None:
    path = save(photos.parent / "one" / "one.jpg", busy(50))
    gallery.add(path)
    with sqlite3.connect(gallery.folder / "catalog.sqlite") as catalog:
        catalog.execute("DELETE FROM local_features")
    catalog.close()
    save(path, busy(51))
    assert gallery.add_local_features() == 12
    assert gallery.info().without_local_features == 1


def test_another_detector(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    assert gallery.info().detector == "own"
    with pytest.raises(PartError, match="did you mean 'xfeat'"):
        gallery.add_local_features("xfaet")
    assert gallery.add_local_features("xfeat") == 12
    assert gallery.info().detector == "xfeat"
    best = gallery.search(cropped(4)).hits[0]
    assert best.path.name == "04.jpg"
    assert best.evidence.inliers > 15
    new = save(tmp_path / "new.jpg", busy(60))
    gallery.add(new)
    assert gallery.features(new).descriptors.shape[1] == 64
    with (
        Gallery(gallery.folder, detector="own") as again,
        pytest.raises(ModelMismatchError, match="--refresh --detector own"),
    ):
        again.add(photos)


def test_stored_local_features_are_the_encoders(gallery: Gallery, photos: Path) -> None:
    """They come with the vector, from one pass of the network."""
    from glocal.images import load

    encoder = load_encoder()
    image = load(photos / "02.jpg", min_pixels=encoder.card.area)
    (features,) = encoder.encode([image.array])
    stored = gallery.features(photos / "02.jpg")
    assert pack(stored.local) == pack(features.local)


@pytest.mark.parametrize("name", names("reranker", without=LOCAL))
def test_rerankings_keep_what_was_found(gallery: Gallery, photos: Path, name: str) -> None:
    result = gallery.search(cropped(3), limit=12, rerank=name)
    assert {hit.path for hit in result} == set(photos.iterdir())
    assert "rerank" in result.timings_ms
    assert result.hits[0].path.name == "03.jpg"
    plain = gallery.search(cropped(3), limit=12, rerank=name, verify=False)
    assert {hit.path for hit in plain} == set(photos.iterdir())
    scores = {hit.path: hit.score for hit in gallery.search(cropped(3), limit=12)}
    assert all(hit.score == scores[hit.path] for hit in plain)


@pytest.mark.parametrize("name", names("reranker", trait=LOCAL))
def test_rerankings_by_local_features(gallery: Gallery, photos: Path, name: str) -> None:
    result = gallery.search(cropped(3), limit=12, rerank=name)
    assert {hit.path for hit in result} == set(photos.iterdir())
    assert result.hits[0].path.name == "03.jpg"
    with pytest.raises(QueryError, match=f"{name} compares local features; leave verification on"):
        gallery.search(cropped(3), rerank=name, verify=False)


def test_neighbours_are_reranked_before_a_verification_unless_small_objects_are_searched(
    gallery: Gallery,
) -> None:
    def stages(**options: object) -> set[str]:
        result = gallery.search(cropped(3), **options)
        return {"rerank", "verify"} & result.timings_ms.keys()

    assert stages() == {"rerank", "verify"}
    assert stages(rerank="none") == {"verify"}
    assert stages(small_objects=True) == {"verify"}
    assert stages(verify=False) == set()
    assert stages(verify=False, rerank="dba") == {"rerank"}


def test_an_unknown_reranking(gallery: Gallery) -> None:
    with pytest.raises(PartError, match=r"did you mean 'superglobal'.* choose from: aqe"):
        gallery.search(busy(1), rerank="superglobel")


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A photograph, and a folder of others; in the corner of one it stands, a quarter as wide."""
    pytest.importorskip("skimage", reason="the photographs are scikit-image's")
    folder = tmp_path_factory.mktemp("crowd")
    photos = gather(folder)
    thing = next(path for path in photos if path.stem == "coffee-cup")
    street = next(path for path in photos if path.stem == "pagoda")
    query = folder.parent / "coffee.png"
    thing.rename(query)
    with Image.open(query) as small, Image.open(street) as big:
        scene = big.convert("RGB").resize((1200, 800))
        scene.paste(small.convert("RGB").resize((300, 200), Image.Resampling.BOX), (860, 560))
        scene.save(street, quality=92)
    return query, street


def test_small_objects_are_found(crowd: tuple[Path, Path], tmp_path: Path) -> None:
    query, street = crowd
    with Gallery(tmp_path / "gallery") as gallery:
        gallery.add(street.parent.parent)
        best, *_ = result = gallery.search(query, small_objects=True).hits
        assert best.path == street
        assert best.evidence.inliers >= 8
        middle = np.array(best.evidence.homography) @ [0.5, 0.5, 1]
        assert middle[:2] / middle[2] == pytest.approx([1010 / 1200, 660 / 800], abs=0.05)
        assert [hit.rank for hit in result] == list(range(1, 11))
        everything = gallery.search(query, small_objects=True, limit=1000)
        assert len({hit.path for hit in everything}) == len(everything) == gallery.info().files
        places = gallery.search(query, small_objects=True, where=f"folder = {street.parent}")
        assert {hit.path for hit in places} == set(street.parent.iterdir())
        with pytest.raises(QueryError, match="leave verification on"):
            gallery.search(query, small_objects=True, verify=False)
