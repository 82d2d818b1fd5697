"""A gallery is upgraded to another model while it stays in use, and returns where it is wanted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from image_folders import image, write_images

from glocal.encoders import OnnxEncoder
from glocal.errors import (
    BridgeError,
    DiskFullError,
    GalleryDamagedError,
    GalleryError,
    GalleryLockedError,
    ModelMismatchError,
    QueryError,
)
from glocal.gallery import Gallery, batches
from glocal.gallery.locks import locked
from glocal.gallery.stores.mixed import MixedStore
from glocal.gallery.upgrading import Upgrade
from glocal.images import load
from glocal.upgrade import read_bridge_card
from tiny_model import write_model

Opener = Callable[..., Gallery]
COUNT = 130


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    old = write_model(folder / "old.onnx", space="old")
    return old, write_model(folder / "new.onnx", seed=1, near=0.8, space="new")


@pytest.fixture(scope="module")
def indexed(
    models: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The folder of a gallery of the old model, to be copied, and that of its photos."""
    photos = tmp_path_factory.mktemp("photos")
    write_images(photos, COUNT)
    folder = tmp_path_factory.mktemp("indexed") / "gallery"
    with Gallery(folder, model=str(models[0]), detector="own") as gallery:
        gallery.add(photos)
    return folder, photos


@pytest.fixture
def gallery(indexed: tuple[Path, Path], tmp_path: Path) -> Iterator[Gallery]:
    shutil.copytree(indexed[0], tmp_path / "gallery")
    with Gallery(tmp_path / "gallery", timeout=10) as opened:
        yield opened


def begin(gallery: Gallery, models: tuple[Path, Path], anchors: int = 110) -> Upgrade:
    """Begin an upgrade, with so many images encoded."""
    upgrade = gallery.upgrade()
    upgrade.begin(upgrade.propose(str(models[1]), anchors=anchors))
    return upgrade


def state(gallery: Gallery) -> dict[str, np.ndarray]:
    """The vector of every image, by its id."""
    ids = sorted(gallery._catalog.content_ids())
    return {i.hex: v for i, v in gallery._context.store.vectors(ids).items()}


def first(gallery: Gallery, seed: int) -> str:
    kind = "PNG" if seed % 3 == 0 else "JPEG"
    return gallery.search(image(seed, kind), limit=1).hits[0].path.stem


@pytest.fixture(scope="module")
def fresh(
    models: tuple[Path, Path], indexed: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, np.ndarray]:
    """The vectors of a gallery that the new model has indexed."""
    folder = tmp_path_factory.mktemp("fresh") / "gallery"
    with Gallery(folder, model=str(models[1]), detector="own") as gallery:
        gallery.add(indexed[1])
        return state(gallery)


def test_every_photo_is_found_at_every_stage_and_the_end_is_a_gallery_of_the_new_model(
    gallery: Gallery, models: tuple[Path, Path], fresh: dict[str, np.ndarray]
) -> None:
    upgrade = begin(gallery, models, anchors=100)
    assert (gallery.model.space, gallery.info().format) == ("new", 3)
    progress = gallery.info().upgrade
    assert progress is not None
    assert (progress.old.space, progress.encoded, progress.images) == ("old", 100, COUNT)
    assert [first(gallery, seed) for seed in range(12)] == [f"p{seed:04d}" for seed in range(12)]
    assert gallery.check().sound
    report = upgrade.carry_on(most=10)
    assert (report.encoded, report.left, report.finished) == (10, 20, False)
    assert [first(gallery, seed) for seed in range(12)] == [f"p{seed:04d}" for seed in range(12)]
    report = upgrade.carry_on()
    assert (report.encoded, report.left, report.finished) == (20, 0, True)
    assert gallery.check(sample=None).sound
    assert gallery.info().format == 2
    found = state(gallery)
    assert found.keys() == fresh.keys()
    assert all(np.array_equal(found[i], fresh[i]) for i in fresh)
    stored = json.loads((gallery.folder / "gallery.json").read_text())
    assert (stored["format"], stored["model"]["space"]) == (2, "new")
    assert "upgrade" not in stored
    names = sorted(p.name for p in gallery.folder.iterdir())
    assert not [n for n in names if n.endswith(".bridge") or n == "found"]
    assert len([n for n in names if n.startswith("model-")]) == 1
    assert not list((gallery.folder / "vectors").glob("old*"))


