"""A gallery of the model that comes with glocal is upgraded, with everything that it really has:
regions, calibrated local features of its own, geometric verification.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from image_folders import scene

from default_before import write_version_3
from glocal.encoders import DEFAULT_MODEL
from glocal.gallery import Galleries, Gallery
from glocal.gallery.packed_features import unpack
from glocal.gallery.upgrading import Upgrade
from glocal.ranking.evidence import Verdict
from tiny_model import write_model

COUNT = 4


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of photos, a model and a gallery of the bundled model."""
    root = tmp_path_factory.mktemp("bundled")
    (root / "photos").mkdir()
    for seed in range(COUNT):
        scene(seed, 320, 240).save(root / "photos" / f"{seed}.jpg", quality=92)
    write_model(root / "next.onnx", seed=1, space="next")
    with Gallery(root / "gallery", model=DEFAULT_MODEL) as gallery:
        gallery.add(root / "photos")
        assert (gallery.model.version, gallery.info().detector) == (4, "own")
    return root


@pytest.fixture
def gallery(indexed: Path, tmp_path: Path) -> Iterator[Gallery]:
    shutil.copytree(indexed / "gallery", tmp_path / "gallery")
    with Gallery(tmp_path / "gallery") as opened:
        yield opened


def begin(gallery: Gallery, indexed: Path, anchors: int) -> Upgrade:
    upgrade = gallery.upgrade()
    proposal = upgrade.propose(str(indexed / "next.onnx"), anchors=anchors)
    assert proposal.begins.upgrade.detector == "xfeat"  # nothing of the new model is calibrated
    upgrade.begin(proposal)
    return upgrade


def require_proven(gallery: Gallery, seed: int) -> None:
    """A crop of a photo finds it, and geometry proves it."""
    found = gallery.search(np.asarray(scene(seed, 320, 240).crop((20, 15, 300, 225))), limit=1)
    assert (found.hits[0].path.name, found.found) == (f"{seed}.jpg", True)
    assert found.hits[0].evidence is not None
    assert found.hits[0].evidence.verdict in (Verdict.COPY, Verdict.SAME_OBJECT)


def encoded(gallery: Gallery, photos: Path) -> dict[bool, int]:
    """The seed of a photo that the new model has encoded, and of one that waits."""
    ids = {seed: gallery.content_of(photos / f"{seed}.jpg") for seed in range(COUNT)}
    _, done = gallery._context.store.rows.find(i for i in ids.values() if i is not None)
    return {i in done: seed for seed, i in ids.items()}


def contents(gallery: Gallery) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Vector and local features of every image."""
    ids = sorted(gallery._catalog.content_ids())
    vectors = gallery._context.store.vectors(ids)
    local = gallery._catalog.local_features(ids)
    return {i.hex: v.tobytes() for i, v in vectors.items()}, {i.hex: b for i, b in local.items()}


def test_it_answers_at_once_finishes_and_is_searched_beside_one_of_before(
    gallery: Gallery, indexed: Path
) -> None:
    upgrade = begin(gallery, indexed, anchors=COUNT // 2)
    progress = upgrade.progress()
    assert progress is not None
    assert (progress.old.version, progress.encoded, progress.verified) == (4, COUNT // 2, True)
    require_proven(gallery, encoded(gallery, indexed / "photos")[False])
    assert upgrade.carry_on().finished
    assert gallery.check(sample=None).sound
    assert (gallery.space, gallery.info().detector, gallery.info().format) == ("next", "xfeat", 2)
    with Galleries(indexed / "gallery", gallery) as both:  # the same files, by two models
        found = both.search(indexed / "photos" / "1.jpg")
        assert [len(hit.galleries) for hit in found] == [2] * COUNT
        assert found.hits[0].path.name == "1.jpg"
        assert found.found is True


def test_it_returns_to_what_it_was(gallery: Gallery, indexed: Path) -> None:
    before = contents(gallery)
    upgrade = begin(gallery, indexed, anchors=COUNT // 2)
    require_proven(gallery, encoded(gallery, indexed / "photos")[True])
    assert upgrade.back() == COUNT // 2
    assert gallery.add_local_features() == COUNT // 2
    assert contents(gallery) == before
    assert (gallery.model.version, gallery.info().upgrade) == (4, None)


def test_a_gallery_of_version_2_goes_to_the_default(
    indexed: Path, tmp_path: Path, version_2: Path
) -> None:
    with Gallery(tmp_path / "gallery", model=str(version_2)) as gallery:
        gallery.add(indexed / "photos")
        assert (gallery.space, gallery.info().detector) == ("glocal-lite0-v2", "own")
    with Gallery(tmp_path / "gallery") as gallery:
        assert gallery.model.version == 2  # until it is upgraded
        upgrade = gallery.upgrade()
        proposal = upgrade.propose(DEFAULT_MODEL, anchors=COUNT // 2)
        upgrade.begin(proposal)
        for seed in encoded(gallery, indexed / "photos").values():
            require_proven(gallery, seed)
        assert upgrade.carry_on().finished
        assert (gallery.space, gallery.info().detector) == ("glocal-lite0-v4", "own")
        assert gallery.check(sample=None).sound
        require_proven(gallery, 0)


def test_a_gallery_of_version_3_goes_to_version_4_whose_vectors_are_the_same(
    indexed: Path, tmp_path: Path
) -> None:
    before = write_version_3(tmp_path / "3.onnx")
    with Gallery(tmp_path / "gallery", model=str(before)) as gallery:
        gallery.add(indexed / "photos")
        assert (gallery.model.version, gallery.info().detector) == (3, "own")
        old = contents(gallery)
        assert {len(unpack(packed)) for packed in old[1].values()} == {128}
    with Gallery(tmp_path / "gallery") as gallery:
        require_proven(gallery, 0)
        proposal = gallery.upgrade().propose(DEFAULT_MODEL, anchors=COUNT // 2)
        assert proposal.gains[:2] == (
            "glocal-lite0 v4 searches the vectors of glocal-lite0 v3 as they are",
            "400 local features of a photo in place of 128",
        )
        assert not proposal.by_both  # however few photos there are
        assert "local features change with the model" in " ".join(proposal.against)
        gallery.upgrade().begin(proposal)
        for seed in encoded(gallery, indexed / "photos").values():
            require_proven(gallery, seed)
        assert gallery.upgrade().carry_on().finished
        assert gallery.space == "glocal-lite0-v4"
        new = contents(gallery)
        assert new[0] == old[0]
        assert min(len(unpack(packed)) for packed in new[1].values()) > 128
        require_proven(gallery, 0)


@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("glocal-lite0-multiscale", "glocal-lite0-multiscale-v2"),  # the same local features
        ("glocal-lite2", "glocal-lite2-v1"),
    ],
)
def test_a_gallery_goes_to_another_bundled_model(
    gallery: Gallery, indexed: Path, name: str, space: str
) -> None:
    """It verifies by that model's local features and has a calibration of its own."""
    upgrade = gallery.upgrade()
    upgrade.begin(upgrade.propose(name, anchors=COUNT // 2))
    for seed in encoded(gallery, indexed / "photos").values():
        require_proven(gallery, seed)
    assert upgrade.carry_on().finished
    assert (gallery.space, gallery.info().detector) == (space, "own")
    assert gallery.check(sample=None).sound
    require_proven(gallery, 0)
