"""A gallery's regions: which it has, what they find, and how it comes by them later."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_folders import image, pixels, write_images
from PIL import Image, ImageOps

from glocal.cli.demo_photos import gather
from glocal.errors import ModelError, ModelMismatchError, PartError
from glocal.gallery import Gallery
from glocal.gallery import batches as batches_module
from glocal.gallery.progress import Progress
from tiny_model import write_model

Open = Callable[..., Gallery]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_images(tmp_path / "photos", 12)
    return tmp_path / "photos"


def as_old(gallery: Gallery) -> None:
    """Make a gallery as it was before there were regions."""
    gallery.add_regions("none")
    with gallery._catalog.change() as db:
        db.execute("DELETE FROM state WHERE key = 'regions'")


def test_images_get_regions_that_leave_with_them(open_gallery: Open, photos: Path) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    info = gallery.info()
    assert (info.regions, info.without_regions) == ("coarse", 0)
    assert info.region_bytes >= 12 * 9 * (16 + 4)
    features = gallery.features(photos / "p0003.png")
    assert features is not None
    assert features.regions.shape == (9, 16)
    gallery.remove(photos / "p0003.png")
    store = gallery._regions.store
    assert store is not None
    assert store.status().vectors == 11
    assert gallery.check(sample=None).sound


def test_a_hit_says_where_the_query_is(open_gallery: Open, photos: Path) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    result = gallery.search(image(4), limit=12)
    assert len(result) == 12
    assert "regions" in result.timings_ms
    for hit in result:
        assert set(hit.scores) >= {"vector", "region", "blend"}
        assert (hit.box is not None) == (hit.scores["region"] > hit.score)
        x, y, width, height = hit.box or (0, 0, 1, 1)
        assert 0 <= x < x + width <= 1.01
        assert 0 <= y < y + height <= 1.01
    for options in ({"regions": False}, {"rerank": "none"}):
        plain = gallery.search(image(4), limit=12, **options)
        assert "regions" not in plain.timings_ms
        assert plain.hits[0].box is None
        assert "region" not in plain.hits[0].scores


def bullseye(side: int) -> np.ndarray:
    """Red and white rings on blue, ``(side, side, 3)``."""
    y, x = np.mgrid[:256, :256] - 128
    away = np.hypot(x, y)
    rings = np.where((away // 16 % 2 == 0)[..., None], (230, 40, 30), (250, 250, 240))
    rings[away > 120] = (20, 60, 160)
    return np.asarray(Image.fromarray(rings.astype(np.uint8)).resize((side, side)))


def test_the_bundled_model_finds_a_small_thing_and_says_where(
    open_gallery: Open, tmp_path: Path
) -> None:
    gallery = open_gallery(model="glocal-lite0", detector=None)
    for number, path in enumerate(gather(tmp_path)[:8]):
        photo = np.array(ImageOps.fit(Image.open(path).convert("RGB"), (384, 384)))
        if number == 2:
            photo[290:370, 290:370] = bullseye(80)  # a fifth of the side
        gallery.add(photo, name=f"{number}")
    found = gallery.search(bullseye(256), limit=1, verify=False).hits[0]
    assert found.path.stem == "2"
    assert found.scores["region"] > found.score + 0.15
    assert found.box is not None
    x, y, width, height = found.box
    assert x < 370 / 384
    assert x + width > 290 / 384
    assert y < 370 / 384
    assert y + height > 290 / 384


def test_regions_do_not_reorder_what_verification_does_not_prove(open_gallery: Open) -> None:
    gallery = open_gallery(model="glocal-lite0", detector=None)
    for number in range(4):
        photo = np.kron(pixels(number, 96, 96), np.ones((4, 4, 1), np.uint8))
        if number == 2:
            photo[290:370, 290:370] = bullseye(80)
        gallery.add(photo, name=f"{number}")
    query = bullseye(256)
    plain = gallery.search(query, regions=False).hits
    hits = gallery.search(query).hits
    assert [hit.path for hit in hits] == [hit.path for hit in plain]
    blends = [hit.scores["blend"] for hit in hits]
    assert blends != sorted(blends, reverse=True)


def test_a_condition_holds_for_what_regions_find(open_gallery: Open, photos: Path) -> None:
    write_images(photos / "more", 6, first=20)
    gallery = open_gallery()
    gallery.add(photos)
    where = f"folder = '{photos / 'more'}'"
    hits = gallery.search(image(3), limit=20, where=where).hits
    assert {hit.path.parent for hit in hits} == {photos / "more"}


def test_examples_are_compared_with_regions_too(open_gallery: Open, photos: Path) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    made = gallery.query(image(1), like=[image(2)], unlike=[image(3)])
    assert made.regions is not None
    assert made.regions[0] == pytest.approx(made.vector)
    assert np.linalg.norm(made.regions, axis=1) == pytest.approx(1, abs=1e-5)
    assert "region" in gallery.search(made, limit=3).hits[0].scores


def test_none_are_made_where_none_are_wanted(open_gallery: Open, photos: Path) -> None:
    gallery = open_gallery(regions="none")
    gallery.add(photos)
    info = gallery.info()
    assert (info.regions, info.without_regions, info.region_bytes) == ("none", 0, 0)
    assert gallery.query(image(1)).regions is None
    assert "region" not in gallery.search(image(1), limit=1).hits[0].scores
    with pytest.raises(PartError, match="coarse"):
        gallery.add_regions("middling")
    with pytest.raises(ModelMismatchError, match="--refresh --regions coarse"):
        open_gallery(regions="coarse").add(photos)


def test_an_old_gallery_works_and_says_what_it_lacks(
    open_gallery: Open, photos: Path, encoded: Callable[[], int]
) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    as_old(gallery)
    assert (gallery.info().regions, gallery.info().without_regions) == ("none", 12)
    assert "region" not in gallery.search(image(4), limit=1).hits[0].scores
    write_images(photos, 2, first=50)
    gallery.add(photos)  # new images have regions, and both kinds are found
    assert (gallery.info().regions, gallery.info().without_regions) == ("coarse", 12)
    assert len(gallery.search(image(4), limit=20)) == 14
    assert gallery.search(image(4), limit=1).hits[0].path.name == "p0004.jpg"
    assert gallery.check(sample=None).sound
    encoded()
    vectors = gallery.search_vector(np.ones(16), limit=20)
    assert gallery.add_regions() == 12
    assert encoded() == 12
    assert gallery.add_regions() == 0
    assert gallery.info().without_regions == 0
    assert gallery.search_vector(np.ones(16), limit=20).hits == vectors.hits


def test_another_choice_replaces_all(open_gallery: Open, photos: Path) -> None:
    gallery, reader = open_gallery(), open_gallery(create=False)
    gallery.add(photos)
    assert "region" in reader.search(image(4), limit=1).hits[0].scores
    gallery.add_regions("none")
    assert "region" not in reader.search(image(4), limit=1).hits[0].scores
    assert gallery.info().region_bytes == 0
    assert not list((gallery.folder / "vectors").glob("*%2Fcoarse*"))
    assert gallery.add_regions("coarse") == 12
    assert "region" in reader.search(image(4), limit=1).hits[0].scores


def test_adding_stops_where_another_process_has_made_another_choice(
    open_gallery: Open, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches_module, "BATCH", 4)
    gallery, other = open_gallery(), open_gallery(create=False)
    gallery.add(photos)
    as_old(gallery)

    def change(progress: Progress) -> None:
        if progress.done == 6:
            other.add_regions("none")

    with pytest.raises(ModelMismatchError, match="meanwhile"):
        gallery.add_regions(None, change)
    assert gallery.info().regions == "none"


@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_adding_goes_on_where_a_kill_has_stopped_it(
    open_gallery: Open, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches_module, "BATCH", 2)
    with open_gallery() as gallery:
        gallery.add(photos)
        as_old(gallery)
    left = []
    for after in (1, 5, 4):
        child = os.fork()
        if child == 0:
            with Gallery(gallery.folder, create=False) as opened:

                def kill(progress: Progress, after: int = after) -> None:
                    if progress.done == after:
                        os.kill(os.getpid(), signal.SIGKILL)

                opened.add_regions(None, kill)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        with open_gallery(create=False) as opened:
            assert opened.check(sample=None).sound
            left.append(opened.info().without_regions)
    assert left[0] >= left[1] > left[2] > 0
    with open_gallery(create=False) as opened:
        assert opened.add_regions() == left[-1]
        assert opened.info().without_regions == 0


def test_a_model_without_contributions_indexes_without_regions(
    open_gallery: Open, photos: Path, tmp_path: Path
) -> None:
    plain = str(write_model(tmp_path / "plain.onnx", regions=False))
    gallery = open_gallery(model=plain)
    gallery.add(photos)
    assert gallery.info().regions == "none"
    assert gallery.search(image(2), limit=1).hits[0].path.name == "p0002.jpg"
    with pytest.raises(ModelError, match="leave --regions out"):
        gallery.add_regions("coarse")
    with pytest.raises(ModelError, match="leave --regions out"):
        open_gallery(tmp_path / "other", model=plain, regions="coarse").add(photos)


def test_damaged_regions_are_found_and_made_again(open_gallery: Open, photos: Path) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    store = gallery._regions.store
    assert store is not None
    with store.file(1).open("r+b") as file:
        file.write(b"\x00" * 50)
    health = gallery.check(sample=None)
    assert len(health.wrong_regions) == 12
    assert health.without_vector == health.damaged == ()
    assert "regions" in health.faults()[0]
    gallery.repair()
    assert gallery.check(sample=None).sound
    assert gallery.info().without_regions == 0