def test_a_proposal_changes_nothing(gallery: Gallery, models: tuple[Path, Path]) -> None:
    def content() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in gallery.folder.rglob("*") if p.is_file()}

    before = content()
    proposal = gallery.upgrade().propose(str(models[1]), anchors=110)
    assert content() == before
    assert (proposal.images, proposal.anchors) == (COUNT, 110)
    assert proposal.measured is not None
    assert proposal.by_both == proposal.measured.worse_than_waiting


def test_the_way_back_leads_to_the_same_vectors(
    gallery: Gallery, models: tuple[Path, Path], tmp_path: Path
) -> None:
    before = state(gallery)
    begin(gallery, models).carry_on(most=5)
    assert gallery.upgrade().progress() is not None
    write_images(tmp_path / "more", 3, first=500)
    gallery.add(tmp_path / "more")
    assert first(gallery, 501) == "p0501"
    removed = gallery.search(image(7), limit=1).hits[0]
    gallery.remove(removed.path)
    upgrade = gallery.upgrade()
    replaced = upgrade.back()
    assert gallery.model.space == "old"
    assert gallery.add_local_features() == replaced
    after = state(gallery)
    assert removed.id not in after
    assert all(np.array_equal(after[i], v) for i, v in before.items() if i != removed.id)
    assert len(after) == COUNT - 1 + 3
    assert first(gallery, 501) == "p0501"
    assert gallery.check(sample=None).sound
    with pytest.raises(GalleryError, match="no upgrade"):
        upgrade.back()


def test_two_galleries_open_in_two_places_follow_each_step(
    gallery: Gallery, models: tuple[Path, Path]
) -> None:
    with Gallery(gallery.folder, create=False) as other:
        query = other.query(image(3, "PNG"))
        browser = other.browse()
        upgrade = begin(gallery, models)
        assert first(other, 3) == "p0003"
        assert other.model.space == "new"
        assert browser.count() == COUNT
        assert len(browser.page(limit=500, order="name").images) == COUNT
        with pytest.raises(ModelMismatchError, match="belongs to the space"):
            other.search(query)
        upgrade.carry_on()
        assert first(other, 4) == "p0004"
        info = other.info()
        assert (info.upgrade, info.format) == (None, 2)
        assert browser.count() == COUNT


def test_a_batch_of_before_the_upgrade_is_not_written_after_it_began(
    gallery: Gallery, models: tuple[Path, Path]
) -> None:
    stale = gallery._changes.require()
    begin(gallery, models)
    with pytest.raises(ModelMismatchError, match="changed by another process"):
        stale()


def test_what_was_found_lately_is_encoded_first(
    gallery: Gallery, models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glocal.gallery.upgrading._AT_ONCE", 4)
    upgrade = begin(gallery, models, anchors=100)
    store = gallery._context.store
    assert isinstance(store, MixedStore)
    waiting = {i.hex for i, _ in store.old.scan()}
    wanted = [hit.id for hit in gallery.search(image(9, "PNG"), limit=40) if hit.id in waiting][:4]
    (gallery.folder / "found").unlink()
    paths = gallery._catalog.files_of([UUID(hex=i) for i in wanted]).values()
    for files in paths:
        gallery.search(files[0][1], limit=1)
    upgrade.carry_on(most=4)
    assert {i.hex for i, _ in store.new.scan()} >= set(wanted)


def test_images_that_cannot_be_read_keep_their_old_vectors(
    gallery: Gallery, models: tuple[Path, Path], indexed: tuple[Path, Path], tmp_path: Path
) -> None:
    upgrade = begin(gallery, models, anchors=100)
    store = gallery._context.store
    assert isinstance(store, MixedStore)
    (i, _), *_ = store.old.scan()
    ((_, path),) = gallery._catalog.files_of([i])[i]
    data = path.read_bytes()
    path.rename(tmp_path / "away")
    try:
        report = upgrade.carry_on()
        assert (report.left, report.finished) == (1, False)
        assert gallery.search(data, limit=1).hits[0].id == i.hex
    finally:
        (tmp_path / "away").rename(path)
    assert upgrade.carry_on().finished


def test_the_old_vectors_stay_where_that_is_wanted(
    gallery: Gallery, models: tuple[Path, Path]
) -> None:
    before = state(gallery)
    upgrade = begin(gallery, models)
    report = upgrade.carry_on(keep_old=True)
    assert (report.left, report.finished) == (0, False)
    upgrade.back()
    gallery.add_local_features()
    assert all(np.array_equal(state(gallery)[i], v) for i, v in before.items())


def test_few_images_are_searched_by_both_models(models: tuple[Path, Path], tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 12)
    with Gallery(tmp_path / "gallery", model=str(models[0]), detector="own") as gallery:
        gallery.add(tmp_path / "photos")
        begin(gallery, models, anchors=6)
        progress = gallery.upgrade().progress()
        assert progress is not None
        assert progress.by_both
        assert [first(gallery, seed) for seed in range(12)] == [f"p{s:04d}" for s in range(12)]
        query = gallery.query(image(3, "PNG"))
        assert query.old is not None
        assert query.old.shape == (3, 16)
        assert gallery.search_vector(query.vector).hits
        assert gallery.upgrade().carry_on().finished
        assert first(gallery, 5) == "p0005"


def test_a_model_that_speaks_the_old_space_needs_no_bridge(
    gallery: Gallery, tmp_path: Path
) -> None:
    model = write_model(tmp_path / "speaks.onnx", space="next", version=2, speaks=["old"])
    upgrade = gallery.upgrade()
    proposal = upgrade.propose(str(model), anchors=110)
    assert not proposal.by_both
    assert proposal.measured is not None
    assert proposal.measured.own_image == 1
    upgrade.begin(proposal)
    assert not list(gallery.folder.glob("*.bridge"))
    assert [first(gallery, seed) for seed in range(6)] == [f"p{seed:04d}" for seed in range(6)]
    assert upgrade.carry_on().finished


def test_what_needs_one_detector_is_refused_until_the_end(
    gallery: Gallery, models: tuple[Path, Path]
) -> None:
    upgrade = begin(gallery, models)
    for refused in (gallery.duplicates, gallery.add_local_features, gallery.add_regions):
        with pytest.raises(GalleryError, match="glocal upgrade --back"):
            refused()
    with pytest.raises(GalleryError, match="is being upgraded"):
        upgrade.propose(str(models[0]))
    upgrade.carry_on()
    assert gallery.duplicates() == ()


def test_a_model_of_the_same_space_is_no_upgrade(
    gallery: Gallery, models: tuple[Path, Path]
) -> None:
    with pytest.raises(QueryError, match="same space"):
        gallery.upgrade().propose(str(models[0]))


def test_one_process_encodes_at_a_time(gallery: Gallery, models: tuple[Path, Path]) -> None:
    upgrade = begin(gallery, models)
    with (
        locked(gallery.folder / "upgrade.lock", "it", 0),
        pytest.raises(GalleryLockedError, match="in use by another process"),
    ):
        upgrade.carry_on()


def test_a_full_disk_leaves_the_gallery_as_it_was(
    gallery: Gallery, models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = gallery.upgrade()
    proposal = upgrade.propose(str(models[1]), anchors=100)

    def full(*_: object, **__: object) -> None:
        raise DiskFullError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr("glocal.gallery.upgrading.save_bridge", full)
        with pytest.raises(DiskFullError):
            upgrade.begin(proposal)
    assert (gallery.model.space, gallery.info().upgrade) == ("old", None)
    assert first(gallery, 4) == "p0004"
    upgrade.begin(proposal)
    with monkeypatch.context() as patched:
        patched.setattr("glocal.gallery.layout.Layout.free_bytes", lambda _: 0)
        with pytest.raises(DiskFullError, match="what was done so far is kept"):
            upgrade.carry_on()
    assert first(gallery, 4) == "p0004"
    assert upgrade.carry_on().finished


def test_a_lost_bridge_is_named(gallery: Gallery, models: tuple[Path, Path]) -> None:
    begin(gallery, models)
    gone = next(gallery.folder.glob("*.bridge"))
    data = gone.read_bytes()
    gone.unlink()
    with pytest.raises(GalleryDamagedError, match=r"\.bridge"):
        Gallery(gallery.folder, create=False)
    gone.write_bytes(data)
    with Gallery(gallery.folder, create=False) as opened:
        assert first(opened, 3) == "p0003"


def test_a_vector_of_another_space_searches_through_a_bridge(
    gallery: Gallery, models: tuple[Path, Path], tmp_path: Path
) -> None:
    encoder = OnnxEncoder(models[1])
    files = [
        paths[0][1] for paths in gallery._catalog.files_of(gallery._catalog.content_ids()).values()
    ]
    theirs = {path: 3 * encoder.encode([load(path).array])[0].vector for path in files}
    path = tmp_path / "service.bridge"
    measured = gallery.fit_bridge(theirs, path, space="service")
    assert (measured.images, measured.own_image > 0.8) == (50, True)
    card = read_bridge_card(path)
    assert (card.old_space, card.new_space, card.anchors) == ("old", "service", COUNT)
    assert card.measured == measured.figures()
    found = [gallery.search_vector(theirs[each], bridge=path, limit=3) for each in files[:20]]
    right = [each in [hit.path for hit in hits] for each, hits in zip(files, found, strict=False)]
    assert np.mean(right) > 0.8
    with pytest.raises(ModelMismatchError, match="leads from 'service'"):
        gallery.search_vector(theirs[files[0]], bridge=path, space="elsewhere")


def test_a_bridge_is_fitted_only_to_images_of_the_gallery_and_from_another_space(
    gallery: Gallery, tmp_path: Path
) -> None:
    path, vector = tmp_path / "service.bridge", np.ones(4)
    with pytest.raises(QueryError, match="has no image of elsewhere"):
        gallery.fit_bridge({"elsewhere.jpg": vector}, path, space="service")
    with pytest.raises(QueryError, match="own space"):
        gallery.fit_bridge({}, path, space="old")
    ((_, known),) = gallery._catalog.files_of([min(gallery._catalog.content_ids())]).popitem()[1]
    with pytest.raises(BridgeError, match="at least 100"):
        gallery.fit_bridge({known: vector}, path, space="service")
    assert not path.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("step", ["copied", "described", "batch", "switched", "cleared"])
def test_killed_at_any_step_nothing_is_lost(
    gallery: Gallery,
    models: tuple[Path, Path],
    fresh: dict[str, np.ndarray],
    step: str,
) -> None:
    """A process that ends at once, as by SIGKILL, and the next one that goes on."""
    gallery.close()
    pid = os.fork()
    if pid == 0:
        _end_at(step)
        with Gallery(gallery.folder, create=False) as opened:
            begin(opened, models, anchors=110).carry_on()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] >> 8 == 9
    with Gallery(gallery.folder, create=False) as opened:
        assert [first(opened, seed) for seed in range(4)] == [f"p{s:04d}" for s in range(4)]
        upgrade = opened.upgrade()
        if step == "copied":
            assert opened.model.space == "old"
            upgrade = begin(opened, models)
        if step not in ("switched", "cleared"):
            assert upgrade.carry_on().finished
        assert opened.check(sample=None).sound
        found = state(opened)
        assert found.keys() == fresh.keys()
        assert all(np.array_equal(found[i], fresh[i]) for i in fresh)
        names = {path.name.partition("-")[0] for path in opened.folder.iterdir()}
        assert not names & {"queries", "vectors.bridge", "found"}
        assert len(list(opened.folder.glob("model-*.onnx"))) == 1


def _end_at(step: str) -> None:
    """Let this process end at a step of an upgrade."""
    from glocal.gallery import upgrading
    from glocal.gallery.stores.flat import FlatStore

    def after(name: str, times: int, owner: object = upgrading) -> None:
        done = getattr(owner, name)
        calls = iter(range(times))

        def ends(*arguments: object, **options: object) -> object:
            result = done(*arguments, **options)
            if next(calls, None) is None:
                os._exit(9)
            return result

        setattr(owner, name, ends)

    batches.BATCH = 8
    match step:
        case "copied":
            after("copy_encoder", 0)
        case "described":
            after("write_description", 0)
        case "batch":
            after("_keep_vectors", 1)
        case "switched":
            after("write_description", 1)
        case "cleared":
            after("clear", 0, FlatStore)
